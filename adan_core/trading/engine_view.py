"""The engine's part of a snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adan_core.domain.decisions import Decision
from adan_core.domain.market import RegimeReading
from adan_core.domain.orders import Fill, Order
from adan_core.domain.portfolio import ClosedTrade, PortfolioSnapshot
from adan_core.domain.snapshot import EquityPoint, Price
from adan_core.domain.state import EngineState
from adan_core.domain.time import Milliseconds

_CURVE: Final = 512


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine's part of a snapshot, frozen; newest records first."""

    state: EngineState
    reason: str
    portfolio: PortfolioSnapshot
    prices: tuple[Price, ...]
    regimes: tuple[tuple[str, RegimeReading], ...]
    decisions: tuple[Decision, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    trades: tuple[ClosedTrade, ...]
    equity_curve: tuple[EquityPoint, ...]
    market_time: Milliseconds | None
    received_at: Milliseconds | None


def thinned(points: Sequence[EquityPoint]) -> tuple[EquityPoint, ...]:
    """Return at most ``_CURVE`` points, evenly chosen, the last one always among them."""
    stride = -(-len(points) // _CURVE)
    return tuple(reversed(points[::-1][:: max(stride, 1)]))
