"""The reward: money is in it whole, what shapes it is small, adapts slowly and cannot be farmed."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.reward_settings import Reward
from adan_core.domain.market import Regime
from adan_core.learning.inference import REWARD_SCALE
from adan_core.learning.reward import (
    COST_TERM,
    MARKET_TERM,
    REWARD_BOUND,
    REWARD_STATE,
    REWARD_TERMS,
    adaptive_reward,
    open_reward,
)

Floats = NDArray[np.float64]
DRAWDOWN, TURNOVER, INACTION, CONSISTENCY = range(2, 6)
RATE = 0.01
COST = 0.0015  # one side: fee and slippage
RNG = np.random.default_rng


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Reward:
    """Return the section as shipped."""
    home = locate(tmp_path_factory.mktemp("home"), {})
    return load_settings(home, (), {}).settings.reward


class Taught:
    """One account's equity with the rewards that it brings."""

    def __init__(self, settings: Reward | None) -> None:
        self.settings = np.empty(0) if settings is None else np.array(settings.as_tuple())
        self.state = np.empty(REWARD_STATE)
        open_reward(self.state)
        self.terms = np.empty(len(REWARD_TERMS))
        self.equity = self.peak = 1000.0

    def step(
        self,
        move: float,
        exposure: float,
        traded: float = 0.0,
        regime: int = -1,
        volatility: float = math.nan,
        fee: float = 0.001,
    ) -> float:
        """Trade ``traded`` of equity, hold ``exposure`` through a log-return of ``move``."""
        before = self.equity
        fees = before * traded * fee
        after = before * (1.0 + exposure * math.expm1(move)) - fees
        fallen, self.equity = 1.0 - before / self.peak, after
        self.peak = max(self.peak, after)
        return adaptive_reward(
            self.state,
            self.settings,
            before,
            after,
            fees,
            before * traded,
            fallen,
            1.0 - after / self.peak,
            exposure,
            regime,
            volatility,
            self.terms,
        )


MOVES = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=60)


@given(moves=MOVES, seed=st.integers(0, 1000), shaped=st.booleans())
def test_market_and_costs_sum_to_the_change_of_log_equity(
    shipped: Reward, moves: list[float], seed: int, shaped: bool
) -> None:
    taught, rng = Taught(shipped if shaped else None), RNG(seed)
    begun, total = taught.equity, 0.0
    for move in moves:
        taught.step(move, rng.random(), rng.random(), int(rng.integers(-1, 5)), 2 * rng.random())
        total += taught.terms[MARKET_TERM] + taught.terms[COST_TERM]
    assert total == pytest.approx(math.log(taught.equity / begun), abs=1e-12)


@given(moves=MOVES, seed=st.integers(0, 1000))
def test_the_reward_is_its_terms_scaled_and_bounded_and_shaping_only_takes(
    shipped: Reward, moves: list[float], seed: int
) -> None:
    taught, rng = Taught(shipped), RNG(seed)
    for move in moves:
        reward = taught.step(
            3 * move, rng.random(), rng.random(), int(rng.integers(5)), rng.random()
        )
        bound = shipped.bound * REWARD_SCALE
        assert reward == pytest.approx(min(max(REWARD_SCALE * taught.terms.sum(), -bound), bound))
        assert (taught.terms[DRAWDOWN:] <= 0.0).all()
        assert taught.terms[COST_TERM] <= 0.0


def test_without_settings_the_reward_is_money_alone() -> None:
    taught = Taught(None)
    for move in (0.01, -0.03, 0.002):
        reward = taught.step(move, 1.0)
        assert reward == pytest.approx(REWARD_SCALE * move)
        np.testing.assert_array_equal(taught.terms[DRAWDOWN:], 0.0)
    assert taught.step(-5.0, 1.0) == -REWARD_BOUND


@given(moves=MOVES, seed=st.integers(0, 1000))
def test_weights_move_a_hundredth_of_the_way_and_stay_within_their_bounds(
    shipped: Reward, moves: list[float], seed: int
) -> None:
    taught, rng = Taught(shipped), RNG(seed)
    for move in moves:
        before = taught.state[-4:].copy()
        taught.step(move, 1.0, 0.0, int(rng.integers(-1, 5)), 4 * rng.random())
        now = taught.state[-4:]
        assert (np.abs(now - before) <= RATE * (shipped.highest - shipped.lowest) + 1e-12).all()
        assert (now >= shipped.lowest).all()
        assert (now <= shipped.highest).all()


