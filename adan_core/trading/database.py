"""One way to open a SQLite file that must not lose what it was told."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from adan_core.domain.errors import SystemFailure
from adan_core.resilience.files import private_folder

_BUSY_MILLISECONDS = 5_000
_SYNCHRONOUS = {"FULL": 2, "OFF": 0}


class Durability(StrEnum):
    """FULL: a commit that returned survives a power cut. OFF: for temporary files of replays only."""

    FULL = "FULL"
    OFF = "OFF"


def open_database(
    path: Path, migrations: Sequence[str], durability: Durability
) -> sqlite3.Connection:
    """Open (or create, 0600) the file, set WAL and durability, and bring its tables up to date.

    ``migrations[k]`` is the SQL script from schema version ``k`` to ``k + 1``. The connection is in
    autocommit mode: every change goes through ``transaction``. Raises SystemFailure if the file
    cannot be opened, does not keep the settings, or was written by a newer ADAN.
    """
    private_folder(path.parent)
    try:
        with _opening(path):
            return _open(path, migrations, durability)
    except OSError as error:
        raise SystemFailure(
            f"{path} cannot be opened: {error}", "a SQLite file this user may write"
        ) from error


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Let one thread of one process at a time create, configure or migrate the file.

    Changing the journal mode of a new file does not wait for others, it fails. The lock lies in a
    file of its own, which stays: closing any descriptor of a SQLite file drops the locks that this
    process's other connections hold on it.
    """
    guard = path.with_name(f"{path.name}.opening")
    descriptor = os.open(guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path, migrations: Sequence[str], durability: Durability) -> sqlite3.Connection:
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            timeout=_BUSY_MILLISECONDS / 1000,
            check_same_thread=False,  # built by one thread, then owned by another
        )
    except sqlite3.Error as error:
        raise SystemFailure(
            f"{path} cannot be opened: {error}", "a SQLite file this user may write"
        ) from error
    try:
        _configure(connection, path, durability)
        _migrate(connection, path, migrations)
    except sqlite3.Error as error:
        connection.close()
        raise SystemFailure(
            f"{path} cannot be used: {error}",
            "a whole SQLite file of ADAN's",
            "free disk space or restore the file from a backup; never delete it while orders are open",
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, path: Path, durability: Durability) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the platter
    connection.execute("PRAGMA foreign_keys = ON")
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _SYNCHRONOUS[durability]:
        raise SystemFailure(
            f"{path}: journal_mode {mode}, synchronous {synchronous}",
            f"wal and {_SYNCHRONOUS[durability]} ({durability})",
            "keep the file on a local disk whose file system supports shared memory maps",
        )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    newest = len(migrations)
    found = schema_version(connection)
    if found > newest:
        raise SystemFailure(
            f"{path} has schema version {found}",
            f"at most {newest}",
            "run the newer ADAN that wrote it",
        )
    if found == newest:
        return
    with transaction(connection):  # another connection may have migrated in the meantime
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) STRICT"
        )
        for version in range(schema_version(connection), newest):
            for statement in _statements(migrations[version]):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?)", (version + 1,))


def _statements(script: str) -> Iterator[str]:
    # sqlite3.executescript commits first; one statement at a time stays inside the transaction.
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the schema version the file is at; 0 for an empty file."""
    listed = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).fetchone()
    if listed is None:
        return 0
    return int(
        connection.execute("SELECT ifnull(max(version), 0) FROM schema_version").fetchone()[0]
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make everything in the block one transaction: all of it is committed, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
