"""What the step of an indicator is given: its state, its parameters and one closed candle."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled_inline

Floats: TypeAlias = NDArray[np.float64]
# Up to three numbers, in the order of the table; what an indicator does not take is 1.
Parameters: TypeAlias = tuple[float, float, float]


class Bar(NamedTuple):
    """A closed candle as compiled code passes it."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@compiled_inline
def or_zero(numerator: float, denominator: float) -> float:
    """Return the quotient; 0 where a still market leaves nothing to divide by; NaN stays NaN."""
    if denominator == 0.0:
        return numerator * 0.0
    return numerator / denominator


@compiled_inline
def typical_price(bar: Bar) -> float:
    """Return the mean of high, low and close."""
    return (bar.high + bar.low + bar.close) / 3.0
