"""Runs of candles that share a trait, and how long one may last before chance is ruled out."""

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_MARGIN = 3.0  # quiet candles keep together, so runs last longer than independent ones would
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

    ``lengths`` are the runs among ``count`` candles. Runs shorter than ``least`` are taken for the
    market's habit: how often one goes on, p, and how much of the market is in one, whichever is
    more. A run of k is then as rare as count * p**k; where that falls below ``chance``, times a
    margin, habit ends. Never less than ``least``: without a habit, ``least`` decides alone.
    """
    usual = lengths[lengths < least]
    inside = int(usual.sum())
    goes_on = max((inside - usual.size) / (inside + _DOUBT), inside / (count + 1))
    if goes_on <= 0.0:
        return float(least)
    return max(float(least), _MARGIN * math.log((count + 1) / chance) / -math.log(goes_on))
