"""What the environment and everything around the learner cost it: PPO end to end beside PPO alone."""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import psutil
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.store import CandleStore
from adan_core.domain.time import SystemClock
from adan_core.domain.training import TrainingProgress
from adan_core.learning.agent import build_agent
from adan_core.learning.lessons import Lesson, new_lesson, training_series
from adan_core.learning.market import feature_text
from adan_core.learning.runs import RunFolder
from adan_core.learning.training import TrainingJob
from adan_core.resilience.deadline import Deadline
from tests.benchmarks.rows import Reference, Row

_ROUNDS = 5
_ROLLOUTS = 40
_LEAST_SHARE = 0.95
_MILLION = 1_000_000
_FLAT_BYTES = 32 * 1024**2


class NoEnvironment(VecEnv):
    """The same shapes, for nothing: the same observations over and over, in arrays of their own.

    Copies end as often as ours do, at different times, and tell it as the learner wants it told, so
    that what it does about an end is in both. An ``episode_length`` of None never ends.
    """

    def __init__(self, copies: int, columns: int, actions: int, episode_length: int | None) -> None:
        self.render_mode = None
        shape = (columns,)
        super().__init__(
            copies,
            gymnasium.spaces.Box(-100.0, 100.0, shape, np.float32),
            gymnasium.spaces.Discrete(actions),
        )
        random = np.random.default_rng(0)
        self._observations = random.normal(0.0, 1.0, (copies, columns)).astype(np.float32)
        self._rewards = random.normal(0.0, 0.1, copies).astype(np.float32)
        self._infos: list[dict[str, Any]] = [{} for _ in range(copies)]
        self._steps = 0
        self._ends: list[list[int]] = [[] for _ in range(episode_length or 1)]
        if episode_length is not None:
            for copy, end in enumerate(random.integers(0, episode_length, copies).tolist()):
                self._ends[end].append(copy)

    def reset(self) -> NDArray[np.float32]:
        return self._observations.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        pass

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        dones, infos = np.zeros(self.num_envs, dtype=np.bool_), self._infos
        ends = self._ends[self._steps % len(self._ends)]
        self._steps += 1
        if ends:
            infos = list(infos)
            for copy in ends:
                last = self._observations[copy].copy()
                infos[copy] = {"terminal_observation": last, "TimeLimit.truncated": True}
            dones[ends] = True
        return self._observations.copy(), self._rewards.copy(), dones, infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(
        self,
        attr_name: str,
        value: Any,  # noqa: ANN401, ARG002 - SB3's signature
        indices: VecEnvIndices = None,  # noqa: ARG002
    ) -> None:
        raise AttributeError(attr_name)

    def env_method(
        self,
        method_name: str,
        *args: Any,  # noqa: ANN401, ARG002 - SB3's signature
        indices: VecEnvIndices = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ANN401, ARG002
    ) -> list[Any]:
        raise AttributeError(method_name)

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],  # noqa: ARG002
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        picked: Iterable[int] = self._get_indices(indices)
        return [False for _ in picked]


def _lesson(folder: Path, steps: int) -> Lesson:
    home = locate(folder, {})
    settings = load_settings(home, (), {}).settings
    series = training_series(None, settings, 0, CandleStore(home.datasets))
    return new_lesson(settings, feature_text(settings, home), series, None, steps, 0, 0)


def _train(lesson: Lesson, folder: Path, report: Any = lambda _record: None) -> None:  # noqa: ANN401
    clock = SystemClock()
    run = RunFolder.create(folder, lesson.record)
    TrainingJob(
        lesson.plan,
        run,
        clock,
        Deadline(clock, None),
        threading.Event(),
        report,
        memory_budget=8 * 1024**3,
    ).run()


def ppo_rate() -> Row:
    """A run as `adan-core train` makes it, as a share of the learner's rate on no environment.

    Validation, checkpoints, progress and memory's budget are all on. Interleaved, medians; measured
    in processor time, which what else the machine does disturbs least.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        lesson = _lesson(folder, _MILLION)
        learning = lesson.plan.learning
        columns = lesson.plan.training[0].market.shape[1] + len(PORTFOLIO_COLUMNS)
        steps = _ROLLOUTS * learning.copies * learning.steps_per_copy
        lesson = replace(lesson, plan=replace(lesson.plan, steps=steps))
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(_ROUNDS + 1):
            began = time.process_time()
            record = replace(lesson.record, run_id=f"run-{turn}")
            _train(replace(lesson, record=record), folder)
            took = time.process_time() - began
            began = time.process_time()
            nothing = NoEnvironment(
                learning.copies, columns, len(learning.exposures), learning.episode_length
            )
            bare = build_agent(nothing, learning, 0)
            bare.learn(steps, log_interval=None)  # type: ignore[arg-type]
            if turn:  # the first compiles kernels and imports what the later ones have
                ours.append(steps / took)
                theirs.append(steps / (time.process_time() - began))
    reference = Reference("no environment, the same learner", statistics.median(theirs))
    return Row(
        "PPO end to end",
        statistics.median(ours),
        "steps/s of processor time",
        reference,
        _LEAST_SHARE * reference.value,
        smaller_is_better=False,
    )


def training_memory() -> Row:
    """What a training's process holds after 5 million steps beyond what it held after one million."""
    held: dict[int, int] = {}

    def note(record: TrainingProgress) -> None:
        held[record.steps // _MILLION] = int(psutil.Process().memory_info().rss)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _train(_lesson(folder, 5 * _MILLION), folder, note)
    reference = Reference("after 1 M steps", held[1] / 1024**2)
    return Row(
        "memory of a training after 5 M steps",
        held[max(held)] / 1024**2,
        "MB",
        reference,
        reference.value + _FLAT_BYTES / 1024**2,
    )
