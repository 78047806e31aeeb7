"""Confidence that means something: fitted on what paid, shrunk to chance, and counted afterwards."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.processes import PROCESSES
from adan_core.domain.market import Regime
from adan_core.learning.backtest import run_policy
from adan_core.learning.calibrating import calibrate
from adan_core.learning.calibration import (
    Calibration,
    MoveOdds,
    fit_odds,
    pays,
    pooled,
    reliability,
)
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.market import economics, feature_text, prepare, segment
from adan_core.learning.market import fit_normaliser as fitted
from adan_core.learning.member import Member
from adan_core.learning.witness import Witness
from tests.members import RULES, member_card, reader

SIZES = st.floats(0.0, 50.0)


@given(
    intercept=st.floats(-3.0, 3.0),
    slope=st.floats(0.0, 3.0),
    first=SIZES,
    second=SIZES,
    up=st.booleans(),
)
def test_a_larger_margin_is_never_less_sure(
    intercept: float, slope: float, first: float, second: float, *, up: bool
) -> None:
    odds = MoveOdds(intercept, slope)
    known = Calibration(odds, odds, 0.5, 0.0, (None,) * len(Regime), 1.0)
    direction = 1.0 if up else -1.0
    less, more = sorted((first, second))
    assert 0.0 <= known.paying(direction, less) <= known.paying(direction, more) <= 1.0
    assert known.paying(direction, -more) <= known.paying(direction, -less)


@given(seed=st.integers(0, 200), chance=st.floats(0.2, 0.8))
def test_margins_that_mean_nothing_leave_little_but_chance(seed: int, chance: float) -> None:
    """On 40 independent moves that pay by chance alone, nothing far from chance is said."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0.0, 3.0, 4_000)
    paid = np.repeat(rng.random(40) < chance, 100)  # overlapping horizons: each tells 100 times
    odds = fit_odds(margins, paid, chance, 0.01)
    for margin in (-3.0, 0.0, 3.0):
        said = 1.0 / (
            1.0
            + math.exp(
                -(odds.intercept + odds.slope * math.copysign(math.log1p(abs(margin)), margin))
            )
        )
        assert abs(said - chance) < 0.25
    assert odds.slope >= 0.0


def test_margins_that_mean_much_are_found_out() -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(0.0, 3.0, 20_000)
    scaled = np.copysign(np.log1p(np.abs(margins)), margins)
    truth = 1.0 / (1.0 + np.exp(-(0.3 + 0.9 * scaled)))
    odds = fit_odds(margins, rng.random(20_000) < truth, 0.45, 1.0)
    assert odds.intercept == pytest.approx(0.3, abs=0.06)
    assert odds.slope == pytest.approx(0.9, abs=0.06)


@given(
    truth=st.builds(MoveOdds, st.floats(-1.0, 1.0), st.floats(0.0, 1.0)), seed=st.integers(0, 99)
)
def test_what_is_calibrated_already_stays_as_it_is(truth: MoveOdds, seed: int) -> None:
    """Moves that pay just as often as some odds say are given those odds."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0.0, 3.0, 5_000)
    known = Calibration(truth, truth, 0.5, 0.0, (None,) * len(Regime), 1.0)
    likely = known.paying_each(np.ones(5_000), margins)
    found = fit_odds(margins, rng.random(5_000) < likely, 0.5, 1.0)
    again = Calibration(found, found, 0.5, 0.0, (None,) * len(Regime), 1.0)
    assert np.abs(again.paying_each(np.ones(5_000), margins) - likely).mean() < 0.04


@given(
    seed=st.integers(0, 99),
    chance=st.floats(0.05, 0.95),
    candles=st.integers(0, 200),
    weight=st.floats(1e-4, 0.01),
)
def test_the_fewer_it_has_seen_the_nearer_it_stays_to_chance(
    seed: int, chance: float, candles: int, weight: float
) -> None:
    """However sure the margins and whatever came of them, a vote or two move nobody far."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0.0, 20.0, candles)
    found = fit_odds(margins, margins > 0.0, chance, weight)
    base = math.log(chance / (1.0 - chance))
    known = Calibration(found, found, 0.5, 0.0, (None,) * len(Regime), 1.0)
    # Each vote pulls at the log-odds by its input at most, the prior back by 1 / 0.35 ** 2.
    most = weight * 0.35**2 * (candles + float(np.log1p(np.abs(margins)).sum()) * 10.0)
    for margin in (-100.0, 0.0, 100.0):
        said = known.paying(1.0, margin)
        assert abs(math.log(said / (1.0 - said)) - base) <= most + 1e-9
    if not candles:
        assert known.paying(1.0, 50.0) == pytest.approx(chance)


