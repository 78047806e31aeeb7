"""One account carried over one candle through the kernel that everything uses, for tests of money."""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import EQUITY
from adan_core.accounting.purse import Limits, step_purses
from adan_core.learning.segments import tape_of

Floats = NDArray[np.float64]
NO_LIMITS = Limits(np.empty((0, 5)), np.empty(0), np.empty(0))


def step_account(
    row: Floats,
    close: float,
    next_open: float,
    next_high: float,
    next_low: float,
    next_close: float,
    next_bar: int,
    target: float,
    *figures: float,
    funding: float = 0.0,
) -> float:
    """Carry ``row`` from one close to the next and return its equity.

    ``figures`` in the order of ``purse.FIGURES``, but for the funding rate.
    """
    before = np.full(next_bar, close)

    def column(value: float) -> Floats:
        return np.append(before, value)

    tape = tape_of(
        column(next_open),
        column(next_high),
        column(next_low),
        column(next_close),
        np.full(next_bar + 1, -1, dtype=np.int8),
        np.full(next_bar + 1, np.nan),
    )
    place = np.array([[next_bar - 1]])
    unsaid = np.full(1, np.nan)
    terms = np.array([[*figures, funding]])
    wish = np.array([target])
    step_purses(row[None, :], place, terms, tape, NO_LIMITS, wish, unsaid, unsaid, 1)
    return float(row[EQUITY])
