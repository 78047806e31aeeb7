"""Prices that no trade nearby supports, judged by robust local statistics.

A candle is an outlier if one of its prices lies more than ``SPREADS`` local deviations, and more
than half as much again (or a third less), from the median close of the ``2 * REACH + 1`` candles
around it. The local deviation is the median absolute log-return there, scaled to a Gaussian's
deviation (1.4826) and to ``REACH`` steps of a random walk. A market that really moved leaves
neighbours at its new price, and its returns widen the deviation; a misprint does neither. The
median looks both ways: this judges recorded files and never feeds an agent.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

REACH = 12
SPREADS = 12.0
LEAST = float(np.log(1.5))

_BLOCK = 65_536

Floats = NDArray[np.float64]


def outlying(opening: Floats, high: Floats, low: Floats, close: Floats) -> NDArray[np.bool_]:
    """Return which candles hold an outlying price, shape (n,); prices must be positive.

    Fewer than five candles give no local statistics: none is outlying then.
    """
    count = int(close.shape[0])
    if count < 5:
        return np.zeros(count, dtype=np.bool_)
    reach = min(REACH, (count - 1) // 2)
    level = np.log(close)
    middle = _rolling_median(level, reach)
    moves = np.abs(np.diff(level, prepend=level[0]))
    spread = 1.4826 * _rolling_median(moves, reach) * reach**0.5
    away = np.maximum.reduce(
        [np.abs(np.log(price) - middle) for price in (opening, high, low, close)]
    )
    found: NDArray[np.bool_] = away > np.maximum(SPREADS * spread, LEAST)
    return found


def _rolling_median(values: Floats, reach: int) -> Floats:
    """Return the centred median; at the ends the window stays whole and is shifted inwards."""
    count = int(values.shape[0])
    width = 2 * reach + 1
    windows = sliding_window_view(values, width)
    inner = np.concatenate(
        [
            np.median(windows[start : start + _BLOCK], axis=1)
            for start in range(0, count - width + 1, _BLOCK)
        ]
    )
    return np.concatenate((np.full(reach, inner[0]), inner, np.full(reach, inner[-1])))
