"""What is said of chance, trials and dependence: known answers from the papers, and properties."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.learning.statistics import (
    Shape,
    TooFewError,
    block_length,
    bootstrap_interval,
    deflated_sharpe_ratio,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    shape_of,
    sharpe_of_rows,
    stationary_bootstrap,
    total_log_return,
)

# The worked example of Bailey & Lopez de Prado (2014): a strategy with an annualised ratio of 2.5 over
# 1250 daily returns (250 a year), skewness -3, kurtosis 10; the trials' annualised variance is 1/2.
PAPER = Shape(sharpe=2.5 / math.sqrt(250.0), observations=1250, skewness=-3.0, kurtosis=10.0)
VARIANCE = 0.5 / 250.0


def test_deflated_sharpe_ratio_is_the_papers_worked_example() -> None:
    assert expected_best_sharpe(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(PAPER, 100, VARIANCE) == pytest.approx(0.9004, abs=5e-4)
    assert deflated_sharpe_ratio(PAPER, 46, VARIANCE) == pytest.approx(0.9505, abs=5e-4)
    normal = Shape(PAPER.sharpe, PAPER.observations, 0.0, 3.0)
    assert deflated_sharpe_ratio(normal, 88, VARIANCE) == pytest.approx(0.9505, abs=1e-3)


def test_one_trial_deflates_nothing() -> None:
    assert deflated_sharpe_ratio(PAPER, 1, VARIANCE) == probabilistic_sharpe_ratio(PAPER)


@given(trials=st.integers(2, 10_000))
def test_more_trials_ask_for_more(trials: int) -> None:
    assert expected_best_sharpe(trials + 1, 0.01) > expected_best_sharpe(trials, 0.01) > 0.0


def test_the_expected_best_is_what_luck_shows() -> None:
    draws = np.random.default_rng(5).normal(0.0, 0.1, (20_000, 50)).max(axis=1)
    assert expected_best_sharpe(50, 0.01) == pytest.approx(
        draws.mean(), rel=0.02
    )  # an approximation


def test_a_track_record_of_minimum_length_is_just_sure_enough() -> None:
    shape = Shape(0.05, 100, -0.4, 5.0)
    enough = minimum_track_record(shape)
    longer = Shape(shape.sharpe, math.ceil(enough), shape.skewness, shape.kurtosis)
    assert probabilistic_sharpe_ratio(longer) == pytest.approx(0.95, abs=1e-3)
    assert minimum_track_record(Shape(-0.05, 100, 0.0, 3.0)) == math.inf


def test_moments_are_those_of_the_distribution() -> None:
    returns = np.random.default_rng(2).exponential(1.0, 400_000)
    shape = shape_of(returns)
    assert (shape.sharpe, shape.skewness) == pytest.approx((1.0, 2.0), rel=0.03)
    assert shape.kurtosis == pytest.approx(9.0, rel=0.1)


@pytest.mark.parametrize("returns", [np.zeros(50), np.full(50, 0.01), np.array([0.1, 0.2])])
def test_what_has_no_ratio_is_said_to_have_none(returns: np.ndarray) -> None:
    with pytest.raises(TooFewError):
        shape_of(returns)


@given(observations=st.integers(2, 200), length=st.floats(1.0, 30.0), seed=st.integers(0, 1_000))
def test_blocks_go_on_candle_by_candle(observations: int, length: float, seed: int) -> None:
    rows = stationary_bootstrap(observations, 20, length, np.random.default_rng(seed))
    assert rows.shape == (20, observations)
    assert ((rows >= 0) & (rows < observations)).all()


def test_mean_block_length_is_the_one_asked_for() -> None:
    rows = stationary_bootstrap(5_000, 40, 12.0, np.random.default_rng(1))
    going_on = (np.diff(rows, axis=1) % 5_000 == 1).mean()
    assert 1.0 / (1.0 - going_on) == pytest.approx(12.0, rel=0.05)


@pytest.mark.slow
def test_an_interval_holds_the_truth_as_often_as_it_says_even_under_dependence() -> None:
    """Blocks know of autocorrelation, single draws do not: theirs holds far too seldom."""
    generator = np.random.default_rng(3)
    held = alone = 0
    rounds = 150
    for _ in range(rounds):
        noise = generator.standard_normal(1_000)
        returns = np.empty(1_000)
        returns[0] = noise[0]
        for place in range(1, 1_000):
            returns[place] = 0.5 * returns[place - 1] + noise[place]
        found = bootstrap_interval(returns, total_log_return, generator, samples=300, level=0.9)
        held += found.lower <= 0.0 <= found.upper
        single = returns[generator.integers(0, 1_000, (300, 1_000))].sum(axis=1)
        alone += np.quantile(single, 0.05) <= 0.0 <= np.quantile(single, 0.95)
    assert held / rounds > 0.8
    assert alone / rounds < 0.75


def test_rows_that_do_not_vary_have_no_ratio_to_speak_of() -> None:
    ratios = sharpe_of_rows(np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.3]]))
    assert ratios.tolist() == pytest.approx([0.0, 2.0])
    assert block_length(1_000) == 10


def test_a_long_history_is_resampled_in_pieces_that_fit() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.01, 150_000)
    tracemalloc.start()
    try:
        found = bootstrap_interval(
            returns, total_log_return, np.random.default_rng(3), samples=24, level=0.5
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80e6
    assert found.lower < found.estimate < found.upper
