"""Indicators of momentum: how fast prices rise or fall, and where they stand in their range."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero, typical_price
from adan_core.indicators.recurrences import relative_strength_step
from adan_core.indicators.windows import channel_index_step, extremes_step, lag_step, sum_step


@compiled_inline
def log_return(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over the one some candles ago."""
    return float(np.log(bar.close / lag_step(state, parameters[0], bar.close)))


@compiled_inline
def rate_of_change(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Change of the close over some candles, in percent (ROC)."""
    return 100.0 * (bar.close / lag_step(state, parameters[0], bar.close) - 1.0)


@compiled_inline
def relative_strength(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's relative strength index of the closes, 0-100 (RSI)."""
    return relative_strength_step(state, parameters[0], bar.close)


@compiled_inline
def strength_balance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Relative strength index, -1-1."""
    return relative_strength_step(state, parameters[0], bar.close) / 50.0 - 1.0


@compiled_inline
def _stochastic_step(state: Floats, period: float, high: float, low: float, value: float) -> float:
    """Where ``value`` lies in the window's range, 0-100; 50 where the range is none."""
    highest, lowest = extremes_step(state, period, high, low)
    return 50.0 + 50.0 * or_zero((value - lowest) - (highest - value), highest - lowest)


@compiled_inline
def _mean_of_defined_step(state: Floats, period: float, value: float) -> float:
    return np.nan if np.isnan(value) else sum_step(state, period, value) / period


@compiled_inline
def _strength_stochastic_step(state: Floats, period: float, window: float, close: float) -> float:
    strength = relative_strength_step(state[:8], period, close)
    if np.isnan(strength):
        return np.nan
    return _stochastic_step(state[8:], window, strength, strength, strength)


@compiled_inline
def strength_stochastic(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Where the relative strength index lies in its own last range, 0-100 (STOCHRSI %K)."""
    return _strength_stochastic_step(state, parameters[0], parameters[1], bar.close)


@compiled_inline
def strength_stochastic_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Simple mean of the stochastic relative strength, 0-100 (STOCHRSI %D)."""
    middle = 11 + 2 * int(parameters[1])
    fast = _strength_stochastic_step(state[:middle], parameters[0], parameters[1], bar.close)
    return _mean_of_defined_step(state[middle:], parameters[2], fast)


@compiled_inline
def stochastic(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Where the close lies in the range of the last candles, 0-100 (fast %K)."""
    return _stochastic_step(state, parameters[0], bar.high, bar.low, bar.close)


@compiled_inline
def stochastic_mean(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Simple mean of the stochastic (fast %D, which is the slow %K)."""
    middle = 3 + 2 * int(parameters[0])
    fast = stochastic(state[:middle], parameters, bar)
    return _mean_of_defined_step(state[middle:], parameters[1], fast)


@compiled_inline
def stochastic_signal(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Simple mean of the mean of the stochastic (slow %D)."""
    middle = 5 + 2 * int(parameters[0]) + int(parameters[1])
    slow = stochastic_mean(state[:middle], parameters, bar)
    return _mean_of_defined_step(state[middle:], parameters[2], slow)


@compiled_inline
def williams_range(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """How far the close lies below the highest high, in percent of the range, -100-0 (Williams %R)."""
    return stochastic(state, parameters, bar) - 100.0


@compiled_inline
def range_position(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Where the close lies between the lowest low (-1) and the highest high (1)."""
    highest, lowest = extremes_step(state, parameters[0], bar.high, bar.low)
    return or_zero((bar.close - lowest) - (highest - bar.close), highest - lowest)


@compiled_inline
def commodity_channel(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Typical price less its mean over 0.015 mean absolute deviations (CCI)."""
    return channel_index_step(state, parameters[0], typical_price(bar))


@compiled_inline
def candle_body(_state: Floats, _parameters: Parameters, bar: Bar) -> float:
    """The candle's move as a share of its range, -1-1."""
    return or_zero(bar.close - bar.open, bar.high - bar.low)
