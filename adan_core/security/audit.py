"""The audit trail: an append-only file of JSON lines, each chained to the one before by its hash."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Clock, iso
from adan_core.resilience.files import make_folder, write_atomically
from adan_core.security.authorization import current_user
from adan_core.security.redaction import redact

SCHEMA_VERSION = 1
FIRST_PREVIOUS = "0" * 64
"""What the first row names as the hash of the row before it."""
_KEPT_OF_A_TORN_LINE = 4096
_LONGEST_ROW = 1 << 16


class AuditTrail(Protocol):
    """What takes down who did what."""

    def record(self, action: str, outcome: str, details: Mapping[str, object] = ...) -> None:
        """Write one row down durably before returning; SystemFailure if that fails."""
        ...


class AuditLog:
    """The audit trail in a file; processes may append at the same time.

    A row holds the schema version, its number from 1, UTC time, user, action, outcome, details
    (redacted), the hash of the configuration in force, the hash of the row before, and its own
    SHA-256 over all of these. Beside the file, ``<name>.head`` keeps the newest row's number and
    hash, so that rows cut off the end are missed. A line torn by a crash is moved into a row of
    its own (action ``audit.torn_line``) by the next writer.
    """

    def __init__(self, path: Path, clock: Clock, config_hash: str = "") -> None:
        self._path = path
        self._clock = clock
        self.config_hash = config_hash

    def record(
        self, action: str, outcome: str, details: Mapping[str, object] | None = None
    ) -> None:
        """Append one row, on disk before this returns; SystemFailure if the disk refuses."""
        try:
            with _opened_alone(self._path) as descriptor:
                number, previous, torn = _end_of(descriptor)
                if torn:
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(torn))
                    fragment: dict[str, object] = {
                        "bytes": len(torn),
                        "sha256": hashlib.sha256(torn).hexdigest(),
                        "text": torn[:_KEPT_OF_A_TORN_LINE].decode("utf-8", "backslashreplace"),
                    }
                    number, previous = self._append(
                        descriptor, number, previous, "audit.torn_line", "kept", fragment
                    )
                number, previous = self._append(
                    descriptor, number, previous, action, outcome, details or {}
                )
                head = {"schema_version": SCHEMA_VERSION, "number": number, "hash": previous}
                write_atomically(_head_path(self._path), _canonical(head) + b"\n", 0o600)
        except OSError as error:
            raise SystemFailure(
                f"the audit trail {self._path} cannot be written: {error}",
                "a row on disk for every act",
                "free the disk or mend the folder's permissions",
            ) from error

    def _append(
        self,
        descriptor: int,
        number: int,
        previous: str,
        action: str,
        outcome: str,
        details: Mapping[str, object],
    ) -> tuple[int, str]:
        row: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "number": number + 1,
            "time": iso(self._clock.now()),
            "user": current_user(),
            "action": action,
            "outcome": redact(outcome),
            "details": redact(details),
            "config_hash": self.config_hash,
            "previous": previous,
        }
        row["hash"] = hashlib.sha256(_canonical(row)).hexdigest()
        line = _canonical(row) + b"\n"
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes were taken")
        os.fsync(descriptor)
        return number + 1, str(row["hash"])


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check of the audit trail found.

    ``line`` (from 1) is where the chain first breaks, None while it holds; ``torn`` says that the
    last line was cut by a crash, which is no break: the next row written takes it up.
    """

    rows: int
    line: int | None
    reason: str
    torn: bool = False

    @property
    def intact(self) -> bool:
        """Whether the chain holds from the first row to the newest on record."""
        return self.line is None


def verify_chain(path: Path) -> ChainReport:
    """Check every row of an audit trail against its own hash, its predecessor and the head.

    A missing file with no head beside it is an empty chain. SystemFailure if it cannot be read.
    """
    try:
        head = _read_head(_head_path(path))
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return _verify_lines(stream, head)
    except FileNotFoundError:
        if head is not None:
            return ChainReport(0, 1, f"the file is gone; {head[0]} rows were written")
        return ChainReport(0, None, "no row was written yet")
    except OSError as error:
        raise SystemFailure(f"the audit trail {path} cannot be read: {error}") from error


def _verify_lines(lines: Iterator[bytes], head: tuple[int, str] | None) -> ChainReport:
    previous = FIRST_PREVIOUS
    number = 0
    head_seen = head is None
    for line in lines:
        if not line.endswith(b"\n"):
            return _ended(number, head, head_seen, torn=True)
        row = _parse(line)
        reason = _fault(line, row, number + 1, previous)
        if row is None or reason:
            return ChainReport(number, number + 1, reason)
        number += 1
        previous = str(row["hash"])
        head_seen = head_seen or head == (number, previous)
    return _ended(number, head, head_seen, torn=False)


def _ended(
    number: int, head: tuple[int, str] | None, head_seen: bool, *, torn: bool
) -> ChainReport:
    if not head_seen and head is not None:
        reason = f"the newest row on record is number {head[0]}; it is missing or another"
        return ChainReport(number, number + 1, reason, torn)
    return ChainReport(number, None, "every row follows from the one before", torn)


def _fault(line: bytes, row: dict[str, object] | None, number: int, previous: str) -> str:
    """Return what is wrong with a row, or an empty string."""
    if row is None:
        return "not a row of JSON"
    if row.get("schema_version") != SCHEMA_VERSION:
        return f"schema version {row.get('schema_version')}, this ADAN reads {SCHEMA_VERSION}"
    claimed = row.get("hash")
    bare = {name: value for name, value in row.items() if name != "hash"}
    if claimed != hashlib.sha256(_canonical(bare)).hexdigest() or line != _canonical(row) + b"\n":
        return "the row was altered: its hash does not match"
    if row.get("previous") != previous:
        return "a row before it was removed, added or altered"
    if row.get("number") != number:
        return f"row number {row.get('number')} where {number} is due"
    return ""


@contextmanager
def _opened_alone(path: Path) -> Iterator[int]:
    """Open the trail for reading and appending, locked against other writers, and close it."""
    make_folder(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _end_of(descriptor: int) -> tuple[int, str, bytes]:
    """Return the last whole row's number and hash, and the torn bytes after it.

    A last line that is no row (somebody wrote into the file) is chained to by the hash of its
    bytes: recording goes on, and the check reports that line.
    """
    size = os.fstat(descriptor).st_size
    start = max(0, size - _LONGEST_ROW)
    data = os.pread(descriptor, size - start, start)
    while start and data.count(b"\n") < 2:
        start = max(0, start - _LONGEST_ROW)
        data = os.pread(descriptor, size - start, start)
    whole, _, torn = data.rpartition(b"\n")
    if not whole:
        return 0, FIRST_PREVIOUS, torn
    last = whole.rpartition(b"\n")[2]
    row = _parse(last)
    number = row.get("number") if row else None
    claimed = row.get("hash") if row else None
    if not isinstance(number, int) or not isinstance(claimed, str):
        return 0, hashlib.sha256(last).hexdigest(), torn
    return number, claimed, torn


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _read_head(path: Path) -> tuple[int, str] | None:
    try:
        row = _parse(path.read_bytes())
    except FileNotFoundError:
        return None
    if row is None:
        return (0, "unreadable head")
    number = row.get("number")
    return (number if isinstance(number, int) else 0, str(row.get("hash")))


def _head_path(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def _canonical(row: Mapping[str, object]) -> bytes:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
