"""Whether an agent's confidence meant something on the test paths, which it was not calibrated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from adan_core.learning.calibration import (
    Calibration,
    Reliability,
    paying_moves,
    pooled,
    reliability,
)
from adan_core.learning.moves import Moves, returns_ahead
from adan_core.learning.segments import Segment

LEAST_MOVES: Final = 500
"""Fewer moves than these say nothing of their confidence: chance alone would pass for an error."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How often decisions were right, by how sure they were.

    ``decisions`` are all whose horizon has passed: to make the move that was considered, or to leave
    it alone. ``moves`` are those of them that made it.
    """

    decisions: Reliability
    moves: Reliability

    @property
    def move_error(self) -> float | None:
        """The expected calibration error of moves, None where fewer than ``LEAST_MOVES`` were made."""
        return self.moves.expected_error if self.moves.decisions >= LEAST_MOVES else None


def confidence_in(
    moves: Moves,
    parts: Sequence[Segment],
    calibration: Calibration,
    horizon: int,
    cost_rate: float,
) -> Confidence:
    """Return what became of ``moves`` (closes, accounts), considered along ``parts``, one per account.

    ``parts`` have one more close than ``moves``; ``cost_rate`` is what a unit of exposure costs to
    change.
    """
    returns = np.stack([returns_ahead(part, horizon)[: len(moves.made)] for part in parts], axis=-1)
    known = np.isfinite(returns)
    likely = calibration.paying_each(moves.directions, moves.margins)
    sure = np.where(moves.made, likely, 1.0 - likely)[known]
    right = (paying_moves(moves.directions, returns, cost_rate) == moves.made)[known]
    made = moves.made[known]
    return Confidence(
        reliability(sure, right.astype(np.float64)),
        reliability(sure[made], right[made].astype(np.float64)),
    )


def confidence_of_all(seeds: Sequence[Confidence]) -> Confidence:
    """Return the decisions of all ``seeds`` in one table, and their moves in another."""
    return Confidence(
        pooled([one.decisions for one in seeds]), pooled([one.moves for one in seeds])
    )
