"""Stretches of market that accounts are played over, and what trading costs and allows there."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.market import Costs, MarketRules

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Economics:
    """What trading one symbol costs and allows; fractions but for the rules' quantities and prices."""

    cap: float
    band: float
    costs: Costs
    rules: MarketRules
    stop_loss: float
    take_profit: float

    def unprotected(self) -> "Economics":
        """Return the same without stop-loss and take-profit, as a textbook strategy trades."""
        return replace(self, stop_loss=0.0, take_profit=0.0)

    def as_array(self) -> Floats:
        """Return the figures in the order ``step_one`` reads them, shape (10,)."""
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
            ],
            dtype=np.float64,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One stretch of one market: candles, what was known at each close, and how it trades.

    Price arrays have shape (n,), float64; ``market`` shape (n, D), float32, normalised.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    market: Singles
    economics: Economics

    def __len__(self) -> int:
        return int(self.close.shape[0])

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
        )
