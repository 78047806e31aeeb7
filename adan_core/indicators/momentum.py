"""Indicators of momentum: how fast prices rise or fall, and where they stand in their range."""

import numpy as np

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero
from adan_core.indicators.recurrences import relative_strength_step
from adan_core.indicators.windows import extremes_step, lag_step


@compiled_inline
def log_return(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Logarithm of the close over the one some candles ago."""
    return float(np.log(bar.close / lag_step(state, parameters[0], bar.close)))


@compiled_inline
def relative_strength(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Wilder's relative strength index of the closes, 0-100 (RSI)."""
    return relative_strength_step(state, parameters[0], bar.close)


@compiled_inline
def strength_balance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Relative strength index, -1-1."""
    return relative_strength_step(state, parameters[0], bar.close) / 50.0 - 1.0


@compiled_inline
def range_position(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Where the close lies between the lowest low (-1) and the highest high (1)."""
    highest, lowest = extremes_step(state, parameters[0], bar.high, bar.low)
    return or_zero(2.0 * (bar.close - lowest) - (highest - lowest), highest - lowest)


@compiled_inline
def candle_body(_state: Floats, _parameters: Parameters, bar: Bar) -> float:
    """The candle's move as a share of its range, -1-1."""
    return or_zero(bar.close - bar.open, bar.high - bar.low)