@given(
    confidence=st.lists(st.floats(0.0, 1.0), max_size=30),
    seeds=st.integers(1, 3),
    data=st.data(),
)
def test_tables_joined_are_the_table_of_all(
    confidence: list[float], seeds: int, data: st.DataObject
) -> None:
    said = np.array(confidence)
    right = np.array([data.draw(st.sampled_from([0.0, 1.0])) for _ in confidence])
    owner = np.array([data.draw(st.integers(0, seeds - 1)) for _ in confidence])
    parts = [reliability(said[owner == one], right[owner == one]) for one in range(seeds)]
    whole, joined = reliability(said, right), pooled(parts)
    assert joined.decisions == whole.decisions
    assert joined.expected_error == pytest.approx(whole.expected_error)
    for one, other in zip(joined.bins, whole.bins, strict=True):
        assert (one.lower, one.upper, one.count) == (other.lower, other.upper, other.count)
        assert one.confidence == pytest.approx(other.confidence)
        assert one.frequency == pytest.approx(other.frequency)


def test_margins_that_mislead_are_not_followed() -> None:
    margins = np.linspace(-5.0, 5.0, 1_000)
    odds = fit_odds(margins, margins < 0.0, 0.5, 1.0)
    assert odds.slope == 0.0
    assert odds.intercept == pytest.approx(0.0, abs=0.01)


def test_a_move_pays_if_the_price_makes_good_its_cost() -> None:
    assert pays(1.0, 0.0016, 0.0015)
    assert not pays(1.0, 0.0014, 0.0015)
    assert pays(-0.5, -0.0016, 0.0015)
    assert not pays(-0.5, 0.0016, 0.0015)


def test_the_table_counts_what_happened_at_each_confidence() -> None:
    found = reliability(
        np.array([0.05, 0.61, 0.65, 0.69, 1.0]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    )
    assert [one.count for one in found.bins] == [1, 0, 0, 0, 0, 0, 3, 0, 0, 1]
    assert found.bins[6].confidence == pytest.approx(0.65)
    assert found.bins[6].frequency == pytest.approx(2.0 / 3.0)
    assert found.expected_error == pytest.approx((0.05 + 3 * abs(0.65 - 2 / 3) + 0.0) / 5)
    assert reliability(np.array([]), np.array([])).expected_error is None


@given(seed=st.integers(0, 50))
def test_who_is_as_sure_as_he_is_right_has_hardly_an_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.random(20_000)
    right = (rng.random(20_000) < confidence).astype(np.float64)
    error = reliability(confidence, right).expected_error
    assert error is not None
    assert error < 0.03


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), (), {}).settings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "gain"),
    [("mean-reverting", -3.0), ("drift", 3.0), ("random-walk", 3.0), ("random-walk", -3.0)],
)
def test_out_of_sample_confidence_is_near_what_happens(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, process: str, gain: float
) -> None:
    """Readers of a distance from the mean, calibrated on one path's validation, tried on another."""
    home = locate(tmp_path_factory.mktemp("home"), {})
    spec = FeatureSet.parse(feature_text(settings, home), "features")
    timeframe = settings.market.timeframe
    ladder = settings.ladders[timeframe]
    columns = spec.columns(ladder)
    inputs = len(columns) + len(PORTFOLIO_COLUMNS)
    made = [PROCESSES[process].path("A/SIM", timeframe, seed, 24_000).series for seed in (1, 2)]
    known, fresh = (prepare(series, ladder, spec, settings) for series in made)
    normaliser = fitted((known,))
    costs = replace(economics(settings, "A/SIM").unprotected(), behaviour=())

    members = []
    for name, feature in (("scalper", "5m:mean_distance_12"), ("swing", "5m:mean_distance_96")):
        member = reader(member_card(name, 24), columns.index(feature), inputs, gain)
        period = known.split.validation
        part = segment(known.series, known.frame, normaliser, costs, period.start, period.stop)
        calibration = calibrate(member.network, (0.0, 1.0), 24, (part,), 10_000.0, RULES.cost_rate)
        card = replace(member.card, calibration=calibration)
        members.append(Member(card, member.network, member.columns))
    witness = Witness(EnsemblePolicy("two", tuple(members), RULES, inputs, timeframe.duration))
    start, stop = 2_000, 6_000
    part = segment(fresh.series, fresh.frame, normaliser, costs, start, stop)
    run_policy(fresh.series.slice(start, stop), part, witness, 10_000.0)
    found = witness.reliability()
    assert found.decisions > 3_900
    assert found.expected_error is not None
    assert found.expected_error < 0.1, found
    sure = [one for one in found.bins if one.confidence is not None and one.count > 200]
    if process != "random-walk":
        assert max(one.confidence or 0.0 for one in sure) > 0.6  # and it does say something
