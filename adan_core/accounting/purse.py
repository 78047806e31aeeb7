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
    FEES,
    FUNDING,
    GAIN,
    GIVEN,
    GIVEN_STOP_LOSS,
    GIVEN_TAKE_PROFIT,
    LAST_DRAWDOWN,
    LAST_EQUITY,
    LAST_FILL,
    LAST_FILL_PRICE,
    LAST_HIT,
    LAST_HIT_PRICE,
    LAST_HIT_QUANTITY,
    LOSS_STREAK,
    ORDER,
    PAID,
    PEAK,
    QUANTITY,
    RESULT,
    TRADED,
    TURNOVER,
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
def step_purses(
    rows: Floats,
    place: Integers,
    figures: Floats,
    tape: Tape,
    limits: Limits,
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
    symbols: int,
) -> None:
    """Carry accounts from one close to the next; so many ``symbols`` in a row share a purse.

    ``rows`` (N, ``ACCOUNT_COLUMNS``) and ``figures`` (N, ``FIGURES``) belong to the candles at
    ``place[:, 0]`` of ``tape``; the next ones follow them there. ``targets`` (N,) are fractions of
    the cap, NaN leaves a position as it is; ``stop_losses`` and ``take_profits`` the agent's own
    fractions, NaN for those of ``figures``.
    """
    # Loops stay inside these functions: handing so many arrays on would cost more than the step.
    _decide(rows, place, figures, tape, limits, targets, stop_losses, take_profits, symbols)
    _settle(rows, place, figures, tape, symbols)


@compiled
def _decide(
    rows: Floats,
    place: Integers,
    figures: Floats,
    tape: Tape,
    limits: Limits,
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
    symbols: int,
) -> None:
    """Write into each row what is given for its wish, the order that follows, and what denied it."""
    closes, regimes, volatilities = tape.close, tape.regime, tape.volatility
    tiers, behaviour, lower_bounds = limits.tiers, limits.behaviour, limits.lower_bounds
    for first in range(0, rows.shape[0], symbols):
        equity = rows[first, EQUITY]
        exposure = 0.0
        positions = 0
        entering = 0
        free = rows[first, CASH]
        for slot in range(first, first + symbols):
            quantity = rows[slot, QUANTITY]
            if quantity != 0.0:
                held = quantity * closes[place[slot, 0]]
                positions += 1
                exposure += abs(held)
                free += 2.0 * min(held, 0.0)
        for slot in range(first, first + symbols):
            rows[slot, ORDER] = 0.0
            rows[slot, DENIED] = NOT_DENIED
            target = targets[slot]
            if np.isnan(target):
                continue
            bar = place[slot, 0]
            close = closes[bar]
            quantity = rows[slot, QUANTITY]
            if quantity == 0.0 or target != rows[slot, ASKED]:
                stop_loss, take_profit = stop_losses[slot], take_profits[slot]
                peak = rows[slot, PEAK]
                follow_wish(
                    rows[slot, ASKED : ASKED + HELD],
                    behaviour,
                    int(regimes[bar]),
                    volatilities[bar],
                    rows[slot, WIN_RATE],
                    1.0 - equity / peak if peak > 0.0 else 0.0,
                    rows[slot, LOSS_STREAK],
                    tier_index(equity, lower_bounds),
                    target,
                    figures[slot, STOP_LOSS] if np.isnan(stop_loss) else stop_loss,
                    figures[slot, TAKE_PROFIT] if np.isnan(take_profit) else take_profit,
                    quantity,
                )
            order, denied = sized_order(
                equity,
                quantity,
                close,
                rows[slot, GIVEN],
                position_cap(equity, tiers, figures[slot, CAP]),
                figures[slot, BAND],
                figures[slot, FEE_RATE],
                figures[slot, SLIPPAGE],
                figures[slot, LOT],
                figures[slot, MINIMUM_QUANTITY],
                figures[slot, MINIMUM_NOTIONAL],
            )
            if order != 0.0 and order * quantity >= 0.0:
                new = 1 if quantity == 0.0 else 0
                side = 1 if order > 0.0 else -1
                price = market_price(side, close, figures[slot, SLIPPAGE], figures[slot, TICK])
                denied = entry_denial(
                    equity,
                    free,
                    positions + new,
                    entering + 1,
                    abs(quantity) * close + abs(order) * price,
                    exposure + abs(order) * price,
                    rows[slot, GIVEN_STOP_LOSS],
                    2.0 * (figures[slot, FEE_RATE] + figures[slot, SLIPPAGE]),
                    tiers,
                )
                if denied == NOT_DENIED:
                    free -= abs(order) * close * (1.0 + figures[slot, FEE_RATE])
                    positions += new
                    entering += 1
                    exposure += abs(order) * close
                else:
                    order = 0.0
            rows[slot, ORDER] = order
            rows[slot, DENIED] = denied


