"""What a window of the last values is made of, exactly and at a constant cost on average.

The last ``period`` values are those of the current turn of a ring and the rest of the turn before.
When a turn ends, one pass backwards aggregates the ends of it; from then on every step joins the
end that is still in the window with what the new turn has gathered. No value is ever taken out of
a sum again, so nothing drifts, and an extreme never has to be searched for (M. van Herk, A fast
algorithm for local minimum and maximum filters, 1992).

Each step is called with its own slice of state, all zeros at the start; the first entry counts the
values and, from ``period`` on, stays below its double. NaN until ``period`` values were seen.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import or_zero

Floats = NDArray[np.float64]


@compiled_inline
def _turn(state: Floats, period: float) -> tuple[int, bool]:
    """Return the slot of the ring that comes next, and whether the window is full with it."""
    count = state[0]
    following = count + 1.0
    state[0] = following if following < 2.0 * period else period
    return int(count if count < period else count - period), following >= period


@compiled_inline
def lag_step(state: Floats, period: float, value: float) -> float:
    """The value ``period`` candles ago: state is (count, ring), size 1 + period."""
    seen = state[0] >= period
    slot, _ = _turn(state, period)
    former = state[1 + slot]
    state[1 + slot] = value
    return former if seen else np.nan


@compiled_inline
def sum_step(state: Floats, period: float, value: float) -> float:
    """Sum of the last ``period`` values: state is (count, sum of the turn, ring), size 2 + period."""
    length = int(period)
    slot, full = _turn(state, period)
    if slot == 0:
        state[1] = 0.0
        for index in range(length - 2, 0, -1):
            state[2 + index] += state[3 + index]
    state[1] += value
    state[2 + slot] = value
    if not full:
        return np.nan
    return float(state[1] + state[3 + slot] if slot + 1 < length else state[1])


@compiled_inline
def sums_step(state: Floats, period: float, first: float, second: float) -> tuple[float, float]:
    """Sums of the last ``period`` values of two series.

    State is (count, the sums of the turn, ring of the first, ring of the second), size
    3 + 2 periods.
    """
    length = int(period)
    slot, full = _turn(state, period)
    if slot == 0:
        state[1] = 0.0
        state[2] = 0.0
        for index in range(length - 2, 0, -1):
            state[3 + index] += state[4 + index]
            state[3 + length + index] += state[4 + length + index]
    state[1] += first
    state[2] += second
    state[3 + slot] = first
    state[3 + length + slot] = second
    if not full:
        return np.nan, np.nan
    if slot + 1 < length:
        return state[1] + state[4 + slot], state[2] + state[4 + length + slot]
    return state[1], state[2]


@compiled_inline
def weighted_mean_step(state: Floats, period: float, value: float) -> float:
    """Mean of the last ``period`` values, weighted 1 for the oldest to ``period`` for the newest.

    State is (count, sum and weighted sum of the turn, ring of sums, ring of weighted sums), size
    3 + 2 periods.
    """
    length = int(period)
    slot, full = _turn(state, period)
    if slot == 0:
        state[1] = 0.0
        state[2] = 0.0
        total = 0.0
        weighted = 0.0
        for index in range(length - 1, 0, -1):
            total += state[3 + index]
            weighted += total
            state[3 + index] = total
            state[3 + length + index] = weighted
    state[1] += value
    state[2] += value * (slot + 1.0)
    state[3 + slot] = value
    if not full:
        return np.nan
    # The turn's own weights begin at 1: what the older values are in number is added to each.
    ascending = state[2] + state[1] * (period - 1.0 - slot)
    share = 2.0 / (period * (period + 1.0))
    if slot + 1 < length:
        return float((ascending + state[4 + length + slot]) * share)
    return float(ascending * share)


@compiled_inline
def moments_step(state: Floats, period: float, value: float) -> tuple[float, float]:
    """Mean and population deviation of the last ``period`` values.

    State is (count, origin, sum, sum of squares, ring of sums, ring of squares), size 4 + 2 periods.
    Sums are taken about the first value of the turn, which is always one of the window's: so they
    lose no digits to the level of the values, and a still market has a deviation of exactly 0.
    """
    length = int(period)
    slot, full = _turn(state, period)
    if slot == 0:
        state[1] = value
        state[2] = 0.0
        state[3] = 0.0
        total = 0.0
        squares = 0.0
        for index in range(length - 1, 0, -1):
            distance = state[4 + index] - value
            total += distance
            squares += distance * distance
            state[4 + index] = total
            state[4 + length + index] = squares
    distance = value - state[1]
    state[2] += distance
    state[3] += distance * distance
    state[4 + slot] = value
    if not full:
        return np.nan, np.nan
    total = state[2]
    squares = state[3]
    if slot + 1 < length:
        total += state[5 + slot]
        squares += state[5 + length + slot]
    shift = total / period
    return state[1] + shift, np.sqrt(max(squares / period - shift * shift, 0.0))


@compiled_inline
def channel_index_step(state: Floats, period: float, value: float) -> float:
    """Distance of ``value`` from the window's mean over 0.015 of its mean absolute deviation.

    D. R. Lambert's commodity channel index; 0 in a still market. State is (count, ring), size
    1 + period. The deviations are taken about a mean that moves, which no running sum can follow:
    this one step passes through its window.
    """
    length = int(period)
    slot, full = _turn(state, period)
    state[1 + slot] = value
    if not full:
        return np.nan
    shift = 0.0
    for index in range(length):
        shift += state[1 + index] - value
    shift /= period
    spread = 0.0
    for index in range(length):
        spread += abs(state[1 + index] - value - shift)
    return or_zero(-shift, 0.015 * spread / period)


@compiled_inline
def extremes_step(state: Floats, period: float, high: float, low: float) -> tuple[float, float]:
    """Highest ``high`` and lowest ``low`` of the last ``period`` candles.

    State is (count, highest and lowest of the turn, ring of highs, ring of lows), size 3 + 2 periods.
    """
    length = int(period)
    slot, full = _turn(state, period)
    if slot == 0:
        state[1] = high
        state[2] = low
        for index in range(length - 2, 0, -1):
            state[3 + index] = max(state[3 + index], state[4 + index])
            state[3 + length + index] = min(state[3 + length + index], state[4 + length + index])
    state[1] = max(state[1], high)
    state[2] = min(state[2], low)
    state[3 + slot] = high
    state[3 + length + slot] = low
    if not full:
        return np.nan, np.nan
    if slot + 1 < length:
        return max(state[1], state[4 + slot]), min(state[2], state[4 + length + slot])
    return state[1], state[2]
