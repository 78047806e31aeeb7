"""A proof is judged by what was asked for, kept until the code changes, and tested on unseen paths."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.processes import PROCESSES
from adan_core.learning import proof_run
from adan_core.learning.calibration import Reliability, reliability
from adan_core.learning.proof import (
    PROOF_SCHEMA_VERSION,
    Outing,
    ProofTask,
    SeedProof,
    proof_settings,
)
from adan_core.learning.proof_bench import BenchSize, Reference, bench_seeds, training_seeds
from adan_core.learning.proof_confidence import Confidence
from adan_core.learning.proof_run import ProofShelf
from adan_core.learning.proof_verdict import MarketProof, judge_market
from adan_core.learning.statistics import Shape

SETTINGS, FEATURES = proof_settings(locate(Path("unused"), {}), ())
REFERENCE = Reference(
    candles=500_000,
    attainable=0.1,
    attainable_error=0.001,
    promised=0.1,
    oracle=0.12,
    buy_and_hold=0.001,
    orders=14.0,
)


def said(confidence: float, frequency: float, decisions: int) -> Reliability:
    """Return the table of so many decisions, all equally sure and right so often."""
    right = (np.arange(decisions) < frequency * decisions).astype(np.float64)
    return reliability(np.full(decisions, confidence), right)


NOTHING = replace(REFERENCE, attainable=0.0, promised=0.0, oracle=0.0, orders=0.0)
GOOD = Outing(
    candles=500_000,
    net=0.095,
    stressed=0.08,
    stressed_buy_and_hold=0.0,
    orders=14.0,
    trades=3_500,
    exposure=0.5,
    costs=0.02,
    drawdown=0.1,
    largest_share=0.55,
    saturated=False,
    luck=0.001,
    luck_error=0.001,
    shape=Shape(sharpe=0.03, observations=500_000, skewness=0.0, kurtosis=3.0),
    confidence=Confidence(said(0.6, 0.62, 5_000), said(0.65, 0.6, 500)),
)
IDLE = replace(
    GOOD,
    net=0.0,
    stressed=0.0,
    orders=0.0,
    trades=0,
    exposure=0.0,
    costs=0.0,
    drawdown=0.0,
    largest_share=1.0,
    saturated=True,
    luck=0.0,
    luck_error=0.0,
    shape=None,
    confidence=Confidence(said(0.51, 0.5, 5_000), said(0.5, 0.5, 0)),
)


def seed_of(number: int, tested: Outing, reference: Reference = REFERENCE) -> SeedProof:
    return SeedProof(
        schema_version=PROOF_SCHEMA_VERSION,
        market="mean-reverting",
        seed=number,
        steps=1_000,
        seconds=20.0,
        processor_seconds=20.0,
        selected_at=1_000,
        validation_score=0.1,
        reference=reference,
        tested=tested,
    )


def judged(*tested: Outing, reference: Reference = REFERENCE) -> MarketProof:
    seeds = [seed_of(number, one, reference) for number, one in enumerate(tested)]
    return judge_market(seeds, SETTINGS.gates, leak_free=True)


def missed(market: MarketProof) -> list[str]:
    return [requirement.name for requirement in market.requirements if not requirement.met]


def test_five_good_seeds_prove_a_market() -> None:
    market = judged(*[GOOD] * 5)
    assert market.met
    assert market.shares == pytest.approx([0.95] * 5)


def test_the_median_seed_must_reach_nine_tenths() -> None:
    fair = replace(GOOD, net=0.085)
    assert missed(judged(GOOD, GOOD, fair, fair, fair)) == ["median seed"]


def test_no_seed_may_fall_below_four_fifths() -> None:
    assert missed(judged(GOOD, GOOD, GOOD, GOOD, replace(GOOD, net=0.079))) == ["worst seed"]


def test_a_seed_that_learns_for_more_than_a_minute_is_too_slow() -> None:
    seeds = [seed_of(1, GOOD), seed_of(2, GOOD), replace(seed_of(3, GOOD), processor_seconds=61.0)]
    assert missed(judge_market(seeds, SETTINGS.gates, leak_free=True)) == [
        "slowest seed, processor time"
    ]


def test_gates_must_accept_what_is_good_and_see_what_is_not() -> None:
    leaking = judge_market([seed_of(n, GOOD) for n in range(5)], SETTINGS.gates, leak_free=False)
    assert missed(leaking) == ["gates"]
    assert [gate.name for gate in leaking.gates.failed] == ["leak check"]


def test_idle_seeds_prove_a_random_walk_and_the_gates_refuse_them() -> None:
    market = judged(*[IDLE] * 5, reference=NOTHING)
    assert market.met
    assert not market.learnable
    assert not market.gates.passed


def test_one_busy_seed_on_a_random_walk_is_one_too_many() -> None:
    market = judged(*[IDLE] * 4, replace(IDLE, orders=1.01), reference=NOTHING)
    assert missed(market) == ["orders per 1000 candles, busiest seed"]


def test_on_a_random_walk_a_result_that_its_exposure_and_costs_do_not_explain_is_suspect() -> None:
    market = judged(*[IDLE] * 4, replace(IDLE, luck=0.0021, luck_error=0.001), reference=NOTHING)
    assert missed(market) == ["net minus exposure times buy and hold, beyond costs"]


def sure(decisions: Reliability, moves: Reliability) -> Outing:
    return replace(GOOD, confidence=Confidence(decisions, moves))


def test_one_seed_whose_confidence_means_nothing_is_one_too_many() -> None:
    boaster = sure(said(0.8, 0.69, 5_000), said(0.65, 0.6, 500))
    market = judged(*[GOOD] * 4, boaster)
    assert missed(market) == ["calibration error, worst seed"]
    assert market.calibration_errors == pytest.approx([0.02] * 4 + [0.11])


def test_moves_are_held_to_their_confidence_where_there_are_enough_of_them() -> None:
    """Many decisions to stay, each nearly right, must not hide what is said of the few moves."""
    boaster = sure(said(0.6, 0.62, 5_000), said(0.9, 0.6, 500))
    assert missed(judged(*[GOOD] * 4, boaster)) == ["calibration error of moves alone, worst seed"]
    few = sure(said(0.6, 0.62, 5_000), said(0.9, 0.6, 499))
    market = judged(*[few] * 5)
    assert market.met
    [moves] = [one for one in market.requirements if one.name.startswith("calibration error of")]
    assert moves.found.startswith("N/A: 499 moves")


def test_confidence_of_which_nothing_could_be_seen_proves_nothing() -> None:
    blind = sure(said(0.6, 0.6, 0), said(0.6, 0.6, 0))
    market = judged(*[GOOD] * 4, blind)
    assert missed(market) == ["calibration error, worst seed"]


def test_the_seeds_tables_make_one() -> None:
    market = judged(GOOD, sure(said(0.7, 0.9, 5_000), said(0.65, 0.6, 500)))
    found = market.confidence.decisions
    assert found.decisions == 10_000
    full = [one for one in found.bins if one.count]
    assert [one.count for one in full] == [5_000, 5_000]
    assert [one.frequency for one in full] == pytest.approx([0.62, 0.9])
    assert found.expected_error == pytest.approx(0.11)


def test_no_two_seeds_and_no_test_share_a_path() -> None:
    size = BenchSize()
    for market in PROCESSES:
        seeds = [
            *(one for seed in range(1, 6) for one in training_seeds(market, seed)),
            *bench_seeds(market, size, rehearsal=False),
            *bench_seeds(market, size, rehearsal=True),
        ]
        assert len(set(seeds)) == len(seeds)


@pytest.fixture
def task() -> ProofTask:
    return ProofTask(
        market="drift",
        seed=2,
        steps=1_000,
        settings=SETTINGS,
        features=FEATURES,
        size=BenchSize(),
        rehearsal=True,
    )


def test_what_was_proved_lies_on_the_shelf_until_anything_changes(
    task: ProofTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = ProofShelf(tmp_path)
    proof = seed_of(2, GOOD)
    assert shelf.find(task) is None
    shelf.keep(task, proof)
    assert shelf.find(task) == proof
    learning = SETTINGS.learning.model_copy(update={"gamma": 0.5})
    other: Settings = SETTINGS.model_copy(update={"learning": learning})
    for changed in (
        replace(task, settings=other),
        replace(task, rehearsal=False),
        replace(task, seed=3),
        replace(task, steps=2_000),
        replace(task, size=BenchSize(accounts=1)),
    ):
        assert shelf.find(changed) is None
    shelf.path(task).write_text("{}")
    assert shelf.find(task) is None
    shelf.keep(task, proof)
    monkeypatch.setattr(proof_run, "learning_version", lambda: "another")
    assert shelf.find(task) is None
