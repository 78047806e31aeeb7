"""What the account holds and what it is worth."""

from dataclasses import dataclass

from adan_core.domain.time import Milliseconds


@dataclass(frozen=True, slots=True)
class Position:
    """One holding: quantity in base currency, prices and PnL in quote currency.

    ``mark`` is the last close; ``stop_price`` and ``take_profit_price`` are None where no
    protective order stands.
    """

    symbol: str
    quantity: float
    average_price: float
    mark: float
    unrealised: float
    stop_price: float | None
    take_profit_price: float | None
    opened_at: Milliseconds


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """One round trip: entry to flat. PnL is net of the fees of both sides."""

    symbol: str
    quantity: float
    entry_price: float
    exit_price: float
    opened_at: Milliseconds
    closed_at: Milliseconds
    pnl: float
    reason: str


@dataclass(frozen=True, slots=True)
class PortfolioSnapshot:
    """The account at one instant, in quote currency: cash + positions at mark = equity.

    ``realised`` is net of nothing but price differences; ``fees`` are kept apart, so that
    ``equity = deposits + realised + unrealised - fees``. ``drawdown`` is a fraction of ``peak``.
    """

    quote: str
    cash: float
    equity: float
    deposits: float
    realised: float
    unrealised: float
    fees: float
    peak: float
    drawdown: float
    positions: tuple[Position, ...]
