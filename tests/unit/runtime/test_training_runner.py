"""The core's trainings: one child at a time, the others in a durable queue."""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adan_core.cli import train
from adan_core.domain.errors import DataError
from adan_core.domain.time import ManualClock, SystemClock
from adan_core.domain.training import TrainingProgress, TrainingRequest, TrainingState
from adan_core.runtime.training import TrainingRunner
from adan_core.runtime.training_queue import TrainingQueue, open_queue

PATIENCE = 60.0

# A learner that needs no learner's libraries: it speaks and obeys as `adan-core train` does.
CHILD = """
import json, signal, sys, threading
words = sys.argv[1:]
run = words[words.index("--resume") + 1] if "--resume" in words else ""
steps = int(run.removeprefix("run-") if run else words[words.index("--steps") + 1])
run = run or f"run-{steps}"
asked, woken = [], threading.Event()
for one in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(one, lambda number, _frame: asked.append(number))
def say(state, message=""):
    print(json.dumps(dict(run_id=run, state=state, steps=1, total_steps=steps, steps_per_second=None,
        remaining=None, deadline_in=None, reward=None, policy_loss=None, value_loss=None, entropy=None,
        kl_divergence=None, explained_variance=None, memory_bytes=None, message=message,
        updated_at=0)), flush=True)
say("running", "learning again" if "--resume" in words else "learning")
if steps == 13:
    sys.exit("no candles to learn from")
while steps > 100 and signal.SIGTERM not in asked:
    signal.sigtimedwait([], 0.01)
    if signal.SIGUSR1 in asked:
        asked.remove(signal.SIGUSR1); say("paused")
    if signal.SIGUSR2 in asked:
        asked.remove(signal.SIGUSR2); say("running")
say("stopped" if signal.SIGTERM in asked else "finished")
"""


def request(steps: int, resume: str | None = None) -> TrainingRequest:
    return TrainingRequest(None, steps, 0, None, resume)


