"""Environment steps a second: all copies at once, against one copy stepped from plain Python."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.features import FeatureSet
from adan_core.data.synthetic import SimulatedMarket
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.market import (
    economics,
    feature_text,
    fit_normaliser,
    ladder_of,
    prepare,
    segment,
)
from tests.benchmarks.rows import Reference, Row

_CANDLES = 20_000
_SECONDS = 2.0
_TIMES_PLAIN = 5.0
_FEE, _SLIPPAGE = 0.001, 0.0005


class PlainEnvironment(gymnasium.Env[NDArray[np.float32], np.int64]):
    """The usual trading environment: one account, Python arithmetic, fee and slippage, long or flat."""

    def __init__(self, close: NDArray[np.float64], features: NDArray[np.float32]) -> None:
        self._close, self._features = close, features
        shape = (features.shape[1] + 2,)
        self.observation_space = gymnasium.spaces.Box(-10.0, 10.0, shape, np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._at, self._cash, self._quantity, self._equity = 0, 10_000.0, 0.0, 10_000.0
        return self._observe(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        price = self._close[self._at]
        if action == 1 and self._quantity == 0.0:
            paid = price * (1 + _SLIPPAGE)
            self._quantity = self._cash / (paid * (1 + _FEE))
            self._cash = 0.0
        elif action == 0 and self._quantity > 0.0:
            self._cash = self._quantity * price * (1 - _SLIPPAGE) * (1 - _FEE)
            self._quantity = 0.0
        self._at += 1
        before = self._equity
        self._equity = self._cash + self._quantity * self._close[self._at]
        ended = self._at == len(self._close) - 1
        return self._observe(), float(np.log(self._equity / before)), False, ended, {}

    def _observe(self) -> NDArray[np.float32]:
        held = self._quantity * self._close[self._at] / self._equity
        account = (held, self._equity / 10_000.0 - 1.0)
        return np.concatenate((self._features[self._at], account), dtype=np.float32)


def environment_steps() -> Row:
    """Steps a second, copies summed, through the environment that training uses, random actions."""
    settings = load_settings(locate(Path("unused"), {})).settings
    learning = settings.learning
    symbol = settings.market.symbols[0]
    series = SimulatedMarket(
        symbol, settings.market.timeframe, settings.market.seed, settings.rules.tick_size
    ).candles(0, _CANDLES)
    spec = FeatureSet.parse(feature_text(settings, locate(Path("unused"), {})), settings.features)
    part = prepare(series, ladder_of(settings, series.timeframe), spec, settings)
    market = segment(
        series,
        part.frame,
        fit_normaliser((part,)),
        economics(settings, symbol),
        part.split.training.start,
        part.split.training.stop,
    )
    kernel = EnvironmentKernel(
        (market,),
        learning.copies,
        settings.account.starting_capital,
        learning.episode_length,
        seed=0,
    )
    batched = TradingVecEnv(kernel, learning.exposures)
    batched.reset()
    random = np.random.default_rng(0)
    actions = random.integers(0, len(learning.exposures), (64, learning.copies))
    turn = 0

    def step_all() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        batched.step(actions[turn])
        return learning.copies

    plain = PlainEnvironment(market.close, market.market)
    plain.reset()
    choices = list(actions[:, 0])

    def step_one() -> int:
        nonlocal turn
        turn = (turn + 1) % len(choices)
        if plain.step(choices[turn])[3]:
            plain.reset()
        return 1

    step_all()  # compiles, or reads what was compiled before
    theirs, ours = _rate(step_one), _rate(step_all)
    reference = Reference("one copy in plain Python", theirs)
    return Row(
        f"environment steps, {learning.copies} copies",
        ours,
        "steps/s",
        reference,
        _TIMES_PLAIN * theirs,
        smaller_is_better=False,
    )


def _rate(step: Callable[[], int]) -> float:
    """Return steps a second over a while of calling ``step``, which says how many it took."""
    steps, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < _SECONDS:
        for _ in range(50):
            steps += step()
    return steps / passed
