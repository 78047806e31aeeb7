"""What the engine keeps for one symbol: its rules, its state, its regime, its last day of closes."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS, portfolio_vector
from adan_core.accounting.compiled import CODE_VERSION
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import Arrays, CacheKey
from adan_core.data.market_state import EnhancedMarketState
from adan_core.data.months import months
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateStream
from adan_core.domain.candles import Candle
from adan_core.domain.errors import DataError
from adan_core.domain.market import MarketRules, RegimeReading
from adan_core.domain.portfolio import Position
from adan_core.domain.snapshot import Price
from adan_core.domain.time import DAY, Milliseconds
from adan_core.trading.policy import RegimeReader

# Of a long history only the newest row is kept, so it need not be in memory at once.
_PIECE = 10_000
_MADE = Candle(0, 1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(slots=True)
class Desk:
    """What the engine keeps for one symbol."""

    symbol: str
    rules: MarketRules
    stream: StateStream
    regimes: RegimeReader
    closes: deque[tuple[Milliseconds, float]]
    market: NDArray[np.float64] | None = None
    reading: RegimeReading | None = None
    held: int = 0
    cache: DataCache | None = None

    def push(self, candle: Candle, close_time: Milliseconds) -> None:
        """Let one closed candle into the symbol's state and regime."""
        self.market = self.stream.push(candle)
        self.reading = self.regimes.push(candle)
        self.closes.append((close_time, candle.close))
        while self.closes[0][0] < close_time - DAY:
            self.closes.popleft()

    def prepare(self) -> None:
        """Let a made candle in and forget it, before any other: a real one then compiles nothing."""
        for part in (self.stream, self.regimes):
            untouched = part.memory()
            part.push(_MADE)
            part.restore(untouched)

    def warm(self, history: CandleSeries) -> None:
        """Let past candles in, at once; the state is the one that they leave one by one.

        With a cache, what the months before the newest candle's leave is computed once: a start
        reads it and lets only the newest month in.
        """
        if not len(history):
            return
        *_, (_, whole, _) = months(history.open_time)
        if self.cache is None or self.closes or not whole:
            self._let_in(history)
        else:
            past = history.slice(0, whole)
            key = CacheKey("warm", past.content_hash, self.stream.schema_hash, CODE_VERSION)
            self._restore(self.cache.fetch(key, lambda: self._left_by(past)))
            self._let_in(history.slice(whole, len(history)))
        newest = int(history.close_time[-1])
        recent = history.close_time >= newest - DAY
        self.closes.extend(
            zip(history.close_time[recent].tolist(), history.close[recent].tolist(), strict=True)
        )

    def _let_in(self, history: CandleSeries) -> None:
        for start in range(0, len(history), _PIECE):
            piece = history.slice(start, min(start + _PIECE, len(history)))
            newest_row = self.stream.push_series(piece)[-1].copy()
            self.market = None if np.isnan(newest_row).any() else newest_row
            self.reading = self.regimes.push_series(piece)

    def _left_by(self, past: CandleSeries) -> Arrays:
        """Let in ``past`` and return what of it is carried on."""
        self._let_in(past)
        return {
            f"{part}:{name}": array
            for part, memory in (("state", self.stream.memory()), ("regime", self.regimes.memory()))
            for name, array in memory.items()
        }

    def _restore(self, left: Arrays) -> None:
        for part, restore in (("state", self.stream.restore), ("regime", self.regimes.restore)):
            own = {name: array for name, array in left.items() if name.startswith(f"{part}:")}
            restore({name.removeprefix(f"{part}:"): array for name, array in own.items()})

    @property
    def close(self) -> float:
        """The last close; DataError before the first candle."""
        if not self.closes:
            raise DataError(f"no candle of {self.symbol} yet", "one at least")
        return self.closes[-1][1]

    def portfolio_vector(
        self, position: Position | None, cash: float, equity: float, peak: float, cap: float
    ) -> NDArray[np.float64]:
        """Return what an agent sees of the account in this symbol, shape (PORTFOLIO_COLUMNS,)."""
        out = np.empty(len(PORTFOLIO_COLUMNS), dtype=np.float64)
        portfolio_vector(
            cash,
            position.quantity if position else 0.0,
            position.average_price if position else 0.0,
            (position.stop_price or 0.0) if position else 0.0,
            (position.take_profit_price or 0.0) if position else 0.0,
            equity,
            peak,
            cap,
            self.close,
            float(self.held),
            out,
        )
        return out

    def state(
        self, close_time: Milliseconds, market: NDArray[np.float64], portfolio: NDArray[np.float64]
    ) -> EnhancedMarketState:
        """Return what a decision at ``close_time`` is taken on."""
        return EnhancedMarketState(
            self.symbol, close_time, self.stream.columns, market, portfolio, self.stream.schema_hash
        )

    def price(self) -> Price | None:
        """Return the last close and its change over a day, where a day is known."""
        if not self.closes:
            return None
        first, last = self.closes[0], self.closes[-1]
        known = first[0] == last[0] - DAY
        return Price(self.symbol, last[1], last[1] / first[1] - 1.0 if known else None)
