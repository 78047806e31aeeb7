"""What plain chance makes of the same trading: the model's own spells, in another order.

A random strategy that trades more or less than the model says nothing about its timing. One that holds
for the same spells and stays out for the same spells has its turnover and its exposure, and nothing else.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def shuffled_spells(held: Floats, generator: np.random.Generator) -> Floats:
    """Return ``held`` (n,), the exposures in force, with its spells in a random order.

    Spells in and out of the market alternate as before, so that as many trades are made.
    """
    if not len(held):
        return held.copy()
    spells = np.split(held, np.flatnonzero(np.diff(held != 0.0)) + 1)
    # Every other spell is of the same kind, the first one's kind first.
    for kind in (0, 1):
        own = spells[kind::2]
        spells[kind::2] = [own[place] for place in generator.permutation(len(own))]
    return np.concatenate(spells)


def in_force(targets: Floats) -> Floats:
    """Return the targets (n,) with each NaN, which leaves things as they are, replaced by the last.

    Before the first that says anything, nothing is held.
    """
    places: Integers = np.maximum.accumulate(
        np.where(np.isnan(targets), -1, np.arange(len(targets)))
    )
    return np.where(places < 0, 0.0, targets[np.maximum(places, 0)])
