"""The journal: every order before the exchange hears of it, every fill once, and the ledger they make.

An order is written as INTENT, then as SENDING just before it is sent, and only what the exchange
says moves it on; whatever is not certain is UNKNOWN until somebody has looked.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from adan_core.domain.errors import TradingError
from adan_core.domain.orders import Fill, Order, OrderStatus
from adan_core.domain.time import Clock, Milliseconds
from adan_core.trading.database import Durability
from adan_core.trading.journal_file import JournalFile
from adan_core.trading.journal_history import History
from adan_core.trading.ledger import Account, Holding, book
from adan_core.trading.records import (
    FILL_COLUMNS,
    FILL_PLACES,
    ORDER_COLUMNS,
    ORDER_PLACES,
    fill_from,
    fill_row,
    order_from,
    order_row,
)

_S = OrderStatus
ALLOWED: Final = {
    _S.INTENT: {_S.SENDING, _S.REJECTED},
    _S.SENDING: {_S.OPEN, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.UNKNOWN},
    _S.OPEN: {_S.FILLED, _S.CANCELED, _S.UNKNOWN},
    _S.UNKNOWN: {_S.OPEN, _S.FILLED, _S.CANCELED, _S.REJECTED},
    _S.FILLED: set[OrderStatus](),
    _S.CANCELED: set[OrderStatus](),
    _S.REJECTED: set[OrderStatus](),
}
"""Which status may follow which; a fill, being a fact, may reopen even a terminal order."""

NOT_SENT = "not sent"
ABSENT = "absent"

# The sum of partial fills is the ordered quantity up to binary rounding.
_ROUNDING = 1e-12


class Journal:
    """One connection to the journal of one exchange; used by one thread at a time."""

    def __init__(
        self, path: Path, exchange: str, clock: Clock, durability: Durability = Durability.FULL
    ) -> None:
        self._file = JournalFile(path, durability)
        self._exchange = exchange
        self._clock = clock
        self.history = History(self._file)
        self.transaction = self._file.transaction

    @property
    def poisoned(self) -> str:
        """Why nothing may be written any more; empty while all is well."""
        return self._file.poisoned

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def record_intent(self, order: Order) -> None:
        """Write down an order that is about to be sent; TradingError if its client id was used before."""
        if order.status is not OrderStatus.INTENT:
            raise TradingError(f"order {order.client_id} is {order.status}", "a new intent")
        self._insert(order)

    def mark_sending(self, client_id: str) -> None:
        """Write down that the next thing to happen is the order's leaving."""
        self._move(client_id, OrderStatus.SENDING)

    def acknowledge(self, client_id: str, exchange_id: str) -> None:
        """The exchange took the order on, under its own id (never empty)."""
        if not exchange_id:
            raise TradingError(f"order {client_id} acknowledged without an id", "an exchange id")
        with self.transaction():
            self._move(client_id, OrderStatus.OPEN)
            self._file.write(
                "UPDATE orders SET exchange_id = ? WHERE client_id = ?", (exchange_id, client_id)
            )

    def reject(self, client_id: str, code: str) -> None:
        """The order does not exist on the exchange, for certain; ``code`` says why."""
        self._move(client_id, OrderStatus.REJECTED, code)

    def unknown(self, client_id: str, reason: str) -> None:
        """The order may or may not exist; somebody must look."""
        self._move(client_id, OrderStatus.UNKNOWN, reason)

    def follow(self, seen: Order) -> None:
        """Take over what the exchange says of an order; one the journal does not know is adopted."""
        with self.transaction():
            known = self.order(seen.client_id)
            if known is None:
                self._insert(seen)
                return
            if known.status is OrderStatus.INTENT:
                self._move(seen.client_id, OrderStatus.SENDING)
            if known.status is OrderStatus.REJECTED:
                # Taken for absent, and there all the same: what the exchange shows is a fact.
                self._set_status(seen.client_id, seen.status, seen.reason)
            elif known.status is not seen.status and not known.status.terminal:
                self._move(seen.client_id, seen.status, seen.reason)
            self._file.write(
                "UPDATE orders SET exchange_id = ?, quantity = ?, trigger_price = ? "
                "WHERE client_id = ?",
                (seen.exchange_id, seen.quantity, seen.trigger_price, seen.client_id),
            )

    def apply_fill(self, fill: Fill) -> bool:
        """Book one trade: fill, order, cash, position and round trip in one commit.

        Returns False, and changes nothing, if the trade is known already. Raises TradingError for a
        fill of an order that the journal does not know, or of more than is held.
        """
        with self.transaction():
            order = self.order(fill.client_id)
            if order is None:
                raise TradingError(
                    f"trade {fill.trade_id} belongs to order {fill.client_id}",
                    "an order of this journal",
                )
            fresh = self._file.write(
                f"INSERT OR IGNORE INTO fills (exchange, trade_id, {FILL_COLUMNS}) "  # noqa: S608
                f"VALUES (?, ?, {FILL_PLACES})",
                (self._exchange, fill.trade_id, *fill_row(fill)),
            )
            if not fresh:
                return False
            self._book(fill)
            self._fill_order(order)
            return True

    def _book(self, fill: Fill) -> None:
        account, holding, trade = book(self.account(), self.holding(fill.symbol), fill)
        self._file.write(
            "UPDATE account SET cash = ?, realised = ?, fees = ?",
            (account.cash, account.realised, account.fees),
        )
        if holding is None:
            self._file.write("DELETE FROM positions WHERE symbol = ?", (fill.symbol,))
        else:
            self._file.write(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    holding.symbol,
                    holding.quantity,
                    holding.average,
                    holding.mark,
                    holding.opened_at,
                    holding.realised,
                    holding.fees,
                    holding.bought,
                    holding.bought_value,
                    holding.sold,
                    holding.sold_value,
                ),
            )
        if trade is not None:
            self.history.record_trade(trade)

    def _fill_order(self, order: Order) -> None:
        filled = self._file.one(
            "SELECT sum(quantity) FROM fills WHERE exchange = ? AND client_id = ?",
            (self._exchange, order.client_id),
        )[0]
        if filled >= order.quantity * (1.0 - _ROUNDING):
            status = OrderStatus.FILLED
        elif order.status is OrderStatus.CANCELED:
            status = OrderStatus.CANCELED
        else:
            status = OrderStatus.OPEN
        self._file.write(
            "UPDATE orders SET filled = ?, status = ?, updated_at = ? WHERE client_id = ?",
            (filled, status.value, self._clock.now(), order.client_id),
        )

    def cursor(self) -> int:
        """Return the id of the newest trade read from the exchange; 0 before the first."""
        row = self._file.row("SELECT sequence FROM cursors WHERE exchange = ?", (self._exchange,))
        return 0 if row is None else int(row[0])

    def set_cursor(self, sequence: int) -> None:
        """Remember the newest trade read; in the transaction that booked it."""
        self._file.write("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (self._exchange, sequence))

    def deposit(self, amount: float, time: Milliseconds, note: str) -> None:
        """Book money that came in (negative: went out); it is no profit and moves the peak along."""
        with self.transaction():
            self._file.write(
                "INSERT INTO deposits (time, amount, note) VALUES (?, ?, ?)", (time, amount, note)
            )
            self._file.write("INSERT OR IGNORE INTO account VALUES (1, 0, 0, 0, 0, 0)")
            self._file.write(
                "UPDATE account SET cash = cash + ?, deposits = deposits + ?, peak = peak + ?",
                (amount, amount, amount),
            )

    @property
    def opened(self) -> bool:
        """Whether the opening deposit was booked."""
        return self._file.row("SELECT 1 FROM account") is not None

    def account(self) -> Account:
        """Return the purse; all zero before the opening deposit."""
        row = self._file.row("SELECT cash, deposits, realised, fees, peak FROM account")
        return Account(0.0, 0.0, 0.0, 0.0, 0.0) if row is None else Account(*row)

    def holding(self, symbol: str) -> Holding | None:
        """Return the open position in ``symbol``; None when flat."""
        row = self._file.row("SELECT * FROM positions WHERE symbol = ?", (symbol,))
        return None if row is None else Holding(*row)

    def holdings(self) -> tuple[Holding, ...]:
        """Return the open positions in symbol order."""
        rows = self._file.rows("SELECT * FROM positions ORDER BY symbol")
        return tuple(Holding(*row) for row in rows)

    def order(self, client_id: str) -> Order | None:
        """Return one order by its client id."""
        row = self._file.row(
            f"SELECT {ORDER_COLUMNS} FROM orders WHERE client_id = ?",  # noqa: S608
            (client_id,),
        )
        return None if row is None else order_from(row)

    def orders(self, limit: int) -> tuple[Order, ...]:
        """Return the newest orders, newest first."""
        return self._orders("ORDER BY sequence DESC LIMIT ?", limit)

    def open_orders(self) -> tuple[Order, ...]:
        """Return the orders known to stand on the exchange, oldest first."""
        return self._orders("WHERE status = 'open' ORDER BY sequence")

    def non_terminal_orders(self) -> tuple[Order, ...]:
        """Return every order that is neither filled nor canceled nor rejected, oldest first."""
        return self._orders(
            "WHERE status IN ('intent', 'sending', 'open', 'unknown') ORDER BY sequence"
        )

    def orders_of_decision(self, decision_id: str) -> tuple[Order, ...]:
        """Return the orders that one decision gave, oldest first."""
        return self._orders("WHERE decision_id = ? ORDER BY sequence", decision_id)

    def fills(self, limit: int) -> tuple[Fill, ...]:
        """Return the newest fills, newest first."""
        rows = self._file.rows(
            f"SELECT trade_id, {FILL_COLUMNS} FROM fills "  # noqa: S608
            "ORDER BY sequence DESC LIMIT ?",
            (limit,),
        )
        return tuple(fill_from(row[0], row[1:]) for row in rows)

    def _orders(self, condition: str, *values: str | int) -> tuple[Order, ...]:
        rows = self._file.rows(f"SELECT {ORDER_COLUMNS} FROM orders {condition}", values)  # noqa: S608
        return tuple(order_from(row) for row in rows)

    def _insert(self, order: Order) -> None:
        # Fills alone make an order filled here, whatever the exchange says of its sum.
        self._file.write(
            f"INSERT INTO orders ({ORDER_COLUMNS}) VALUES ({ORDER_PLACES})",  # noqa: S608
            order_row(replace(order, filled=0.0)),
        )

    def _move(self, client_id: str, status: OrderStatus, reason: str = "") -> None:
        with self.transaction():
            order = self.order(client_id)
            if order is None:
                raise TradingError(f"order {client_id}", "an order of this journal")
            if status not in ALLOWED[order.status]:
                allowed = ", ".join(sorted(ALLOWED[order.status])) or "nothing"
                raise TradingError(
                    f"order {client_id} would go from {order.status} to {status}", allowed
                )
            self._set_status(client_id, status, reason)

    def _set_status(self, client_id: str, status: OrderStatus, reason: str) -> None:
        self._file.write(
            "UPDATE orders SET status = ?, reason = iif(? = '', reason, ?), updated_at = ? "
            "WHERE client_id = ?",
            (status.value, reason, reason, self._clock.now(), client_id),
        )
