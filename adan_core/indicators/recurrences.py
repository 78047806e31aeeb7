"""The indicators as recurrences: each step costs the same however long the history is.

A recurrence is called once per closed candle, in order, with its own slice of state (all zeros at
the start), its parameters and the candle, and returns its value, NaN until it has seen enough.
Wilder's smoothing seeds with the plain mean of the first values (J. W. Wilder, New Concepts in
Technical Trading Systems, 1978), exponential means with the simple mean, as TA-Lib does.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled

Floats = NDArray[np.float64]


@compiled
def mean_step(state: Floats, period: float, value: float) -> float:
    """Exponential mean of ``value``: state is (count, sum of the seed, mean)."""
    state[0] += 1.0
    if state[0] < period:
        state[1] += value
        return np.nan
    if state[0] == period:
        state[2] = (state[1] + value) / period
    else:
        state[2] += (value - state[2]) * (2.0 / (period + 1.0))
    return float(state[2])


@compiled
def wilder_step(state: Floats, period: float, value: float) -> float:
    """Wilder's mean of ``value``: state is (count, sum of the seed, mean)."""
    state[0] += 1.0
    if state[0] < period:
        state[1] += value
        return np.nan
    if state[0] == period:
        state[2] = (state[1] + value) / period
    else:
        state[2] = (state[2] * (period - 1.0) + value) / period
    return float(state[2])


@compiled
def moments_step(state: Floats, period: float, value: float) -> tuple[float, float]:
    """Mean and population deviation of the last ``period`` values.

    State is (count, mean, sum of squared deviations, ring of ``period`` values). Sums are rebuilt
    from the ring once per turn of it, which bounds the drift of a running sum at the cost of one
    more operation a step.
    """
    length = int(period)
    slot = int(state[0]) % length
    state[0] += 1.0
    outdated = state[3 + slot]
    state[3 + slot] = value
    if state[0] < period:
        return np.nan, np.nan
    if slot == length - 1:
        mean = 0.0
        for index in range(length):
            mean += state[3 + index]
        mean /= length
        squares = 0.0
        for index in range(length):
            squares += (state[3 + index] - mean) ** 2
        state[1] = mean
        state[2] = squares
    else:
        former = state[1]
        state[1] += (value - outdated) / length
        state[2] += (value - outdated) * (value - state[1] + outdated - former)
    return state[1], np.sqrt(max(state[2], 0.0) / length)


@compiled
def extremes_step(state: Floats, period: float, high: float, low: float) -> tuple[float, float]:
    """Highest high and lowest low of the last ``period`` candles.

    State is (count, step and value of the highest, step and value of the lowest, ring of highs,
    ring of lows). The ring is searched only when an extreme leaves it: a constant cost on average.
    """
    length = int(period)
    now = state[0]
    state[0] += 1.0
    slot = int(now) % length
    state[5 + slot] = high
    state[5 + length + slot] = low
    if now == 0.0 or high >= state[2]:
        state[1] = now
        state[2] = high
    elif now - state[1] >= period:
        state[2] = -np.inf
        for age in range(length - 1, -1, -1):
            candidate = state[5 + int(now - age) % length]
            if candidate >= state[2]:
                state[1] = now - age
                state[2] = candidate
    if now == 0.0 or low <= state[4]:
        state[3] = now
        state[4] = low
    elif now - state[3] >= period:
        state[4] = np.inf
        for age in range(length - 1, -1, -1):
            candidate = state[5 + length + int(now - age) % length]
            if candidate <= state[4]:
                state[3] = now - age
                state[4] = candidate
    if state[0] < period:
        return np.nan, np.nan
    return state[2], state[4]


@compiled
def lag_step(state: Floats, period: float, value: float) -> float:
    """The value ``period`` candles ago: state is (count, ring of ``period`` values)."""
    length = int(period)
    slot = 1 + int(state[0]) % length
    former = state[slot]
    state[slot] = value
    state[0] += 1.0
    return former if state[0] > period else np.nan


@compiled
def relative_strength_step(state: Floats, period: float, close: float) -> float:
    """Wilder's relative strength index, 0-100; 50 where no close ever moved.

    State is (seen, previous close, gains (3), losses (3)).
    """
    if state[0] == 0.0:
        state[0] = 1.0
        state[1] = close
        return np.nan
    change = close - state[1]
    state[1] = close
    gain = wilder_step(state[2:5], period, max(change, 0.0))
    loss = wilder_step(state[5:8], period, max(-change, 0.0))
    if np.isnan(gain):
        return np.nan
    total = gain + loss
    return 100.0 * gain / total if total > 0.0 else 50.0


@compiled
def true_range(high: float, low: float, previous_close: float) -> float:
    """Wilder's true range: the candle's range, the gap to the previous close included."""
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


@compiled
def average_true_range_step(
    state: Floats, period: float, high: float, low: float, close: float
) -> float:
    """Wilder's average true range: state is (seen, previous close, mean (3))."""
    if state[0] == 0.0:
        state[0] = 1.0
        state[1] = close
        return np.nan
    span = true_range(high, low, state[1])
    state[1] = close
    return wilder_step(state[2:5], period, span)


@compiled
def directional_step(
    state: Floats, period: float, high: float, low: float, close: float
) -> tuple[float, float]:
    """Wilder's average directional index (0-100) and the difference of its two indicators (-100-100).

    State is (count, previous high, low, close, smoothed up-move, down-move, true range, sum of the
    seed, index).
    """
    count = state[0]
    state[0] += 1.0
    up = high - state[1]
    down = state[2] - low
    span = true_range(high, low, state[3])
    state[1] = high
    state[2] = low
    state[3] = close
    if count == 0.0:
        return np.nan, np.nan
    up_move = up if up > down and up > 0.0 else 0.0
    down_move = down if down > up and down > 0.0 else 0.0
    if count < period:
        state[4] += up_move
        state[5] += down_move
        state[6] += span
        return np.nan, np.nan
    state[4] += up_move - state[4] / period
    state[5] += down_move - state[5] / period
    state[6] += span - state[6] / period
    total = state[4] + state[5]
    index = 100.0 * abs(state[4] - state[5]) / total if total > 0.0 else 0.0
    difference = 100.0 * (state[4] - state[5]) / state[6] if state[6] > 0.0 else 0.0
    if count < 2.0 * period - 1.0:
        state[7] += index
        return np.nan, np.nan
    if count == 2.0 * period - 1.0:
        state[8] = (state[7] + index) / period
    else:
        state[8] = (state[8] * (period - 1.0) + index) / period
    return state[8], difference


@compiled
def convergence_step(
    state: Floats, fast: float, slow: float, signal: float, close: float
) -> tuple[float, float]:
    """Moving average convergence/divergence: the line and its histogram over the signal mean.

    State is (count, fast mean (3), slow mean (3), signal mean (3)). The fast mean starts late, so
    that both are seeded at the same candle.
    """
    state[0] += 1.0
    quick = np.nan
    if state[0] > slow - fast:
        quick = mean_step(state[1:4], fast, close)
    calm = mean_step(state[4:7], slow, close)
    if np.isnan(calm):
        return np.nan, np.nan
    line = quick - calm
    smooth = mean_step(state[7:10], signal, line)
    return line, line - smooth
