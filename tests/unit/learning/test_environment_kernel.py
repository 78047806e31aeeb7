"""The kernel under the environment: its money, its rewards, its starts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.accounting.account import (
    AVERAGE,
    CASH,
    EQUITY,
    FEES,
    LAST_HIT,
    PEAK,
    PORTFOLIO_COLUMNS,
    QUANTITY,
    REALISED,
)
from adan_core.accounting.purse import FEE_RATE, SLIPPAGE
from adan_core.accounting.sizing import BELOW_MINIMUM, BELOW_TIERS, NO_CASH
from adan_core.accounting.stops import NOT_HIT, STOP_LOSS_HIT, TAKE_PROFIT_HIT
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.learning.backtest import run_targets
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.inference import REWARD_SCALE
from adan_core.learning.market import economics, environment_options
from adan_core.learning.reward import REWARD_BOUND
from adan_core.learning.segments import Economics, Segment, aligned

CAPITAL = 10_000.0


def kernel_of(
    segment: Segment, copies: int = 8, length: int = 200, seed: int = 5
) -> EnvironmentKernel:
    kernel = EnvironmentKernel((segment,), copies, CAPITAL, length, seed)
    kernel.begin(np.ones(copies, dtype=np.bool_))
    return kernel


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(locate(Path("unused"), {})).settings


@given(seed=st.integers(0, 10_000), switch=st.floats(0.01, 1.0), wildness=st.floats(1.0, 30.0))
def test_log_equity_terms_sum_to_the_change_of_log_equity(
    simulated: CandleSeries, shipped: Settings, seed: int, switch: float, wildness: float
) -> None:
    # Stops, take-profits, dust below the minimum and ruin: the wilder the market, the more of each.
    segment = wild(simulated, shipped, wildness)
    kernel = EnvironmentKernel((segment,), 8, CAPITAL, 200, seed, environment_options(shipped, 1))
    kernel.begin(np.ones(8, dtype=np.bool_))
    rng = np.random.default_rng(seed)
    targets, total = np.zeros(8), np.zeros(8)
    for _ in range(190):
        drawn = rng.choice([0.0, 0.02, 0.4, 1.0, np.nan], size=8)
        targets = np.where(rng.random(8) < switch, drawn, targets)
        kernel.step(targets)
        total += kernel.log_returns
    expected = np.log(kernel.accounts[:, EQUITY] / CAPITAL)
    np.testing.assert_allclose(total, expected, rtol=1e-12, atol=1e-12)
    money = CAPITAL + kernel.accounts[:, REALISED] - kernel.accounts[:, FEES]
    held = kernel.accounts[:, QUANTITY] * (
        segment.close[kernel.place[:, 0]] - kernel.accounts[:, AVERAGE]
    )
    np.testing.assert_allclose(kernel.accounts[:, EQUITY], money + held, rtol=1e-9)


def wild(series: CandleSeries, settings: Settings, times: float) -> Segment:
    """Return the series with its moves so many times as large, as the settings let it be traded."""
    opens, highs, lows, closes = (
        np.exp(times * np.log(prices / series.close[0])) * series.close[0]
        for prices in (series.open, series.high, series.low, series.close)
    )
    regimes = np.arange(len(series)) // 50 % 6 - 1
    return Segment(
        opens,
        highs,
        lows,
        closes,
        np.zeros((len(series), 1), dtype=np.float32),
        economics(settings, "BTC/SIM"),
        regimes.astype(np.int8),
        0.5 + np.arange(len(series)) % 97 / 40.0,
    )


def test_wild_markets_stop_ruin_and_deny(simulated: CandleSeries, shipped: Settings) -> None:
    """The property above would say little if nothing of that happened."""
    options = environment_options(shipped, 1)
    kernel = EnvironmentKernel((wild(simulated, shipped, 30.0),), 64, 500.0, 1_000, 3, options)
    kernel.begin(np.ones(64, dtype=np.bool_))
    hits, ruined = set[float](), False
    for step in range(900):
        kernel.step(np.full(64, 1.0 if step % 7 else 0.03))
        hits |= set(kernel.accounts[:, LAST_HIT])
        ruined |= bool(kernel.terminated.any())
    assert hits == {NOT_HIT, STOP_LOSS_HIT, TAKE_PROFIT_HIT}
    assert ruined
    assert kernel.denials[BELOW_MINIMUM] > 0


def test_without_settings_the_learner_gets_money_alone_scaled_and_bounded(segment: Segment) -> None:
    kernel = kernel_of(segment)
    for _ in range(50):
        kernel.step(np.ones(kernel.copies))
        expected = np.clip(REWARD_SCALE * kernel.log_returns, -REWARD_BOUND, REWARD_BOUND)
        np.testing.assert_allclose(kernel.rewards, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(kernel.terms[:, 2:], 0.0)


def test_the_reward_adapts_to_what_each_copy_has_lived(segment: Segment, shipped: Settings) -> None:
    kernel = EnvironmentKernel((segment,), 2, CAPITAL, 200, 5, environment_options(shipped, 1))
    kernel.begin(np.ones(2, dtype=np.bool_))
    opened = kernel.arrays["reward_state"].copy()
    for _ in range(100):
        kernel.step(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(opened[0], opened[1])
    assert (kernel.terms[1, 2:] <= 0.0).all()
    assert not np.array_equal(kernel.arrays["reward_state"][0], kernel.arrays["reward_state"][1])
    kernel.begin(np.ones(2, dtype=np.bool_))
    np.testing.assert_array_equal(kernel.arrays["reward_state"], opened)


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


def purse_of(
    simulated: CandleSeries, shipped: Settings, seed: int = 0, copies: int = 6
) -> EnvironmentKernel:
    """Return copies that play three stretches of the market at once with one purse each pair."""
    parts = tuple(
        wild(simulated.slice(start, start + 600), shipped, 2.0) for start in (0, 600, 1_200)
    )
    options = EnvironmentOptions(reward=shipped.reward.as_tuple(), symbols=3)
    kernel = EnvironmentKernel(parts, copies, CAPITAL, 300, seed, options)
    kernel.begin(np.ones(copies, dtype=np.bool_))
    return kernel


@given(seed=st.integers(0, 10_000))
def test_the_shares_of_all_symbols_are_the_purse_s_whole_change(
    simulated: CandleSeries, shipped: Settings, seed: int
) -> None:
    kernel = purse_of(simulated, shipped, seed)
    rng = np.random.default_rng(seed)
    total = np.zeros(2)
    for _ in range(150):
        kernel.step(rng.choice([0.0, 0.3, 1.0, np.nan], size=6))
        total += kernel.log_returns.reshape(2, 3).sum(axis=1)
        for column in (CASH, EQUITY, PEAK):
            purse = kernel.accounts[:, column].reshape(2, 3)
            np.testing.assert_array_equal(purse, purse[:, :1].repeat(3, axis=1))
        assert (kernel.accounts[:, CASH] >= -1e-6).all()
    equity = kernel.accounts[::3, EQUITY]
    np.testing.assert_allclose(total, np.log(equity / CAPITAL), rtol=1e-12, atol=1e-12)


def test_symbols_of_a_purse_are_played_at_the_same_times_and_end_together(
    simulated: CandleSeries, shipped: Settings
) -> None:
    kernel = purse_of(simulated, shipped)
    offsets = kernel.place[:, 0] - 600 * kernel.place[:, 1]
    np.testing.assert_array_equal(kernel.place[:, 1], [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(offsets, offsets.reshape(2, 3)[:, :1].repeat(3, axis=1).ravel())
    for _ in range(300):
        kernel.step(np.zeros(6))
    assert kernel.truncated.all()


def test_a_purse_that_is_spent_denies_the_next_symbol(
    simulated: CandleSeries, shipped: Settings
) -> None:
    kernel = purse_of(simulated, shipped, copies=3)
    kernel.step(np.ones(3))
    held = kernel.accounts[:, QUANTITY] > 0.0
    np.testing.assert_array_equal(held[:2], [True, True])  # the behaviour engine left a little
    for _ in range(4):
        kernel.step(np.ones(3))
    assert (kernel.denied == NO_CASH).any()


def test_copies_that_do_not_fill_purses_are_refused(
    simulated: CandleSeries, shipped: Settings
) -> None:
    with pytest.raises(ConfigurationError, match="a multiple of 3"):
        purse_of(simulated, shipped, copies=4)


def test_segments_of_one_purse_must_be_aligned(segment: Segment) -> None:
    with pytest.raises(DataError, match="as many rows of each symbol"):
        EnvironmentKernel(
            (segment.part(0, 50), segment.part(0, 60)),
            2,
            CAPITAL,
            20,
            0,
            EnvironmentOptions(symbols=2),
        )


def test_aligned_segments_share_the_candles_they_have_in_common(segment: Segment) -> None:
    times = np.arange(len(segment)) * 300_000
    some = np.setdiff1d(np.arange(len(segment)), [3, 4, 700])
    first, second = aligned(
        (segment, segment.rows(some).part(10, 900)), (times, times[some][10:900])
    )
    np.testing.assert_array_equal(first.close, second.close)
    np.testing.assert_array_equal(first.close, segment.rows(some).close[10:900])
    with pytest.raises(DataError, match="0 candles that all 2 symbols have"):
        aligned((segment.part(0, 50), segment.part(50, 90)), (times[:50], times[50:90]))


def test_tiers_size_positions_by_the_equity_of_the_moment(
    simulated: CandleSeries, shipped: Settings
) -> None:
    learning = shipped.learning.model_copy(update={"sizing": "tiers"})
    settings = shipped.model_copy(update={"learning": learning})
    segment = wild(simulated, settings, 1.0)
    for capital, share in ((20.0, 0.75), (60.0, 0.375), (5_000.0, 0.15)):
        kernel = EnvironmentKernel((segment,), 1, capital, 100, 0)
        kernel.begin(np.ones(1, dtype=np.bool_))
        kernel.step(np.ones(1))
        bar = kernel.place[0, 0]
        held = kernel.accounts[0, QUANTITY] * segment.close[bar] / kernel.equity(0)
        assert held == pytest.approx(share, rel=0.16)
        exposure = kernel.observations[0, 1 + PORTFOLIO_COLUMNS.index("exposure")]
        assert exposure == pytest.approx(held / share, rel=1e-5)
    poor = EnvironmentKernel((segment,), 1, 10.0, 100, 0)
    poor.begin(np.ones(1, dtype=np.bool_))
    poor.step(np.ones(1))
    assert poor.denied[0] == BELOW_TIERS
    assert poor.accounts[0, QUANTITY] == 0.0


def test_noise_falls_on_the_market_columns_alone_as_wide_as_asked(segment: Segment) -> None:
    plain, noisy = (
        EnvironmentKernel(
            (segment,), 500, CAPITAL, 200, 4, EnvironmentOptions(observation_noise=noise)
        )
        for noise in (0.0, 0.5)
    )
    for kernel in (plain, noisy):
        kernel.begin(np.ones(500, dtype=np.bool_))
    np.testing.assert_array_equal(plain.place, noisy.place)
    added = noisy.observations - plain.observations
    width = segment.market.shape[1]
    np.testing.assert_array_equal(added[:, width:], 0.0)
    assert added[:, :width].mean() == pytest.approx(0.0, abs=0.06)
    assert added[:, :width].std() == pytest.approx(0.5, rel=0.08)


def test_costs_are_drawn_anew_for_each_episode_within_their_spread(segment: Segment) -> None:
    kernel = EnvironmentKernel(
        (segment,), 2_000, CAPITAL, 200, 4, EnvironmentOptions(cost_randomisation=0.4)
    )
    kernel.begin(np.ones(2_000, dtype=np.bool_))
    figures = kernel.arrays["figures"].astype(np.float64)
    for column, base in ((FEE_RATE, 0.001), (SLIPPAGE, 0.0005)):
        ratio = figures[:, column] / base
        assert 0.6 <= ratio.min() < 0.62
        assert 1.38 < ratio.max() <= 1.4
    assert abs(np.corrcoef(figures[:, FEE_RATE], figures[:, SLIPPAGE])[0, 1]) < 0.1
    kernel.begin(np.ones(2_000, dtype=np.bool_))
    assert (kernel.arrays["figures"][:, FEE_RATE] != figures[:, FEE_RATE]).mean() > 0.99


def test_all_luck_resumes_to_the_bit(segment: Segment, shipped: Settings) -> None:
    options = replace(
        environment_options(shipped, 1), observation_noise=0.1, cost_randomisation=0.2
    )
    rng = np.random.default_rng(0)
    plans = rng.choice([0.0, 1.0], size=(80, 16))

    def play(kernel: EnvironmentKernel, rows: NDArray[np.float64]) -> None:
        for targets in rows:
            kernel.step(targets)
            kernel.begin(kernel.terminated | kernel.truncated)

    whole = EnvironmentKernel((segment,), 16, CAPITAL, 15, 3, options)
    whole.begin(np.ones(16, dtype=np.bool_), stagger=True)
    play(whole, plans[:40])
    saved = {name: array.copy() for name, array in whole.arrays.items()}
    play(whole, plans[40:])
    again = EnvironmentKernel((segment,), 16, CAPITAL, 15, 99, options)
    for name, array in again.arrays.items():
        array[...] = saved[name]
    play(again, plans[40:])
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name], err_msg=name)


def test_the_first_and_the_last_candle_are_reached(segment: Segment) -> None:
    kernel = EnvironmentKernel((segment.part(0, 80),), 64, CAPITAL, 30, 1)
    seen = np.zeros(80, dtype=np.bool_)
    for _ in range(40):
        kernel.begin(np.ones(64, dtype=np.bool_))
        seen[kernel.place[:, 0]] = True
        while not kernel.truncated.all():
            kernel.step(np.zeros(64))
            seen[kernel.place[:, 0]] = True
        kernel.truncated[:] = False
    assert seen.all()


def test_to_stay_trades_nothing(segment: Segment) -> None:
    kernel = kernel_of(segment, copies=2)
    kernel.step(np.array([1.0, 0.0]))
    before = kernel.accounts[:, [QUANTITY, FEES]].copy()
    assert before[0, 0] > 0.0
    kernel.step(np.full(2, np.nan))
    np.testing.assert_array_equal(kernel.accounts[:, [QUANTITY, FEES]], before)
