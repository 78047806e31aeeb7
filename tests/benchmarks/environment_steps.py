"""Environment steps a second: all copies at once, against plain Python and against long histories."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.market import economics, environment_options
from adan_core.learning.segments import Segment
from tests.benchmarks.rows import Reference, Row

_COPIES, _COLUMNS = 256, 20
_FEW, _MANY = 2_000, 1_000_000
_STEPS = 1_000_000.0
# What does not fit into the processor's caches costs a little.
_FLAT = 0.6
_SECONDS, _TURNS = 0.2, 10
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
    """Steps a second of 256 copies with everything on, against one copy in plain Python."""
    learning = _settings().learning
    market = _market(_FEW)
    step_all = _stepper(market)
    plain = PlainEnvironment(market.close, market.market)
    plain.reset()
    random = np.random.default_rng(0)
    choices = list(random.integers(0, len(learning.exposures), 256))
    turn = 0

    def step_one() -> int:
        nonlocal turn
        turn = (turn + 1) % len(choices)
        if plain.step(choices[turn])[3]:
            plain.reset()
        return 1

    theirs, ours = _rates(step_one, step_all)
    return Row(
        f"environment steps, {_COPIES} copies, {_COLUMNS} columns, behaviour and adaptive reward",
        ours,
        "steps/s",
        Reference("one copy in plain Python", theirs),
        _STEPS,
        smaller_is_better=False,
    )


def environment_rows() -> Row:
    """Steps a second over a million candles, against two thousand: what a long history costs."""
    few, many = _rates(_stepper(_market(_FEW)), _stepper(_market(_MANY)))
    return Row(
        f"environment steps over {_MANY:,} candles",
        many,
        "steps/s",
        Reference(f"over {_FEW:,} candles", few),
        _FLAT * few,
        smaller_is_better=False,
    )


def _settings() -> Settings:
    return load_settings(locate(Path("unused"), {})).settings


def _market(rows: int) -> Segment:
    """Return made candles that swing, as wide as the target asks, in all regimes."""
    random = np.random.default_rng(0)
    swing = 0.3 * np.sin(np.arange(rows) / 300.0) + random.normal(0.0, 2e-3, rows)
    close = 40_000.0 * np.exp(swing)
    opening = np.concatenate([close[:1], close[:-1]])
    settings = _settings()
    return Segment(
        opening,
        np.maximum(opening, close) * 1.001,
        np.minimum(opening, close) * 0.999,
        close,
        random.normal(0.0, 1.0, (rows, _COLUMNS)).astype(np.float32),
        economics(settings, settings.market.symbols[0]),
        (np.arange(rows) // 100 % 5).astype(np.int8),
        random.uniform(0.5, 2.0, rows),
    )


def _stepper(market: Segment) -> Callable[[], int]:
    """Return what steps all copies once, with random actions, as a training would."""
    settings = _settings()
    learning = settings.learning
    kernel = EnvironmentKernel(
        (market,),
        _COPIES,
        settings.account.starting_capital,
        learning.episode_length,
        0,
        environment_options(settings, 1),
    )
    batched = TradingVecEnv(kernel, learning.exposures)
    batched.reset()
    actions = np.random.default_rng(0).integers(0, len(learning.exposures), (64, _COPIES))
    turn = 0

    def step_all() -> int:
        nonlocal turn
        turn = (turn + 1) % len(actions)
        batched.step(actions[turn])
        return _COPIES

    step_all()  # compiles, or reads what was compiled before
    return step_all


def _rates(*steps: Callable[[], int]) -> tuple[float, ...]:
    """Return steps a second of each, the best of ``_TURNS`` short turns taken one after the other."""
    best = [0.0] * len(steps)
    for _ in range(_TURNS):
        for place, step in enumerate(steps):
            done, began = 0, time.perf_counter()
            while (passed := time.perf_counter() - began) < _SECONDS:
                for _ in range(20):
                    done += step()
            best[place] = max(best[place], done / passed)
    return tuple(best)
