"""Trainings as an operator runs them, in processes of their own: killed, queued, paused, watched."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adan_core.config.locations import locate
from adan_core.domain.errors import NotRunning
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.runtime.remote import ask

pytestmark = pytest.mark.slow

WORDS = [sys.executable, "-m", "adan_core"]
PASSPHRASE = "a passphrase for tests\n"  # noqa: S105
NO_KEYRING = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent", "XDG_RUNTIME_DIR": ""}
SMALL = [
    "--set", "learning.copies=16",
    "--set", "learning.steps_per_copy=32",
    "--set", "learning.batch_size=256",
    "--set", "learning.checkpoint_seconds=0.001",
]  # fmt: skip
STEPS = "16384"


def started(*words: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [*WORDS, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | NO_KEYRING,
    )
    assert process.stdin is not None
    process.stdin.write(PASSPHRASE)
    process.stdin.flush()
    return process


def adan(*words: str, code: int = 0) -> str:
    process = started(*words)
    said, complaint = process.communicate(timeout=300)
    assert process.returncode == code, said + complaint
    return said + complaint


def document(*words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(adan(*words, code=code))
    return found


@pytest.fixture
def sample(home: Path) -> str:
    adan("data", "sample", "--rows", "6000", "--timeframe", "5m", "--name", "sample")
    return "sample"


def test_killed_at_random_and_resumed_the_weights_have_the_same_hash(
    home: Path, sample: str
) -> None:
    words = ["train", "--passphrase-stdin", *SMALL, "--dataset", sample, "--steps", STEPS]
    words += ["--seed", "5"]
    straight = document(*words, "--json", "--tensorboard", str(home / "curves"))
    assert len(straight["weights_hash"]) == 64
    _curves_are_read_back(home / "curves")
    chance = random.Random(1)
    folders = set((home / "data" / "runs").iterdir())
    for _ in range(2):
        process = started(*words, "--progress-json")
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["state"] == "running":
                break
        try:
            process.wait(chance.uniform(0.0, 0.25))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=300)
        (killed,) = set((home / "data" / "runs").iterdir()) - folders
        held_by = json.loads((killed / ".lock").read_text())["pid"]
        assert held_by == process.pid  # nobody else could have written there meanwhile
        words = ["train", "--passphrase-stdin", "--resume", killed.name]
    saved = sorted((killed / "checkpoints").iterdir())
    assert 0 < len(saved) <= 3
    if len(saved) > 1:
        newest = saved[-1].read_bytes()
        saved[-1].write_bytes(newest[: len(newest) // 2])
    resumed = document(*words, "--json")
    assert resumed["state"] == "finished"
    assert resumed["weights_hash"] == straight["weights_hash"]
    told = (killed / "progress.jsonl").read_text()
    assert len(saved) == 1 or f"{saved[-1].name} is not usable" in told


def _curves_are_read_back(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"training/entropy", "training/kl_divergence", "training/clip_fraction"} <= tags
    assert {"reward terms/market", "reward terms/costs"} <= tags
    assert events.Scalars("training/validation_score")[-1].step == int(STEPS)


def test_trainings_wait_in_a_durable_queue_and_are_paused_in_a_running_core(home: Path) -> None:
    quick = ["--set", "market.candle_seconds=0.5"]
    said = adan("train", "--queue", "--steps", "100000000", "--seed", "3")
    assert "queued as number 1; no core runs here" in said
    adan("train", "--queue", "--steps", "50", "--seed", "4", "--timeout", "60")
    listed = document("train", "list", "--json")
    assert not listed["running"]
    assert [job["request"]["seed"] for job in listed["jobs"]] == [3, 4]
    assert "no core answers" in adan("train", "pause", code=9)
    core = started("run", *quick, *SMALL)
    try:
        until(home, lambda now: now.state is TrainingState.RUNNING)
        assert "pausing" in adan("train", "pause")
        paused = until(home, lambda now: now.state is TrainingState.PAUSED)
        assert "checkpoint saved" in paused.message
        child = child_of(core.pid)
        first = child.cpu()
        until(home, lambda now: now.updated_at > paused.updated_at + 2_000)
        assert child.cpu() - first < 0.5  # it gives the processor back
        adan("train", "resume")
        until(home, lambda now: now.state is TrainingState.RUNNING)
        shown = adan("train", "list")
        assert "  1  at work  simulated market" in shown or "  1  at work  goes on with" in shown
        assert "  2  waiting  simulated market, 50 steps, seed 4, at most 60 s" in shown
        assert "will not be started" in adan("train", "cancel", "2")
        assert "checkpoint" in adan("train", "stop")
        until(home, lambda now: now.state is TrainingState.STOPPED)
        looked(home, lambda core: core.training_queue == ())
    finally:
        core.send_signal(signal.SIGINT)
        core.communicate(timeout=300)


class Child:
    """A process, by what the system says of it."""

    def __init__(self, pid: int) -> None:
        import psutil

        self._process = psutil.Process(pid)

    def cpu(self) -> float:
        used = self._process.cpu_times()
        return float(used.user + used.system)


def child_of(parent: int) -> Child:
    import psutil

    (child,) = psutil.Process(parent).children()
    return Child(child.pid)


def until(home: Path, condition: Callable[[TrainingProgress], bool]) -> TrainingProgress:
    """Look at the running core until its newest training record is as ``condition`` wants it."""

    def fits(core: CoreSnapshot) -> bool:
        return core.training is not None and condition(core.training)

    record = looked(home, fits).training
    assert record is not None
    return record


def looked(home: Path, condition: Callable[[CoreSnapshot], bool]) -> CoreSnapshot:
    """Look at the running core until it is as ``condition`` wants it."""
    socket = locate(home, {}).socket
    limit = time.monotonic() + 300.0
    never = threading.Event()
    while time.monotonic() < limit:
        never.wait(0.05)  # the processor is for those that are watched
        try:
            snapshot = ask(socket).snapshot
        except NotRunning:  # it is still starting
            continue
        if snapshot is not None and condition(snapshot):
            return snapshot
    raise AssertionError("the core never came to that")
