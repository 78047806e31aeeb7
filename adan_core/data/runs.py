"""Runs of candles that share a trait, and how long one may last before chance is ruled out."""

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_MARGIN = 3.0  # quiet candles keep together, so runs last longer than independent ones would
_SUSPECTS = 3  # the longest runs do not speak for themselves
_STILL = 0.1  # the share of a market in runs from which on it is a still one
_DOUBT = 20  # as many candles that ended a run are added to the evidence: few runs prove little


def runs(trait: Mask) -> tuple[Rows, Rows]:
    """Return where each run of ``trait`` begins and how long it is, both of shape (runs,)."""
    edges = np.flatnonzero(np.diff(trait, prepend=False, append=False))
    return edges[::2].astype(np.int64), (edges[1::2] - edges[::2]).astype(np.int64)


def covered(starts: Rows, lengths: Rows, count: int) -> Mask:
    """Return the mask of shape (count,) that is true inside the given runs."""
    steps = np.zeros(count + 1, dtype=np.int8)
    steps[starts] += 1
    steps[starts + lengths] -= 1
    mask: Mask = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    return mask


def longest_by_chance(lengths: Rows, count: int, least: int, chance: float) -> float:
    """Return how long a run has to be before it cannot be one more of this market's own.

    ``lengths`` are the runs among ``count`` candles. Their habit is how often one goes on, p, and
    how much of the market is in one, whichever is more; a run of k is then as rare as count * p**k.
    Where that falls below ``chance``, times a margin, habit ends; never before ``least``.

    Habit is what runs shorter than ``least`` show, for a feed freezes seldom and a busy market
    never. Where even without the longest few a good part of the market is in runs, a still market
    (two stable coins, say) it is, and all of those count.
    """
    usual = np.sort(lengths)[:-_SUSPECTS]
    still = usual.sum() >= _STILL * count and usual.size > 0
    if not still:
        usual = usual[usual < least]
    inside = int(usual.sum())
    goes_on = max((inside - usual.size) / (inside + _DOUBT), inside / (count + 1))
    if still:
        # Still markets have busy hours that cut runs short: what counts is the run a candle is in.
        around = float(np.square(usual, dtype=np.float64).sum()) / inside
        goes_on = max(goes_on, (around - 1.0) / (around + 1.0))
    if goes_on <= 0.0:
        return float(least)
    return max(float(least), _MARGIN * math.log((count + 1) / chance) / -math.log(goes_on))
