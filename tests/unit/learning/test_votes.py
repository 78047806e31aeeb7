"""How votes are counted: sides, abstention, weights that follow skill within their bounds."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.decisions import Vote, confidence_of
from adan_core.learning.votes import bounded_weights, side_of, tally

SKILLS = st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4)
EXPOSURES = st.sampled_from((-1.0, -0.5, 0.0, 0.5, 1.0))
VOTERS = st.lists(st.tuples(EXPOSURES, st.floats(0.15, 0.35)), min_size=1, max_size=4)
LOW, HIGH = (0.15,) * 4, (0.35,) * 4


@given(skills=SKILLS, sharpness=st.floats(0.0, 100.0))
def test_weights_stay_within_their_bounds_and_come_to_one(
    skills: list[float], sharpness: float
) -> None:
    weights = bounded_weights(skills, LOW, HIGH, sharpness)
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    assert all(0.15 - 1e-12 <= weight <= 0.35 + 1e-12 for weight in weights)


@given(skills=SKILLS, sharpness=st.floats(0.0, 100.0))
def test_who_is_more_often_right_weighs_no_less(skills: list[float], sharpness: float) -> None:
    weights = bounded_weights(skills, LOW, HIGH, sharpness)
    order = sorted(range(4), key=skills.__getitem__)
    assert all(weights[worse] <= weights[better] + 1e-12 for worse, better in pairwise(order))


def test_equal_skills_weigh_the_same_and_a_clear_lead_reaches_the_bound() -> None:
    assert bounded_weights([0.1] * 4, LOW, HIGH, 10.0) == pytest.approx([0.25] * 4)
    assert bounded_weights([0.4, 0.0, 0.0, 0.0], LOW, HIGH, 100.0)[0] == pytest.approx(0.35)
    assert bounded_weights([0.2], (0.15,), (0.35,), 10.0) == (1.0,)  # alone it is all there is


def test_one_that_leads_a_little_weighs_as_its_skill_says() -> None:
    """Within the bounds the ratio of two weights is e to the difference of skills times sharpness."""
    first, second, *_ = bounded_weights([0.02, 0.0, 0.0, 0.0], LOW, HIGH, 10.0)
    assert first / second == pytest.approx(math.exp(0.2), rel=1e-9)


@given(voters=VOTERS)
def test_the_decision_is_one_that_somebody_asked_for_or_none(
    voters: list[tuple[float, float]],
) -> None:
    total = sum(weight for _, weight in voters)
    exposures = [exposure for exposure, _ in voters]
    weights = [weight / total for _, weight in voters]
    counted = tally(exposures, weights, 0.6)
    agreeing = sum(
        weight
        for exposure, weight in zip(exposures, weights, strict=True)
        if side_of(exposure) == counted.side
    )
    assert counted.share == pytest.approx(agreeing)
    assert (counted.exposure is None) == (counted.share < 0.6)
    if counted.exposure is not None:
        assert counted.exposure in exposures
        assert side_of(counted.exposure) == counted.side


def test_two_against_two_abstain_and_three_against_one_decide() -> None:
    quarter = [0.25] * 4
    assert tally([0.0, 0.0, 1.0, 1.0], quarter, 0.6).exposure is None
    assert tally([0.0, 1.0, 1.0, 1.0], quarter, 0.6).exposure == 1.0
    assert tally([0.5, 1.0, 1.0, 0.0], quarter, 0.6).exposure == 1.0  # the median of its side


def test_the_confidence_is_the_mean_of_the_votes_by_weight() -> None:
    votes = (
        Vote("scalper", 1.0, 0.9, 0.35, agrees=True),
        Vote("intraday", 1.0, 0.6, 0.30, agrees=True),
        Vote("swing", 1.0, 0.7, 0.20, agrees=True),
        Vote("position", 0.0, 0.8, 0.15, agrees=False),
    )
    assert confidence_of(votes) == pytest.approx(
        0.35 * 0.9 + 0.30 * 0.6 + 0.20 * 0.7 + 0.15 * (1.0 - 0.8)
    )
