"""What the volume around a hole tells about it: nobody traded, nobody could, or data are missing.

Three causes leave the same hole. The candles around it differ:

* Where a market is thin and its venue leaves out spans without a trade, holes keep company, are no
  longer than such company makes likely, and the candles beside them have less volume than others.
  A venue that writes idle candles leaves none out for want of a trade.
* Where an exchange fails, its last candle is cut short and its first one is a rush: of the
  ``2 * REACH`` candles around the hole the one before it (or after it) has the smallest volume, or
  the one after it the largest. By chance that is so at three holes in two hundred. Idle candles
  that touch the hole, written by machinery that ran on, count as one with the smallest volume.
* Otherwise trading went on as usual on both sides: somebody who recorded it lost some.

Idle candles without a hole are an outage, too, when they last longer than this market's quiet can.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.runs import Mask, Rows, longest_by_chance, runs

REACH = 100

_BLOCK = 4096
_SURE = 3.0  # standard errors by which the volume beside holes lies below the middle
_LEAST_IDLE = 6  # candles: shorter than that, quiet needs no explanation

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Holes:
    """Every hole of a series: index of the candle before it, candles missing, and its cause.

    All arrays have shape (holes,). ``idle_starts`` and ``idle_lengths`` are the runs of idle
    candles that are outages without touching a hole.
    """

    before: Rows
    missing: Rows
    outage: Mask
    no_trade: Mask
    idle_starts: Rows
    idle_lengths: Rows


def find_holes(open_time: NDArray[np.int64], volume: Floats, duration: int, chance: float) -> Holes:
    """Find the holes between candles in order and what the volume tells about each.

    ``chance`` is the probability below which a quiet span is no chance.
    """
    steps = np.diff(open_time) // duration
    before = np.flatnonzero(steps > 1).astype(np.int64)
    missing = steps[before] - 1
    idle = volume == 0.0
    starts, lengths = runs(idle)
    ends = starts + lengths - 1
    last, first = _neighbours(before, ends), _neighbours(before + 1, starts)
    below, _, rank_before = _ranks(volume, before, before, np.append(lengths, 1)[last])
    under, above, rank_after = _ranks(volume, before, before + 1, np.append(lengths, 1)[first])
    thin = _thin(open_time, before, missing, duration, chance)
    ranks = np.concatenate((rank_before[thin], rank_after[thin]))
    # The mean of k random ranks is 0.5 with this standard error; and who writes idle candles does
    # not leave them out.
    error = (12.0 * max(ranks.size, 1)) ** -0.5
    told = ranks.size > 0 and float(ranks.mean()) < 0.5 - _SURE * error
    no_trade = thin & (told and int(idle.sum()) <= int(thin.sum()))
    outage = ~no_trade & (below | under | above)
    habit = longest_by_chance(lengths, volume.shape[0], _LEAST_IDLE, chance)
    alone = (lengths >= habit) & ~np.isin(starts, before + 1) & ~np.isin(ends, before)
    return Holes(before, missing, outage, no_trade, starts[alone], lengths[alone])


def _neighbours(edges: Rows, own: Rows) -> Rows:
    """Return the index in ``own`` (ascending) that equals each edge, or -1."""
    place = np.searchsorted(own, edges)
    found = np.append(own, -1)[place] == edges
    return np.where(found, place, -1)


def _ranks(volume: Floats, before: Rows, at: Rows, own: Rows) -> tuple[Mask, Mask, Floats]:
    """Return whether the volume at ``at`` is the smallest, or the largest, around, and its rank.

    ``own`` candles, those of an idle run that touches the hole among them, are not compared with.
    The rank is 0 to 1. With fewer than ``2 * REACH`` candles in all nothing is smallest or largest.
    """
    count = volume.shape[0]
    least, most = (np.zeros(at.shape[0], dtype=np.bool_) for _ in range(2))
    rank = np.full(at.shape[0], 0.5)
    width = 2 * REACH
    if count < width:
        return least, most, rank
    for start in range(0, at.shape[0], _BLOCK):
        part = slice(start, start + _BLOCK)
        first = np.clip(before[part] + 1 - REACH, 0, count - width)
        window = volume[first[:, np.newaxis] + np.arange(width)]
        value = volume[at[part], np.newaxis]
        mine = np.minimum(own[part], REACH)
        not_above = (window <= value).sum(axis=1) - mine
        not_below = (window >= value).sum(axis=1) - mine
        least[part], most[part] = not_above <= 0, not_below <= 0
        rank[part] = (not_above + width - mine - not_below) / (2.0 * (width - mine))
    return least, most, rank


def _thin(
    open_time: NDArray[np.int64], before: Rows, missing: Rows, duration: int, chance: float
) -> Mask:
    """Return which holes have company that makes one of their length likely enough."""
    count = open_time.shape[0]
    first = np.maximum(before + 1 - REACH, 0)
    last = np.minimum(before + REACH, count - 1)
    slots = (open_time[last] - open_time[first]) // duration + 1 - missing
    others = slots - (last - first + 1)
    idle = (others + 1.0) / (slots + 1.0)
    thin: Mask = (others > 0) & ((missing - 1) * np.log(idle) >= np.log(chance))
    return thin
