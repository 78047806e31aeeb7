"""What the journal keeps for looking back and for restarting: decisions, equity, trades, checkpoints."""

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from adan_core.domain.decisions import Decision, PolicyOutput
from adan_core.domain.errors import DataError
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.service import ShadowDecision
from adan_core.domain.snapshot import EquityPoint
from adan_core.domain.time import Milliseconds
from adan_core.trading.journal_file import JournalFile

Value = TypeVar("Value")

EQUITY_POINTS: Final = 4096
"""The equity curve holds at most this many points: the newest half at full resolution, older ones thinned."""

IDLE_DECISIONS: Final = 100_000
"""Decisions that led to no order are kept for this many; those with an order are kept for ever."""

_PRUNE_EVERY = 1000


class History:
    """Records on top of an open journal file; they join the transaction that is going on, if any."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file

    def record_decision(self, decision: Decision) -> None:
        """Store one decision whole; TradingError if its id was used before."""
        with self._file.transaction():
            self._file.write(
                "INSERT INTO decisions (decision_id, time, symbol, action, orders, record) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    decision.decision_id,
                    decision.time,
                    decision.action.symbol,
                    decision.action.action_type.value,
                    len(decision.order_ids),
                    msgspec.json.encode(decision),
                ),
            )
            newest = self._file.one("SELECT max(sequence) FROM decisions")[0]
            if newest % _PRUNE_EVERY == 0:
                self._file.write(
                    "DELETE FROM decisions WHERE orders = 0 AND sequence <= ?",
                    (newest - IDLE_DECISIONS,),
                )

    def decision(self, decision_id: str) -> Decision | None:
        """Return one decision by its id."""
        row = self._file.row("SELECT record FROM decisions WHERE decision_id = ?", (decision_id,))
        return None if row is None else msgspec.json.decode(row[0], type=Decision)

    def decisions(self, limit: int) -> tuple[Decision, ...]:
        """Return the newest decisions, newest first."""
        rows = self._file.rows(
            "SELECT record FROM decisions ORDER BY sequence DESC LIMIT ?", (limit,)
        )
        return tuple(msgspec.json.decode(row[0], type=Decision) for row in rows)

    def record_shadow(
        self,
        time: Milliseconds,
        symbol: str,
        model_id: str,
        output: PolicyOutput,
        equity: float,
    ) -> None:
        """Store what a challenger decided in the shadow, and its own equity then.

        One that is there is kept; where it abstained no target is stored.
        """
        with self._file.transaction():
            self._file.write(
                "INSERT OR IGNORE INTO shadow_decisions "
                "(time, symbol, model, target, confidence, equity) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    time,
                    symbol,
                    model_id,
                    None if output.abstained else output.target_exposure,
                    output.confidence,
                    equity,
                ),
            )
            newest = self._file.one("SELECT max(sequence) FROM shadow_decisions")[0]
            if newest % _PRUNE_EVERY == 0:
                self._file.write(
                    "DELETE FROM shadow_decisions WHERE sequence <= ?", (newest - IDLE_DECISIONS,)
                )

    def shadow_decisions(self, limit: int) -> tuple[ShadowDecision, ...]:
        """Return the newest decisions of challengers, newest first."""
        rows = self._file.rows(
            "SELECT time, symbol, model, target, confidence, equity FROM shadow_decisions "
            "ORDER BY sequence DESC LIMIT ?",
            (limit,),
        )
        return tuple(ShadowDecision(*row) for row in rows)

    def record_equity(self, point: EquityPoint, marks: Mapping[str, float], peak: float) -> None:
        """Add a point to the equity curve and keep the marks and the peak it came from.

        A time that the curve has already is valued anew, as after a crash in the middle of a candle.
        """
        with self._file.transaction():
            self._file.write(
                "INSERT INTO equity (time, equity) VALUES (?, ?) "
                "ON CONFLICT (time) DO UPDATE SET equity = excluded.equity",
                (point.time, point.equity),
            )
            self._file.write("UPDATE account SET peak = ?", (peak,))
            for symbol, mark in marks.items():
                self._file.write("UPDATE positions SET mark = ? WHERE symbol = ?", (mark, symbol))
            if self._file.one("SELECT count(*) FROM equity")[0] > EQUITY_POINTS:
                self._thin_equity()

    def _thin_equity(self) -> None:
        self._file.write(
            "DELETE FROM equity WHERE sequence IN (SELECT sequence FROM ("
            "SELECT sequence, row_number() OVER (ORDER BY sequence) AS place FROM equity "
            "ORDER BY sequence LIMIT ?) WHERE place % 2 = 0)",
            (EQUITY_POINTS // 2,),
        )

    def equity_curve(self) -> tuple[EquityPoint, ...]:
        """Return the equity curve, oldest first."""
        rows = self._file.rows("SELECT time, equity FROM equity ORDER BY sequence")
        return tuple(EquityPoint(*row) for row in rows)

    def record_trade(self, trade: ClosedTrade) -> None:
        """Store one round trip."""
        self._file.write(
            "INSERT INTO trades (symbol, quantity, entry_price, exit_price, opened_at, closed_at, "
            "pnl, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                trade.symbol,
                trade.quantity,
                trade.entry_price,
                trade.exit_price,
                trade.opened_at,
                trade.closed_at,
                trade.pnl,
                trade.reason,
            ),
        )

    def trades(self, limit: int) -> tuple[ClosedTrade, ...]:
        """Return the newest round trips, newest first."""
        rows = self._file.rows(
            "SELECT symbol, quantity, entry_price, exit_price, opened_at, closed_at, pnl, reason "
            "FROM trades ORDER BY sequence DESC LIMIT ?",
            (limit,),
        )
        return tuple(ClosedTrade(*row) for row in rows)

    def trades_after(self, sequence: int) -> tuple[tuple[int, ClosedTrade], ...]:
        """Return the round trips stored after the one numbered ``sequence``, oldest first, numbered."""
        rows = self._file.rows(
            "SELECT sequence, symbol, quantity, entry_price, exit_price, opened_at, closed_at, pnl, "
            "reason FROM trades WHERE sequence > ? ORDER BY sequence",
            (sequence,),
        )
        return tuple((row[0], ClosedTrade(*row[1:])) for row in rows)

    def save(self, key: str, value: object) -> None:
        """Keep ``value`` (anything msgspec can encode) under ``key`` for the next start."""
        self._file.write(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (key, msgspec.json.encode(value))
        )

    def load(self, key: str, kind: type[Value]) -> Value | None:
        """Return what was kept under ``key``, None if nothing was; DataError if it is no ``kind``."""
        row = self._file.row("SELECT value FROM checkpoint WHERE key = ?", (key,))
        if row is None:
            return None
        try:
            return msgspec.json.decode(row[0], type=kind)
        except msgspec.DecodeError as error:
            raise DataError(
                f"checkpoint {key!r} in {self._file.path}: {error}",
                f"a {kind.__name__}",
                "run the version of ADAN that wrote it",
            ) from error
