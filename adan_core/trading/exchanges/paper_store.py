"""The paper exchange's books: one SQLite file that several connections may read and write at once."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adan_core.domain.candles import Candle
from adan_core.domain.errors import RetryableError, SystemFailure
from adan_core.domain.orders import Fill, Order, OrderStatus
from adan_core.domain.time import Milliseconds
from adan_core.trading.database import Durability, open_database, transaction
from adan_core.trading.records import (
    FILL_COLUMNS,
    FILL_DEFINITION,
    FILL_PLACES,
    ORDER_COLUMNS,
    ORDER_DEFINITION,
    ORDER_PLACES,
    fill_from,
    fill_row,
    order_from,
    order_row,
)

MIGRATIONS: Final = (
    f"""
    CREATE TABLE account (
        id INTEGER PRIMARY KEY CHECK (id = 1), currency TEXT NOT NULL, cash REAL NOT NULL,
        deposit REAL NOT NULL, deposited_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE holdings (
        symbol TEXT PRIMARY KEY, base TEXT NOT NULL, quantity REAL NOT NULL, average REAL NOT NULL,
        stop REAL NOT NULL, take_profit REAL NOT NULL
    ) STRICT;
    CREATE TABLE orders (sequence INTEGER PRIMARY KEY, {ORDER_DEFINITION}) STRICT;
    CREATE INDEX open_orders ON orders (symbol) WHERE status = 'open';
    CREATE TABLE trades (
        id INTEGER PRIMARY KEY, {FILL_DEFINITION}, candle INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX trades_of_candle ON trades (symbol, candle);
    CREATE TABLE candles (
        symbol TEXT PRIMARY KEY, open_time INTEGER NOT NULL, close REAL NOT NULL
    ) STRICT;
    """,
)

_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@dataclass(frozen=True, slots=True)
class Holding:
    """One position as the venue keeps it; ``stop`` and ``take_profit`` are prices, 0 for none."""

    symbol: str
    base: str
    quantity: float
    average: float
    stop: float
    take_profit: float


class PaperStore:
    """Typed statements over the file; callers bracket changes with ``change``."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self._path = path
        self._connection = open_database(path, MIGRATIONS, durability)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._connection.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Make the block one transaction; RetryableError if the file is busy, SystemFailure if it fails."""
        with self.reading(), transaction(self._connection):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn the database's errors into ours."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY_CODES:
                raise RetryableError(f"the paper exchange's file {self._path} is busy") from error
            raise SystemFailure(
                f"the paper exchange's file {self._path} failed: {error}",
                "a disk with room that keeps what it is given",
                "free space or check the disk, then start again",
            ) from error

    def open_account(self, currency: str, deposit: float, now: Milliseconds) -> None:
        """Record the opening deposit, once in the file's life."""
        with self.change():
            self._connection.execute(
                "INSERT OR IGNORE INTO account VALUES (1, ?, ?, ?, ?)",
                (currency, deposit, deposit, now),
            )

    def account(self) -> tuple[str, float]:
        """Return the quote currency and the cash."""
        row = self._connection.execute("SELECT currency, cash FROM account").fetchone()
        return row[0], row[1]

    def set_cash(self, cash: float) -> None:
        """Replace the cash."""
        self._connection.execute("UPDATE account SET cash = ?", (cash,))

    def holdings(self) -> tuple[Holding, ...]:
        """Return every position ever held, flat ones included, in symbol order."""
        rows = self._connection.execute("SELECT * FROM holdings ORDER BY symbol").fetchall()
        return tuple(Holding(*row) for row in rows)

    def holding(self, symbol: str) -> Holding | None:
        """Return the position in ``symbol``; None if there never was one."""
        row = self._connection.execute(
            "SELECT * FROM holdings WHERE symbol = ?", (symbol,)
        ).fetchone()
        return None if row is None else Holding(*row)

    def set_holding(self, holding: Holding) -> None:
        """Insert or replace a position."""
        self._connection.execute(
            "INSERT OR REPLACE INTO holdings VALUES (?, ?, ?, ?, ?, ?)",
            (
                holding.symbol,
                holding.base,
                holding.quantity,
                holding.average,
                holding.stop,
                holding.take_profit,
            ),
        )

    def last_candle(self, symbol: str) -> tuple[Milliseconds, float] | None:
        """Return opening time and close of the newest candle matched; None before the first."""
        row = self._connection.execute(
            "SELECT open_time, close FROM candles WHERE symbol = ?", (symbol,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def set_last_candle(self, symbol: str, candle: Candle) -> None:
        """Remember the newest candle matched."""
        self._connection.execute(
            "INSERT OR REPLACE INTO candles VALUES (?, ?, ?)",
            (symbol, candle.open_time, candle.close),
        )

    def add_order(self, order: Order) -> Order:
        """Insert an order and return it with the exchange id it was given."""
        cursor = self._connection.execute(
            f"INSERT INTO orders ({ORDER_COLUMNS}) VALUES ({ORDER_PLACES})",  # noqa: S608
            order_row(order),
        )
        exchange_id = f"P{cursor.lastrowid}"
        self._connection.execute(
            "UPDATE orders SET exchange_id = ? WHERE sequence = ?", (exchange_id, cursor.lastrowid)
        )
        return self._require(order.client_id)

    def _require(self, client_id: str) -> Order:
        order = self.order(client_id)
        if order is None:
            raise SystemFailure(f"order {client_id} vanished from {self._path}")
        return order

    def order(self, client_id: str) -> Order | None:
        """Return one order by its client id."""
        row = self._connection.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE client_id = ?",  # noqa: S608
            (client_id,),
        ).fetchone()
        return None if row is None else order_from(row)

    def open_orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the open orders of one symbol or of all, oldest first."""
        of_symbol = "" if symbol is None else "AND symbol = ?"
        rows = self._connection.execute(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE status = 'open' {of_symbol} "  # noqa: S608
            "ORDER BY sequence",
            () if symbol is None else (symbol,),
        ).fetchall()
        return tuple(order_from(row) for row in rows)

    def set_order(
        self, client_id: str, status: OrderStatus, filled: float, reason: str, now: Milliseconds
    ) -> None:
        """Move one order on; an empty ``reason`` keeps the earlier one."""
        self._connection.execute(
            "UPDATE orders SET status = ?, filled = ?, reason = iif(? = '', reason, ?), "
            "updated_at = ? WHERE client_id = ?",
            (status.value, filled, reason, reason, now, client_id),
        )

    def set_order_quantity(self, client_id: str, quantity: float, now: Milliseconds) -> None:
        """Let a protective order cover ``quantity``, the whole of a changed position."""
        self._connection.execute(
            "UPDATE orders SET quantity = ?, updated_at = ? WHERE client_id = ?",
            (quantity, now, client_id),
        )

    def add_trade(self, fill: Fill, candle: Milliseconds) -> Fill:
        """Insert a trade and return it with the trade id it was given."""
        cursor = self._connection.execute(
            f"INSERT INTO trades ({FILL_COLUMNS}, candle) VALUES ({FILL_PLACES}, ?)",  # noqa: S608
            (*fill_row(fill), candle),
        )
        return fill_from(str(cursor.lastrowid), fill_row(fill))

    def trades_since(self, sequence: int) -> tuple[Fill, ...]:
        """Return the trades after trade id ``sequence``, oldest first."""
        rows = self._connection.execute(
            f"SELECT id, {FILL_COLUMNS} FROM trades WHERE id > ? ORDER BY id",  # noqa: S608
            (sequence,),
        ).fetchall()
        return tuple(fill_from(str(row[0]), row[1:]) for row in rows)

    def trades_of(self, symbol: str, candle: Milliseconds) -> tuple[Fill, ...]:
        """Return the trades that one candle gave, oldest first."""
        rows = self._connection.execute(
            f"SELECT id, {FILL_COLUMNS} FROM trades "  # noqa: S608
            "WHERE symbol = ? AND candle = ? ORDER BY id",
            (symbol, candle),
        ).fetchall()
        return tuple(fill_from(str(row[0]), row[1:]) for row in rows)
