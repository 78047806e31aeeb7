"""Training beside trading: a thread that drives one child process at a time, from a queue.

Importing the learner's tensors alone stops every thread of a process for a fifth of a second, so
the learner lives in a child (``adan-core train --progress-json``) whose streams are all
redirected; a child that runs out of memory does not take the trading core with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from adan_core.domain.commands import CommandResult
from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Clock
from adan_core.domain.training import (
    QueuedTraining,
    TrainingProgress,
    TrainingRequest,
    TrainingState,
)
from adan_core.runtime.training_queue import TrainingQueue

ENDED = frozenset(
    {
        TrainingState.STOPPED,
        TrainingState.TIMED_OUT,
        TrainingState.FINISHED,
        TrainingState.FAILED,
    }
)
# A child that was told to stop writes its checkpoint first, which takes a second or two; a core that
# was told to end must be gone within ten, and earlier checkpoints are on disk.
_PATIENCE_SECONDS = 6.0
_NICE = 10


class TrainingRunner:
    """At most one training at a time, the others wait in ``queue``; ``progress`` is its newest record.

    A job at work when the core ends, in order or not, goes on from its checkpoint in the next one.
    """

    def __init__(
        self,
        home: Path | None,
        overrides: Sequence[str],
        clock: Clock,
        report: Callable[[TrainingProgress], None],
        queue: TrainingQueue,
    ) -> None:
        self._home = home
        self._overrides = tuple(overrides)
        self._clock = clock
        self._report = report
        self._queue = queue
        self._guard = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._newest: TrainingProgress | None = None
        self._stop_asked = False
        self._closing = False

    @property
    def progress(self) -> TrainingProgress | None:
        """The newest record of the running or last training; None before the first."""
        return self._newest

    @property
    def queue(self) -> tuple[QueuedTraining, ...]:
        """Every job, the one at work first."""
        return self._queue.jobs

    @property
    def running(self) -> bool:
        """Whether a child is at work."""
        return self._process is not None

    def begin(self) -> None:
        """Take on what a core before this one has left in the queue."""
        with self._guard:
            self._start_next()

    def start(self, request: TrainingRequest) -> CommandResult:
        """Start the child; refused while one runs."""
        with self._guard:
            if self.running:
                return CommandResult(
                    accepted=False, message="a training is running already; it can be queued"
                )
            return self.enqueue(request)

    def enqueue(self, request: TrainingRequest) -> CommandResult:
        """Take a job on for when its turn comes, which is at once if none is at work."""
        with self._guard:
            job = self._queue.add(request)
            if self.running:
                waiting = sum(1 for one in self.queue if not one.running)
                return CommandResult(
                    accepted=True, message=f"queued as number {job.job_id}; {waiting} waiting"
                )
            trouble = self._start_next()
            if trouble:
                return CommandResult(accepted=False, message=trouble)
        return CommandResult(accepted=True, message="training started")

    def cancel(self, job_id: int | None) -> CommandResult:
        """Drop a job that waits."""
        if job_id is None:
            return CommandResult(accepted=False, message="which training was not said")
        if self._queue.cancel(job_id):
            return CommandResult(accepted=True, message=f"training {job_id} will not be started")
        return CommandResult(accepted=False, message=f"no training {job_id} waits")

    def pause(self) -> CommandResult:
        """Let the child hold between two steps, its checkpoint on disk; refused unless it learns."""
        with self._guard:
            state = None if self._newest is None else self._newest.state
            if self._process is None or state is not TrainingState.RUNNING:
                # Before it learns it would not understand the signal.
                why = "no training is running" if self._process is None else f"it is {state}"
                return CommandResult(accepted=False, message=f"{why}: there is nothing to pause")
            self._process.send_signal(signal.SIGUSR1)
        return CommandResult(accepted=True, message="pausing; a checkpoint is written first")

    def go_on(self) -> CommandResult:
        """Let a paused child go on; refused if none is paused."""
        with self._guard:
            state = None if self._newest is None else self._newest.state
            if self._process is None or state is not TrainingState.PAUSED:
                return CommandResult(accepted=False, message="no training is paused")
            self._process.send_signal(signal.SIGUSR2)
        return CommandResult(accepted=True, message="going on")

    def stop(self) -> CommandResult:
        """Ask the child to save a checkpoint and end; refused when none runs."""
        with self._guard:
            if self._process is None:
                return CommandResult(accepted=False, message="no training is running")
            self._stop_asked = True
            self._process.terminate()
            if self._newest is not None:
                self._newest = replace(self._newest, state=TrainingState.STOPPING)
        return CommandResult(accepted=True, message="stopping; a checkpoint is written first")

    def end(self) -> None:
        """Take no job on any more, and ask the child to save a checkpoint and end.

        Its job stays at the head of the queue, unless the operator had stopped it before.
        """
        with self._guard:
            self._closing = True
            if self._process is not None and not self._stop_asked:
                self.stop()
                self._stop_asked = False

    def close(self) -> None:
        """End as ``end`` does, with patience for the checkpoint, and join the thread."""
        self.end()
        thread, process = self._thread, self._process
        if thread is None:
            return
        thread.join(_PATIENCE_SECONDS)
        if thread.is_alive() and process is not None:
            process.kill()
            thread.join()

    def _start_next(self) -> str:
        """Start the job whose turn it is, if there is one; return why it cannot be started."""
        job = None if self._closing else self._queue.take()
        if job is None:
            return ""
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
                self._words(job.request),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # ctrl-c in the operator's terminal is not for it
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        except (OSError, ValueError) as error:  # no memory for a child, a NUL in a name
            self._queue.finished(job.job_id)
            return f"it cannot be started: {error}"
        self._process = process
        self._stop_asked = False
        self._newest = _first_record(job.request, self._clock.now())
        self._thread = threading.Thread(
            target=self._follow, args=(process, job), name="training", daemon=True
        )
        self._thread.start()
        return ""

    def _words(self, request: TrainingRequest) -> list[str]:
        words = [sys.executable, "-m", "adan_core", "train", "--progress-json", "--seal-later"]
        if self._home is not None:
            words += ["--home", str(self._home)]
        for override in self._overrides:
            words += ["--set", override]
        if request.timeout is not None:
            words += ["--timeout", str(request.timeout)]
        if request.resume is not None:
            # A run goes on with its own candles, profile, steps and seed: asked for, they are refused.
            return [*words, "--resume", request.resume]
        words += ["--steps", str(request.steps), "--seed", str(request.seed)]
        if request.dataset is not None:
            words += ["--dataset", request.dataset]
        if request.profile:
            words += ["--profile", request.profile]
        return words

    def _follow(self, process: subprocess.Popen[bytes], job: QueuedTraining) -> None:
        with contextlib.suppress(
            ProcessLookupError
        ):  # it may have ended already; it says why below
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        last_words: deque[str] = deque(maxlen=20)
        drain = threading.Thread(target=_collect, args=(process, last_words), daemon=True)
        drain.start()
        decoder = msgspec.json.Decoder(TrainingProgress)
        assert process.stdout is not None  # noqa: S101 - given as a pipe above
        with process.stdout as lines:
            for line in lines:
                try:
                    record = decoder.decode(line)
                except msgspec.DecodeError:
                    last_words.append(line.decode(errors="replace").rstrip())
                    continue
                self._on_disk(partial(self._queue.note_run, job.job_id, record.run_id))
                self._publish(record)
        code = process.wait()
        drain.join()
        self._settle(job, code, last_words)

    def _settle(self, job: QueuedTraining, code: int, last_words: Sequence[str]) -> None:
        """Say how a job ended, take it off the queue if it is done, and start the next."""
        with self._guard:
            newest = self._newest
            if newest is not None and newest.state not in ENDED:
                why = last_words[-1] if last_words else f"it ended with code {code} and no word"
                state = TrainingState.FAILED
                if self._stop_asked or self._closing:
                    state = TrainingState.STOPPED
                    why = "stopped; what it learnt since its last checkpoint is learnt again"
                self._publish(replace(newest, state=state, message=why))
            elif newest is not None and last_words:  # such as why the model is not sealed yet
                self._publish(replace(newest, message=last_words[-1]))
            over = newest is not None and newest.state in ENDED - {TrainingState.STOPPED}
            kept = self._closing and not self._stop_asked and not over
            self._on_disk(
                self._queue.put_back if kept else partial(self._queue.finished, job.job_id)
            )
            self._process = None
            self._start_next()

    def _on_disk(self, change: Callable[[], object]) -> None:
        """Change the queue; a disk that refuses is said, but stops no training."""
        try:
            change()
        except SystemFailure as error:
            if self._newest is not None:
                self._publish(replace(self._newest, message=str(error)))

    def _publish(self, record: TrainingProgress) -> None:
        self._newest = record
        self._report(record)


def _collect(process: subprocess.Popen[bytes], last_words: deque[str]) -> None:
    assert process.stderr is not None  # noqa: S101 - given as a pipe
    with process.stderr as lines:
        for line in lines:
            last_words.append(line.decode(errors="replace").rstrip())


def _first_record(request: TrainingRequest, now: int) -> TrainingProgress:
    return TrainingProgress(
        run_id="",
        state=TrainingState.PREPARING,
        steps=0,
        total_steps=request.steps,
        steps_per_second=None,
        remaining=None,
        deadline_in=request.timeout,
        reward=None,
        policy_loss=None,
        value_loss=None,
        entropy=None,
        kl_divergence=None,
        explained_variance=None,
        memory_bytes=None,
        message="starting the learner",
        updated_at=now,
    )
