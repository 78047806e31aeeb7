"""One symbol's account as a row of numbers, and what a fill, a protection and a close do to it.

A row has ``ACCOUNT_COLUMNS`` float64 columns, so that an environment of many copies is a matrix
of rows and a compiled loop over them. Rows that share a purse hold the same cash, peak and equity.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.accounting.fills import affordable, buy, market_price, sell
from adan_core.accounting.stops import NOT_HIT, protection_hit, protection_prices
from adan_core.accounting.wishes import HELD

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
WIN_RATE: Final = 18  # exponential mean over closed trades, NaN before the first
LOSS_STREAK: Final = 19  # losses not made good yet: one more for each, halved by a win
ASKED: Final = 20  # the last target asked for, and what was given for it: see ``wishes.HELD``
GIVEN: Final = 21
GIVEN_STOP_LOSS: Final = 22
GIVEN_TAKE_PROFIT: Final = 23
RESULT: Final = 24  # the open trade's realised PnL so far, less its fees and funding
FUNDING: Final = 25  # paid for holding so far; negative when received
ORDER: Final = 26  # signed quantity ordered at the last close
DENIED: Final = 27  # why the last wish could not be followed: a code of ``sizing.DENIALS``
GAIN: Final = 28  # money made in the last candle
PAID: Final = 29  # fees and funding of the last candle
TRADED: Final = 30  # quote currency traded in the last candle
LAST_EQUITY: Final = 31  # equity and drawdown at the last close but one
LAST_DRAWDOWN: Final = 32
ACCOUNT_COLUMNS: Final = 33

PORTFOLIO_COLUMNS: Final = (
    "cash",
    "exposure",
    "unrealised_return",
    "drawdown",
    "time_in_position",
    "distance_to_stop",
    "distance_to_take_profit",
)
# How much a new trade weighs in the win rate: about the last twenty count.
_TRADE_WEIGHT = 0.1
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
    row[WIN_RATE] = np.nan
    row[ASKED : ASKED + HELD] = np.nan


@compiled
def record_trade(record: Floats, pnl: float) -> None:
    """Take a closed trade into ``record``: win rate (NaN before the first), then loss streak.

    ``pnl`` is net of the fees of both sides. The rate begins at one half, so that a first trade says
    little. A win halves the streak, so that size comes back step by step.
    """
    won = 1.0 if pnl > 0.0 else 0.0
    before = 0.5 if np.isnan(record[0]) else record[0]
    record[0] = before + _TRADE_WEIGHT * (won - before)
    record[1] = 0.5 * record[1] if pnl > 0.0 else record[1] + 1.0


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
        book_entry(row, bought, price, fee)
    elif order < 0.0:
        sold = min(-order, row[QUANTITY])
        if sold <= 0.0:
            return
        _close(row, sold, market_price(-1, open_price, slippage, tick), fee_rate)
        row[LAST_FILL] = -sold
        row[LAST_FILL_PRICE] = market_price(-1, open_price, slippage, tick)


@compiled
def book_entry(row: Floats, signed: float, price: float, fee: float) -> None:
    """Count a fill of the ``signed`` quantity that made the position larger."""
    row[FEES] += fee
    row[RESULT] -= fee
    row[FILLS] += 1.0
    row[TURNOVER] += abs(signed) * price
    row[LAST_FILL] = signed
    row[LAST_FILL_PRICE] = price


@compiled
def book_exit(row: Floats, quantity: float, price: float, realised: float, fee: float) -> None:
    """Count a fill of ``quantity`` that made the position smaller, and the trade if that closed it."""
    row[REALISED] += realised
    row[FEES] += fee
    row[RESULT] += realised - fee
    row[FILLS] += 1.0
    row[TURNOVER] += quantity * price
    if row[QUANTITY] == 0.0:
        row[STOP] = 0.0
        row[TAKE_PROFIT] = 0.0
        row[OPENED] = -1.0
        row[TRADES] += 1.0
        record_trade(row[WIN_RATE : LOSS_STREAK + 1], row[RESULT])
        row[RESULT] = 0.0


@compiled
def _close(row: Floats, sold: float, price: float, fee_rate: float) -> None:
    row[CASH], row[QUANTITY], row[AVERAGE], realised, fee = sell(
        row[CASH], row[QUANTITY], row[AVERAGE], sold, price, fee_rate
    )
    book_exit(row, sold, price, realised, fee)


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
    number under a tier's cap; a short's is negative. Unrealised return and the distances to stop
    and take-profit are fractions (0 where there is none), positive where the position gains and
    where the price has still to go; drawdown is a fraction of the peak. ``held``, the
    candles closed since the one of its entry (0 at that one's own close), is squashed into [0, 1).
    """
    out[0] = cash / equity if equity > 0.0 else 0.0
    out[1] = quantity * close / (equity * cap) if equity > 0.0 and cap > 0.0 else 0.0
    side = 1.0 if quantity > 0.0 else -1.0 if quantity < 0.0 else 0.0
    out[2] = side * (close / average - 1.0) if average > 0.0 else 0.0
    out[3] = 1.0 - equity / peak if peak > 0.0 else 0.0
    out[4] = 1.0 - np.exp(-held / _TIME_SCALE) if side != 0.0 else 0.0
    out[5] = side * (1.0 - stop / close) if stop > 0.0 else 0.0
    out[6] = side * (take_profit / close - 1.0) if take_profit > 0.0 else 0.0
