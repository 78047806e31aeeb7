"""A look into the journal while no core runs, for ``adan-core status``: it only reads and imports little."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from adan_core.domain.errors import SystemFailure

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class JournalPosition:
    """One open position as last written: base quantity, prices in quote currency."""

    symbol: str
    quantity: float
    average_price: float
    mark: float


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """The account as the last core left it; instants in milliseconds since the epoch, UTC."""

    cash: float
    equity: float
    deposits: float
    realised: float
    fees: float
    peak: float
    positions: tuple[JournalPosition, ...]
    open_orders: int
    unresolved_orders: int
    last_decision_at: int | None
    last_equity_at: int | None


def read_status(path: Path) -> JournalStatus | None:
    """Return what the journal at ``path`` holds; None if there is no journal or no account in it yet.

    Raises SystemFailure if the file is there and cannot be read.
    """
    return _looked(path, _read)


def read_checkpoint(path: Path, key: str) -> bytes | None:
    """Return what the journal at ``path`` keeps under ``key``; None if there is no such thing.

    Raises SystemFailure if the file is there and cannot be read.
    """

    def read(connection: sqlite3.Connection) -> bytes | None:
        row = connection.execute("SELECT value FROM checkpoint WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    return _looked(path, read)


def _looked(path: Path, read: Callable[[sqlite3.Connection], Found | None]) -> Found | None:
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return read(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SystemFailure(
            f"the journal {path} cannot be read: {error}",
            "a journal written by this ADAN",
            "start a core: it migrates or refuses the file and says why",
        ) from error


def _read(connection: sqlite3.Connection) -> JournalStatus | None:
    connection.execute("BEGIN")  # one picture, even while a core writes
    account = connection.execute(
        "SELECT cash, deposits, realised, fees, peak FROM account"
    ).fetchone()
    if account is None:
        return None
    positions = tuple(
        JournalPosition(*row)
        for row in connection.execute(
            "SELECT symbol, quantity, average, mark FROM positions ORDER BY symbol"
        )
    )
    cash, deposits, realised, fees, peak = account
    return JournalStatus(
        cash=cash,
        equity=cash + sum(held.quantity * held.mark for held in positions),
        deposits=deposits,
        realised=realised,
        fees=fees,
        peak=peak,
        positions=positions,
        open_orders=_one(connection, "SELECT count(*) FROM orders WHERE status = 'open'") or 0,
        unresolved_orders=_one(
            connection,
            "SELECT count(*) FROM orders WHERE status IN ('intent', 'sending', 'unknown')",
        )
        or 0,
        last_decision_at=_one(connection, "SELECT max(time) FROM decisions"),
        last_equity_at=_one(connection, "SELECT max(time) FROM equity"),
    )


def _one(connection: sqlite3.Connection, query: str) -> int | None:
    found: int | None = connection.execute(query).fetchone()[0]
    return found
