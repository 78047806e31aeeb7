"""Stretches of market that accounts are played over, and what trading costs and allows there."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.purse import TIER_COLUMNS, TIER_LOWER, Limits, Tape
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.time import HOUR, Milliseconds

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Regimes = NDArray[np.int8]
Integers = NDArray[np.int64]

_FUNDED = 8 * HOUR
"""What a funding rate is counted for."""


@dataclass(frozen=True, slots=True)
class Economics:
    """What trading one symbol costs and allows; fractions but for the rules' quantities and prices.

    ``funding_rate`` is what holding costs per 8 hours, of the notional, and ``candle`` the
    milliseconds of a candle, 0 where they are not known yet (see ``on``). ``behaviour`` are the
    settings of the behaviour engine, none: what is asked for is given. ``tiers`` are the capital
    tiers in rows of ``purse.TIER_COLUMNS``; they size positions only where ``tiered``, else ``cap``.
    Without ``short`` nothing is sold that is not held.
    """

    cap: float
    band: float
    costs: Costs
    rules: MarketRules
    stop_loss: float
    take_profit: float
    funding_rate: float = 0.0
    behaviour: tuple[float, ...] = ()
    tiers: tuple[tuple[float, ...], ...] = ()
    tiered: bool = False
    candle: Milliseconds = 0
    short: bool = False

    def on(self, timeframe: Timeframe) -> "Economics":
        """Return the same for candles of ``timeframe``."""
        return replace(self, candle=timeframe.duration)

    def unprotected(self) -> "Economics":
        """Return the same without stop-loss, take-profit and behaviour, as a textbook strategy trades."""
        return replace(self, stop_loss=0.0, take_profit=0.0, behaviour=())

    def check_sides(self, lowest: float) -> None:
        """Refuse (ConfigurationError) a target exposure below 0 where shorts are not allowed."""
        if lowest < 0.0 and not self.short:
            raise ConfigurationError(
                f"a target exposure of {lowest:g}",
                "0 or more: what is not held is not sold",
                "set account.short to true, or choose a model that is long or flat",
            )

    def as_array(self) -> Floats:
        """Return the figures in the order of ``purse.FIGURES``.

        DataError if holding costs something and nobody has said how long a candle is.
        """
        if self.funding_rate != 0.0 and self.candle == 0:
            raise DataError(
                "a funding rate without the candles' duration", "Economics.on(timeframe)"
            )
        return np.array(
            [
                self.cap,
                self.band,
                self.costs.fee_rate,
                self.costs.slippage_rate,
                self.rules.lot_step,
                self.rules.tick_size,
                self.rules.minimum_quantity,
                self.rules.minimum_notional,
                self.stop_loss,
                self.take_profit,
                self.funding_rate * self.candle / _FUNDED,
            ],
            dtype=np.float64,
        )

    def limits(self) -> Limits:
        """Return what holds for a whole purse."""
        tiers = np.array(self.tiers, dtype=np.float64).reshape(-1, TIER_COLUMNS)
        return Limits(
            tiers=tiers if self.tiered else tiers[:0].copy(),
            lower_bounds=tiers[:, TIER_LOWER].copy(),
            behaviour=np.array(self.behaviour, dtype=np.float64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One stretch of one market: candles, what was known at each close, and how it trades.

    Price arrays have shape (n,), float64; ``market`` shape (n, D), float32, normalised. ``regime``
    (n,) int8 indexes the regimes and ``volatility`` (n,) float64 is the detector's ratio to the
    market's own past, both as known at each close. Where nobody looked they are -1 and NaN.
    ``close_time`` (n,) int64, milliseconds, None where nobody needs it.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    market: Singles
    economics: Economics
    regime: Regimes | None = None
    volatility: Floats | None = None
    close_time: Integers | None = None

    def __len__(self) -> int:
        return int(self.close.shape[0])

    def tape(self) -> Tape:
        """Return the candles and what was known at each close."""
        rows = len(self)
        regime, volatility = self.regime, self.volatility
        return tape_of(
            self.open,
            self.high,
            self.low,
            self.close,
            np.full(rows, -1, dtype=np.int8) if regime is None else regime,
            np.full(rows, np.nan, dtype=np.float64) if volatility is None else volatility,
        )

    def part(self, start: int, stop: int) -> "Segment":
        """Return rows ``start`` to ``stop`` (exclusive), without copying."""
        return self.rows(slice(start, stop))

    def rows(self, rows: slice | Integers) -> "Segment":
        """Return the ``rows`` of that slice, or of those numbers."""
        return Segment(
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.market[rows],
            self.economics,
            None if self.regime is None else self.regime[rows],
            None if self.volatility is None else self.volatility[rows],
            None if self.close_time is None else self.close_time[rows],
        )


def aligned(segments: tuple[Segment, ...], open_times: tuple[Integers, ...]) -> tuple[Segment, ...]:
    """Return the rows that all segments have in common, by their candles' ``open_times``.

    DataError if those are fewer than two: nothing can be played with one purse.
    """
    common = open_times[0]
    for times in open_times[1:]:
        common = np.intersect1d(common, times, assume_unique=True)
    if len(common) < 2:
        raise DataError(
            f"{len(common)} candles that all {len(segments)} symbols have",
            "two at least, to be played with one purse",
            "set learning.purse to own, or take candles of the same time",
        )
    return tuple(
        segment.rows(np.searchsorted(times, common))
        for segment, times in zip(segments, open_times, strict=True)
    )


def joined(segments: tuple[Segment, ...]) -> tuple[Tape, Singles]:
    """Return the candles and the market rows of all segments, one after the other.

    DataError if a segment is too short to hold one step.
    """
    if not segments or any(len(segment) < 2 for segment in segments):
        raise DataError("a market without two candles to step between", "at least two")
    columns = zip(*(segment.tape() for segment in segments), strict=True)
    tape = tape_of(*(np.concatenate(parts) for parts in columns))
    return tape, np.concatenate([segment.market for segment in segments])


def tape_of(*columns: NDArray[Any]) -> Tape:
    """Return views that cannot be written to, in the order of ``Tape``; no copies.

    Wherever the columns come from, a compiled kernel then meets one type of them.
    """
    views = [np.ascontiguousarray(column).view() for column in columns]
    for view in views:
        view.flags.writeable = False
    return Tape(*views)
