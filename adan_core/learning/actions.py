"""What an action of the agent asks for, where actions are a number instead of a choice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def exposures_of(
    actions: NDArray[np.float32], lowest: float, highest: float, dead_band: float
) -> Floats:
    """Return the exposures that ``actions`` in [-1, 1] ask for, spread over ``lowest`` to ``highest``.

    Within ``dead_band`` of flat or of either end an exposure counts as that: a number that trembles
    around one of them trades nothing.
    """
    share = 0.5 * (np.clip(actions.astype(np.float64), -1.0, 1.0) + 1.0)
    exposures = lowest + share * (highest - lowest)
    for level in (lowest, highest, 0.0):
        exposures = np.where(np.abs(exposures - level) < dead_band, level, exposures)
    return exposures


def levels_of(exposures: Sequence[float], action: str) -> tuple[float, ...]:
    """Return what stands for each of ``exposures`` among the actions of a kind, ascending.

    Where actions are ``continuous`` that is the number in [-1, 1] that asks for it; where they are
    ``discrete`` nothing has to be converted.
    """
    if action == "discrete":
        return tuple(exposures)
    lowest, highest = exposures[0], exposures[-1]
    return tuple(2.0 * (one - lowest) / (highest - lowest) - 1.0 for one in exposures)
