"""Indicators of volatility: how far prices spread, and the bands and channels that follow from it."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero
from adan_core.indicators.recurrences import average_true_range_step, true_range_step
from adan_core.indicators.windows import extremes_step, moments_step


@compiled_inline
def deviation(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Population deviation of the last closes (STDDEV)."""
    return moments_step(state, parameters[0], bar.close)[1]


@compiled_inline
def upper_band(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last closes plus some population deviations (upper Bollinger band)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return mean + parameters[1] * spread


@compiled_inline
def lower_band(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last closes less some population deviations (lower Bollinger band)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return mean - parameters[1] * spread


@compiled_inline
def band_width(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Upper less lower Bollinger band as a share of their mean (BBW)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return 2.0 * parameters[1] * spread / mean


@compiled_inline
def band_share(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Where the close lies from the lower (0) to the upper Bollinger band (1) (%B)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return 0.5 + 0.5 * or_zero(bar.close - mean, parameters[1] * spread)


@compiled_inline
def band_position(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Deviations between the close and its mean (z-score)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return or_zero(bar.close - mean, spread)


@compiled_inline
def true_range(state: Floats, _parameters: Parameters, bar: Bar) -> float:
    """The candle's range, the gap to the previous close included (TR)."""
    return true_range_step(state, bar.high, bar.low, bar.close)


@compiled_inline
def average_true_range(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's mean of the true ranges (ATR)."""
    return average_true_range_step(state, parameters[0], bar.high, bar.low, bar.close)


@compiled_inline
def true_range_share(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Average true range as a share of the close (NATR / 100)."""
    return average_true_range(state, parameters, bar) / bar.close


@compiled_inline
def channel_high(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Highest high of the last candles, this one included (upper Donchian channel)."""
    return extremes_step(state, parameters[0], bar.high, bar.low)[0]


@compiled_inline
def channel_low(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Lowest low of the last candles, this one included (lower Donchian channel)."""
    return extremes_step(state, parameters[0], bar.high, bar.low)[1]


@compiled_inline
def channel_middle(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the highest high and the lowest low (middle Donchian channel)."""
    highest, lowest = extremes_step(state, parameters[0], bar.high, bar.low)
    return (highest + lowest) / 2.0


@compiled_inline
def channel_width(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Highest high less lowest low as a share of their mean (Donchian width)."""
    highest, lowest = extremes_step(state, parameters[0], bar.high, bar.low)
    return 2.0 * (highest - lowest) / (highest + lowest)


@compiled_inline
def volatility(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Population deviation of the last log returns."""
    previous = state[0]
    state[0] = bar.close
    if previous == 0.0:
        return np.nan
    return moments_step(state[1:], parameters[0], np.log(bar.close / previous))[1]


@compiled_inline
def volatility_ratio(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of a short volatility over a long one; 0 where either is 0."""
    previous = state[0]
    state[0] = bar.close
    if previous == 0.0:
        return np.nan
    change = np.log(bar.close / previous)
    middle = 5 + 2 * int(parameters[0])
    short = moments_step(state[1:middle], parameters[0], change)[1]
    long = moments_step(state[middle:], parameters[1], change)[1]
    return float(np.log(short / long)) if short > 0.0 and long > 0.0 else short * long * 0.0
