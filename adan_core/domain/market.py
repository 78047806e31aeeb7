"""What a venue asks of an order, and what trading there costs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from adan_core.domain.errors import DataError
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


VOLATILITY_RATIO: Final = "volatility ratio"
"""What the detector calls the driver that sizes and weights follow."""


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

    @property
    def volatility_ratio(self) -> float:
        """The short volatility over the market's own long one; DataError if it was not measured."""
        for name, value in self.drivers:
            if name == VOLATILITY_RATIO:
                return value
        raise DataError(
            f"regime drivers {[name for name, _ in self.drivers]}",
            f"{VOLATILITY_RATIO!r} among them",
        )


class MarketSource(StrEnum):
    """Where candles come from; only EXCHANGE is a real market, and the screen says so.

    A TEST_VENUE is an exchange's driver pinned to another host than the exchange's own.
    """

    SIMULATED = "SIMULATED"
    REPLAY = "REPLAY"
    EXCHANGE = "EXCHANGE"
    TEST_VENUE = "SIMULATED TEST VENUE"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The state of an exchange's stream; instants are the wall clock's.

    ``heard_at`` is when it last told anything, None before it ever did; it was begun at
    ``began_at`` and counts as silent from the age ``silent_after``. ``paused`` says why nothing is
    decided meanwhile (empty: decisions are taken).
    """

    began_at: Milliseconds
    heard_at: Milliseconds | None
    silent_after: Milliseconds
    paused: str

    def silence(self, now: Milliseconds) -> Milliseconds | None:
        """Return how long the stream has been silent at ``now``; None while it is not."""
        age = now - (self.began_at if self.heard_at is None else self.heard_at)
        return age if age > self.silent_after else None


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """The state of the candle feed.

    ``market_time`` is the close of the newest candle in the market's own time, ``received_at`` the
    wall-clock instant from which it ages: that of its arrival or, on an exchange, of its close.
    ``stale_after`` is the age at which the feed counts as stale. ``stream`` and ``venue`` (its name,
    or the address of a test venue) are an exchange's alone.
    """

    source: MarketSource
    description: str
    timeframe: str
    symbols: tuple[str, ...]
    market_time: Milliseconds | None
    received_at: Milliseconds | None
    stale_after: Milliseconds
    finished: bool
    stream: StreamStatus | None = None
    venue: str = ""
