"""How soon the agent has learnt: a sustained four fifths of what a mean-reverting market offers.

One market, one accounting and the same fixed validation windows for all. The environment's reward,
the networks (two of 64x64 tanh) and PPO are the same, too; what differs is how copies are stepped
and the learner's settings. The clock runs while an agent learns and stands while it is judged.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.processes import PROCESSES
from adan_core.data.series import CandleSeries
from adan_core.data.split import split_by_fractions
from adan_core.learning.agent import build_agent
from adan_core.learning.environment import TradingEnvironment, training_environment
from adan_core.learning.inference import Network
from adan_core.learning.learner_state import deciding_weights
from adan_core.learning.lessons import Lesson
from adan_core.learning.optimum import attainable_optimum
from adan_core.learning.proof import ProofTask, proof_lesson, proof_settings
from adan_core.learning.proof_bench import BenchSize, log_return, training_paths
from adan_core.learning.selection import WINDOW, Validator
from tests.benchmarks.rows import Reference, Row

_MARKET = "mean-reverting"
_SEEDS = (1, 2, 3, 4, 5)
_SHARE = 0.8
_IN_A_ROW = 3
_PATIENCE = 60.0
_JUDGED_EVERY = 8_192
_PLAIN_COPIES = 8
_TIMES_DEFAULTS, _TIMES_LOOP = 10.0, 5.0
_WARMING = 0  # a turn that does not count: it compiles, and loads what is loaded once


class _Judge(BaseCallback):
    """Stops the learning once the target was held in a row, or patience has run out.

    ``reached`` is the learning time, in seconds, at the first of the evaluations in a row; None if
    they never came. The clock stands still while weights are judged.
    """

    def __init__(self, validator: Validator, target: float, patience: float) -> None:
        super().__init__()
        self._patience = patience
        self._validator, self._target = validator, target
        self._learning = 0.0
        self._since = 0.0
        self._due = 0
        self._held: list[float] = []
        self.reached: float | None = None

    def _on_training_start(self) -> None:
        self._since = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps < self._due:
            return
        self._learning += time.perf_counter() - self._since
        self._due = self.num_timesteps + _JUDGED_EVERY
        score = self._validator.score(Network.from_weights(deciding_weights(self.model)))
        self._held = [*self._held, self._learning] if score >= self._target else []
        if len(self._held) == _IN_A_ROW:
            self.reached = self._held[0]
        self._since = time.perf_counter()

    def _on_step(self) -> bool:
        spent = self._learning + time.perf_counter() - self._since
        return self.reached is None and spent < self._patience


Maker = Callable[[Lesson, int], BaseAlgorithm]


def _batched(lesson: Lesson, seed: int) -> BaseAlgorithm:
    """ADAN as it trains: all copies stepped by one compiled loop."""
    return build_agent(training_environment(lesson.plan), lesson.plan.learning, seed)


def _one_by_one(lesson: Lesson, copies: int, seed: int) -> VecEnv:
    """The usual loop, as SB3 makes it: so many environments, monitored, each stepped by Python."""
    plan = lesson.plan
    learning = plan.learning

    def one() -> TradingEnvironment:
        return TradingEnvironment(
            plan.training,
            learning.exposures,
            plan.capital,
            learning.episode_length,
            options=plan.options,
        )

    return make_vec_env(one, copies, seed=seed)


def _loop_with_our_settings(lesson: Lesson, seed: int) -> PPO:
    learning = lesson.plan.learning
    environment = _one_by_one(lesson, learning.copies, seed)
    agent = PPO(
        "MlpPolicy",
        environment,
        learning_rate=learning.learning_rate,
        n_steps=learning.steps_per_copy,
        batch_size=learning.batch_size,
        n_epochs=learning.epochs,
        gamma=learning.gamma,
        gae_lambda=learning.gae_lambda,
        ent_coef=learning.entropy,
        seed=seed,
        device="cpu",
    )
    agent.set_logger(Logger(None, []))
    return agent


def _loop_with_defaults(lesson: Lesson, seed: int) -> PPO:
    agent = PPO("MlpPolicy", _one_by_one(lesson, _PLAIN_COPIES, seed), seed=seed, device="cpu")
    agent.set_logger(Logger(None, []))
    return agent


_WAYS: dict[str, Maker] = {
    "ADAN": _batched,
    "ADAN's settings on a loop": _loop_with_our_settings,
    "SB3 defaults": _loop_with_defaults,
}


def time_beside_defaults() -> Row:
    """Seconds to a sustained 80 % of the attainable, beside SB3's defaults on a loop in Python."""
    return _row("SB3 defaults", _TIMES_DEFAULTS)


def time_beside_loop() -> Row:
    """The same, beside that loop with ADAN's settings."""
    return _row("ADAN's settings on a loop", _TIMES_LOOP)


def _row(other: str, times: float) -> Row:
    measured = _measured()
    ours, theirs = _median(measured["ADAN"]), _median(measured[other])
    late = sum(seconds is None for seconds in (*measured["ADAN"], *measured[other]))
    return Row(
        f"80 % of the attainable, {_MARKET}, beside {other}"
        + (f" ({late} timed out at {_PATIENCE:.0f} s)" if late else ""),
        ours,
        "s",
        Reference(other, theirs),
        theirs / times,
    )


def _median(taken: list[float | None]) -> float:
    """Return the median; who was not done in time counts with all the time there was."""
    return statistics.median(_PATIENCE if seconds is None else seconds for seconds in taken)


@cache
def _measured() -> dict[str, list[float | None]]:
    """Return the seconds to the target by way and seed, None for a time-out; measured in turns."""
    taken: dict[str, list[float | None]] = {name: [] for name in _WAYS}
    settings, features = proof_settings(locate(Path("unused"), {}), ())
    for seed in (_WARMING, *_SEEDS):
        task = ProofTask(
            market=_MARKET,
            seed=seed,
            steps=settings.learning.steps,
            settings=settings,
            features=features,
            size=BenchSize(),
            rehearsal=True,
        )
        series = training_paths(_MARKET, seed)
        lesson = proof_lesson(task, series, 0)
        plan = lesson.plan
        validator = Validator(plan.validation, plan.learning.exposures, plan.capital)
        target = _SHARE * _attainable(series, lesson, settings)
        for name, make in _WAYS.items():
            judge = _Judge(validator, target, _PATIENCE if seed != _WARMING else 0.0)
            make(lesson, seed).learn(2**40, callback=judge)
            print(f"  seed {seed}, {name}: {judge.reached} s", file=sys.stderr)
            if seed != _WARMING:
                taken[name].append(judge.reached)
    return taken


def _attainable(series: tuple[CandleSeries, ...], lesson: Lesson, settings: Settings) -> float:
    """Return what the best rule earns on the validation windows, per 1000 candles, as they are scored."""
    learning, capital = settings.learning, lesson.plan.capital
    costs = lesson.plan.validation[0].economics
    optimum = attainable_optimum(PROCESSES[_MARKET], costs.costs)
    earned, candles = 0.0, 0
    for path in series:
        part = split_by_fractions(path, learning.train_fraction, learning.validation_fraction)
        wanted = optimum.exposures(path)
        for start in range(part.validation.start, part.validation.stop - WINDOW + 1, WINDOW):
            window = path.slice(start, start + WINDOW)
            earned += log_return(window, wanted[start : start + WINDOW - 1], costs, capital)
            candles += WINDOW - 1
    return 1000.0 * earned / candles
