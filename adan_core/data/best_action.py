"""The best that can be done in a Markov chain of market states, net of costs.

Long or flat, decided at each close for the candle that follows. The state is a Markov chain (the
hidden one for who sees it, the belief for who sees prices alone), so the best rule is a stationary
one; it is found by relative value iteration on the average reward (Puterman, Markov Decision
Processes, 1994, section 8.5.5).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_TOLERANCE: Final = 1e-10
_MOST_ROUNDS: Final = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class BestRule:
    """What to hold in each state, given what was held before.

    ``positions`` (S, 2) holds 0 or 1 by state and by the position before; ``gain`` is the mean net
    log-return per candle of who follows it.
    """

    positions: Integers
    gain: float

    def follow(self, states: Integers) -> Floats:
        """Return the exposure (0 or 1) over the candle after each state of a path, shape (n,).

        Begins flat.
        """
        exposures = np.empty(states.shape[0], dtype=np.float64)
        rule = self.positions.tolist()
        held = 0
        for place, state in enumerate(states.tolist()):
            held = rule[state][held]
            exposures[place] = held
        return exposures


def best_rule(expected: Floats, transitions: Floats, cost: float) -> BestRule:
    """Return the best stationary rule.

    ``expected`` (S,) is the mean log-return of the next candle in each state, ``transitions``
    (S, S) the chain's probabilities, ``cost`` the log-return that one side of a trade costs.
    """
    positions = np.arange(2, dtype=np.float64)
    now = expected[:, None] * positions  # (state, position taken)
    charge = cost * np.abs(positions[:, None] - positions)  # (position before, position taken)
    value = np.zeros((expected.shape[0], 2), dtype=np.float64)
    for _ in range(_MOST_ROUNDS):
        later = now + transitions @ value
        choices = later[:, None, :] - charge
        better = choices.max(axis=2)
        change = better - value
        value = better - better[0, 0]
        if change.max() - change.min() < _TOLERANCE:
            gain = 0.5 * float(change.max() + change.min())
            return BestRule(choices.argmax(axis=2), gain)
    raise ArithmeticError(f"no stationary rule after {_MOST_ROUNDS} rounds")


def autoregressive_chain(decay: float, deviation: float, cells: int = 241) -> tuple[Floats, Floats]:
    """Return a grid over +/-5 deviations of a stationary AR(1), shape (cells,), and its transitions."""
    grid = np.linspace(-5.0, 5.0, cells) * deviation
    spread = deviation * (1.0 - decay**2) ** 0.5
    weights = np.exp(-0.5 * ((grid[None, :] - decay * grid[:, None]) / spread) ** 2)
    return grid, weights / weights.sum(axis=1, keepdims=True)


def nearest_cells(grid: Floats, values: Floats) -> Integers:
    """Return the place on an even ``grid`` nearest to each value, shape (n,)."""
    step = (grid[-1] - grid[0]) / (grid.shape[0] - 1)
    cells = np.clip(np.rint((values - grid[0]) / step), 0, grid.shape[0] - 1)
    nearest: Integers = cells.astype(np.int64)
    return nearest
