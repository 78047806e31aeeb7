"""What the environment and everything around the learner cost it: PPO end to end beside PPO alone."""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest.mock import patch

import numba
import psutil

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.store import CandleStore
from adan_core.domain.time import SystemClock
from adan_core.domain.training import TrainingProgress
from adan_core.learning import environment
from adan_core.learning.agent import build_agent
from adan_core.learning.environment_options import Batch, World
from adan_core.learning.lessons import Lesson, new_lesson, training_series
from adan_core.learning.market import feature_text
from adan_core.learning.rollout_kernel import roll
from adan_core.learning.runs import RunFolder
from adan_core.learning.training import TrainingJob
from adan_core.resilience.deadline import Deadline
from tests.benchmarks.rows import Reference, Row

_ROUNDS = 5
_LEAST_SHARE = 0.95
_MILLION = 1_000_000
_FLAT_BYTES = 32 * 1024**2


@numba.njit(nogil=True)
def _no_step(_episode_length: int, _world: World, _batch: Batch) -> int:
    """Stand in for the environment's step, for nothing: nobody's episode ends, nothing is seen anew."""
    return 0


def _roll_without_environment() -> Callable[..., None]:
    """Return the learner's own rollout, compiled from the same lines, on a step that costs nothing."""
    plain = roll.py_func  # type: ignore[attr-defined]
    names = {**plain.__globals__, "advance": _no_step}
    decorate = numba.njit(nogil=True, fastmath=False, error_model="numpy")
    compiled: Callable[..., None] = decorate(FunctionType(plain.__code__, names))
    return compiled


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
    """A run of the shipped length, as a share of the learner's rate on no environment.

    Validation, checkpoints, progress and memory's budget are all on; the other does nothing but
    learn, by the same learner. Interleaved, medians, by the clock, since both use two processors.
    """
    free = _roll_without_environment()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        steps = _MILLION
        lesson = _lesson(folder, steps)
        learning = lesson.plan.learning
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(_ROUNDS + 1):
            record = replace(lesson.record, run_id=f"run-{turn}")
            began = time.perf_counter()
            _train(replace(lesson, record=record), folder)
            took = time.perf_counter() - began
            began = time.perf_counter()
            with patch.object(environment, "roll", free):
                bare = build_agent(environment.training_environment(lesson.plan), learning, 0)
                bare.learn(steps, log_interval=None)  # type: ignore[arg-type]
            if turn:  # the first compiles kernels and imports what the later ones have
                ours.append(steps / took)
                theirs.append(steps / (time.perf_counter() - began))
    reference = Reference("no environment, the same learner", statistics.median(theirs))
    return Row(
        "PPO end to end",
        statistics.median(ours),
        "steps/s",
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