def test_after_a_hundred_candles_of_a_crisis_two_thirds_of_the_change_are_made(
    shipped: Reward,
) -> None:
    taught = Taught(shipped)
    for _ in range(100):
        taught.step(0.0, 0.0, regime=4, volatility=1.0)
    wanted = np.array(shipped.regimes.crisis.as_tuple())
    done = (taught.state[-4:] - 1.0) / (wanted - 1.0)
    np.testing.assert_allclose(done, 1.0 - 0.99**100, rtol=1e-9)


def test_regime_volatility_and_performance_each_move_the_weights(shipped: Reward) -> None:
    def weights(regime: int, volatility: float, move: float) -> tuple[float, ...]:
        taught, rng = Taught(shipped), RNG(3)
        for _ in range(300):
            taught.step(move + 0.001 * rng.standard_normal(), 1.0, 0.0, regime, volatility)
        return tuple(taught.state[-4:].tolist())

    assert len({weights(place, 1.0, 0.0) for place in range(len(Regime))}) == len(Regime)
    calm, wild = weights(2, 0.5, 0.0), weights(2, 2.0, 0.0)
    winning, losing = weights(2, 1.0, 0.001), weights(2, 1.0, -0.001)
    for term in (0, 1, 3):  # drawdown, turnover, consistency: harder in wild markets, after losses
        assert wild[term] > calm[term]
        assert losing[term] > winning[term]
    assert wild[2] < calm[2]  # and idleness is excused there
    assert losing[2] < winning[2]


def test_an_episode_pays_for_its_deepest_drawdown_once(shipped: Reward) -> None:
    taught, total = Taught(shipped), 0.0
    for move in (0.05, -0.10, 0.08, -0.06, -0.05, 0.20, -0.03):
        taught.step(move, 1.0)
        total += taught.terms[DRAWDOWN]
    # No regime and no volatility known: the weight strays by what performance does in seven candles.
    assert total == pytest.approx(-shipped.drawdown * (1.0 - math.exp(-0.13)), rel=0.05)


def test_flat_from_the_beginning_is_given_nothing(shipped: Reward) -> None:
    taught = Taught(shipped)
    for regime, volatility in product(range(-1, 5), (math.nan, 0.2, 1.0, 5.0)):
        assert taught.step(0.01, 0.0, 0.0, regime, volatility) == 0.0


def test_inaction_costs_while_the_account_has_been_earning_and_is_forgiven_after(
    shipped: Reward,
) -> None:
    taught, rng = Taught(shipped), RNG(1)
    for _ in range(200):
        taught.step(0.001 + 0.002 * rng.standard_normal(), 1.0, regime=0)
        assert taught.terms[INACTION] == 0.0  # nothing is idle
    taught.step(0.0, 0.0)
    fresh = taught.terms[INACTION]
    taught.step(0.0, 0.5)
    assert fresh < taught.terms[INACTION] < 0.0  # half of it is idle
    for _ in range(400):
        taught.step(0.0, 0.0)
    assert taught.terms[INACTION] == 0.0  # earlier gains are no longer beyond luck


def test_no_luck_on_a_random_walk_makes_idling_dearer_than_a_trade(shipped: Reward) -> None:
    rng = RNG(8)
    for _ in range(40):
        taught, idle = Taught(shipped), 0.0
        for move in 0.005 * rng.standard_normal(200):
            taught.step(move, 1.0, 0.0, 0, 0.5)
        for _ in range(600):
            taught.step(0.0, 0.0, 0.0, 0, 0.5)
            idle += taught.terms[INACTION]
        assert -2 * COST < idle <= 0.0


# One rule for each way an agent might try to be paid without earning: position at each close.
def _always(moves: Floats, _rng: np.random.Generator) -> Floats:
    return np.ones(len(moves))


