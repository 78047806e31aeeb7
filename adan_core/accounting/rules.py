"""A venue's steps: quantities are cut down to whole lots, prices moved to whole ticks."""

import math

from adan_core.accounting.compiled import compiled

# A quantity this close below a whole number of steps is that number: 0.3 / 0.1 is 2.9999999999999996.
_STEP_TOLERANCE = 1e-9
# A quotient is wrong by a few units in its last place, so large counts need more.
_ROUNDING = 1e-15


@compiled
def _slack(count: float) -> float:
    """Return how far a quotient of ``count`` steps may lie below the whole number it stands for."""
    return _STEP_TOLERANCE + count * _ROUNDING


@compiled
def _in_steps(count: float, step: float) -> float:
    """Return ``count * step`` without the noise of steps such as 0.1 that binary cannot hold."""
    if step < 1.0:
        inverse = math.floor(1.0 / step + 0.5)
        if abs(inverse * step - 1.0) < _STEP_TOLERANCE:
            return count / inverse
    return count * step


@compiled
def round_down(quantity: float, step: float) -> float:
    """Return ``quantity`` (at least 0, base currency) cut down to a whole number of ``step``."""
    count = quantity / step
    return _in_steps(math.floor(count + _slack(count)), step)


@compiled
def round_price(price: float, tick: float, up: bool) -> float:
    """Return ``price`` moved to a whole number of ``tick``, up or down."""
    count = price / tick
    if up:
        return _in_steps(math.ceil(count - _slack(count)), tick)
    return _in_steps(math.floor(count + _slack(count)), tick)
