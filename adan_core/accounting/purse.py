"""One purse over one candle: the sequence that environment, backtest, engine and paper exchange share.

At the close of a candle, symbol by symbol: the behaviour engine's answer to the wish, the order it
comes to, and the tier's limits on entries. Within the next candle, again symbol by symbol: the fill
at its open while cash lasts, then its protection. At its close: funding, then the mark.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    ASKED,
    CASH,
    DENIED,
    EQUITY,
    FUNDING,
    GAIN,
    GIVEN,
    GIVEN_STOP_LOSS,
    GIVEN_TAKE_PROFIT,
    LAST_FILL,
    LAST_HIT,
    LAST_HIT_PRICE,
    LAST_HIT_QUANTITY,
    LOSS_STREAK,
    ORDER,
    PEAK,
    QUANTITY,
    RESULT,
    WIN_RATE,
    execute_at_open,
    protect_in_candle,
)
from adan_core.accounting.compiled import compiled
from adan_core.accounting.fills import affordable, market_price
from adan_core.accounting.shorts import execute_short_at_open, protect_short_in_candle
from adan_core.accounting.sizing import (
    BELOW_TIERS,
    NO_CASH,
    NOT_DENIED,
    RISK_PER_TRADE,
    TOO_MANY_POSITIONS,
    TOTAL_EXPOSURE,
    sized_order,
    tier_index,
)
from adan_core.accounting.stops import NOT_HIT
from adan_core.accounting.wishes import HELD, follow_wish

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Regimes = NDArray[np.int8]

# What trading one symbol costs and allows, one float64 row per symbol.
CAP: Final = 0
BAND: Final = 1
FEE_RATE: Final = 2
SLIPPAGE: Final = 3
LOT: Final = 4
TICK: Final = 5
MINIMUM_QUANTITY: Final = 6
MINIMUM_NOTIONAL: Final = 7
STOP_LOSS: Final = 8
TAKE_PROFIT: Final = 9
FUNDING_RATE: Final = 10  # of the notional held, per candle
FIGURES: Final = 11

# Columns of the capital tiers. One that does not trade allows no position.
TIER_LOWER: Final = 0
TIER_CAP: Final = 1
TIER_POSITIONS: Final = 2
TIER_TOTAL_EXPOSURE: Final = 3
TIER_RISK: Final = 4
TIER_COLUMNS: Final = 5

# A share computed from its own limit may exceed it by binary rounding, as the risk limits have it.
_ROUNDING = 1e-9


class Tape(NamedTuple):
    """Candles and what was known of the market at each close; arrays of shape (n,).

    ``regime`` indexes the regimes, -1 where unknown; ``volatility`` is a ratio to the market's
    own past, NaN where unknown.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    regime: Regimes
    volatility: Floats


class Limits(NamedTuple):
    """What holds for a whole purse.

    ``tiers`` (tiers, ``TIER_COLUMNS``) size positions and hold entries back; without any, each
    symbol's own cap does the former and nothing the latter. ``lower_bounds`` (tiers,) are those of
    the capital tiers, which the behaviour engine looks at either way; ``behaviour`` its settings,
    none: what is asked for is given.
    """

    tiers: Floats
    lower_bounds: Floats
    behaviour: Floats


@compiled
def position_cap(equity: float, tiers: Floats, own: float) -> float:
    """Return the largest share of ``equity`` one symbol may hold: the tier's, without tiers its own."""
    if tiers.shape[0] == 0:
        return own
    tier = tier_index(equity, tiers[:, TIER_LOWER])
    return float(tiers[tier, TIER_CAP]) if tier >= 0 else 0.0