def _never(moves: Floats, _rng: np.random.Generator) -> Floats:
    return np.zeros(len(moves))


def _half(moves: Floats, _rng: np.random.Generator) -> Floats:
    return np.full(len(moves), 0.5)


def _seldom(moves: Floats, rng: np.random.Generator) -> Floats:
    return np.repeat(rng.integers(0, 2, len(moves) // 200 + 1), 200)[: len(moves)].astype(float)


def _often(moves: Floats, rng: np.random.Generator) -> Floats:
    return rng.integers(0, 2, len(moves)).astype(float)


def _after_gains(moves: Floats, _rng: np.random.Generator) -> Floats:
    smooth = np.convolve(moves, np.full(100, 0.01))[: len(moves)]
    return np.concatenate(([0.0], (smooth[:-1] > 0.0).astype(float)))


def _after_losses(moves: Floats, rng: np.random.Generator) -> Floats:
    return np.concatenate(([0.0], 1.0 - _after_gains(moves, rng)[1:]))


Rule = Callable[[Floats, np.random.Generator], Floats]
RULES: tuple[Rule, ...] = (_always, _never, _half, _seldom, _often, _after_gains, _after_losses)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.strip("_"))
def test_no_rule_is_paid_for_a_random_walk(shipped: Reward, rule: Rule) -> None:
    rng = RNG(17)
    gained, shaped = [], []
    for _ in range(40):
        # A martingale in money: what is expected of a candle, not of its logarithm, is nothing.
        moves = 0.005 * rng.standard_normal(500) - 0.5 * 0.005**2
        held, taught, before = rule(moves, rng), Taught(shipped), 0.0
        money = shaping = 0.0
        for move, exposure in zip(moves, held, strict=True):
            taught.step(move, exposure, abs(exposure - before), 2, 1.0, COST)
            before = exposure
            money += taught.terms[:DRAWDOWN].sum()
            shaping += taught.terms[DRAWDOWN:].sum()
        gained.append(money)
        shaped.append(shaping)
    noise = float(np.std(gained)) / math.sqrt(len(gained))
    assert np.mean(gained) + np.mean(shaped) <= 2.0 * noise
    assert max(shaped) <= 0.0
    if rule is _never:
        assert gained == shaped == [0.0] * 40
    else:
        assert np.mean(shaped) < 0.0  # whatever is done costs more than it would without shaping


def _changed(section: Reward) -> dict[str, Reward]:
    """Return the section with one key changed, for each of its keys."""
    found: dict[str, Reward] = {}
    for name in type(section).model_fields:
        if name == "regimes":
            for regime in type(section.regimes).model_fields:
                own: Any = getattr(section.regimes, regime)
                for term in type(own).model_fields:
                    other = own.model_copy(update={term: 1.3 * getattr(own, term)})
                    regimes = section.regimes.model_copy(update={regime: other})
                    found[f"{regime}.{term}"] = section.model_copy(update={"regimes": regimes})
        else:
            moved = {name: 0.7 * getattr(section, name)}
            found[name] = section.model_copy(update=moved)
    return found


def test_every_key_has_an_effect(shipped: Reward) -> None:
    assert len(shipped.as_tuple()) == 10 + 5 * 4
    # Bounds within reach of the multipliers, so that they are seen at work.
    narrow = shipped.model_copy(update={"lowest": 0.9, "highest": 1.1})

    def rewards(section: Reward) -> Floats:
        found = []
        for regime in range(len(Regime)):
            taught, rng = Taught(section), RNG(2)
            for candle in range(60):
                move = 0.004 + 0.002 * rng.standard_normal() if candle < 50 else -0.004
                found.append(taught.step(move, 0.5, candle % 7 / 10.0, regime, 1.5))
            found.append(taught.step(0.5, 1.0))
        return np.array(found)

    ordinary, bounded = rewards(shipped), rewards(narrow)
    for name, section in _changed(shipped).items():
        assert (rewards(section) != ordinary).any() or name in {"lowest", "highest"}, name
    for name in ("lowest", "highest"):
        other = narrow.model_copy(update={name: {"lowest": 0.8, "highest": 1.2}[name]})
        assert (rewards(other) != bounded).any(), name
