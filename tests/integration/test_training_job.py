"""Training for real, but tiny: the same bits from a seed, stopped and resumed or not."""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import (
    ConfigurationError,
    DataError,
    ModelError,
    SystemFailure,
    UsageError,
)
from adan_core.domain.time import Clock, ManualClock, SystemClock
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning import training_watch
from adan_core.learning.agent import build_agent
from adan_core.learning.checkpoint import Checkpoint, checkpoints, decode, save_checkpoint
from adan_core.learning.compute import ComputeOptimizer, applied
from adan_core.learning.environment import training_environment
from adan_core.learning.inference import Network, probabilities
from adan_core.learning.learner_state import deciding_weights
from adan_core.learning.lessons import Lesson, new_lesson, old_lesson, resolved, settings_of
from adan_core.learning.market import feature_text, fit_normaliser, ladder_of, prepare_all
from adan_core.learning.member import Member
from adan_core.learning.reward import REWARD_TERMS
from adan_core.learning.rollout import CompiledPPO
from adan_core.learning.rollout_kernel import Experience
from adan_core.learning.runs import RunFolder
from adan_core.learning.selection import Selection, Validator
from adan_core.learning.training import TrainingJob
from adan_core.learning.training_plan import ComputeChoice, TrainingOutcome
from adan_core.resilience.deadline import Deadline
from tests.unit.learning.test_registry import member_card

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
    clock: Clock | None = None,
    **more: Any,  # noqa: ANN401 - the job's own
) -> TrainingOutcome:
    clock = clock or SystemClock()
    job = TrainingJob(
        lesson.plan,
        folder,
        clock,
        deadline or Deadline(clock, None),
        stop or threading.Event(),
        report,
        **more,
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
    arrays = decode(checkpoints(run.checkpoints)[-1].read_bytes()).arrays
    return digest(
        {name: arrays[name] for name in arrays if name.startswith(("policy.", "optimiser."))}
    )


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


@pytest.mark.slow
def test_a_resumed_run_judges_its_weights_where_an_uninterrupted_one_would(
    settings: Settings, candles: CandleSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_watch, "ROLLOUTS_PER_VALIDATION", 3)
    judged: list[int] = []
    real = Selection.judge

    def judge(selection: Selection, steps: int, *more: Any) -> None:  # noqa: ANN401
        judged.append(steps // ROLLOUT)
        real(selection, steps, *more)

    monkeypatch.setattr(Selection, "judge", judge)
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    learn(lesson, run, stop=_StopAfter(2 * ROLLOUT))
    learn(lesson, run, resume=True, stop=_StopAfter(2 * ROLLOUT))
    learn(lesson, run, resume=True)
    assert judged == [0, 3, 6, 8]


class _StopAfter(threading.Event):
    """Is set once it was asked as often as there are whole rollouts to take first."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps // ROLLOUT

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


class _Pause:
    """Is asked for at the boundary after ``steps``, and ends once ``waits`` waits have passed."""

    def __init__(self, steps: int, waits: int) -> None:
        self._left = steps // ROLLOUT
        self._waits = waits

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0 < self._waits

    def wait(self, seconds: float) -> None:
        assert 0.0 < seconds <= 1.0  # whoever waits leaves the processor to others
        self._waits -= 1


@pytest.mark.slow
def test_pause_holds_between_steps_with_a_checkpoint_and_goes_on_to_the_same_bits(
    settings: Settings,
    candles: CandleSeries,
    tmp_path: Path,
    uninterrupted: tuple[TrainingOutcome, str],
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    records: list[TrainingProgress] = []
    saved: list[int] = []
    pause = _Pause(3 * ROLLOUT + 40, waits=50)

    def wait(seconds: float) -> None:
        saved.append(len(checkpoints(run.checkpoints)))
        pause.wait(seconds)

    outcome = learn(lesson, run, pause=pause, wait=wait, report=records.append)
    assert saved == [1] * 50
    (paused,) = [one for one in records if one.state is TrainingState.PAUSED]
    assert paused.steps == 3 * ROLLOUT
    assert outcome.state is TrainingState.FINISHED
    assert outcome.weights_hash == uninterrupted[0].weights_hash
    assert final_digest(run) == uninterrupted[1]


@pytest.mark.slow
def test_a_pause_longer_than_the_deadline_ends_with_a_valid_checkpoint_and_is_no_learning_time(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    clock = ManualClock()
    records: list[TrainingProgress] = []
    outcome = learn(
        lesson,
        run,
        clock=clock,
        deadline=Deadline(clock, 600.0),
        pause=_Pause(2 * ROLLOUT + 40, waits=10**9),
        wait=lambda seconds: clock.advance(int(seconds * 1_000)),
        report=records.append,
    )
    assert outcome.state is TrainingState.TIMED_OUT
    assert outcome.steps == 2 * ROLLOUT
    # It shows how long is left while it is paused, and ends before the deadline, not at it.
    left = [one.deadline_in for one in records if one.state is TrainingState.PAUSED]
    assert left[0] == 600.0
    assert len(left) > 500
    assert records[-1].deadline_in is not None
    assert records[-1].deadline_in > 0.0
    kept = (run.path / "progress.jsonl").read_text()
    assert kept.count('"paused"') == 1
    assert learn(lesson, run, resume=True).state is TrainingState.FINISHED


@pytest.mark.slow
def test_stop_ends_a_paused_training(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    stop = threading.Event()
    outcome = learn(lesson, run, stop=stop, pause=lambda: True, wait=lambda _seconds: stop.set())
    assert outcome.state is TrainingState.STOPPED
    assert len(checkpoints(run.checkpoints)) == 1


@pytest.mark.slow
def test_the_time_a_checkpoint_takes_is_kept_back_from_the_deadline(
    settings: Settings, candles: CandleSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each save takes 20 s, each update 30 s of 300: the last save begins while it still fits."""
    lesson = plan(settings, candles, tmp_path)
    lesson = dataclasses.replace(lesson, plan=dataclasses.replace(lesson.plan, steps=10**6))
    run = RunFolder.create(tmp_path, lesson.record)
    clock = ManualClock()
    real = save_checkpoint

    def slow_save(folder: Path, checkpoint: Checkpoint) -> Path:
        clock.advance(20_000)
        return real(folder, checkpoint)

    monkeypatch.setattr(training_watch, "save_checkpoint", slow_save)
    monkeypatch.setattr(CompiledPPO, "train", lambda _agent: clock.advance(30_000))
    deadline = Deadline(clock, 300.0)
    outcome = learn(lesson, run, clock=clock, deadline=deadline)
    assert outcome.state is TrainingState.TIMED_OUT
    assert outcome.steps > 2 * ROLLOUT
    assert deadline.remaining()  # it was whole before the time was up
    assert decode(checkpoints(run.checkpoints)[-1].read_bytes()).steps == outcome.steps


@pytest.mark.slow
def test_early_stop_finishes_when_no_validation_is_better_and_says_so(
    settings: Settings, candles: CandleSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_watch, "ROLLOUTS_PER_VALIDATION", 1)
    scores = iter([0.0, 1.0, 0.5, 1.0, 0.2, 9.0, 9.0])
    monkeypatch.setattr(Validator, "score", lambda _validator, _network: next(scores))
    lesson = plan(settings, candles, tmp_path)
    impatient = lesson.plan.learning.model_copy(update={"early_stop_validations": 3})
    lesson = dataclasses.replace(lesson, plan=dataclasses.replace(lesson.plan, learning=impatient))
    run = RunFolder.create(tmp_path, lesson.record)
    records: list[TrainingProgress] = []
    # It is stopped and resumed on the way: that counts no validation twice.
    stopped = learn(lesson, run, stop=_StopAfter(3 * ROLLOUT + 20))
    assert stopped.state is TrainingState.STOPPED
    outcome = learn(lesson, run, resume=True, report=records.append)
    assert outcome.state is TrainingState.FINISHED
    # The fourth rollout's judgement is known after the fifth, beside which it was made.
    assert (outcome.steps, outcome.selected_at, outcome.score) == (5 * ROLLOUT, ROLLOUT, 1.0)
    assert "no better validation score 3 times in a row" in records[-1].message
    again = learn(lesson, run, resume=True)
    assert (again.state, again.steps) == (TrainingState.FINISHED, 5 * ROLLOUT)
    assert again.weights_hash == outcome.weights_hash


@pytest.mark.slow
def test_out_of_its_memory_budget_a_training_saves_and_ends_in_words(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    run = RunFolder.create(tmp_path, lesson.record)
    used = iter([100, *[10_000_000_000] * 4])
    said: list[str] = []
    outcome = learn(
        lesson,
        run,
        memory_budget=8_000_000_000,
        memory_used=lambda: next(used),
        report=lambda record: said.append(record.message),
    )
    assert outcome.state is TrainingState.FAILED
    assert "collected garbage and dropped caches" in said[0]
    assert "out of memory: 9.31 GB of a budget of 7.45 GB; checkpoint saved" in outcome.reason
    assert learn(lesson, run, resume=True).state is TrainingState.FINISHED


def test_a_training_that_cannot_fit_is_refused_with_the_figure(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    lesson = plan(settings, candles, tmp_path)
    large = lesson.plan.learning.model_copy(update={"copies": 100_000, "steps_per_copy": 1_000})
    lesson = dataclasses.replace(lesson, plan=dataclasses.replace(lesson.plan, learning=large))
    run = RunFolder.create(tmp_path, lesson.record)
    with pytest.raises(SystemFailure, match=r"about \d+\.\d\d GB are needed"):
        learn(lesson, run, memory_budget=8 * 1024**3)


@pytest.mark.slow
def test_what_was_measured_to_compute_fastest_is_the_runs_own_and_changes_no_bit_of_it(
    settings: Settings,
    candles: CandleSeries,
    tmp_path: Path,
    uninterrupted: tuple[TrainingOutcome, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_passed: object) -> None:
        raise RuntimeError("this compiler knows no such machine")

    monkeypatch.setattr(torch, "compile", refuse)
    lesson = plan(settings, candles, tmp_path)
    measured = ComputeOptimizer(
        lesson.plan, SystemClock(), cpus=1, batches=False, compilers=("python3",)
    ).measure()
    trials = {trial.candidate.name: trial for trial in measured.trials}
    own = trials["cpu, 1 thread, float32, batch 256"]
    assert own.steps_per_second is not None
    assert own.steps_per_second > 0.0
    assert trials["cuda, float32, batch 256"].note == "no CUDA device here"
    assert trials["cpu, 1 thread, bfloat16, batch 256"].steps_per_second is not None
    (compiled,) = [trial for name, trial in trials.items() if "compiled" in name]
    assert compiled.steps_per_second is None
    assert compiled.note == "not available: this compiler knows no such machine"
    assert "batch sizes were not tried" in measured.reason
    # As if nothing had been measured: the same bits.
    chosen = resolved(lesson, applied(settings, own.candidate), measured.record())
    run = RunFolder.create(tmp_path, chosen.record)
    outcome = learn(chosen, run)
    assert outcome.weights_hash == uninterrupted[0].weights_hash
    # Another choice is the run's from then on, and is what is resumed and reproduced.
    other = dataclasses.replace(own.candidate, compute=ComputeChoice(precision="bfloat16"))
    rounded = resolved(lesson, applied(settings, other), measured.record())
    first = learn(rounded, RunFolder.create(tmp_path / "first", rounded.record))
    record = RunFolder.open(tmp_path / "first", "latest").record()
    assert record.compute is not None
    assert record.compute["reason"] == measured.reason
    again = old_lesson(record, (candles,))
    assert again.plan.compute == other.compute
    second = RunFolder.create(tmp_path / "second", record)
    learn(again, second, stop=_StopAfter(2 * ROLLOUT + 40))
    resumed = learn(old_lesson(record, (candles,)), second, resume=True)
    assert resumed.weights_hash == first.weights_hash
    assert first.weights_hash != outcome.weights_hash


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
                 "kl_divergence", "explained_variance", "memory_bytes", "clip_fraction",
                 "validation_score", "selected_at"):  # fmt: skip
        assert getattr(last, name) is not None, name
    assert last.remaining == 0.0
    assert last.seed == 3
    assert last.deadline_in is last.reserve is None
    assert set(last.reward_terms) == set(REWARD_TERMS)
    assert last.reward_terms["costs"] < 0.0
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
def test_a_compiled_rollout_is_the_one_that_the_learner_would_have_collected(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    """Its actions, played step by step in a twin, give its observations, rewards and ends, to the bit.

    What its networks said of them is what torch says, as floats go, cut-offs' values included.
    """
    short = settings.learning.model_copy(update={"episode_length": 3})
    lesson = plan(settings.model_copy(update={"learning": short}), candles, tmp_path)
    learning = lesson.plan.learning
    agent = build_agent(training_environment(lesson.plan), learning, 0)
    twin = training_environment(lesson.plan)
    other = build_agent(twin, learning, 0)
    assert isinstance(other, CompiledPPO)
    untrained = other.policy
    seen: dict[str, NDArray[np.float32]] = {}

    class Noting(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            assert isinstance(self.model, CompiledPPO)
            buffer = self.model.rollout_buffer
            seen.update((name, getattr(buffer, name).copy()) for name in Experience._fields)

    agent.learn(learning.copies * learning.steps_per_copy, callback=Noting())
    observations, starts = twin.reset(), np.ones(learning.copies, dtype=np.bool_)
    cut = 0
    for step in range(learning.steps_per_copy):
        np.testing.assert_array_equal(seen["observations"][step], observations)
        np.testing.assert_array_equal(seen["episode_starts"][step], starts)
        with torch.no_grad():
            values, log_probs, _ = untrained.evaluate_actions(
                torch.from_numpy(observations), torch.from_numpy(seen["actions"][step, :, 0])
            )
        np.testing.assert_allclose(seen["values"][step], values[:, 0], atol=2e-5)
        np.testing.assert_allclose(seen["log_probs"][step], log_probs, atol=2e-5)
        twin.step_async(seen["actions"][step, :, 0].astype(np.int64))
        observations, rewards, starts, infos = twin.step_wait()
        for copy in np.flatnonzero(starts).tolist():
            if infos[copy]["TimeLimit.truncated"]:
                cut += 1
                last = torch.from_numpy(infos[copy]["terminal_observation"][None])
                with torch.no_grad():
                    rewards[copy] += learning.gamma * float(untrained.predict_values(last))
        np.testing.assert_allclose(seen["rewards"][step], rewards, atol=2e-5)
    assert cut > learning.copies
    assert 0.2 < seen["actions"].mean() < 0.8  # both actions are tried, as an untrained policy does


@pytest.mark.slow
def test_an_update_is_the_library_s_own(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    """Two updates of ours move every parameter as two of SB3's do, and record the same figures."""
    wide = settings.learning.model_copy(update={"entropy": 0.02})
    lesson = plan(settings.model_copy(update={"learning": wide}), candles, tmp_path)
    found = []
    for train in (CompiledPPO.train, PPO.train):
        agent = build_agent(training_environment(lesson.plan), lesson.plan.learning, 0)
        assert isinstance(agent, CompiledPPO)
        agent.train = partial(train, agent)  # type: ignore[method-assign]
        agent.learn(2 * ROLLOUT)
        figures = {name: float(value) for name, value in agent.logger.name_to_value.items()}
        found.append((deciding_weights(agent), figures))
    (ours, told), (theirs, theirs_told) = found
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=2e-5)
    assert told == pytest.approx(theirs_told, abs=1e-4)


@pytest.mark.slow
def test_the_numpy_network_is_the_trained_one(
    settings: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    import torch

    from adan_core.learning.environment import TradingVecEnv
    from adan_core.learning.environment_kernel import EnvironmentKernel

    lesson = plan(settings, candles, tmp_path)
    kernel = EnvironmentKernel(lesson.plan.training, 16, 10_000.0, 100, 0)
    agent = build_agent(TradingVecEnv(kernel, (0.0, 1.0)), settings.learning, 0)
    assert isinstance(agent, PPO)
    agent.learn(ROLLOUT)
    network = Network.from_weights(deciding_weights(agent))
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
    card = dataclasses.replace(member_card("test"), columns=(), exposures=(0.0, 1.0))
    member = Member(card, network, columns)
    decided = [member.opinion(row, 0.0, np.zeros((1, 0), dtype=np.float32)) for row in observations]
    assert [answer.exposure for answer in decided] == [float(one) for one in actions]
    assert decided[0].value == pytest.approx(values[0] / 100.0, abs=1e-7)
