"""How late a regime is reported, where it is known when it began."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def onset_delays(truth: Integers, answer: Integers, regime: int) -> NDArray[np.float64]:
    """Return, for each stay in ``regime``, how many candles after its first it is reported.

    ``truth`` and ``answer`` (n,) are places in ``Regime``. 0: reported at the close of the stay's
    first candle; infinite: not before it was over.
    """
    inside = np.concatenate(([False], truth == regime, [False]))
    starts = np.flatnonzero(inside[1:] & ~inside[:-1])
    ends = np.flatnonzero(~inside[1:] & inside[:-1])
    found = []
    for start, end in zip(starts, ends, strict=True):
        hits = np.flatnonzero(answer[start:end] == regime)
        found.append(float(hits[0]) if hits.size else np.inf)
    return np.array(found)
