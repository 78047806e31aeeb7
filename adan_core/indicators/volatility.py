"""Indicators of volatility: how far prices spread, and the bands that follow from it."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero
from adan_core.indicators.recurrences import average_true_range_step
from adan_core.indicators.windows import moments_step


@compiled_inline
def deviation(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Population deviation of the last closes (STDDEV)."""
    return moments_step(state, parameters[0], bar.close)[1]


@compiled_inline
def average_true_range(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's mean of the true ranges (ATR)."""
    return average_true_range_step(state, parameters[0], bar.high, bar.low, bar.close)


@compiled_inline
def true_range_share(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Average true range as a share of the close (NATR / 100)."""
    return average_true_range(state, parameters, bar) / bar.close


@compiled_inline
def band_position(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Deviations between the close and its mean (z-score)."""
    mean, spread = moments_step(state, parameters[0], bar.close)
    return or_zero(bar.close - mean, spread)


@compiled_inline
def _volatility_step(state: Floats, period: float, close: float) -> float:
    """Population deviation of the last log returns; state is (previous close, moments)."""
    previous = state[0]
    state[0] = close
    if previous == 0.0:
        return np.nan
    return moments_step(state[1:], period, np.log(close / previous))[1]


@compiled_inline
def volatility(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Population deviation of the last log returns."""
    return _volatility_step(state, parameters[0], bar.close)


@compiled_inline
def volatility_ratio(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of a short volatility over a long one; 0 where either is 0."""
    middle = 5 + 2 * int(parameters[0])
    short = _volatility_step(state[:middle], parameters[0], bar.close)
    long = _volatility_step(state[middle:], parameters[1], bar.close)
    return np.log(short / long) if short > 0.0 and long > 0.0 else short * long * 0.0
