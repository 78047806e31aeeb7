"""What a venue asks of an order, and what trading there costs."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.time import Milliseconds


@dataclass(frozen=True, slots=True)
class MarketRules:
    """A symbol's rules: quantity and price steps, and the smallest order the venue takes.

    ``lot_step`` and ``minimum_quantity`` are in base currency, ``tick_size`` and
    ``minimum_notional`` in quote currency.
    """

    symbol: str
    base: str
    quote: str
    lot_step: float
    tick_size: float
    minimum_quantity: float
    minimum_notional: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What a simulated fill costs: fee and slippage, each a fraction of the traded notional."""

    fee_rate: float
    slippage_rate: float


class Regime(StrEnum):
    """What the market is doing."""

    TREND_UP = "trend up"
    TREND_DOWN = "trend down"
    RANGE = "range"
    HIGH_VOLATILITY = "high volatility"
    CRISIS = "crisis"


@dataclass(frozen=True, slots=True)
class RegimeReading:
    """The detector's causal answer at the close of a candle.

    ``probabilities`` follow the order of ``Regime`` and sum to 1; ``drivers`` are the measured
    values behind them, e.g. ``("ADX", 31.2)``.
    """

    regime: Regime
    probabilities: tuple[float, ...]
    drivers: tuple[tuple[str, float], ...]
    since: Milliseconds


class MarketSource(StrEnum):
    """Where candles come from; none of these is a live market, and the screen says so."""

    SIMULATED = "SIMULATED"
    REPLAY = "REPLAY"


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The state of the candle feed.

    ``market_time`` is the close of the newest candle in the market's own time, ``received_at`` the
    wall-clock instant it arrived; ``stale_after`` is the age at which the feed counts as stale.
    """

    source: MarketSource
    description: str
    timeframe: str
    symbols: tuple[str, ...]
    market_time: Milliseconds | None
    received_at: Milliseconds | None
    stale_after: Milliseconds
    finished: bool
