"""Every algorithm learns by the one training job, resumes to the same bits, and decides."""

import threading
from pathlib import Path

import numpy as np
import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import ConfigurationError
from adan_core.domain.time import HOUR, SystemClock
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.lessons import Lesson, member_card, new_lesson, settings_of, voting_rules
from adan_core.learning.market import feature_text
from adan_core.learning.member import Member
from adan_core.learning.networks import ALGORITHMS, network_from
from adan_core.learning.runs import RunFolder
from adan_core.learning.training import TrainingJob
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.resilience.deadline import Deadline

SMALL = (
    "learning.copies=8",
    "learning.steps_per_copy=32",
    "learning.batch_size=128",
    "learning.episode_length=100",
    "learning.algorithm.hidden=[8, 8]",
    "learning.algorithm.recurrent_size=6",
    "learning.algorithm.replay.size=2000",
    "learning.algorithm.replay.first_steps=256",
    "learning.algorithm.replay.updates=2",
)
STEPS = 4 * 8 * 32


def lesson_of(algorithm: str, home: Path) -> Lesson:
    action = "continuous" if algorithm == "SAC" else "discrete"
    chosen = (f"learning.algorithm.name={algorithm}", f"learning.action={action}")
    locations = locate(home, {})
    settings = load_settings(locations, (*SMALL, *chosen), {}).settings
    series = SimulatedMarket("BTC/SIM", settings.market.timeframe, 5).candles(0, 4_000)
    features = feature_text(settings, locations)
    return new_lesson(settings, features, (series,), None, STEPS, 3, 0)


def learn(
    lesson: Lesson, folder: RunFolder, *, until: int, resume: bool = False
) -> TrainingOutcome:
    """Learn, and be stopped once ``until`` steps were reported."""
    clock, stop = SystemClock(), threading.Event()

    def report(progress: TrainingProgress) -> None:
        if progress.steps >= until:
            stop.set()

    return TrainingJob(lesson.plan, folder, clock, Deadline(clock, None), stop, report).run(
        resume=resume
    )


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_learns_is_resumed_to_the_same_bits_and_decides(
    algorithm: str, tmp_path: Path
) -> None:
    lesson = lesson_of(algorithm, tmp_path / "home")
    whole = learn(lesson, RunFolder.create(tmp_path / "whole", lesson.record), until=STEPS + 1)
    assert whole.state is TrainingState.FINISHED
    halves = RunFolder.create(tmp_path / "halves", lesson.record)
    first = learn(lesson, halves, until=0)
    assert first.state is TrainingState.STOPPED
    assert first.steps < STEPS
    second = learn(lesson, halves, until=STEPS + 1, resume=True)
    assert second.state is TrainingState.FINISHED
    assert second.weights_hash == whole.weights_hash
    assert second.score == whole.score

    card = member_card(lesson, whole)
    assert card.algorithm == algorithm
    network = network_from(algorithm, whole.weights, card.levels)
    member = Member(card, network, np.arange(network.inputs))
    rules = voting_rules(settings_of(lesson.record))
    policy = EnsemblePolicy("m", (member,), rules, network.inputs, HOUR)
    again = EnsemblePolicy("m", (member,), rules, network.inputs, HOUR)
    generator = np.random.default_rng(1)
    seen = generator.normal(size=(6, network.inputs)).astype(np.float32)
    answers = [
        policy.decide("BTC/SIM", hour * HOUR, 100.0, row, 0) for hour, row in enumerate(seen[:3])
    ]
    assert {answer.target_exposure for answer in answers} <= set(card.exposures)
    # What is remembered between candles goes with the policy's memory.
    again.restore(policy.memory())
    for hour, row in enumerate(seen[3:], start=3):
        asked = "BTC/SIM", hour * HOUR, 100.0, row, 0
        assert again.decide(*asked) == policy.decide(*asked)


@pytest.mark.slow
def test_an_algorithm_is_refused_actions_it_cannot_take(tmp_path: Path) -> None:
    lesson = lesson_of("PPO", tmp_path / "home")
    named = lesson.plan.learning.algorithm.model_copy(update={"name": "SAC"})
    object.__setattr__(
        lesson.plan, "learning", lesson.plan.learning.model_copy(update={"algorithm": named})
    )
    with pytest.raises(ConfigurationError, match="SAC with continuous"):
        learn(lesson, RunFolder.create(tmp_path / "runs", lesson.record), until=STEPS + 1)
