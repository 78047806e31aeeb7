"""The environment under gymnasium's and Stable-Baselines3's own checkers, and their contract."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError
from adan_core.domain.market import Costs, MarketRules
from adan_core.learning.actions import exposures_of
from adan_core.learning.environment import TradingEnvironment, TradingVecEnv
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.segments import Economics, Segment

EXPOSURES = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def series() -> CandleSeries:
    return SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 3).candles(0, 1_000)


@pytest.fixture(scope="module")
def segment(series: CandleSeries) -> Segment:
    moves = np.diff(np.log(series.close), prepend=np.log(series.close[0]))
    return Segment(
        series.open,
        series.high,
        series.low,
        series.close,
        (100.0 * moves[:, None]).astype(np.float32),
        Economics(
            1.0,
            0.1,
            Costs(0.001, 0.0005),
            MarketRules("BTC/SIM", "BTC", "SIM", 1e-5, 0.01, 1e-5, 10.0),
            0.05,
            0.10,
        ),
    )


KINDS: dict[str, tuple[dict[str, Any], tuple[float, ...], float | None]] = {
    "discrete": ({}, EXPOSURES, None),
    "discrete, one purse for three": ({"symbols": 3}, EXPOSURES, None),
    "continuous": ({}, EXPOSURES, 0.25),
    "continuous, one purse for three": ({"symbols": 3}, EXPOSURES, 0.25),
    "long and short": ({}, (-1.0, 0.0, 1.0), None),
    "continuous, long and short": ({}, (-1.0, 0.0, 1.0), 0.25),
    "noise and dearer costs": (
        {"observation_noise": 0.1, "cost_randomisation": 0.5},
        EXPOSURES,
        None,
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, segment: Segment) -> TradingEnvironment:
    words, exposures, dead_band = KINDS[request.param]
    either_way = replace(segment, economics=replace(segment.economics, short=True))
    options = EnvironmentOptions(**words)
    parts = tuple(
        either_way.part(300 * place, 300 * place + 300) for place in range(options.symbols)
    )
    return TradingEnvironment(parts, exposures, 10_000.0, 50, options=options, dead_band=dead_band)


def test_both_checkers_are_content(kind: TradingEnvironment) -> None:
    gymnasium_check(kind, skip_render_check=True)
    sb3_check(kind, warn=True)


def test_actions_that_are_numbers_reach_flat_and_both_ends() -> None:
    actions = np.array([-1.0, -0.6, -0.1, 0.0, 0.2, 0.6, 1.0], dtype=np.float32)
    np.testing.assert_allclose(
        exposures_of(actions, 0.0, 1.0, 0.25), [0.0, 0.0, 0.45, 0.5, 0.6, 1.0, 1.0], atol=1e-7
    )
    np.testing.assert_allclose(
        exposures_of(actions, -1.0, 1.0, 0.25), [-1.0, -0.6, 0.0, 0.0, 0.0, 0.6, 1.0], atol=1e-7
    )


def test_a_short_needs_leave(segment: Segment) -> None:
    with pytest.raises(ConfigurationError, match=r"account\.short"):
        TradingEnvironment((segment,), (-1.0, 0.0, 1.0), 10_000.0, 50)


def test_what_could_not_be_done_is_said(segment: Segment) -> None:
    dear = replace(segment.economics.rules, minimum_notional=6_000.0)
    costly = replace(segment, economics=replace(segment.economics, rules=dear))
    environment = TradingEnvironment((costly,), EXPOSURES, 10_000.0, 50)
    environment.reset(seed=1)
    said = [environment.step(np.int64(action))[4]["denied"] for action in (0, 1, 2)]
    assert said == [("",), ("below the venue's minimum",), ("",)]
    many = TradingVecEnv(EnvironmentKernel((costly,), 4, 10_000.0, 50, 0), EXPOSURES)
    many.reset()
    for _ in range(5):
        many.step(np.array([0, 1, 1, 2]))
    assert many.denied == {"below the venue's minimum": 10}


def test_an_episode_tells_its_equity_and_terms(segment: Segment) -> None:
    environment = TradingEnvironment((segment,), EXPOSURES, 10_000.0, 50, seed=1)
    _, info = environment.reset(seed=4)
    total, steps, ended = 0.0, 0, False
    while not ended:
        _, _, terminated, truncated, info = environment.step(np.int64(steps % 3))
        total += info["terms"]["market"] + info["terms"]["costs"]
        steps += 1
        ended = terminated or truncated
    assert steps == 50
    assert total == pytest.approx(np.log(info["equity"] / 10_000.0), abs=1e-12)


def test_fewer_than_two_exposures_are_no_choice(segment: Segment) -> None:
    with pytest.raises(ConfigurationError, match="two discrete targets"):
        TradingEnvironment((segment,), (1.0,), 10_000.0, 50)


def batch(segment: Segment, copies: int = 6, length: int = 20) -> TradingVecEnv:
    kernel = EnvironmentKernel((segment,), copies, 10_000.0, length, 0)
    return TradingVecEnv(kernel, EXPOSURES)


def test_one_copy_of_the_batch_is_the_single_environment(segment: Segment) -> None:
    single = TradingEnvironment((segment,), EXPOSURES, 10_000.0, 400)
    many = batch(segment, copies=1, length=400)
    many.seed(9)
    first = many.reset()
    single.reset(seed=9)
    single._kernel.place[:] = many.kernel.place
    single._kernel.observations[:] = first
    rng = np.random.default_rng(1)
    for _ in range(int(many.kernel.place[0, 2] - many.kernel.place[0, 0]) - 1):
        action = rng.integers(0, 3)
        one = single.step(np.int64(action))
        all_of_them = many.step(np.array([action]))
        np.testing.assert_array_equal(one[0], np.asarray(all_of_them[0])[0])
        assert one[1] == all_of_them[1][0]


def test_ended_copies_hand_over_their_last_observation_and_begin_again(segment: Segment) -> None:
    environment = batch(segment)
    observations = environment.reset()
    ended = 0
    for _ in range(60):
        ends = environment.kernel.place[:, 2].copy()
        at = environment.kernel.place[:, 0] + 1
        observations, _, done, infos = environment.step(np.full(6, 2))  # type: ignore[assignment]
        np.testing.assert_array_equal(done, at >= ends)
        for copy in np.flatnonzero(done):
            ended += 1
            info = infos[copy]
            assert info["TimeLimit.truncated"] is True
            last = info["terminal_observation"]
            assert last[0] == segment.market[ends[copy], 0]
            assert last[1 + PORTFOLIO_COLUMNS.index("exposure")] > 0.5  # it still held its position
            assert (
                observations[copy, 1 + PORTFOLIO_COLUMNS.index("exposure")] == 0.0
            )  # the next episode begins flat
            assert environment.kernel.equity(int(copy)) == 10_000.0
        for copy in np.flatnonzero(~done):
            assert infos[copy] == {}
    assert ended > 10
    assert environment.mean_reward is not None


def test_what_is_returned_is_not_overwritten_by_the_next_step(segment: Segment) -> None:
    environment = batch(segment)
    kept = environment.reset()
    before = kept.copy()
    observations, rewards, done, _ = environment.step(np.full(6, 2))
    returned = [np.asarray(one) for one in (observations, rewards, done)]
    saved = [one.copy() for one in returned]
    for _ in range(25):
        environment.step(np.zeros(6, dtype=np.int64))
    np.testing.assert_array_equal(kept, before)
    for one, then in zip(returned, saved, strict=True):
        np.testing.assert_array_equal(one, then)


def test_copies_have_neither_methods_nor_attributes_of_their_own(segment: Segment) -> None:
    environment = batch(segment, copies=2)
    assert environment.get_attr("num_envs") == [2, 2]
    assert environment.env_is_wrapped(object) == [False, False]  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        environment.set_attr("x", 1)
    with pytest.raises(AttributeError):
        environment.env_method("render")
    environment.close()
