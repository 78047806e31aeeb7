"""Numbers whose unit changes in the middle of a file: cents for dollars, satoshi for bitcoin.

A market opens its next candle about where it closed the last one, so nothing but another unit (or
a coin that was itself redenominated) makes a price go on at ten, a hundred or a hundred million
times what it was. A volume may swell by any factor; but when it swells, from one candle to the
next, by the price itself and stays so, it is counted in the other currency from there on.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.data.runs import Mask, Rows

REACH = 24

_SLACK = float(np.log10(1.1))  # how far from a power of ten a close and the next open may lie
_LEAST_LEVEL = float(np.log(1_000.0))  # nearer to 1, volumes swell by the price by themselves
_TELLING = float(np.log(10.0))  # how far the step between two levels of volume may miss the price

Floats = NDArray[np.float64]


def price_steps(opening: Floats, close: Floats, skipped: Mask) -> Rows:
    """Return the candles that open at a power of ten times the close before them.

    ``skipped`` candles (shape (n,), outliers) are passed over as if they were not there.
    """
    kept = np.flatnonzero(~skipped)
    if kept.shape[0] < opening.shape[0]:
        opening, close = opening[kept], close[kept]
    # A float holds prices whose quotient it cannot hold: such a step is no power of ten of units.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = opening[1:] / close[:-1]
        far = np.flatnonzero((ratio > 5.0) | (ratio < 0.2))
        steps = np.log10(ratio[far])
        power = np.rint(steps)
        told = np.isfinite(steps) & (power != 0.0) & (np.abs(steps - power) < _SLACK)
    found: Rows = kept[far[told] + 1].astype(np.int64)
    return found


def volume_steps(volume: Floats, close: Floats) -> Rows:
    """Return the candles from which on volume is counted in the other currency.

    The lowest of ``REACH`` volumes on one side must lie above the highest on the other, their
    medians as far apart as the price, and the price far from 1 for that to tell anything.
    Volumes are finite and not negative, prices positive.
    """
    count = volume.shape[0]
    if count < 2 * REACH:
        return np.empty(0, dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.log(close)
        step = np.abs(np.diff(np.log(volume), prepend=np.nan))
        # Single volumes vary, but not so much that half of such a step would not show at once.
        likely = (np.abs(level) > _LEAST_LEVEL) & (step > 0.5 * np.abs(level)) & np.isfinite(step)
    found = []
    for at in np.flatnonzero(likely).tolist():
        before, after = volume[max(at - REACH, 0) : at], volume[at : at + REACH]
        if min(before.shape[0], after.shape[0]) < REACH or min(before.min(), after.min()) <= 0.0:
            continue
        apart = before.max() < after.min() or after.max() < before.min()
        factor = float(np.log(np.median(after)) - np.log(np.median(before)))
        if apart and abs(abs(factor) - abs(float(level[at]))) < _TELLING:
            found.append(at)
    return np.array(found, dtype=np.int64)
