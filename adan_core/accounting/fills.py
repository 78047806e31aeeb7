"""What a fill does to cash and position. Fees are in quote currency; a short is a negative quantity."""

from adan_core.accounting.compiled import compiled
from adan_core.accounting.rules import round_down, round_price

BUY = 1
SELL = -1


@compiled
def market_price(side: int, reference: float, slippage: float, tick: float) -> float:
    """Return the price of a market order at ``reference``: slippage and rounding both work against us."""
    if side > 0:
        return round_price(reference * (1.0 + slippage), tick, up=True)
    return round_price(reference * (1.0 - slippage), tick, up=False)


@compiled
def affordable(cash: float, price: float, fee_rate: float, lot: float) -> float:
    """Return the largest quantity, in whole lots, that ``cash`` pays for with its fee."""
    if cash <= 0.0:
        return 0.0
    return round_down(cash / (price * (1.0 + fee_rate)), lot)


@compiled
def buy(
    cash: float, quantity: float, average: float, bought: float, price: float, fee_rate: float
) -> tuple[float, float, float, float]:
    """Return cash, quantity, average price and fee after buying ``bought`` at ``price``.

    The average price is that of the prices alone; fees are kept apart.
    """
    notional = bought * price
    fee = notional * fee_rate
    held = quantity + bought
    average = (quantity * average + notional) / held
    return cash - notional - fee, held, average, fee


@compiled
def sell(
    cash: float, quantity: float, average: float, sold: float, price: float, fee_rate: float
) -> tuple[float, float, float, float, float]:
    """Return cash, quantity, average price, realised PnL (before fees) and fee after selling ``sold``."""
    notional = sold * price
    fee = notional * fee_rate
    realised = sold * (price - average)
    left = quantity - sold
    if left <= 0.0:
        left = 0.0
        average = 0.0
    return cash + notional - fee, left, average, realised, fee


@compiled
def sell_short(
    cash: float, quantity: float, average: float, sold: float, price: float, fee_rate: float
) -> tuple[float, float, float, float]:
    """Return cash, quantity, average price and fee after selling ``sold`` that is not held.

    ``quantity`` is 0 or less; the proceeds are cash, what is owed is the negative quantity.
    """
    notional = sold * price
    fee = notional * fee_rate
    owed = sold - quantity
    average = (notional - quantity * average) / owed
    return cash + notional - fee, -owed, average, fee


@compiled
def cover(
    cash: float, quantity: float, average: float, bought: float, price: float, fee_rate: float
) -> tuple[float, float, float, float, float]:
    """Return cash, quantity, average price, realised PnL (before fees) and fee; ``bought`` is bought back."""
    notional = bought * price
    fee = notional * fee_rate
    realised = bought * (average - price)
    left = quantity + bought
    if left >= 0.0:
        left = 0.0
        average = 0.0
    return cash - notional - fee, left, average, realised, fee
