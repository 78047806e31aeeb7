"""Indicators of trend: means, how far they are apart, and how directed the market moves."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero
from adan_core.indicators.recurrences import (
    convergence_step,
    directional_step,
    mean_step,
    movement_step,
    parabolic_step,
)
from adan_core.indicators.windows import sum_step, weighted_mean_step


@compiled_inline
def simple_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last closes; the middle one of the Bollinger bands (SMA)."""
    return sum_step(state, parameters[0], bar.close) / parameters[0]


@compiled_inline
def exponential_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Exponential mean of the closes (EMA)."""
    return mean_step(state, parameters[0], bar.close)


@compiled_inline
def weighted_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Mean of the last closes, each weighted by its place from the oldest on (WMA)."""
    return weighted_mean_step(state, parameters[0], bar.close)


@compiled_inline
def mean_distance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over its exponential mean."""
    return float(np.log(bar.close / mean_step(state, parameters[0], bar.close)))


@compiled_inline
def convergence_line(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Fast less slow exponential mean of the closes (MACD)."""
    return convergence_step(state, parameters[0], parameters[1], 1.0, bar.close)[0]


@compiled_inline
def convergence_signal(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Exponential mean of the convergence line (MACD signal)."""
    return convergence_step(state, parameters[0], parameters[1], parameters[2], bar.close)[1]


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
def upward_direction(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's upward moves as a share of the true ranges, 0-100 (+DI)."""
    up, _, span = movement_step(state, parameters[0], bar.high, bar.low, bar.close)
    return 100.0 * or_zero(up, span)


@compiled_inline
def downward_direction(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's downward moves as a share of the true ranges, 0-100 (-DI)."""
    _, down, span = movement_step(state, parameters[0], bar.high, bar.low, bar.close)
    return 100.0 * or_zero(down, span)


@compiled_inline
def direction(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's upward less his downward direction, -1-1."""
    up, down, span = movement_step(state, parameters[0], bar.high, bar.low, bar.close)
    return or_zero(up - down, span)


@compiled_inline
def directional_index(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's average directional index, 0-100 (ADX)."""
    return directional_step(state, parameters[0], bar.high, bar.low, bar.close)[0]


@compiled_inline
def trend_strength(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Average directional index, 0-1."""
    return directional_index(state, parameters, bar) / 100.0


@compiled_inline
def parabolic_stop(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's parabolic stop: below a rising market, above a falling one (SAR)."""
    return parabolic_step(state, parameters[0], parameters[1], bar.high, bar.low)


@compiled_inline
def parabolic_distance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over the parabolic stop."""
    stop = parabolic_step(state, parameters[0], parameters[1], bar.high, bar.low)
    return float(np.log(bar.close / stop))
