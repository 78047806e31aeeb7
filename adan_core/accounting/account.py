"""One account as a row of numbers, and the one sequence in which a candle changes it.

A row has ``ACCOUNT_COLUMNS`` float64 columns, so that an environment of many copies is a matrix
of rows and a compiled loop over them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.accounting.fills import affordable, buy, market_price, sell
from adan_core.accounting.sizing import order_for_target
from adan_core.accounting.stops import NOT_HIT, protection_hit, protection_prices

Floats = NDArray[np.float64]

CASH: Final = 0
QUANTITY: Final = 1
AVERAGE: Final = 2
STOP: Final = 3
TAKE_PROFIT: Final = 4
REALISED: Final = 5
FEES: Final = 6
PEAK: Final = 7
OPENED: Final = 8  # bar index of the entry, -1 when flat
FILLS: Final = 9
TURNOVER: Final = 10  # quote currency traded so far
TRADES: Final = 11  # round trips closed
EQUITY: Final = 12
LAST_FILL: Final = 13  # signed quantity filled at the open of the last candle
LAST_FILL_PRICE: Final = 14
LAST_HIT: Final = 15  # NOT_HIT, STOP_LOSS_HIT or TAKE_PROFIT_HIT in the last candle
LAST_HIT_PRICE: Final = 16
LAST_HIT_QUANTITY: Final = 17
ACCOUNT_COLUMNS: Final = 18

PORTFOLIO_COLUMNS: Final = (
    "cash",
    "exposure",
    "unrealised_return",
    "drawdown",
    "time_in_position",
    "distance_to_stop",
    "distance_to_take_profit",
)
# The time constant, in candles, at which "time in position" has climbed to 1 - 1/e.
_TIME_SCALE = 100.0


@compiled
def open_account(row: Floats, capital: float) -> None:
    """Make ``row`` an account that holds ``capital`` in cash and nothing else."""
    row[:] = 0.0
    row[CASH] = capital
    row[PEAK] = capital
    row[EQUITY] = capital
    row[OPENED] = -1.0


@compiled
def execute_at_open(
    row: Floats,
    order: float,
    open_price: float,
    bar: int,
    fee_rate: float,
    slippage: float,
    lot: float,
    tick: float,
    minimum_quantity: float,
    stop_loss: float,
    take_profit: float,
) -> None:
    """Fill the signed quantity ``order`` at the open of candle ``bar`` and place its protection."""
    row[LAST_FILL] = 0.0
    row[LAST_FILL_PRICE] = 0.0
    if order > 0.0:
        price = market_price(1, open_price, slippage, tick)
        bought = min(order, affordable(row[CASH], price, fee_rate, lot))
        if bought <= 0.0 or bought < minimum_quantity:
            return
        if row[QUANTITY] == 0.0:
            row[OPENED] = bar
        row[CASH], row[QUANTITY], row[AVERAGE], fee = buy(
            row[CASH], row[QUANTITY], row[AVERAGE], bought, price, fee_rate
        )
        row[STOP], row[TAKE_PROFIT] = protection_prices(row[AVERAGE], stop_loss, take_profit, tick)
        _book(row, bought, price, fee)
    elif order < 0.0:
        sold = min(-order, row[QUANTITY])
        if sold <= 0.0:
            return
        _close(row, sold, market_price(-1, open_price, slippage, tick), fee_rate)
        row[LAST_FILL] = -sold
        row[LAST_FILL_PRICE] = market_price(-1, open_price, slippage, tick)


@compiled
def _book(row: Floats, bought: float, price: float, fee: float) -> None:
    row[FEES] += fee
    row[FILLS] += 1.0
    row[TURNOVER] += bought * price
    row[LAST_FILL] = bought
    row[LAST_FILL_PRICE] = price


@compiled
def _close(row: Floats, sold: float, price: float, fee_rate: float) -> None:
    row[CASH], row[QUANTITY], row[AVERAGE], realised, fee = sell(
        row[CASH], row[QUANTITY], row[AVERAGE], sold, price, fee_rate
    )
    row[REALISED] += realised
    row[FEES] += fee
    row[FILLS] += 1.0
    row[TURNOVER] += sold * price
    if row[QUANTITY] == 0.0:
        row[STOP] = 0.0
        row[TAKE_PROFIT] = 0.0
        row[OPENED] = -1.0
        row[TRADES] += 1.0


@compiled
def protect_in_candle(
    row: Floats,
    open_price: float,
    high: float,
    low: float,
    fee_rate: float,
    slippage: float,
    tick: float,
) -> None:
    """Resolve the position's protection inside one candle, the candle of its entry included."""
    row[LAST_HIT] = NOT_HIT
    row[LAST_HIT_PRICE] = 0.0
    row[LAST_HIT_QUANTITY] = 0.0
    if row[QUANTITY] > 0.0:
        hit, price = protection_hit(
            open_price, high, low, row[STOP], row[TAKE_PROFIT], slippage, tick
        )
        if hit != NOT_HIT:
            row[LAST_HIT] = hit
            row[LAST_HIT_PRICE] = price
            row[LAST_HIT_QUANTITY] = row[QUANTITY]
            _close(row, row[QUANTITY], price, fee_rate)