@compiled
def entry_denial(
    equity: float,
    free: float,
    positions: int,
    entering: int,
    position: float,
    exposure: float,
    stop_loss: float,
    costs: float,
    tiers: Floats,
) -> int:
    """Return which limit says no to an entry, ``NOT_DENIED`` if none: those of the tier, and cash.

    Counts and notionals are those after the entry: positions held, entries not yet filled, this
    symbol's and all symbols' notional. ``costs`` are those of both sides.
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
    loss += costs
    denied = NOT_DENIED
    if max(positions, entering) > tiers[tier, TIER_POSITIONS]:
        denied = TOO_MANY_POSITIONS
    elif exposure > tiers[tier, TIER_TOTAL_EXPOSURE] * room:
        denied = TOTAL_EXPOSURE
    elif position * loss > tiers[tier, TIER_RISK] * room:
        denied = RISK_PER_TRADE
    return denied


@compiled
def _settle(rows: Floats, place: Integers, figures: Floats, tape: Tape, symbols: int) -> None:
    """Let the next candle pass over each row: the fill, the protection, funding and the mark."""
    opens, closes = tape.open, tape.close
    for first in range(0, rows.shape[0], symbols):
        owed = 0.0
        for slot in range(first, first + symbols):
            owed -= min(rows[slot, QUANTITY], 0.0) * opens[place[slot, 0] + 1]
        cash = rows[first, CASH]
        value = 0.0
        for slot in range(first, first + symbols):
            bar = place[slot, 0] + 1
            quantity = rows[slot, QUANTITY]
            paid = rows[slot, FEES] + rows[slot, FUNDING]
            traded = rows[slot, TURNOVER]
            rows[slot, LAST_FILL] = 0.0
            rows[slot, LAST_FILL_PRICE] = 0.0
            rows[slot, LAST_HIT] = NOT_HIT
            rows[slot, LAST_HIT_PRICE] = 0.0
            rows[slot, LAST_HIT_QUANTITY] = 0.0
            rows[slot, CASH] = cash
            if rows[slot, ORDER] != 0.0 or quantity != 0.0:
                own = -min(quantity, 0.0) * opens[bar]
                bound = 2.0 * max(owed - own, 0.0) if owed > 0.0 else 0.0
                _trade(
                    rows[slot], figures[slot], bar, bound, opens[bar], tape.high[bar], tape.low[bar]
                )
                owed += -min(rows[slot, QUANTITY], 0.0) * opens[bar] - own
            held = rows[slot, QUANTITY] * closes[bar]
            funding = figures[slot, FUNDING_RATE] * held
            if funding != 0.0:
                rows[slot, CASH] -= funding
                rows[slot, FUNDING] += funding
                rows[slot, RESULT] -= funding
            value += held
            rows[slot, GAIN] = (rows[slot, CASH] - cash) + (held - quantity * closes[bar - 1])
            rows[slot, PAID] = rows[slot, FEES] + rows[slot, FUNDING] - paid
            rows[slot, TRADED] = rows[slot, TURNOVER] - traded
            cash = rows[slot, CASH]
        equity = cash + value
        before, peak = rows[first, EQUITY], rows[first, PEAK]
        fallen = 1.0 - before / peak if peak > 0.0 else 0.0
        peak = max(peak, equity)
        for slot in range(first, first + symbols):
            rows[slot, LAST_EQUITY] = before
            rows[slot, LAST_DRAWDOWN] = fallen
            rows[slot, CASH] = cash
            rows[slot, EQUITY] = equity
            rows[slot, PEAK] = peak


@compiled
def _trade(
    row: Floats,
    terms: Floats,
    bar: int,
    bound: float,
    opening: float,
    high: float,
    low: float,
) -> None:
    """Fill what was ordered at the open of candle ``bar``, then resolve the protection inside it."""
    order = row[ORDER]
    fee_rate, slippage, lot, tick = terms[FEE_RATE], terms[SLIPPAGE], terms[LOT], terms[TICK]
    if order != 0.0:
        if row[QUANTITY] < 0.0 or (row[QUANTITY] == 0.0 and order < 0.0):
            execute_short_at_open(
                row,
                order,
                opening,
                bar,
                bound,
                fee_rate,
                slippage,
                lot,
                tick,
                terms[MINIMUM_QUANTITY],
                row[GIVEN_STOP_LOSS],
                row[GIVEN_TAKE_PROFIT],
            )
        else:
            if order > 0.0 and bound > 0.0:
                price = market_price(1, opening, slippage, tick)
                order = min(order, affordable(row[CASH] - bound, price, fee_rate, lot))
            execute_at_open(
                row,
                order,
                opening,
                bar,
                fee_rate,
                slippage,
                lot,
                tick,
                terms[MINIMUM_QUANTITY],
                row[GIVEN_STOP_LOSS],
                row[GIVEN_TAKE_PROFIT],
            )
        if row[LAST_FILL] == 0.0:
            row[DENIED] = NO_CASH
    if row[QUANTITY] < 0.0:
        protect_short_in_candle(row, opening, high, low, fee_rate, slippage, tick)
    elif row[QUANTITY] > 0.0:
        protect_in_candle(row, opening, high, low, fee_rate, slippage, tick)
