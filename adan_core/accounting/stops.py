"""Protection of a position: stop-loss and take-profit, resolved inside the candle, worst case first."""

from adan_core.accounting.compiled import compiled
from adan_core.accounting.rules import round_price

NOT_HIT = 0
STOP_LOSS_HIT = 1
TAKE_PROFIT_HIT = 2


@compiled
def protection_prices(
    average: float, stop_loss: float, take_profit: float, tick: float
) -> tuple[float, float]:
    """Return stop and take-profit prices for a long entered at ``average``; 0 where there is none.

    ``stop_loss`` and ``take_profit`` are fractions of the average price.
    """
    stop = 0.0
    target = 0.0
    if stop_loss > 0.0:
        stop = round_price(average * (1.0 - stop_loss), tick, up=False)
    if take_profit > 0.0:
        target = round_price(average * (1.0 + take_profit), tick, up=True)
    return stop, target


@compiled
def protection_hit(
    open_price: float,
    high: float,
    low: float,
    stop: float,
    take_profit: float,
    slippage: float,
    tick: float,
) -> tuple[int, float]:
    """Return which protection a candle triggers and the price it fills at.

    A candle does not say whether its high or its low came first, so a stop within reach is hit
    before a take-profit. A gap fills at the open. A stop is a market order and slips; a
    take-profit rests in the book and does not.
    """
    if stop > 0.0 and low <= stop:
        reference = open_price if open_price < stop else stop
        return STOP_LOSS_HIT, round_price(reference * (1.0 - slippage), tick, up=False)
    if take_profit > 0.0 and high >= take_profit:
        return TAKE_PROFIT_HIT, open_price if open_price > take_profit else take_profit
    return NOT_HIT, 0.0


@compiled
def short_protection_prices(
    average: float, stop_loss: float, take_profit: float, tick: float
) -> tuple[float, float]:
    """Return stop and take-profit prices for a short entered at ``average``: above it and below it."""
    stop = 0.0
    target = 0.0
    if stop_loss > 0.0:
        stop = round_price(average * (1.0 + stop_loss), tick, up=True)
    if take_profit > 0.0:
        target = max(round_price(average * (1.0 - take_profit), tick, up=False), 0.0)
    return stop, target


@compiled
def short_protection_hit(
    open_price: float,
    high: float,
    low: float,
    stop: float,
    take_profit: float,
    slippage: float,
    tick: float,
) -> tuple[int, float]:
    """Return which protection of a short a candle triggers and its price, as ``protection_hit`` does."""
    if stop > 0.0 and high >= stop:
        reference = open_price if open_price > stop else stop
        return STOP_LOSS_HIT, round_price(reference * (1.0 + slippage), tick, up=True)
    if take_profit > 0.0 and low <= take_profit:
        return TAKE_PROFIT_HIT, open_price if open_price < take_profit else take_profit
    return NOT_HIT, 0.0
