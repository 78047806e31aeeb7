"""Environment steps a second: all copies at once, beside plain Python, peers and long histories."""

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.environment_work import COLUMNS, COPIES, Step, adan, candles, rate
from tests.benchmarks.rows import Reference, Row

_FEW, _MANY = 2_000, 1_000_000
_STEPS = 1_000_000.0
# Ten times as many candles cost nothing more; only what no longer fits the processor's second cache
# costs something, once: a row of each copy's market has then to come from farther away.
_FLAT, _CACHED = 0.9, 0.67
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
    data = candles(_FEW)
    step_all = adan(data)
    plain = PlainEnvironment(data["close"], data["features"])
    plain.reset()
    choices = list(np.random.default_rng(0).integers(0, 2, 256))
    turn = 0

    def step_one() -> int:
        nonlocal turn
        turn = (turn + 1) % len(choices)
        if plain.step(choices[turn])[3]:
            plain.reset()
        return 1

    theirs, ours = _rates(step_one, step_all)
    return Row(
        f"environment steps, {COPIES} copies, {COLUMNS} columns, behaviour and adaptive reward",
        ours,
        "steps/s",
        Reference("one copy in plain Python", theirs),
        _STEPS,
        smaller_is_better=False,
    )


def environment_rows() -> Row:
    """Steps a second of processor over a million candles, against two thousand, which fit its cache."""
    return _rows_beside(_FEW, _CACHED)


def environment_more_rows() -> Row:
    """Steps a second of processor over a million candles, against a tenth: neither fits its cache."""
    return _rows_beside(_MANY // 10, _FLAT)


def _rows_beside(fewer: int, share: float) -> Row:
    # What is asked is a cost, so that it is counted in the processor's time and not in the clock's.
    few, many = _rates(adan(candles(fewer)), adan(candles(_MANY)), clock=time.process_time)
    return Row(
        f"environment steps over {_MANY:,} candles, by processor time",
        many,
        "steps/s",
        Reference(f"over {fewer:,} candles", few),
        share * few,
        smaller_is_better=False,
    )


def _rates(*steps: Step, clock: Callable[[], float] = time.perf_counter) -> tuple[float, ...]:
    """Return steps a second of each, the best of ``_TURNS`` short turns taken one after the other."""
    best = [0.0] * len(steps)
    for _ in range(_TURNS):
        for place, step in enumerate(steps):
            best[place] = max(best[place], rate(step, _SECONDS, clock))
    return tuple(best)