@compiled
def mark(row: Floats, close: float) -> float:
    """Value the account at ``close``, raise its peak if need be, and return its equity."""
    equity: float = row[CASH] + row[QUANTITY] * close
    row[EQUITY] = equity
    row[PEAK] = max(row[PEAK], equity)
    return equity


@compiled
def step_account(
    row: Floats,
    close: float,
    next_open: float,
    next_high: float,
    next_low: float,
    next_close: float,
    next_bar: int,
    target: float,
    cap: float,
    band: float,
    fee_rate: float,
    slippage: float,
    lot: float,
    tick: float,
    minimum_quantity: float,
    minimum_notional: float,
    stop_loss: float,
    take_profit: float,
) -> float:
    """Carry the account from the close of one candle to the close of the next and return its equity.

    The sequence, which the engine and the paper exchange follow too: (1) at the close, the order
    that moves the position towards ``target`` (fraction of ``cap``, the symbol's largest share of
    equity); (2) at the next open, its fill; (3) protection inside the next candle; (4) the mark at
    its close. Prices in quote currency, ``next_bar`` the index of the next candle.
    """
    order = order_for_target(
        row[CASH] + row[QUANTITY] * close,
        row[QUANTITY],
        close,
        target,
        cap,
        band,
        fee_rate,
        slippage,
        lot,
        minimum_quantity,
        minimum_notional,
    )
    execute_at_open(
        row,
        order,
        next_open,
        next_bar,
        fee_rate,
        slippage,
        lot,
        tick,
        minimum_quantity,
        stop_loss,
        take_profit,
    )
    protect_in_candle(row, next_open, next_high, next_low, fee_rate, slippage, tick)
    return mark(row, next_close)


@compiled
def portfolio_vector(
    cash: float,
    quantity: float,
    average: float,
    stop: float,
    take_profit: float,
    equity: float,
    peak: float,
    cap: float,
    close: float,
    held: float,
    out: Floats,
) -> None:
    """Write the agent's view of one holding into ``out`` (``len(PORTFOLIO_COLUMNS)``), all scale-free.

    Cash is a share of equity, all positions counted. Exposure is the position's share of the most
    it may be, ``cap`` of equity, so that an agent trained with the whole purse reads the same
    number under a tier's cap. Unrealised return and the distances to stop and take-profit are
    fractions of the close (0 where there is none), drawdown a fraction of the peak. ``held``, the
    candles closed since the one of its entry (0 at that one's own close), is squashed into [0, 1).
    """
    out[0] = cash / equity if equity > 0.0 else 0.0
    out[1] = quantity * close / (equity * cap) if equity > 0.0 and cap > 0.0 else 0.0
    out[2] = close / average - 1.0 if quantity > 0.0 and average > 0.0 else 0.0
    out[3] = 1.0 - equity / peak if peak > 0.0 else 0.0
    out[4] = 1.0 - np.exp(-held / _TIME_SCALE) if quantity > 0.0 else 0.0
    out[5] = 1.0 - stop / close if quantity > 0.0 and stop > 0.0 else 0.0
    out[6] = take_profit / close - 1.0 if quantity > 0.0 and take_profit > 0.0 else 0.0
