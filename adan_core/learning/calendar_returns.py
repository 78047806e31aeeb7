"""What an account earned month by month of the calendar (UTC)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def monthly_returns(close_time: Integers, equity: Floats) -> dict[tuple[int, int], float]:
    """Return the simple return of each month that has a candle, by (year, month).

    ``close_time`` (milliseconds) and ``equity`` have shape (n,). What closes at midnight still
    belongs to the month that ends there; the first month counts from the first equity.
    """
    months = (close_time - 1).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    last = np.flatnonzero(np.append(months[1:] != months[:-1], True))
    known = equity[last]
    before = np.concatenate((equity[:1], known[:-1]))
    return {
        (1970 + int(month) // 12, 1 + int(month) % 12): float(after / base - 1.0)
        for month, after, base in zip(months[last], known, before, strict=True)
    }
