"""The indicators' recurrences: each step costs the same however long the history is.

A recurrence is called once per closed candle, in order, with its own slice of state (all zeros at
the start), its parameters and the candle, and returns its value, NaN until it has seen enough.
Wilder's smoothing seeds with the plain mean of the first values (J. W. Wilder, New Concepts in
Technical Trading Systems, 1978), exponential means with the simple mean, as TA-Lib does.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled_inline

Floats = NDArray[np.float64]


@compiled_inline
def _smoothing_step(state: Floats, period: float, weight: float, value: float) -> float:
    """Mean in which a new value has ``weight``: state is (count, sum of the seed, mean)."""
    state[0] += 1.0
    if state[0] > period:
        state[2] += (value - state[2]) * weight
        return float(state[2])
    state[1] += value
    if state[0] < period:
        return np.nan
    state[2] = state[1] / period
    return float(state[2])


@compiled_inline
def mean_step(state: Floats, period: float, value: float) -> float:
    """Exponential mean of ``value``: state is (count, sum of the seed, mean)."""
    return _smoothing_step(state, period, 2.0 / (period + 1.0), value)


@compiled_inline
def wilder_step(state: Floats, period: float, value: float) -> float:
    """Wilder's mean of ``value``: state is (count, sum of the seed, mean)."""
    return _smoothing_step(state, period, 1.0 / period, value)


@compiled_inline
def relative_strength_step(state: Floats, period: float, value: float) -> float:
    """Wilder's relative strength index, 0-100; 50 where no value ever moved.

    State is (seen, previous value, gains (3), losses (3)).
    """
    previous = state[1]
    state[1] = value
    if state[0] == 0.0:
        state[0] = 1.0
        return np.nan
    change = value - previous
    gain = wilder_step(state[2:5], period, max(change, 0.0))
    loss = wilder_step(state[5:8], period, max(-change, 0.0))
    total = gain + loss
    return 50.0 if total == 0.0 else 100.0 * gain / total


@compiled_inline
def _true_range(high: float, low: float, previous_close: float) -> float:
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


@compiled_inline
def true_range_step(state: Floats, high: float, low: float, close: float) -> float:
    """Wilder's true range, the gap to the previous close included: state is (seen, previous close)."""
    previous = state[1]
    state[1] = close
    if state[0] == 0.0:
        state[0] = 1.0
        return np.nan
    return _true_range(high, low, previous)


@compiled_inline
def average_true_range_step(
    state: Floats, period: float, high: float, low: float, close: float
) -> float:
    """Wilder's average true range: state is (true range (2), mean (3))."""
    span = true_range_step(state, high, low, close)
    return np.nan if np.isnan(span) else wilder_step(state[2:5], period, span)


@compiled_inline
def movement_step(
    state: Floats, period: float, high: float, low: float, close: float
) -> tuple[float, float, float]:
    """Wilder's sums of upward moves, of downward moves and of true ranges.

    State is (count, previous high, low, close, the three sums).
    """
    count = state[0]
    state[0] = count + 1.0
    up = high - state[1]
    down = state[2] - low
    span = _true_range(high, low, state[3])
    state[1] = high
    state[2] = low
    state[3] = close
    if count == 0.0:
        return np.nan, np.nan, np.nan
    # Until the seed is complete, nothing of it fades.
    kept = 1.0 if count < period else 1.0 - 1.0 / period
    state[4] = state[4] * kept + (up if up > down and up > 0.0 else 0.0)
    state[5] = state[5] * kept + (down if down > up and down > 0.0 else 0.0)
    state[6] = state[6] * kept + span
    if count < period:
        return np.nan, np.nan, np.nan
    return state[4], state[5], state[6]


@compiled_inline
def directional_step(
    state: Floats, period: float, high: float, low: float, close: float
) -> tuple[float, float]:
    """Wilder's average directional index (0-100) and the difference of its two indicators (-100-100).

    State is (movement (7), sum of the seed, index).
    """
    up, down, span = movement_step(state[:7], period, high, low, close)
    if np.isnan(span):
        return np.nan, np.nan
    count = state[0] - 1.0
    total = up + down
    index = 100.0 * abs(up - down) / total if total > 0.0 else 0.0
    difference = 100.0 * (up - down) / span if span > 0.0 else 0.0
    if count >= 2.0 * period:
        state[8] += (index - state[8]) * (1.0 / period)
        return state[8], difference
    state[7] += index
    if count < 2.0 * period - 1.0:
        return np.nan, np.nan
    state[8] = state[7] / period
    return state[8], difference


@compiled_inline
def convergence_step(
    state: Floats, fast: float, slow: float, signal: float, value: float
) -> tuple[float, float]:
    """Moving average convergence/divergence: the line and the signal, its exponential mean.

    State is (count, fast mean (3), slow mean (3), signal mean (3)). The fast mean starts late, so
    that both are seeded at the same candle.
    """
    state[0] += 1.0
    quick = np.nan
    if state[0] > slow - fast:
        quick = mean_step(state[1:4], fast, value)
    calm = mean_step(state[4:7], slow, value)
    if state[0] < slow:
        return np.nan, np.nan
    line = quick - calm
    return line, mean_step(state[7:10], signal, line)


@compiled_inline
def parabolic_step(
    state: Floats, acceleration: float, maximum: float, high: float, low: float
) -> float:
    """Wilder's parabolic stop and reverse.

    It begins as a stop at the first candle's far end, against the larger of the first two candles'
    moves. State is (count, previous high, previous low, 1 for a stop below the market or -1, the
    extreme since the reversal, the acceleration, the next stop). A falling market is a rising one
    upside down: prices are taken times the direction.
    """
    count = state[0]
    state[0] = min(count + 1.0, 2.0)
    former_high = state[1]
    former_low = state[2]
    state[1] = high
    state[2] = low
    if count == 0.0:
        return np.nan
    if count == 1.0:
        fell = former_low - low
        state[3] = -1.0 if fell > 0.0 and fell > high - former_high else 1.0
        state[4] = high if state[3] > 0.0 else low
        state[5] = min(acceleration, maximum)
        state[6] = former_low if state[3] > 0.0 else former_high
        former_high = high
        former_low = low
    direction = state[3]
    peak = direction * (high if direction > 0.0 else low)
    trough = direction * (low if direction > 0.0 else high)
    former_peak = direction * (former_high if direction > 0.0 else former_low)
    former_trough = direction * (former_low if direction > 0.0 else former_high)
    extreme = direction * state[4]
    stop = direction * state[6]
    if trough <= stop:
        stop = max(extreme, former_peak, peak)
        extreme = trough
        state[3] = -direction
        state[5] = min(acceleration, maximum)
        following = max(stop + state[5] * (extreme - stop), former_peak, peak)
    else:
        if peak > extreme:
            extreme = peak
            state[5] = min(state[5] + acceleration, maximum)
        following = min(stop + state[5] * (extreme - stop), former_trough, trough)
    state[4] = direction * extreme
    state[6] = direction * following
    return float(direction * stop)
