"""Training beside trading: a thread that drives one child process and keeps its newest record.

Importing the learner's tensors alone stops every thread of a process for a fifth of a second, so
the learner lives in a child (``adan-core train --progress-json``) whose streams are all
redirected; a child that runs out of memory does not take the trading core with it.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from adan_core.domain.commands import CommandResult
from adan_core.domain.time import Clock
from adan_core.domain.training import TrainingProgress, TrainingRequest, TrainingState

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
    """At most one training at a time; ``progress`` is its newest record, frozen."""

    def __init__(
        self,
        home: Path | None,
        overrides: Sequence[str],
        clock: Clock,
        report: Callable[[TrainingProgress], None],
    ) -> None:
        self._home = home
        self._overrides = tuple(overrides)
        self._clock = clock
        self._report = report
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._newest: TrainingProgress | None = None

    @property
    def progress(self) -> TrainingProgress | None:
        """The newest record of the running or last training; None before the first."""
        return self._newest

    @property
    def running(self) -> bool:
        """Whether a child is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, request: TrainingRequest) -> CommandResult:
        """Start the child; refused while one runs."""
        with self._guard:
            if self.running:
                return CommandResult(accepted=False, message="a training is running already")
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
                    self._words(request),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # ctrl-c in the operator's terminal is not for it
                    env=os.environ | {"PYTHONUNBUFFERED": "1"},
                )
            except (OSError, ValueError) as error:  # no memory for a child, a NUL in a name
                return CommandResult(accepted=False, message=f"it cannot be started: {error}")
            self._process = process
            self._newest = _first_record(request, self._clock.now())
            self._thread = threading.Thread(
                target=self._follow, args=(process,), name="training", daemon=True
            )
            self._thread.start()
        return CommandResult(accepted=True, message="training started")

    def stop(self) -> CommandResult:
        """Ask the child to save a checkpoint and end; refused when none runs."""
        with self._guard:
            if not self.running or self._process is None:
                return CommandResult(accepted=False, message="no training is running")
            self._process.terminate()
            if self._newest is not None:
                self._newest = replace(self._newest, state=TrainingState.STOPPING)
        return CommandResult(accepted=True, message="stopping; a checkpoint is written first")

    def close(self) -> None:
        """End the child, with a checkpoint if it answers in time, and join the thread."""
        thread = self._thread
        if thread is None:
            return
        if self.running:
            self.stop()
        thread.join(_PATIENCE_SECONDS)
        if thread.is_alive() and self._process is not None:
            self._process.kill()
            thread.join()

    def _words(self, request: TrainingRequest) -> list[str]:
        words = [sys.executable, "-m", "adan_core", "train", "--progress-json", "--seal-later"]
        words += ["--steps", str(request.steps), "--seed", str(request.seed)]
        if self._home is not None:
            words += ["--home", str(self._home)]
        for override in self._overrides:
            words += ["--set", override]
        if request.dataset is not None:
            words += ["--dataset", request.dataset]
        if request.timeout is not None:
            words += ["--timeout", str(request.timeout)]
        if request.resume is not None:
            words += ["--resume", request.resume]
        return words

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(
            ProcessLookupError
        ):  # it may have ended already; it says why below
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        last_words: deque[str] = deque(maxlen=20)
        drain = threading.Thread(target=_collect, args=(process, last_words), daemon=True)
        drain.start()
        decoder = msgspec.json.Decoder(TrainingProgress)
        assert process.stdout is not None  # noqa: S101 - given as a pipe above
        for line in process.stdout:
            try:
                self._publish(decoder.decode(line))
            except msgspec.DecodeError:
                last_words.append(line.decode(errors="replace").rstrip())
        code = process.wait()
        drain.join()
        newest = self._newest
        if newest is None:
            return
        if newest.state not in ENDED:
            why = last_words[-1] if last_words else f"it ended with code {code} and no word"
            self._publish(replace(newest, state=TrainingState.FAILED, message=why))
        elif last_words:  # such as why the model is not sealed yet
            self._publish(replace(newest, message=last_words[-1]))

    def _publish(self, record: TrainingProgress) -> None:
        self._newest = record
        self._report(record)


def _collect(process: subprocess.Popen[bytes], last_words: deque[str]) -> None:
    assert process.stderr is not None  # noqa: S101 - given as a pipe
    for line in process.stderr:
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
