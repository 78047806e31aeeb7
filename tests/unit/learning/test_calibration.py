"""Confidence that means something: fitted on what paid, shrunk to chance, and counted afterwards."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

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

Floats = NDArray[np.float64]

SIZES = st.floats(0.0, 50.0)


MARGINS = st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=60)


def said(odds: MoveOdds, margins: Floats) -> Floats:
    return Calibration(odds, odds, 0.5, 0.0, (None,) * len(Regime), 1.0).paying_each(
        np.ones_like(margins), margins
    )


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
    """As models of before were calibrated, which go on deciding."""
    odds = MoveOdds(intercept, slope)
    known = Calibration(odds, odds, 0.5, 0.0, (None,) * len(Regime), 1.0)
    direction = 1.0 if up else -1.0
    less, more = sorted((first, second))
    assert 0.0 <= known.paying(direction, less) <= known.paying(direction, more) <= 1.0
    assert known.paying(direction, -more) <= known.paying(direction, -less)


@given(
    margins=MARGINS,
    seed=st.integers(0, 99),
    chance=st.floats(0.05, 0.95),
    weight=st.floats(0.001, 5.0),
)
def test_whatever_was_seen_a_larger_margin_is_never_less_sure(
    margins: list[float], seed: int, chance: float, weight: float
) -> None:
    seen = np.array(margins)
    paid = np.random.default_rng(seed).random(len(seen)) < 0.5
    asked = np.sort(np.concatenate((seen, np.linspace(-100.0, 100.0, 41))))
    odds = fit_odds(seen, paid, chance, weight)
    likely = said(odds, asked)
    assert (np.diff(likely) >= -1e-12).all()
    assert (likely > 0.0).all()
    assert (likely < 1.0).all()
    assert (np.diff(odds.margins) > 0.0).all()


@given(margins=MARGINS, seed=st.integers(0, 99), weight=st.floats(0.001, 5.0))
def test_what_is_said_of_all_lies_between_chance_and_what_happened(
    margins: list[float], seed: int, weight: float
) -> None:
    """Thirty votes of chance are added to those that were seen, and none is lost on the way."""
    seen = np.repeat(np.array(margins), 10)
    paid = np.random.default_rng(seed).random(len(seen)) < 0.6
    odds = fit_odds(seen, paid, 0.3, weight)
    votes = weight * len(seen)
    if votes < 24.0:  # one cell
        expected = (weight * paid.sum() + 30.0 * 0.3) / (votes + 30.0)
        assert said(odds, seen) == pytest.approx(np.full(len(seen), expected))
    least, most = sorted((0.3, float(paid.mean())))
    if odds.likely[0] == odds.likely[-1]:
        assert least - 1e-9 <= odds.likely[0] <= most + 1e-9


@given(seed=st.integers(0, 200), chance=st.floats(0.2, 0.8))
def test_margins_that_mean_nothing_leave_little_but_chance(seed: int, chance: float) -> None:
    """On 40 independent moves that pay by chance alone, nothing far from chance is said."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0.0, 3.0, 4_000)
    paid = np.repeat(rng.random(40) < chance, 100)  # overlapping horizons: each tells 100 times
    odds = fit_odds(margins, paid, chance, 0.01)
    assert np.abs(said(odds, margins) - chance).max() < 0.25


@given(
    truth=st.builds(MoveOdds, st.floats(-1.0, 1.0), st.floats(0.0, 1.0)), seed=st.integers(0, 99)
)
def test_what_is_calibrated_already_stays_as_it_is(truth: MoveOdds, seed: int) -> None:
    """Moves that pay just as often as some odds say are given those odds."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(0.0, 3.0, 5_000)
    likely = said(truth, margins)
    found = fit_odds(margins, rng.random(5_000) < likely, 0.5, 1.0)
    assert np.abs(said(found, margins) - likely).mean() < 0.05


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_margins_are_read_on_whatever_scale_a_network_has(scale: float) -> None:
    """Steep on one side and flat on the other, as networks are: no curve of a formula's own."""
    rng = np.random.default_rng(1)
    margins = rng.uniform(-20.0, 10.0, 20_000)
    likely = np.interp(margins, [-20.0, -8.0, 0.0, 10.0], [0.05, 0.3, 0.65, 0.7])
    found = fit_odds(margins * scale, rng.random(20_000) < likely, 0.5, 0.1)
    assert np.abs(said(found, margins * scale) - likely).mean() < 0.04


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
    margins = np.random.default_rng(seed).normal(0.0, 20.0, candles)
    found = fit_odds(margins, margins > 0.0, chance, weight)
    votes = weight * candles
    likely = said(found, np.array([-100.0, 0.0, 100.0]))
    assert np.abs(likely - chance).max() <= votes / (votes + 30.0) + 1e-9


def test_margins_that_mislead_are_not_followed() -> None:
    margins = np.linspace(-5.0, 5.0, 1_000)
    odds = fit_odds(margins, margins < 0.0, 0.5, 1.0)
    assert said(odds, margins) == pytest.approx(np.full(1_000, 0.5), abs=0.01)


@given(
    confidence=st.lists(st.floats(0.0, 1.0), max_size=30),
    seeds=st.integers(1, 3),
    data=st.data(),
)
def test_tables_joined_are_the_table_of_all(
    confidence: list[float], seeds: int, data: st.DataObject
) -> None:
    sure = np.array(confidence)
    right = np.array([data.draw(st.sampled_from([0.0, 1.0])) for _ in confidence])
    owner = np.array([data.draw(st.integers(0, seeds - 1)) for _ in confidence])
    parts = [reliability(sure[owner == one], right[owner == one]) for one in range(seeds)]
    whole, joined = reliability(sure, right), pooled(parts)
    assert joined.decisions == whole.decisions
    assert joined.expected_error == pytest.approx(whole.expected_error)
    for one, other in zip(joined.bins, whole.bins, strict=True):
        assert (one.lower, one.upper, one.count) == (other.lower, other.upper, other.count)
        assert one.confidence == pytest.approx(other.confidence)
        assert one.frequency == pytest.approx(other.frequency)


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
    start, stop = 2_000, 8_000
    part = segment(fresh.series, fresh.frame, normaliser, costs, start, stop)
    run_policy(fresh.series.slice(start, stop), part, witness, 10_000.0)
    found = witness.reliability()
    assert found.decisions > 5_900
    assert found.expected_error is not None
    assert found.expected_error < 0.1, found
    sure = [one for one in found.bins if one.confidence is not None and one.count > 200]
    if process != "random-walk":
        assert max(one.confidence or 0.0 for one in sure) > 0.6  # and it does say something
