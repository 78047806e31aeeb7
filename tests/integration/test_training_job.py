"""Training for real, but tiny: the same bits from a seed, stopped and resumed or not."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import ConfigurationError, DataError, ModelError, UsageError
from adan_core.domain.time import ManualClock, SystemClock
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.checkpoint import checkpoints
from adan_core.learning.inference import Network, probabilities
from adan_core.learning.lessons import Lesson, new_lesson, old_lesson, settings_of
from adan_core.learning.market import feature_text, fit_normaliser, ladder_of, prepare_all
from adan_core.learning.member import Member
from adan_core.learning.runs import RunFolder
from adan_core.learning.training import TrainingJob
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.resilience.deadline import Deadline
from tests.members import member_card

SMALL = (
    "learning.copies=16",
    "learning.steps_per_copy=32",
    "learning.batch_size=256",
    "learning.episode_length=100",
)
ROLLOUT = 16 * 32
STEPS = 8 * ROLLOUT


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), SMALL, {}).settings


@pytest.fixture(scope="module")
def candles(settings: Settings) -> CandleSeries:
    return SimulatedMarket("BTC/SIM", settings.market.timeframe, 5).candles(0, 4_000)


def plan(settings: Settings, candles: CandleSeries, tmp_path: Path, seed: int = 3) -> Lesson:
    features = feature_text(settings, locate(tmp_path / "home", {}))
    return new_lesson(settings, features, (candles,), None, STEPS, seed, 0)


def learn(
    lesson: Lesson,
    folder: RunFolder,
    *,
    resume: bool = False,
    stop: threading.Event | None = None,
    deadline: Deadline | None = None,
    report: Callable[[TrainingProgress], None] = lambda _record: None,
) -> TrainingOutcome:
    clock = SystemClock()
    job = TrainingJob(
        lesson.plan,
        folder,
        clock,
        deadline or Deadline(clock, None),
        stop or threading.Event(),
        report,
    )
    return job.run(resume=resume)


def digest(weights: Mapping[str, NDArray[np.float32]]) -> str:
    content = hashlib.sha256()
    for name in sorted(weights):
        content.update(name.encode() + weights[name].tobytes())
    return content.hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(
    settings: Settings, candles: CandleSeries, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingOutcome, str]:
    folder = tmp_path_factory.mktemp("straight")
    lesson = plan(settings, candles, folder)
    run = RunFolder.create(folder, lesson.record)
    outcome = learn(lesson, run)
    return outcome, final_digest(run)


def final_digest(run: RunFolder) -> str:
    """Return the digest of the last weights of a run, not only of the best."""
    from adan_core.learning.checkpoint import decode

    arrays = decode(checkpoints(run.checkpoints)[-1].read_bytes()).arrays
    return digest({name: arrays[name] for name in arrays if name.startswith(("policy.", "adam."))})


@pytest.mark.slow
def test_one_seed_gives_one_model_to_the_bit(
    settings: Settings,
    candles: CandleSeries,
    tmp_path: Path,
    uninterrupted: tuple[TrainingOutcome, str],
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    outcome = learn(lesson, run)
    assert outcome.state is TrainingState.FINISHED
    assert outcome.steps == STEPS
    assert digest(outcome.weights) == digest(uninterrupted[0].weights)
    assert outcome.score == uninterrupted[0].score
    assert final_digest(run) == uninterrupted[1]
    other = plan(settings, candles, tmp_path / "other", seed=4)
    differing = learn(other, RunFolder.create(tmp_path / "other", other.record))
    assert digest(differing.weights) != digest(outcome.weights)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 6])
def test_stopped_anywhere_and_resumed_it_ends_in_the_same_bits(
    settings: Settings,
    candles: CandleSeries,
    tmp_path: Path,
    uninterrupted: tuple[TrainingOutcome, str],
    after: int,
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    stop = _StopAfter(after * ROLLOUT + 40)
    first = learn(lesson, run, stop=stop)
    assert first.state is TrainingState.STOPPED
    assert first.steps == after * ROLLOUT
    again = old_lesson(run.record(), (candles,))
    second = learn(again, run, resume=True)
    assert second.state is TrainingState.FINISHED
    assert digest(second.weights) == digest(uninterrupted[0].weights)
    assert (second.score, second.selected_at) == (
        uninterrupted[0].score,
        uninterrupted[0].selected_at,
    )
    assert final_digest(run) == uninterrupted[1]


class _StopAfter(threading.Event):
    """Is set once it was asked as often as there are steps to take first."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps // 16

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.slow
def test_the_deadline_leaves_a_valid_checkpoint(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    clock = ManualClock()
    records: list[TrainingProgress] = []

    def report(record: TrainingProgress) -> None:
        records.append(record)
        clock.advance(10_000)

    outcome = learn(lesson, run, deadline=Deadline(clock, 5.0), report=report)
    assert outcome.state is TrainingState.TIMED_OUT
    assert records[0].deadline_in == 5.0
    assert records[-1].state is TrainingState.TIMED_OUT
    assert len(checkpoints(run.checkpoints)) == 1
    assert learn(lesson, run, resume=True).state is TrainingState.FINISHED


@pytest.mark.slow
def test_a_corrupt_newest_checkpoint_is_skipped_with_a_word(
    settings: Settings,
    candles: CandleSeries,
    tmp_path: Path,
    uninterrupted: tuple[TrainingOutcome, str],
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    for after in (2, 2):
        learn(
            lesson,
            run,
            stop=_StopAfter(after * ROLLOUT + 20),
            resume=bool(checkpoints(run.checkpoints)),
        )
    older, newest = checkpoints(run.checkpoints)
    newest.write_bytes(newest.read_bytes()[:1_000])
    said: list[str] = []
    outcome = learn(lesson, run, resume=True, report=lambda record: said.append(record.message))
    assert newest.name in said[0]
    assert digest(outcome.weights) == digest(uninterrupted[0].weights)
    older.unlink()
    with pytest.raises(ModelError, match="no valid checkpoint"):
        learn(lesson, RunFolder(tmp_path / "empty"), resume=True)


@pytest.mark.slow
def test_progress_says_what_the_learner_does(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    records: list[TrainingProgress] = []
    learn(lesson, run, report=records.append)
    last = records[-1]
    assert last.state is TrainingState.FINISHED
    assert last.steps == last.total_steps == STEPS
    for name in ("steps_per_second", "reward", "policy_loss", "value_loss", "entropy",
                 "kl_divergence", "explained_variance", "memory_bytes"):  # fmt: skip
        assert getattr(last, name) is not None, name
    assert last.remaining == 0.0
    lines = (run.path / "progress.jsonl").read_text().splitlines()
    assert len(lines) == len(records)
    assert all('"schema_version":1' in line for line in lines)


def test_a_run_knows_its_settings_and_refuses_other_candles(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path / "runs", lesson.record)
    assert settings_of(run.record()) == settings
    assert run.record() == lesson.record
    assert RunFolder.open(tmp_path / "runs", "latest").path == run.path
    with pytest.raises(DataError, match="have changed"):
        old_lesson(run.record(), (candles.slice(0, 3_900),))
    with pytest.raises(UsageError, match="a name of its own"):
        RunFolder.create(tmp_path / "runs", lesson.record)
    with pytest.raises(UsageError, match="no training run called nobody"):
        RunFolder.open(tmp_path / "runs", "nobody")


def test_a_run_made_for_another_state_is_refused(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    record = plan(settings, candles, tmp_path).record
    with pytest.raises(ModelError, match="was made for state another"):
        old_lesson(dataclasses.replace(record, feature_schema_hash="another"), (candles,))


def test_the_normaliser_of_a_run_is_that_of_its_training_parts_and_of_nothing_else(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    spec = FeatureSet.parse(feature_text(settings, locate(tmp_path, {})), "features.yaml")
    ladder = ladder_of(settings, candles.timeframe)
    both = (candles, SimulatedMarket("ETH/SIM", candles.timeframe, 6).candles(0, 4_000))
    parts = prepare_all(both, ladder, spec, settings)
    trained = [part.frame.market[part.frame.ready : part.split.training.stop] for part in parts]
    rows = np.concatenate(trained)
    fitted = fit_normaliser(parts)
    assert fitted.mean.tobytes() == rows.mean(axis=0).tobytes()
    assert fitted.deviation.tobytes() == rows.std(axis=0).tobytes()
    assert fitted.stop_time == parts[0].split.training.stop_time + 1


def test_a_feature_file_that_is_no_text_is_refused_in_words(
    settings: Settings, tmp_path: Path
) -> None:
    home = locate(tmp_path, {})
    home.config.mkdir(parents=True)
    (home.config / settings.features).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="a readable text file"):
        feature_text(settings, home)


def test_a_run_goes_on_while_its_outside_file_grows_and_not_when_its_past_has_changed(
    candles: CandleSeries, tmp_path: Path
) -> None:
    file = tmp_path / "mood.csv"
    home = locate(tmp_path / "home", {})
    settings = load_settings(home, (*SMALL, f'external={{"mood": "{file}"}}'), {}).settings
    features = feature_text(settings, home) + "external: [{name: mood, max_age: 7d}]\n"
    close = candles.close_time
    known = f"time,mood\n{close[1_000]},0.5\n"
    file.write_text(known)
    lesson = new_lesson(settings, features, (candles,), None, STEPS, 3, 0)
    file.write_text(f"{known}{close[-1] + 1},0.7\n")
    again = old_lesson(lesson.record, (candles,))
    for one, other in zip(lesson.plan.training, again.plan.training, strict=True):
        assert one.market.tobytes() == other.market.tobytes()
    file.write_text(f"{known}{close[-1]},0.7\n")
    with pytest.raises(DataError, match="external columns"):
        old_lesson(lesson.record, (candles,))


@pytest.mark.slow
def test_the_numpy_network_is_the_trained_one(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    import torch

    from adan_core.learning.agent import build_agent, weights_of
    from adan_core.learning.environment import TradingVecEnv
    from adan_core.learning.environment_kernel import EnvironmentKernel

    lesson = plan(settings, candles, tmp_path)
    kernel = EnvironmentKernel(lesson.plan.training, 16, 10_000.0, 100, 0)
    agent = build_agent(TradingVecEnv(kernel, (0.0, 1.0)), settings.learning, 0)
    agent.learn(ROLLOUT)
    network = Network.from_weights(weights_of(agent))
    rng = np.random.default_rng(0)
    observations = rng.normal(0.0, 2.0, (500, network.inputs)).astype(np.float32)
    with torch.no_grad():
        tensor = torch.from_numpy(observations)
        expected = agent.policy.get_distribution(tensor).distribution
        values = agent.policy.predict_values(tensor).numpy()[:, 0]
    assert isinstance(expected, torch.distributions.Categorical)
    np.testing.assert_allclose(
        probabilities(network.logits(observations)), expected.probs.numpy(), atol=1e-6
    )
    np.testing.assert_allclose(network.values(observations), values, atol=1e-6)
    actions, _ = agent.predict(observations, deterministic=True)
    columns = np.arange(network.inputs)
    member = Member(member_card("test"), network, columns)
    carried = np.zeros((1, 0), dtype=np.float32)
    decided = [member.opinion(row, 0.0, carried) for row in observations]
    assert [answer.exposure for answer in decided] == [float(one) for one in actions]
    assert decided[0].value == pytest.approx(values[0] / 100.0, abs=1e-7)
