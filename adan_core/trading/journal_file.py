"""The journal's file: its tables, its one way to write, and its refusal to go on after a failed write."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from adan_core.domain.errors import SystemFailure, TradingError
from adan_core.trading.database import Durability, open_database, transaction
from adan_core.trading.records import FILL_DEFINITION, ORDER_DEFINITION, Row

MIGRATIONS: Final = (
    f"""
    CREATE TABLE orders (sequence INTEGER PRIMARY KEY, {ORDER_DEFINITION}) STRICT;
    CREATE INDEX orders_by_status ON orders (status);
    CREATE INDEX orders_of_decision ON orders (decision_id);
    CREATE TABLE fills (
        sequence INTEGER PRIMARY KEY, exchange TEXT NOT NULL, trade_id TEXT NOT NULL,
        {FILL_DEFINITION}, UNIQUE (exchange, trade_id)
    ) STRICT;
    CREATE INDEX fills_of_order ON fills (client_id);
    CREATE TABLE cursors (exchange TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
    CREATE TABLE account (
        id INTEGER PRIMARY KEY CHECK (id = 1), cash REAL NOT NULL, deposits REAL NOT NULL,
        realised REAL NOT NULL, fees REAL NOT NULL, peak REAL NOT NULL
    ) STRICT;
    CREATE TABLE deposits (
        sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, amount REAL NOT NULL, note TEXT NOT NULL
    ) STRICT;
    CREATE TABLE positions (
        symbol TEXT PRIMARY KEY, quantity REAL NOT NULL, average REAL NOT NULL, mark REAL NOT NULL,
        opened_at INTEGER NOT NULL, realised REAL NOT NULL, fees REAL NOT NULL,
        bought REAL NOT NULL, bought_value REAL NOT NULL, sold REAL NOT NULL,
        sold_value REAL NOT NULL
    ) STRICT;
    CREATE TABLE trades (
        sequence INTEGER PRIMARY KEY, symbol TEXT NOT NULL, quantity REAL NOT NULL,
        entry_price REAL NOT NULL, exit_price REAL NOT NULL, opened_at INTEGER NOT NULL,
        closed_at INTEGER NOT NULL, pnl REAL NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE decisions (
        sequence INTEGER PRIMARY KEY, decision_id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL,
        symbol TEXT NOT NULL, action TEXT NOT NULL, orders INTEGER NOT NULL, record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX decisions_without_order ON decisions (sequence) WHERE orders = 0;
    CREATE TABLE equity (
        sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, equity REAL NOT NULL
    ) STRICT;
    CREATE TABLE checkpoint (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    """,
    # A core killed between a mark and its checkpoint marked the same close once more.
    """
    DELETE FROM equity WHERE sequence NOT IN (SELECT max(sequence) FROM equity GROUP BY time);
    CREATE UNIQUE INDEX equity_by_time ON equity (time);
    """,
    # What a challenger decided beside the model in service: never an order.
    """
    CREATE TABLE shadow_decisions (
        sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, symbol TEXT NOT NULL,
        model TEXT NOT NULL, target REAL, confidence REAL NOT NULL, equity REAL NOT NULL,
        UNIQUE (time, symbol, model)
    ) STRICT;
    """,
)


class JournalFile:
    """One connection to the journal; used by one thread at a time."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path = path
        self._connection = open_database(path, MIGRATIONS, durability)
        self._depth = 0
        self._poison = ""

    @property
    def poisoned(self) -> str:
        """Why nothing may be written any more; empty while all is well."""
        return self._poison

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the block one commit; blocks inside it join it.

        After a write or commit that failed, the journal is poisoned and refuses every further one:
        a later commit may well succeed although the failed one was lost. Raises SystemFailure then,
        TradingError for a record that is there already.
        """
        if self._poison:
            raise SystemFailure(
                f"the journal accepts nothing more: {self._poison}",
                "a journal whose every commit reached the disk",
                "mend the disk, then restart ADAN: it reconciles with the exchange first",
            )
        if self._depth:
            yield
            return
        self._depth = 1
        try:
            with transaction(self._connection):
                yield
        except sqlite3.IntegrityError as error:
            raise TradingError(
                f"the journal refuses the record: {error}", "ids that were never used before"
            ) from error
        except sqlite3.DatabaseError as error:
            self._poison = str(error)
            raise SystemFailure(
                f"the journal {self.path} could not be written: {error}",
                "a disk with room that keeps what it is given",
                "free space or check the disk, then restart ADAN; no order leaves until then",
            ) from error
        finally:
            self._depth = 0

    def write(self, statement: str, values: Row = ()) -> int:
        """Execute one change inside ``transaction`` and return the number of rows it touched."""
        with self.transaction():
            return self._connection.execute(statement, values).rowcount

    def rows(self, query: str, values: Row = ()) -> list[Row]:
        """Return the rows a query finds; SystemFailure if the file cannot be read."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise SystemFailure(
                f"the journal {self.path} cannot be read: {error}", "a whole SQLite file"
            ) from error

    def row(self, query: str, values: Row = ()) -> Row | None:
        """Return the first row a query finds, None if there is none."""
        found = self.rows(query, values)
        return found[0] if found else None

    def one(self, query: str, values: Row = ()) -> Row:
        """Return the one row that an aggregate query always gives."""
        return self.rows(query, values)[0]
