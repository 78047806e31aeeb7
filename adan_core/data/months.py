"""UTC months: the pieces in which candles are hashed and stored."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def months(open_time: NDArray[np.int64]) -> Iterator[tuple[str, int, int]]:
    """Yield each UTC month that has candles, written like ``2021-01``, with the rows it is made of.

    Rows run from the first number to before the second. ``open_time`` has shape (n,): opening times
    in milliseconds, ascending, between the years 1 and 9999.
    """
    row = 0
    while row < open_time.shape[0]:
        month = np.datetime64(int(open_time[row]), "ms").astype("datetime64[M]")
        following = (month + 1).astype("datetime64[ms]").astype(np.int64)
        stop = row + int(np.searchsorted(open_time[row:], following))
        yield str(month), row, stop
        row = stop
