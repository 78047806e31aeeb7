"""Prices that no trade nearby supports, judged by robust local statistics.

A candle is an outlier if one of its prices lies more than ``spreads`` local deviations, and more
than by the factor ``least_ratio``, from the median close of the ``2 * REACH + 1`` candles around
it. The local deviation is the median absolute log-return there, scaled to a Gaussian's deviation
(1.4826) and to ``REACH`` steps of a random walk. A market that really moved leaves neighbours at
its new price, and its returns widen the deviation; a misprint does neither. The median looks both
ways: this judges recorded files and never feeds an agent.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from adan_core.data.runs import Mask, Rows

REACH = 12

_FEWEST = 5
_BLOCK = 65_536

Floats = NDArray[np.float64]


def outlying(high: Floats, low: Floats, close: Floats, spreads: float, least_ratio: float) -> Mask:
    """Return which candles hold an outlying price, shape (n,).

    Prices must be positive and ``low`` <= ``close`` <= ``high``; an open lies between, too. Fewer
    than five candles give no local statistics: none is outlying then.
    """
    count = int(close.shape[0])
    found = np.zeros(count, dtype=np.bool_)
    if count < _FEWEST:
        return found
    reach = min(REACH, (count - 1) // 2)
    least = float(np.log(least_ratio))
    level = np.log(close)
    # A median lies between the extremes around it: only where these are that far from a candle's
    # own can the median be, so that hardly any median is worked out.
    far = np.log(high) - _around(level, reach, np.minimum) > least
    far |= _around(level, reach, np.maximum) - np.log(low) > least
    candidates = np.flatnonzero(far).astype(np.int64)
    moves = np.abs(np.diff(level, prepend=level[0]))
    for start in range(0, candidates.shape[0], _BLOCK):
        at = candidates[start : start + _BLOCK]
        middle = _medians(level, at, reach)
        spread = 1.4826 * _medians(moves, at, reach) * reach**0.5
        away = np.maximum(np.log(high[at]) - middle, middle - np.log(low[at]))
        found[at] = away > np.maximum(spreads * spread, least)
    return found


def _medians(values: Floats, at: Rows, reach: int) -> Floats:
    """Return the median around each of ``at``; at the ends the window is shifted inwards."""
    windows = sliding_window_view(values, 2 * reach + 1)
    medians: Floats = np.median(windows[np.clip(at - reach, 0, windows.shape[0] - 1)], axis=1)
    return medians


def _around(values: Floats, reach: int, extreme: np.ufunc) -> Floats:
    """Return the extreme of the window ``_medians`` would use, for every value."""
    width = 2 * reach + 1
    extremes = values
    covered = 1
    while covered < width:
        # Two windows that overlap or touch make a longer one.
        step = min(covered, width - covered)
        extremes = extreme(extremes[:-step], extremes[step:])
        covered += step
    return np.concatenate((np.full(reach, extremes[0]), extremes, np.full(reach, extremes[-1])))