@compiled
def step_purse(
    rows: Floats,
    place: Integers,
    figures: Floats,
    tape: Tape,
    limits: Limits,
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
) -> float:
    """Carry the accounts of one purse from one close to the next and return its equity.

    ``rows`` (symbols, ``ACCOUNT_COLUMNS``) and ``figures`` (symbols, ``FIGURES``) belong to the
    candles at ``place[:, 0]`` of ``tape``; the next ones follow them there. ``targets`` (symbols,)
    are fractions of the cap, NaN leaves a position as it is; ``stop_losses`` and ``take_profits``
    the agent's own fractions, NaN for those of ``figures``.
    """
    decide(rows, place, figures, tape, limits, targets, stop_losses, take_profits)
    cash = rows[0, CASH]
    bound = _owed_at_open(rows, place, tape)
    value = 0.0
    for symbol in range(rows.shape[0]):
        row = rows[symbol]
        after = place[symbol, 0] + 1
        worth = row[QUANTITY] * tape.close[after - 1]
        row[CASH] = cash
        owed = max(-row[QUANTITY], 0.0) * tape.open[after]
        others = 2.0 * max(bound - owed, 0.0) if bound > 0.0 else 0.0
        _trade(row, after, others, figures[symbol], tape)
        bound += max(-row[QUANTITY], 0.0) * tape.open[after] - owed
        funding = figures[symbol, FUNDING_RATE] * row[QUANTITY] * tape.close[after]
        if funding != 0.0:
            row[CASH] -= funding
            row[FUNDING] += funding
            row[RESULT] -= funding
        held = row[QUANTITY] * tape.close[after]
        value += held
        row[GAIN] = (row[CASH] - cash) + (held - worth)
        cash = row[CASH]
    equity: float = cash + value
    peak = max(rows[0, PEAK], equity)
    for symbol in range(rows.shape[0]):
        rows[symbol, CASH] = cash
        rows[symbol, EQUITY] = equity
        rows[symbol, PEAK] = peak
    return equity


@compiled
def decide(
    rows: Floats,
    place: Integers,
    figures: Floats,
    tape: Tape,
    limits: Limits,
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
) -> None:
    """Write into each row what is given for its wish, the order that follows, and what denied it."""
    equity = rows[0, EQUITY]
    peak = rows[0, PEAK]
    drawdown = 1.0 - equity / peak if peak > 0.0 else 0.0
    level = tier_index(equity, limits.lower_bounds)
    exposure = 0.0
    positions = 0
    free = rows[0, CASH]
    for symbol in range(rows.shape[0]):
        quantity = rows[symbol, QUANTITY]
        if quantity != 0.0:
            held = quantity * tape.close[place[symbol, 0]]
            positions += 1
            exposure += abs(held)
            free += 2.0 * min(held, 0.0)
    entering = 0
    for symbol in range(rows.shape[0]):
        row = rows[symbol]
        row[ORDER] = 0.0
        row[DENIED] = NOT_DENIED
        if np.isnan(targets[symbol]):
            continue
        terms = figures[symbol]
        bar = place[symbol, 0]
        close = tape.close[bar]
        stop_loss, take_profit = stop_losses[symbol], take_profits[symbol]
        follow_wish(
            row[ASKED : ASKED + HELD],
            limits.behaviour,
            int(tape.regime[bar]),
            tape.volatility[bar],
            row[WIN_RATE],
            drawdown,
            row[LOSS_STREAK],
            level,
            targets[symbol],
            terms[STOP_LOSS] if np.isnan(stop_loss) else stop_loss,
            terms[TAKE_PROFIT] if np.isnan(take_profit) else take_profit,
            row[QUANTITY],
        )
        order, denied = sized_order(
            equity,
            row[QUANTITY],
            close,
            row[GIVEN],
            position_cap(equity, limits.tiers, terms[CAP]),
            terms[BAND],
            terms[FEE_RATE],
            terms[SLIPPAGE],
            terms[LOT],
            terms[MINIMUM_QUANTITY],
            terms[MINIMUM_NOTIONAL],
        )
        if order != 0.0 and order * row[QUANTITY] >= 0.0:
            new = 1 if row[QUANTITY] == 0.0 else 0
            price = market_price(1 if order > 0.0 else -1, close, terms[SLIPPAGE], terms[TICK])
            added = abs(order) * price
            denied = entry_denial(
                equity,
                free,
                positions + new,
                entering + 1,
                abs(row[QUANTITY]) * close + added,
                exposure + added,
                row[GIVEN_STOP_LOSS],
                terms,
                limits.tiers,
            )
            if denied == NOT_DENIED:
                free -= abs(order) * close * (1.0 + terms[FEE_RATE])
                positions += new
                entering += 1
                exposure += abs(order) * close
            else:
                order = 0.0
        row[ORDER] = order
        row[DENIED] = denied


