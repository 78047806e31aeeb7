"""What preferences ask for at each close: one move, made or left alone, and what became of the price.

The same reading of a network as ``Member.opinion``, for many accounts at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.learning.horizons import outcome_places
from adan_core.learning.segments import Segment

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """The likeliest move of each preference; all arrays have the same shape.

    ``margins`` are the log-odds by which it is preferred to staying, ``directions`` the exposure that
    it adds, ``made`` whether it is wanted and ``wanted`` the exposure wanted, moved to or stayed at.
    """

    margins: Floats
    directions: Floats
    made: NDArray[np.bool_]
    wanted: Floats


def likeliest_moves(logits: NDArray[np.float32], held: Floats, levels: Floats) -> Moves:
    """Return what ``logits`` (n, actions) make of exposures ``held`` (n,), of ``levels`` (actions,)."""
    rows = np.arange(len(logits))
    own = np.argmin(np.abs(levels - held[:, None]), axis=-1)
    wanted = np.argmax(logits, axis=-1)
    others = logits.copy()
    others[rows, own] = -np.inf
    move = np.argmax(others, axis=-1)
    margins = (logits[rows, move] - logits[rows, own]).astype(np.float64)
    return Moves(margins, levels[move] - levels[own], wanted != own, levels[wanted])


def stacked_moves(steps: list[Moves]) -> Moves:
    """Return all of ``steps`` in one, shape (steps, n)."""
    return Moves(
        np.stack([one.margins for one in steps]),
        np.stack([one.directions for one in steps]),
        np.stack([one.made for one in steps]),
        np.stack([one.wanted for one in steps]),
    )


def outcome_rows(part: Segment, horizon: int) -> NDArray[np.int64]:
    """Return the row that ends each row's ``horizon``, shape (n,), -1 where there is none.

    Horizons are counted in the market's time where ``part`` knows it, in candles where it does not.
    """
    if part.close_time is not None and part.economics.candle:
        return outcome_places(part.close_time, horizon, part.economics.candle)
    rows = np.arange(len(part)) + horizon
    return np.where(rows < len(part), rows, -1)


def returns_ahead(part: Segment, horizon: int) -> Floats:
    """Return the log-return over the next ``horizon`` at each close, NaN where unknown."""
    ends = outcome_rows(part, horizon)
    return np.where(ends >= 0, np.log(part.close[ends] / part.close), np.nan)
