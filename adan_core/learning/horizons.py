"""Horizons in candle time: how far a look ahead reaches where candles are missing.

A horizon of h candles ends h candle durations after a close, whether or not an exchange was there all
the while. Where it ends within a gap, the first close behind the gap says what became of it, unless the
gap is longer than the horizon itself: what followed then is no answer to what was asked.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.time import Milliseconds

Integers = NDArray[np.int64]


def outcome_places(close_time: Integers, horizon: int, candle: Milliseconds) -> Integers:
    """Return, for each close, the place of the one that ends its ``horizon``; -1 where there is none.

    ``close_time`` (n,) is ascending, ``candle`` the duration of one, both in milliseconds.
    """
    count = len(close_time)
    if not count:
        return np.empty(0, dtype=np.int64)
    numbers = close_time // candle
    found = np.searchsorted(numbers, numbers + horizon)
    inside = np.minimum(found, count - 1)
    missing = numbers[inside] - numbers[np.maximum(inside - 1, 0)] - 1
    places: Integers = np.where((found < count) & (missing <= horizon), inside, -1)
    return places
