"""Stretches of market that accounts are played over, and what trading costs and allows there."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.purse import TIER_COLUMNS, TIER_LOWER, Limits, Tape
from adan_core.domain.errors import DataError
from adan_core.domain.market import Costs, MarketRules

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Regimes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Economics:
    """What trading one symbol costs and allows; fractions but for the rules' quantities and prices.

    ``funding`` is what holding costs a candle, of the notional; ``behaviour`` the settings of the
    behaviour engine, none: what is asked for is given. ``tiers`` are the capital tiers in rows of
    ``purse.TIER_COLUMNS``; they size positions only where ``tiered``, else ``cap`` does.
    """

    cap: float
    band: float
    costs: Costs
    rules: MarketRules
    stop_loss: float
    take_profit: float
    funding: float = 0.0
    behaviour: tuple[float, ...] = ()
    tiers: tuple[tuple[float, ...], ...] = ()
    tiered: bool = False

    def unprotected(self) -> "Economics":
        """Return the same without stop-loss, take-profit and behaviour, as a textbook strategy trades."""
        return replace(self, stop_loss=0.0, take_profit=0.0, behaviour=())

    def as_array(self) -> Floats:
        """Return the figures in the order of ``purse.FIGURES``."""
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
                self.funding,
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
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    market: Singles
    economics: Economics
    regime: Regimes | None = None
    volatility: Floats | None = None

    def __len__(self) -> int:
        return int(self.close.shape[0])

    def tape(self) -> Tape:
        """Return the candles and what was known at each close; no copies where there is anything."""
        rows = len(self)
        regime, volatility = self.regime, self.volatility
        return Tape(
            self.open,
            self.high,
            self.low,
            self.close,
            np.full(rows, -1, dtype=np.int8) if regime is None else regime,
            np.full(rows, np.nan, dtype=np.float64) if volatility is None else volatility,
        )

    def part(self, start: int, stop: int) -> "Segment":
        """Return rows ``start`` to ``stop`` (exclusive), without copying."""
        rows = slice(start, stop)
        return Segment(
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.market[rows],
            self.economics,
            None if self.regime is None else self.regime[rows],
            None if self.volatility is None else self.volatility[rows],
        )


def joined(segments: tuple[Segment, ...]) -> tuple[Tape, Singles]:
    """Return the candles and the market rows of all segments, one after the other.

    DataError if a segment is too short to hold one step.
    """
    if not segments or any(len(segment) < 2 for segment in segments):
        raise DataError("a market without two candles to step between", "at least two")
    tapes = [segment.tape() for segment in segments]
    tape = Tape(
        *(np.ascontiguousarray(np.concatenate(columns)) for columns in zip(*tapes, strict=True))
    )
    return tape, np.concatenate([segment.market for segment in segments])
