"""Candles of a higher timeframe, gathered causally from those of the trading timeframe."""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NO_BUCKET = -1
_DISCARDED = -2  # the history began inside this higher candle, so it is never complete


def new_buckets(rungs: int) -> tuple[Integers, Floats]:
    """Return ``buckets`` (rungs, 3) and ``forming`` (rungs, 5) before any candle was seen.

    Per rung ``buckets`` holds the number of the forming higher candle (or why there is none), the
    number of a discarded one, and whether any candle was seen; ``forming`` its open, high, low,
    close and volume so far.
    """
    buckets = np.zeros((rungs, 3), dtype=np.int64)
    buckets[:, :2] = _NO_BUCKET
    return buckets, np.zeros((rungs, 5), dtype=np.float64)


@compiled
def gather(
    base: int,
    duration: int,
    marks: Integers,
    forming: Floats,
    open_time: Integers,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    seen: Integers,
    higher: Floats,
) -> int:
    """Let trading candles into the higher ones they belong to; return how many of these closed.

    ``base`` and ``duration`` are the two timeframes in milliseconds, ``marks`` and ``forming`` one
    rung's rows of ``new_buckets``. ``seen`` (n,) is filled with how many higher candles had closed
    at each trading candle's close; their open, high, low, close and volume become the columns of
    ``higher`` (5, at least 2 n).
    """
    count = 0
    for row in range(open_time.shape[0]):
        bucket = open_time[row] // duration
        if marks[0] >= 0 and marks[0] != bucket:
            # A gap swallowed the candle that would have completed it: it is over all the same.
            for figure in range(5):
                higher[figure, count] = forming[figure]
            count += 1
            marks[0] = _NO_BUCKET
        if marks[0] == _DISCARDED and marks[1] != bucket:
            marks[0] = _NO_BUCKET
        if marks[0] == _NO_BUCKET:
            if marks[2] == 0 and open_time[row] % duration != 0:
                marks[0] = _DISCARDED
                marks[1] = bucket
            else:
                marks[0] = bucket
                forming[0] = opens[row]
                forming[1] = highs[row]
                forming[2] = lows[row]
                forming[3] = closes[row]
                forming[4] = volumes[row]
            marks[2] = 1
        elif marks[0] >= 0:
            forming[1] = max(forming[1], highs[row])
            forming[2] = min(forming[2], lows[row])
            forming[3] = closes[row]
            forming[4] += volumes[row]
        if marks[0] >= 0 and (open_time[row] + base) % duration == 0:
            for figure in range(5):
                higher[figure, count] = forming[figure]
            count += 1
            marks[0] = _NO_BUCKET
        seen[row] = count
    return count