@compiled
def entry_denial(
    equity: float,
    free: float,
    positions: int,
    entering: int,
    position: float,
    exposure: float,
    stop_loss: float,
    terms: Floats,
    tiers: Floats,
) -> int:
    """Return which limit says no to an entry, ``NOT_DENIED`` if none: those of the tier, and cash.

    Counts and notionals are those after the entry: positions held, entries not yet filled, this
    symbol's and all symbols' notional.
    """
    if free <= 0.0:
        return NO_CASH
    if tiers.shape[0] == 0:
        return NOT_DENIED
    tier = tier_index(equity, tiers[:, TIER_LOWER])
    if tier < 0 or tiers[tier, TIER_POSITIONS] == 0.0:
        return BELOW_TIERS
    room = equity * (1.0 + _ROUNDING)
    loss = stop_loss if stop_loss > 0.0 else 1.0
    loss += 2.0 * (terms[FEE_RATE] + terms[SLIPPAGE])
    denied = NOT_DENIED
    if max(positions, entering) > tiers[tier, TIER_POSITIONS]:
        denied = TOO_MANY_POSITIONS
    elif exposure > tiers[tier, TIER_TOTAL_EXPOSURE] * room:
        denied = TOTAL_EXPOSURE
    elif position * loss > tiers[tier, TIER_RISK] * room:
        denied = RISK_PER_TRADE
    return denied


@compiled
def _owed_at_open(rows: Floats, place: Integers, tape: Tape) -> float:
    """Return what the purse's shorts owe at the opens of the next candles, in quote currency."""
    owed = 0.0
    for symbol in range(rows.shape[0]):
        if rows[symbol, QUANTITY] < 0.0:
            owed -= rows[symbol, QUANTITY] * tape.open[place[symbol, 0] + 1]
    return owed


@compiled
def _trade(row: Floats, bar: int, bound: float, terms: Floats, tape: Tape) -> None:
    """Fill what was ordered at the open of candle ``bar``, then resolve the protection inside it."""
    order = row[ORDER]
    opening = tape.open[bar]
    if row[QUANTITY] < 0.0 or (row[QUANTITY] == 0.0 and order < 0.0):
        execute_short_at_open(
            row,
            order,
            opening,
            bar,
            bound,
            terms[FEE_RATE],
            terms[SLIPPAGE],
            terms[LOT],
            terms[TICK],
            terms[MINIMUM_QUANTITY],
            row[GIVEN_STOP_LOSS],
            row[GIVEN_TAKE_PROFIT],
        )
    else:
        if order > 0.0 and bound > 0.0:
            price = market_price(1, opening, terms[SLIPPAGE], terms[TICK])
            order = min(order, affordable(row[CASH] - bound, price, terms[FEE_RATE], terms[LOT]))
        execute_at_open(
            row,
            order,
            opening,
            bar,
            terms[FEE_RATE],
            terms[SLIPPAGE],
            terms[LOT],
            terms[TICK],
            terms[MINIMUM_QUANTITY],
            row[GIVEN_STOP_LOSS],
            row[GIVEN_TAKE_PROFIT],
        )
    if row[ORDER] != 0.0 and row[LAST_FILL] == 0.0:
        row[DENIED] = NO_CASH
    if row[QUANTITY] < 0.0:
        protect_short_in_candle(
            row,
            opening,
            tape.high[bar],
            tape.low[bar],
            terms[FEE_RATE],
            terms[SLIPPAGE],
            terms[TICK],
        )
    elif row[QUANTITY] > 0.0:
        protect_in_candle(
            row,
            opening,
            tape.high[bar],
            tape.low[bar],
            terms[FEE_RATE],
            terms[SLIPPAGE],
            terms[TICK],
        )
    else:
        row[LAST_HIT] = NOT_HIT
        row[LAST_HIT_PRICE] = 0.0
        row[LAST_HIT_QUANTITY] = 0.0
