"""The kernel under the environment: its money, its rewards, its starts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting.account import CASH, FEES, PORTFOLIO_COLUMNS, QUANTITY
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import DataError
from adan_core.learning.backtest import run_targets
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.inference import REWARD_SCALE
from adan_core.learning.reward import REWARD_BOUND
from adan_core.learning.segments import Economics, Segment

CAPITAL = 10_000.0


def kernel_of(
    segment: Segment, copies: int = 8, length: int = 200, seed: int = 5
) -> EnvironmentKernel:
    kernel = EnvironmentKernel((segment,), copies, CAPITAL, length, seed)
    kernel.begin(np.ones(copies, dtype=np.bool_))
    return kernel


@given(seed=st.integers(0, 10_000), switch=st.floats(0.01, 1.0))
def test_log_equity_terms_sum_to_the_change_of_log_equity(
    segment: Segment, seed: int, switch: float
) -> None:
    kernel = kernel_of(segment, seed=seed)
    rng = np.random.default_rng(seed)
    targets = np.zeros(kernel.copies)
    total = np.zeros(kernel.copies)
    for _ in range(120):
        targets = np.where(rng.random(kernel.copies) < switch, rng.integers(0, 2, 8), targets)
        kernel.step(targets.astype(np.float64))
        total += kernel.terms.sum(axis=1)
    equity = np.array([kernel.equity(copy) for copy in range(kernel.copies)])
    np.testing.assert_allclose(total, np.log(equity / CAPITAL), rtol=0.0, atol=1e-12)


def test_the_learner_gets_the_terms_scaled_and_bounded(segment: Segment) -> None:
    kernel = kernel_of(segment)
    for _ in range(50):
        kernel.step(np.ones(kernel.copies))
        expected = np.clip(REWARD_SCALE * kernel.terms.sum(axis=1), -REWARD_BOUND, REWARD_BOUND)
        np.testing.assert_allclose(kernel.rewards, expected, rtol=1e-6, atol=1e-9)


def test_cost_term_is_what_the_fees_took(segment: Segment) -> None:
    kernel = kernel_of(segment, copies=1)
    kernel.step(np.ones(1))
    fees, equity = kernel.accounts[0, FEES], kernel.equity(0)
    assert fees > 0.0
    assert kernel.terms[0, 1] == pytest.approx(np.log(equity / (equity + fees)), abs=1e-15)
    kernel.step(np.ones(1))
    assert kernel.terms[0, 1] == 0.0


def test_environment_and_backtest_give_the_same_equity(
    simulated: CandleSeries, segment: Segment, economics: Economics
) -> None:
    rng = np.random.default_rng(3)
    targets = rng.choice([0.0, 0.5, 1.0], size=len(simulated) - 1)
    kernel = EnvironmentKernel((segment,), 1, CAPITAL, len(simulated), 0)
    kernel.begin_in_order()
    equity = [CAPITAL]
    for target in targets:
        kernel.step(np.array([target]))
        equity.append(kernel.equity(0))
    played = run_targets(simulated, targets, economics, CAPITAL)
    np.testing.assert_array_equal(np.array(equity), played.equity)


def test_the_observation_is_the_market_row_and_the_position(segment: Segment) -> None:
    kernel = kernel_of(segment, copies=4)
    width = segment.market.shape[1]
    assert kernel.observations.shape == (4, width + len(PORTFOLIO_COLUMNS))
    np.testing.assert_array_equal(kernel.observations[:, width], 1.0)  # all of it is cash
    np.testing.assert_array_equal(kernel.observations[:, width + 1 :], 0.0)
    kernel.step(np.array([1.0, 0.0, 1.0, 0.0]))
    rows = segment.market[kernel.place[:, 0]]
    np.testing.assert_array_equal(kernel.observations[:, :width], rows)
    cash, exposure = kernel.observations[:, width], kernel.observations[:, width + 1]
    assert exposure[0] == pytest.approx(1.0, abs=0.01)
    assert exposure[1] == 0.0
    np.testing.assert_allclose(cash + exposure, 1.0, rtol=1e-6)


def test_starts_cover_the_whole_period_and_episodes_reach_its_end(segment: Segment) -> None:
    kernel = EnvironmentKernel((segment,), 4_000, CAPITAL, 200, 1)
    kernel.begin(np.ones(4_000, dtype=np.bool_))
    starts, ends = kernel.place[:, 0], kernel.place[:, 2]
    assert starts.min() < 5
    assert ends.max() > len(segment) - 6
    assert ends.max() <= len(segment) - 1
    histogram, _ = np.histogram(starts, bins=10)
    assert histogram.min() > 300
    assert (ends - starts == 200).all()


def test_staggered_episodes_end_at_different_times(segment: Segment) -> None:
    kernel = EnvironmentKernel((segment,), 500, CAPITAL, 200, 1)
    kernel.begin(np.ones(500, dtype=np.bool_), stagger=True)
    lengths = kernel.place[:, 2] - kernel.place[:, 0]
    assert lengths.min() >= 1
    assert lengths.max() <= 200
    assert len(np.unique(lengths)) > 100


def test_segments_are_chosen_by_how_much_they_offer(segment: Segment) -> None:
    short, long = segment.part(0, 300), segment.part(300, 2_000)
    kernel = EnvironmentKernel((short, long), 4_000, CAPITAL, 100, 1)
    kernel.begin(np.ones(4_000, dtype=np.bool_))
    share = np.mean(kernel.place[:, 1] == 0)
    assert share == pytest.approx(200 / 1_800, abs=0.02)
    assert (kernel.place[kernel.place[:, 1] == 0, 2] <= 299).all()
    assert (kernel.place[kernel.place[:, 1] == 1, 0] >= 300).all()


def test_the_same_seed_is_the_same_luck(segment: Segment) -> None:
    first, second, other = (kernel_of(segment, copies=64, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.place, second.place)
    assert not np.array_equal(first.place, other.place)


def test_a_ruined_account_terminates_its_episode(economics: Economics) -> None:
    # The price falls by 70 % a candle without ever trading at the stop in between.
    close = np.array([1_000.0 * 0.3**age for age in range(6)])
    opens = np.concatenate([close[:1], close[:-1]])
    segment = Segment(
        opens, np.maximum(opens, close), np.minimum(opens, close), close,
        np.zeros((6, 1), dtype=np.float32), economics.unprotected(),
    )  # fmt: skip
    kernel = EnvironmentKernel((segment,), 1, CAPITAL, 5, 0)
    kernel.begin_in_order()
    ended = []
    for _ in range(4):
        kernel.step(np.ones(1))
        ended.append(bool(kernel.terminated[0]))
    assert ended == [False, True, True, True]
    assert not kernel.truncated[0]


def test_episodes_truncate_at_their_end(segment: Segment) -> None:
    kernel = kernel_of(segment, copies=2, length=3)
    flags = []
    for _ in range(3):
        kernel.step(np.zeros(2))
        flags.append(kernel.truncated.tolist())
    assert flags == [[False, False], [False, False], [True, True]]


def test_too_short_a_market_is_refused(segment: Segment) -> None:
    with pytest.raises(DataError, match="two candles"):
        EnvironmentKernel((segment.part(0, 1),), 1, CAPITAL, 10, 0)


def test_cash_and_position_are_all_there_is(segment: Segment) -> None:
    kernel = kernel_of(segment, copies=16)
    rng = np.random.default_rng(0)
    for _ in range(150):
        kernel.step(rng.integers(0, 2, 16).astype(np.float64))
        close: Any = segment.close[kernel.place[:, 0]]
        worth = kernel.accounts[:, CASH] + kernel.accounts[:, QUANTITY] * close
        equity = np.array([kernel.equity(copy) for copy in range(16)])
        np.testing.assert_allclose(worth, equity, rtol=1e-15)
