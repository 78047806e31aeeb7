"""What the regime detector measures at each candle: figures relative to the market's own past.

Every figure is a logarithm of a ratio of two volatilities, or a move over the volatility before it:
none knows the price, the currency or how volatile this market is in general. Volatility is taken
from the candles' ranges, which tell several times as much as closes do (M. Parkinson, The extreme
value method for estimating the variance of the rate of return, 1980). Candles are counted, not
hours: after a gap in time the next candle follows the last one.

While a market stands still nothing is learnt from it: how volatile it is when it moves is not known
from its not moving, and a mean that sank meanwhile would take its first move for a crash.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.indicators import recurrences as steps
from adan_core.indicators.windows import lag_step
from adan_core.learning.regime_levels import BELIEF_SIZE, LEVELS, Levels, around, levels_step

Floats = NDArray[np.float64]

DRIVERS: Final = ("ATR %", "RSI", "ADX", "volatility ratio")
FEATURES: Final = (
    "range_1",
    "range_3",
    "range_8",
    "range_24",
    "range_96",
    "range_288",
    "range_960",
    "shadow_1",
    "shadow_8",
    "shadow_24",
    "body_1",
    "body_24",
    "above_quiet",
    "quiet_to_loud",
    "drift_6",
    "drift_12",
    "drift_24",
    "drift_48",
    "drift_96",
    "drift_192",
    "drift_size_24",
    "drift_size_48",
    "drift_size_96",
    "reversion",
    "position_24",
    "position_72",
    "variance_ratio_12",
    "variance_ratio_48",
    "level_trend",
    "level_range",
    "level_high",
    "level_crisis",
    "above_scale",
    "scale_certainty",
    "roughness",
    "clustering",
)
WARM_UP: Final = 480
"""Candles before the first reading: the market must have a past to compare with."""

_PERIOD = 14.0
_STANDSTILL = 24.0  # candles in a row without a range, after which the market stands still
_BASELINE = 3000.0
_SHORT_LAG = 12
_LONG_LAG = 48
# About a normal candle's deviation over its mean range: 0.63 on a continuous path, 0.77 on one seen
# at twelve steps. Moves are measured in it; the network is fitted to moves so measured.
_RANGE_TO_DEVIATION = 0.6
_QUANTILE_STEP = 0.005
_QUIET = 0.2
_LOUD = 0.8

# The state, one float64 vector.
_COUNT = 0  # candles that the means are of
_PREVIOUS = 1
_RANGES = 2  # mean ranges over 3, 8, 24 and 96 candles
_SHADOWS = 6  # range less body, over 8 and 24
_BODY = 8
_LOGARITHMS = 9  # mean log of the mean range over 8: over 288, 960 and the baseline
_QUANTILES = 12
_DRIFTS = 14  # over 6, 12, 24, 48, 96 and 192
_REVERSION = 20
_LEVELS = 21  # means of the log-price over 24 and 72
_POSITION = 23
_SQUARES = 24  # of the moves of one candle over 192, 24 and 960
_MOVES = 27  # of those of 12 and 48 candles
_ROUGHNESS = 29  # means of the log-range over 12 and 96, of its distance and of theirs
_RANGE = 33
_STRENGTH = _RANGE + 5
_DIRECTION = _STRENGTH + 8
_SHORT_MEMORY = _DIRECTION + 9
_LONG_MEMORY = _SHORT_MEMORY + 1 + _SHORT_LAG
_BELIEF = _LONG_MEMORY + 1 + _LONG_LAG
_CHANCES = _BELIEF + BELIEF_SIZE
_SEEN = _CHANCES + LEVELS  # candles, standstills included
_STILL = _SEEN + 1  # candles without a range until now
STATE_SIZE: Final = _STILL + 1


def fresh_state() -> Floats:
    """Return the state before the first candle: nothing seen, every level and scale as likely."""
    state = np.zeros(STATE_SIZE, dtype=np.float64)
    state[_BELIEF : _BELIEF + BELIEF_SIZE] = 1.0 / BELIEF_SIZE
    return state


@compiled
def _mean(state: Floats, slot: int, count: float, period: float, value: float) -> float:
    """Exponential mean that begins as the plain mean of what there is."""
    state[slot] += (value - state[slot]) / min(count, period)
    return float(state[slot])


@compiled
def _drivers(state: Floats, high: float, low: float, close: float, out: Floats) -> None:
    average_range = steps.average_true_range_step(
        state[_RANGE : _RANGE + 5], _PERIOD, high, low, close
    )
    strength = steps.relative_strength_step(state[_STRENGTH : _STRENGTH + 8], _PERIOD, close)
    index, _ = steps.directional_step(state[_DIRECTION : _DIRECTION + 9], _PERIOD, high, low, close)
    out[0] = 100.0 * average_range / close
    out[1] = strength
    out[2] = index


@compiled
def features_step(  # noqa: PLR0915 - one statement per recurrence, in the order of the state
    state: Floats,
    levels: Levels,
    high: float,
    low: float,
    close: float,
    out: Floats,
    drivers: Floats,
) -> bool:
    """Advance the state by one closed candle; whether ``drivers`` and ``out`` are valid yet.

    ``out`` is NaN where there is nothing to measure: in a market that stands still.
    """
    _drivers(state, high, low, close, drivers)
    level = np.log(close)
    short_before = lag_step(state[_SHORT_MEMORY:], float(_SHORT_LAG), level)
    long_before = lag_step(state[_LONG_MEMORY:], float(_LONG_LAG), level)
    previous = state[_PREVIOUS]
    state[_PREVIOUS] = close
    if previous == 0.0:
        state[_LEVELS] = level
        state[_LEVELS + 1] = level
        return False
    state[_SEEN] += 1.0
    warm = bool(state[_SEEN] >= WARM_UP)
    move = np.log(close / previous)
    body = abs(move)
    span = np.log(max(high, previous) / min(low, previous))
    shadow = span - body
    state[_STILL] = state[_STILL] + 1.0 if span <= 0.0 else 0.0
    if state[_STILL] > _STANDSTILL:
        drivers[3] = 1.0
        out[:] = np.nan
        return warm
    state[_COUNT] += 1.0
    count = state[_COUNT]
    # The move is measured against the volatility before it, lest it hide behind itself.
    scale = _RANGE_TO_DEVIATION * state[_RANGES + 2]
    shock = max(-6.0, min(6.0, move / scale)) if scale > 0.0 else 0.0

    range_3 = _mean(state, _RANGES, count, 3.0, span)
    range_8 = _mean(state, _RANGES + 1, count, 8.0, span)
    range_24 = _mean(state, _RANGES + 2, count, 24.0, span)
    range_96 = _mean(state, _RANGES + 3, count, 96.0, span)
    shadow_8 = _mean(state, _SHADOWS, count, 8.0, shadow)
    shadow_24 = _mean(state, _SHADOWS + 1, count, 24.0, shadow)
    body_24 = _mean(state, _BODY, count, 24.0, body)
    squares = _mean(state, _SQUARES, count, 192.0, move * move)
    short = _mean(state, _SQUARES + 1, count, 24.0, move * move)
    baseline = _mean(state, _SQUARES + 2, count, 960.0, move * move)
    drivers[3] = np.sqrt(short / baseline) if short > 0.0 and baseline > 0.0 else 1.0

    drift_6 = _mean(state, _DRIFTS, count, 6.0, shock) * np.sqrt(6.0)
    drift_12 = _mean(state, _DRIFTS + 1, count, 12.0, shock) * np.sqrt(12.0)
    drift_24 = _mean(state, _DRIFTS + 2, count, 24.0, shock) * np.sqrt(24.0)
    drift_48 = _mean(state, _DRIFTS + 3, count, 48.0, shock) * np.sqrt(48.0)
    drift_96 = _mean(state, _DRIFTS + 4, count, 96.0, shock) * np.sqrt(96.0)
    drift_192 = _mean(state, _DRIFTS + 5, count, 192.0, shock) * np.sqrt(192.0)
    # Does the market come back when it is away from its mean?
    reversion = _mean(state, _REVERSION, count, 96.0, shock * state[_POSITION])
    if count > _SHORT_LAG:
        far = level - short_before
        _mean(state, _MOVES, count - _SHORT_LAG, 192.0, far * far)
    if count > _LONG_LAG:
        far = level - long_before
        _mean(state, _MOVES + 1, count - _LONG_LAG, 288.0, far * far)
    state[_LEVELS] += (level - state[_LEVELS]) / 24.0
    state[_LEVELS + 1] += (level - state[_LEVELS + 1]) / 72.0
    if range_96 <= 0.0:
        out[:] = np.nan
        return warm

    deviation = _RANGE_TO_DEVIATION * range_96
    near = (level - state[_LEVELS]) / (deviation * np.sqrt(24.0))
    wide = (level - state[_LEVELS + 1]) / (deviation * np.sqrt(72.0))
    near = max(-4.0, min(4.0, near))
    wide = max(-4.0, min(4.0, wide))
    state[_POSITION] = near
    loud = np.log(max(range_8, 1e-3 * range_96))
    log_288 = _mean(state, _LOGARITHMS, count, 288.0, loud)
    log_960 = _mean(state, _LOGARITHMS + 1, count, 960.0, loud)
    usual = _mean(state, _LOGARITHMS + 2, count, _BASELINE, loud)
    for place in range(2):
        if count <= 24.0 or state[_QUANTILES + place] == 0.0:
            state[_QUANTILES + place] = loud
        share = _QUIET if place == 0 else _LOUD
        under = 1.0 if loud < state[_QUANTILES + place] else 0.0
        state[_QUANTILES + place] += _QUANTILE_STEP * (share - under)
    # How far a candle's range is from those before it, and those from the ones before them.
    size = np.log(max(span, 1e-2 * range_96))
    if state[_ROUGHNESS] == 0.0:
        state[_ROUGHNESS] = size
        state[_ROUGHNESS + 1] = size
    roughness = _mean(state, _ROUGHNESS + 2, count, 480.0, abs(size - state[_ROUGHNESS]))
    between = abs(state[_ROUGHNESS] - state[_ROUGHNESS + 1])
    clustering = _mean(state, _ROUGHNESS + 3, count, 960.0, between)
    state[_ROUGHNESS] += (size - state[_ROUGHNESS]) / 12.0
    state[_ROUGHNESS + 1] += (size - state[_ROUGHNESS + 1]) / 96.0
    chances = state[_CHANCES : _CHANCES + LEVELS]
    quiet_scale, certainty = levels_step(
        state[_BELIEF : _BELIEF + BELIEF_SIZE],
        levels,
        np.log(span - 0.5 * body) if span > 0.0 else np.nan,
        chances,
    )
    if not warm:
        return False

    normal = np.exp(usual)
    out[0] = np.log(span / normal + 0.1)
    out[1] = np.log(range_3 / normal + 0.05)
    out[2] = loud - usual
    out[3] = np.log(range_24 / normal + 0.03)
    out[4] = np.log(range_96 / normal)
    out[5] = log_288 - usual
    out[6] = log_960 - usual
    out[7] = np.log(shadow / normal + 0.1)
    out[8] = np.log(shadow_8 / normal + 0.03)
    out[9] = np.log(shadow_24 / normal + 0.03)
    out[10] = np.log(body / normal + 0.1)
    out[11] = np.log(body_24 / normal + 0.03)
    out[12] = loud - state[_QUANTILES]
    out[13] = state[_QUANTILES + 1] - state[_QUANTILES]
    out[14] = drift_6
    out[15] = drift_12
    out[16] = drift_24
    out[17] = drift_48
    out[18] = drift_96
    out[19] = drift_192
    out[20] = abs(drift_24)
    out[21] = abs(drift_48)
    out[22] = abs(drift_96)
    out[23] = reversion
    out[24] = near
    out[25] = wide
    out[26] = 0.5 * np.log(state[_MOVES] / (_SHORT_LAG * squares + 1e-300) + 1e-3)
    out[27] = 0.5 * np.log(state[_MOVES + 1] / (_LONG_LAG * squares + 1e-300) + 1e-3)
    for place in range(LEVELS):
        out[28 + place] = np.log(chances[place] + 1e-3)
    out[32] = around(loud - quiet_scale)
    out[33] = certainty
    out[34] = roughness
    out[35] = clustering
    return True
