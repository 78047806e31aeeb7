"""Indicators of volume: how much is traded, and on which side."""

from adan_core.accounting.compiled import compiled_inline
from adan_core.indicators.bar import Bar, Floats, Parameters, or_zero
from adan_core.indicators.windows import sum_step


@compiled_inline
def volume_balance(state: Floats, parameters: Parameters, bar: Bar) -> float:
    """Volume against its mean: their difference over their sum, -1-1."""
    mean = sum_step(state, parameters[0], bar.volume) / parameters[0]
    return or_zero(bar.volume - mean, bar.volume + mean)