class Bench:
    """A runner whose children are the scripted ones, and every record it published."""

    def __init__(self, path: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: list[TrainingProgress] = []
        self._news = threading.Condition()
        self.queue = TrainingQueue(path, SystemClock())
        self.runner = TrainingRunner(None, (), SystemClock(), self._hear, self.queue)
        original = TrainingRunner._words

        def words(runner: TrainingRunner, asked: TrainingRequest) -> list[str]:
            return [sys.executable, "-S", "-c", CHILD, *original(runner, asked)[4:]]

        monkeypatch.setattr(TrainingRunner, "_words", words)

    def _hear(self, record: TrainingProgress) -> None:
        with self._news:
            self.records.append(record)
            self._news.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after every record."""
        limit = time.monotonic() + PATIENCE
        with self._news:
            while not condition():
                assert time.monotonic() < limit, [one.state for one in self.records]
                self._news.wait(0.01)

    def shown(self, run_id: str, state: TrainingState) -> None:
        self.until(lambda: any((r.run_id, r.state) == (run_id, state) for r in self.records))

    def idle(self) -> None:
        self.until(lambda: not self.runner.running)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    one = Bench(tmp_path / "queue.json", monkeypatch)
    yield one
    one.runner.close()


def test_jobs_have_their_turns_one_after_the_other(bench: Bench) -> None:
    assert bench.runner.start(request(1_000)).message == "training started"
    refused = bench.runner.start(request(2))
    assert not refused.accepted
    assert "can be queued" in refused.message
    assert "queued as number 2; 1 waiting" in bench.runner.enqueue(request(2)).message
    assert "queued as number 3; 2 waiting" in bench.runner.enqueue(request(3)).message
    assert [job.running for job in bench.runner.queue] == [True, False, False]
    bench.shown("run-1000", TrainingState.RUNNING)
    assert bench.runner.stop().accepted
    bench.shown("run-1000", TrainingState.STOPPED)
    bench.shown("run-2", TrainingState.FINISHED)
    bench.shown("run-3", TrainingState.FINISHED)
    bench.idle()
    assert bench.runner.queue == ()


def test_pause_and_resume_the_training_at_work(bench: Bench) -> None:
    assert "nothing to pause" in bench.runner.pause().message
    bench.runner.start(request(1_000))
    bench.shown("run-1000", TrainingState.RUNNING)
    assert "no training is paused" in bench.runner.go_on().message
    assert bench.runner.pause().accepted
    bench.shown("run-1000", TrainingState.PAUSED)
    assert not bench.runner.pause().accepted
    running = sum(1 for record in bench.records if record.state is TrainingState.RUNNING)
    assert bench.runner.go_on().accepted
    bench.until(lambda: sum(1 for r in bench.records if r.state is TrainingState.RUNNING) > running)
    # A paused one ends, too.
    bench.runner.pause()
    bench.until(lambda: bench.records[-1].state is TrainingState.PAUSED)
    bench.runner.stop()
    bench.shown("run-1000", TrainingState.STOPPED)


def test_one_that_waits_is_cancelled_and_the_one_at_work_is_not(bench: Bench) -> None:
    bench.runner.start(request(1_000))
    bench.runner.enqueue(request(2))
    assert not bench.runner.cancel(1).accepted
    assert not bench.runner.cancel(None).accepted
    assert bench.runner.cancel(2).accepted
    assert not bench.runner.cancel(2).accepted
    assert [job.job_id for job in bench.runner.queue] == [1]


def test_a_failure_is_said_in_the_childs_words_and_the_next_has_its_turn(bench: Bench) -> None:
    bench.runner.start(request(13))
    bench.runner.enqueue(request(2))
    bench.shown("run-13", TrainingState.FAILED)
    failed = next(r for r in bench.records if r.state is TrainingState.FAILED)
    assert failed.message == "no candles to learn from"
    bench.shown("run-2", TrainingState.FINISHED)


def test_the_queue_outlives_its_core_and_the_one_at_work_goes_on_with_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "queue.json"
    first = Bench(path, monkeypatch)
    first.runner.start(request(1_000))
    first.runner.enqueue(request(2))
    first.shown("run-1000", TrainingState.RUNNING)
    first.runner.close()
    assert first.records[-1].state is TrainingState.STOPPED
    second = Bench(path, monkeypatch)
    assert [job.request.steps for job in second.queue.jobs] == [1_000, 2]
    second.runner.begin()
    second.shown("run-1000", TrainingState.RUNNING)
    assert second.records[0].message == "learning again"
    second.runner.stop()
    second.shown("run-2", TrainingState.FINISHED)
    second.idle()
    assert TrainingQueue(path, SystemClock()).jobs == ()


def test_a_job_that_became_a_run_is_gone_on_with_in_words_the_command_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []

    original = subprocess.Popen[bytes]

    def without_a_learner(words: list[str], **_options: object) -> subprocess.Popen[bytes]:
        begun.append(words)
        return original(
            [sys.executable, "-S", "-c", ""],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    monkeypatch.setattr(subprocess, "Popen", without_a_learner)
    queue = TrainingQueue(tmp_path / "queue.json", SystemClock())
    queue.add(TrainingRequest("sample", 500, 3, 60.0, "a-run", "all"))
    queue.add(TrainingRequest("sample", 500, 3, 60.0, profile="all"))
    runner = TrainingRunner(None, (), SystemClock(), lambda _record: None, queue)
    runner.begin()
    while runner.running:
        time.sleep(0.01)
    runner.close()
    parser = argparse.ArgumentParser()
    train.configure(parser)
    resumed, new = (parser.parse_args(words[4:]) for words in begun)
    for arguments in (resumed, new):
        train._check(arguments)
    assert (resumed.resume, resumed.dataset, resumed.profile) == ("a-run", None, None)
    assert (new.resume, new.dataset, new.profile) == (None, "sample", "all")


def test_a_core_that_dies_leaves_the_job_at_the_head(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    clock = ManualClock(5)
    queue = TrainingQueue(path, clock)
    queue.add(request(10))
    queue.add(request(20))
    taken = queue.take()
    assert taken is not None
    queue.note_run(taken.job_id, "run-10")
    # Nothing else is written: so the file is what a SIGKILL leaves.
    again = TrainingQueue(path, clock)
    assert again.jobs[0].running
    job = again.take()
    assert job is not None
    assert (job.job_id, job.request.resume) == (1, "run-10")
    assert again.add(request(30)).job_id == 3
    assert not again.cancel(1)


def test_a_damaged_queue_is_set_aside_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "queue.json"
    path.write_text("{")
    with pytest.raises(DataError, match="queue of trainings"):
        TrainingQueue(path, ManualClock())
    said: list[str] = []
    assert open_queue(path, ManualClock(), said.append).jobs == ()
    assert "queue.damaged" in said[0]
    assert (tmp_path / "queue.damaged").read_text() == "{"
    path.write_text('{"schema_version": 9, "next_id": 1, "jobs": []}')
    with pytest.raises(DataError, match="schema version 9"):
        TrainingQueue(path, ManualClock())
