"""What one fill does to the account: pure bookkeeping on top of the accounting kernels."""

from dataclasses import dataclass, replace

from adan_core.accounting.fills import buy, sell
from adan_core.domain.errors import TradingError
from adan_core.domain.orders import Fill, Side
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.time import Milliseconds

# A sale this much larger (relative) than the position is rounding, not an overfill.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Account:
    """The purse, in quote currency; ``realised`` is price differences alone, ``fees`` are kept apart."""

    cash: float
    deposits: float
    realised: float
    fees: float
    peak: float


@dataclass(frozen=True, slots=True)
class Holding:
    """One open position and what its round trip has seen so far.

    Quantities in base currency; ``realised`` and ``fees`` are those since the position was opened,
    ``bought_value`` and ``sold_value`` the notional of its fills. ``mark`` is the last known price.
    """

    symbol: str
    quantity: float
    average: float
    mark: float
    opened_at: Milliseconds
    realised: float
    fees: float
    bought: float
    bought_value: float
    sold: float
    sold_value: float


def flat(symbol: str, now: Milliseconds) -> Holding:
    """Return an empty position about to be opened."""
    return Holding(symbol, 0.0, 0.0, 0.0, now, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def book(
    account: Account, holding: Holding | None, fill: Fill
) -> tuple[Account, Holding | None, ClosedTrade | None]:
    """Return account and position after ``fill`` (None: flat), and the round trip it closed, if any.

    The venue's own fee is booked, by the same float operations as a simulated one. Raises
    TradingError for a sale of more than is held.
    """
    before = holding if holding is not None else flat(fill.symbol, fill.time)
    value = fill.quantity * fill.price
    if fill.side is Side.BUY:
        cash, quantity, average, _ = buy(
            account.cash, before.quantity, before.average, fill.quantity, fill.price, 0.0
        )
        after = replace(
            before,
            quantity=quantity,
            average=average,
            mark=before.mark if before.quantity > 0.0 else fill.price,
            fees=before.fees + fill.fee,
            bought=before.bought + fill.quantity,
            bought_value=before.bought_value + value,
        )
        paid = replace(account, cash=cash - fill.fee, fees=account.fees + fill.fee)
        return paid, after, None
    if fill.quantity > before.quantity * (1.0 + _ROUNDING):
        raise TradingError(
            f"trade {fill.trade_id} sold {fill.quantity!r} {fill.symbol}",
            f"at most the {before.quantity!r} held",
            "compare the journal with the exchange; somebody else may trade on this account",
        )
    cash, quantity, average, realised, _ = sell(
        account.cash, before.quantity, before.average, fill.quantity, fill.price, 0.0
    )
    paid = replace(
        account,
        cash=cash - fill.fee,
        realised=account.realised + realised,
        fees=account.fees + fill.fee,
    )
    after = replace(
        before,
        quantity=quantity,
        average=average,
        realised=before.realised + realised,
        fees=before.fees + fill.fee,
        sold=before.sold + fill.quantity,
        sold_value=before.sold_value + value,
    )
    if quantity > 0.0:
        return paid, after, None
    return paid, None, _closed(after, fill)


def _closed(holding: Holding, fill: Fill) -> ClosedTrade:
    return ClosedTrade(
        symbol=holding.symbol,
        quantity=holding.sold,
        entry_price=holding.bought_value / holding.bought,
        exit_price=holding.sold_value / holding.sold,
        opened_at=holding.opened_at,
        closed_at=fill.time,
        pnl=holding.realised - holding.fees,
        reason=fill.purpose.value,
    )
