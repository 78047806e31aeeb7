"""What a fill and a protection do to a short: a negative quantity, sold before it was bought."""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    AVERAGE,
    CASH,
    LAST_FILL,
    LAST_FILL_PRICE,
    LAST_HIT,
    LAST_HIT_PRICE,
    LAST_HIT_QUANTITY,
    OPENED,
    QUANTITY,
    STOP,
    TAKE_PROFIT,
    book_entry,
    book_exit,
)
from adan_core.accounting.compiled import compiled
from adan_core.accounting.fills import affordable, cover, market_price, sell_short
from adan_core.accounting.stops import NOT_HIT, short_protection_hit, short_protection_prices

Floats = NDArray[np.float64]


@compiled
def execute_short_at_open(
    row: Floats,
    order: float,
    open_price: float,
    bar: int,
    bound: float,
    fee_rate: float,
    slippage: float,
    lot: float,
    tick: float,
    minimum_quantity: float,
    stop_loss: float,
    take_profit: float,
) -> None:
    """Fill the signed quantity ``order`` of a short, or of a flat account that sells, at an open.

    Nothing is lent: of the cash, ``bound`` and twice what this short owes are not free, so that
    all positions together are worth no more than the equity when one is enlarged.
    """
    row[LAST_FILL] = 0.0
    row[LAST_FILL_PRICE] = 0.0
    if order < 0.0:
        price = market_price(-1, open_price, slippage, tick)
        free = row[CASH] - bound + 2.0 * row[QUANTITY] * price
        sold = min(-order, affordable(free, price, fee_rate, lot))
        if sold <= 0.0 or sold < minimum_quantity:
            return
        if row[QUANTITY] == 0.0:
            row[OPENED] = bar
        row[CASH], row[QUANTITY], row[AVERAGE], fee = sell_short(
            row[CASH], row[QUANTITY], row[AVERAGE], sold, price, fee_rate
        )
        row[STOP], row[TAKE_PROFIT] = short_protection_prices(
            row[AVERAGE], stop_loss, take_profit, tick
        )
        book_entry(row, -sold, price, fee)
    elif order > 0.0:
        bought = min(order, -row[QUANTITY])
        price = market_price(1, open_price, slippage, tick)
        _buy_back(row, bought, price, fee_rate)
        row[LAST_FILL] = bought
        row[LAST_FILL_PRICE] = price


@compiled
def _buy_back(row: Floats, bought: float, price: float, fee_rate: float) -> None:
    row[CASH], row[QUANTITY], row[AVERAGE], realised, fee = cover(
        row[CASH], row[QUANTITY], row[AVERAGE], bought, price, fee_rate
    )
    book_exit(row, bought, price, realised, fee)


@compiled
def protect_short_in_candle(
    row: Floats,
    open_price: float,
    high: float,
    low: float,
    fee_rate: float,
    slippage: float,
    tick: float,
) -> None:
    """Resolve a short's protection inside one candle, the candle of its entry included."""
    row[LAST_HIT] = NOT_HIT
    row[LAST_HIT_PRICE] = 0.0
    row[LAST_HIT_QUANTITY] = 0.0
    hit, price = short_protection_hit(
        open_price, high, low, row[STOP], row[TAKE_PROFIT], slippage, tick
    )
    if hit != NOT_HIT:
        row[LAST_HIT] = hit
        row[LAST_HIT_PRICE] = price
        row[LAST_HIT_QUANTITY] = row[QUANTITY]
        _buy_back(row, -row[QUANTITY], price, fee_rate)
