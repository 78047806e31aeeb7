"""What the proof counts of an agent's confidence, decision by decision."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.learning.calibration import Calibration, MoveOdds, pays
from adan_core.learning.moves import Moves
from adan_core.learning.proof_confidence import confidence_in
from adan_core.learning.segments import Segment
from tests.members import RULES
from tests.unit.learning.test_moves import part_of

HORIZON = 5
KNOWN = Calibration(MoveOdds(-0.2, 0.3), MoveOdds(0.1, 0.6), 0.5, 0.0, (None,) * 5, 1.0)


@given(seed=st.integers(0, 99), candles=st.integers(2, 40))
def test_every_decision_whose_horizon_has_passed_counts_and_moves_count_again(
    seed: int, candles: int
) -> None:
    rng = np.random.default_rng(seed)
    parts: list[Segment] = [part_of([0] * candles), part_of([0] * candles)]
    shape = (candles - 1, 2)
    margins = rng.normal(0.0, 3.0, shape)
    directions = np.where(rng.random(shape) < 0.5, 1.0, -1.0)
    moves = Moves(margins, directions, margins > 0.0, np.zeros(shape))

    expected = []
    for step in range(candles - HORIZON):
        for account, part in enumerate(parts):
            margin, direction = float(margins[step, account]), float(directions[step, account])
            likely = KNOWN.paying(direction, margin)
            gained = math.log(part.close[step + HORIZON] / part.close[step])
            paid = pays(direction, gained, RULES.cost_rate)
            if margin > 0.0:
                expected.append((likely, paid, True))
            else:
                expected.append((1.0 - likely, not paid, False))

    found = confidence_in(moves, parts, KNOWN, HORIZON, RULES.cost_rate)
    for table, own in (
        (found.decisions, expected),
        (found.moves, [one for one in expected if one[2]]),
    ):
        assert table.decisions == len(own)
        for shown in table.bins:
            said = [one for one in own if shown.lower <= one[0] < shown.upper]
            assert shown.count == len(said)
            if said:
                assert shown.confidence == pytest.approx(np.mean([one[0] for one in said]))
                assert shown.frequency == pytest.approx(np.mean([one[1] for one in said]))
