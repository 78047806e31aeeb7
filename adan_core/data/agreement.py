"""How far two sources of the same candles are apart.

A difference is taken relative to the smaller of the two prices, so that it does not matter which
source is called the first, and so that a price ten times too high is 900 % off, not 90 %.
"""

import math

from adan_core.domain.candles import Candle


def deviation(one: Candle, other: Candle) -> float:
    """Return the largest relative difference between the prices of two candles, 0 or more.

    Infinite if a price of either is no positive finite number; opening times and volumes are not
    compared.
    """
    pairs = (
        (one.open, other.open),
        (one.high, other.high),
        (one.low, other.low),
        (one.close, other.close),
    )
    if not all(math.isfinite(price) and price > 0.0 for pair in pairs for price in pair):
        return math.inf
    return max(abs(first - second) / min(first, second) for first, second in pairs)
