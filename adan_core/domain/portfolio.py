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

    @property
    def value(self) -> float:
        """The holding's worth at the mark, in quote currency."""
        return self.quantity * self.mark

    @property
    def unrealised_rate(self) -> float | None:
        """Unrealised PnL as a fraction of what the holding cost; None if it cost nothing."""
        cost = self.quantity * self.average_price
        return self.unrealised / cost if cost > 0.0 else None

    def distance(self, price: float | None) -> float | None:
        """How far ``price`` is from the mark, as a signed fraction of the mark; None: no price."""
        return None if price is None or self.mark <= 0.0 else price / self.mark - 1.0


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

    @property
    def holdings(self) -> float:
        """What the positions are worth at their marks; cash + holdings = equity."""
        return sum(position.value for position in self.positions)

    @property
    def pnl(self) -> float:
        """What trading has earned so far, fees paid: equity less what was paid in."""
        return self.equity - self.deposits

    @property
    def pnl_rate(self) -> float | None:
        """PnL as a fraction of what was paid in; None if nothing was."""
        return self.pnl / self.deposits if self.deposits > 0.0 else None
