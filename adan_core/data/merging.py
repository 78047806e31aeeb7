"""Candles added to candles that are there: missing ones are filled in, none is ever changed."""

import numpy as np

from adan_core.data.series import COLUMNS, CandleSeries, describe_instant
from adan_core.domain.errors import DataError


def merge(stored: CandleSeries, added: CandleSeries) -> CandleSeries:
    """Return the candles of both in order of time; ``stored`` itself if ``added`` brings none.

    Both are of one symbol, timeframe and origin. DataError, with the place and both values, if a
    candle is in both and differs.
    """
    places = np.searchsorted(stored.open_time, added.open_time)
    known = np.zeros(len(added), dtype=np.bool_)
    within = places < len(stored)
    known[within] = stored.open_time[places[within]] == added.open_time[within]
    _refuse_contradiction(stored, added, places, known)
    if known.all():
        return stored
    at, new = places[~known], ~known
    return CandleSeries(
        stored.symbol,
        stored.timeframe,
        np.insert(stored.open_time, at, added.open_time[new]),
        **{
            name: np.insert(getattr(stored, name), at, getattr(added, name)[new])
            for name in COLUMNS
        },
        synthetic=stored.synthetic,
    )


def _refuse_contradiction(
    stored: CandleSeries,
    added: CandleSeries,
    places: "np.typing.NDArray[np.intp]",
    known: "np.typing.NDArray[np.bool_]",
) -> None:
    rows = np.flatnonzero(known)
    pairs = {
        name: (getattr(stored, name)[places[rows]], getattr(added, name)[rows]) for name in COLUMNS
    }
    differs = np.zeros(rows.shape[0], dtype=np.bool_)
    for theirs, ours in pairs.values():
        differs |= theirs != ours
    if not differs.any():
        return
    first = int(np.argmax(differs))
    name = next(name for name, (theirs, ours) in pairs.items() if theirs[first] != ours[first])
    theirs, ours = pairs[name]
    when = describe_instant(int(added.open_time[rows[first]]))
    raise DataError(
        f"the {stored.symbol} {stored.timeframe} candle of {when} is there with {name} "
        f"{theirs[first]} and would be added with {name} {ours[first]} "
        f"({np.count_nonzero(differs)} such candles)",
        "the same values: a candle that has closed does not change",
        "find out which source is wrong; store the other under a name of its own",
    )
