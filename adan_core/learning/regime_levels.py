"""The market's four levels of volatility, told apart without knowing its scale.

A candle's range says how volatile it was, not whether that is much for this market. So a Bayes
filter holds a belief over pairs of a level (trend, range, high volatility, crisis) and the market's
scale, the logarithm of a quiet candle's range, both unknown. The levels' distances are those of the
labelled simulated markets; the scale wanders slowly. Scales lie on a circle of ``CELLS`` cells
``STEP`` apart, far longer than the levels' distances: no scale is out of bounds, and none is known
beforehand. (Forward recursion: L. R. Rabiner, A tutorial on hidden Markov models, 1989.)
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled

Floats = NDArray[np.float64]

LEVELS: Final = 4
CELLS: Final = 40
STEP: Final = 0.1
BELIEF_SIZE: Final = LEVELS * CELLS

_CIRCLE = CELLS * STEP
_WANDER = 4e-4  # the chance a candle that the scale moves one cell up, and down
_JUMP = 1e-9  # that it is anywhere else: a market that changed for good is believed in time
# Neighbouring candles err together (volatility clusters): one counts for half of an independent one.
_WEIGHT = 0.5
_OUTLIER = 1e-3  # a candle of any size is at least so likely: none rules out a level for good
_ANGLES = 2.0 * np.pi * np.arange(CELLS) / CELLS
_COSINES = np.cos(_ANGLES)
_SINES = np.sin(_ANGLES)


class Levels(NamedTuple):
    """What is known of the levels: a tuple, so that it passes into compiled code whole.

    ``transitions`` (levels, levels) are chances a candle; ``distances`` (levels,) lie between the
    quietest level and each, in cells; ``spread`` is the standard deviation of a candle's size.
    """

    transitions: Floats
    distances: Floats
    spread: float


@compiled
def around(distance: float) -> float:
    """Return a distance of two scales the short way round the circle."""
    return float(distance - _CIRCLE * np.round(distance / _CIRCLE))


@compiled
def levels_step(
    belief: Floats, levels: Levels, size: float, chances: Floats
) -> tuple[float, float]:
    """Let the belief, shape (``BELIEF_SIZE``,), learn from a candle; write the levels' ``chances``.

    ``size`` is the logarithm of the candle's range less half its body, NaN for one without a
    range, which tells nothing. Return the scale's mean on the circle and how sure it is, 0 to 1.
    """
    likelihood = np.ones(CELLS)
    moved = np.empty(CELLS)
    former = belief.copy()
    if not np.isnan(size):
        for cell in range(CELLS):
            error = around(size - cell * STEP) / levels.spread
            likelihood[cell] = np.exp(-0.5 * _WEIGHT * error * error) + _OUTLIER
    total = 0.0
    for level in range(LEVELS):
        for cell in range(CELLS):
            chance = 0.0
            for before in range(LEVELS):
                chance += former[before * CELLS + cell] * levels.transitions[before, level]
            moved[cell] = chance
        for cell in range(CELLS):
            above = moved[cell + 1 if cell + 1 < CELLS else 0]
            below = moved[cell - 1 if cell > 0 else CELLS - 1]
            chance = moved[cell] * (1.0 - 2.0 * _WANDER) + _WANDER * (above + below) + _JUMP
            chance *= likelihood[(cell + int(levels.distances[level])) % CELLS]
            belief[level * CELLS + cell] = chance
            total += chance
    across = 0.0
    along = 0.0
    for level in range(LEVELS):
        chances[level] = 0.0
        for cell in range(CELLS):
            place = level * CELLS + cell
            belief[place] /= total
            chances[level] += belief[place]
            across += belief[place] * _COSINES[cell]
            along += belief[place] * _SINES[cell]
    scale = np.arctan2(along, across) * _CIRCLE / (2.0 * np.pi)
    return scale, np.sqrt(across * across + along * along)
