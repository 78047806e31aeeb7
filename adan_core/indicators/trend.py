"""Indicators of trend: means, how far they are apart, and how directed the market moves."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters
from adan_core.indicators.recurrences import convergence_step, directional_step, mean_step
from adan_core.indicators.windows import sum_step


@compiled_inline
def simple_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last closes (SMA)."""
    return sum_step(state, parameters[0], bar.close) / parameters[0]


@compiled_inline
def exponential_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Exponential mean of the closes (EMA)."""
    return mean_step(state, parameters[0], bar.close)


@compiled_inline
def mean_distance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over its exponential mean."""
    return float(np.log(bar.close / mean_step(state, parameters[0], bar.close)))


@compiled_inline
def convergence_histogram(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Convergence line less its signal (MACD histogram)."""
    line, signal = convergence_step(state, parameters[0], parameters[1], parameters[2], bar.close)
    return line - signal


@compiled_inline
def convergence_share(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Convergence histogram as a share of the close."""
    return convergence_histogram(state, parameters, bar) / bar.close


@compiled_inline
def directional_index(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's average directional index, 0-100 (ADX)."""
    return directional_step(state, parameters[0], bar.high, bar.low, bar.close)[0]


@compiled_inline
def trend_strength(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Average directional index, 0-1."""
    return directional_index(state, parameters, bar) / 100.0


@compiled_inline
def direction(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's upward less his downward directional indicator, -1-1."""
    return directional_step(state, parameters[0], bar.high, bar.low, bar.close)[1] / 100.0
