"""The best that can be done on a made market by a trader who sees its hidden state, net of costs.

Long or flat, decided at each close for the candle that follows. The hidden state is a Markov chain,
so the best rule is a stationary one; it is found by relative value iteration on the average reward
(Puterman, Markov Decision Processes, 1994, section 8.5.5).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_TOLERANCE: Final = 1e-10
_MOST_ROUNDS: Final = 100_000


def best_exposures(expected: Floats, transitions: Floats, states: Integers, cost: float) -> Floats:
    """Return the best exposure (0 or 1) over the candle after each close, shape (n,).

    ``expected`` (S,) is the mean log-return of the next candle in each state, ``transitions``
    (S, S) the chain's probabilities, ``states`` (n,) the path, ``cost`` the log-return that one
    side of a trade costs. Begins flat.
    """
    rule = _best_rule(expected, transitions, cost)
    exposures = np.empty(states.shape[0], dtype=np.float64)
    held = 0
    for place, state in enumerate(states.tolist()):
        held = int(rule[state, held])
        exposures[place] = held
    return exposures


def _best_rule(expected: Floats, transitions: Floats, cost: float) -> Integers:
    """Return the position to hold in each state, given the one held before: shape (S, 2)."""
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
            rule: Integers = choices.argmax(axis=2)
            return rule
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
