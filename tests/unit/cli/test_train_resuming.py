"""`adan-core train --resume RUN`: nothing that contradicts the run, and never two at it at once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adan_core.cli.main import main
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.domain.errors import UsageError
from adan_core.learning.runs import RUN_SCHEMA_VERSION, RunFolder, RunRecord

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(home: Path) -> RunFolder:
    """A run of 5,000 steps with seed 3, begun under the shipped settings."""
    locations = locate(home, {})
    record = RunRecord(
        schema_version=RUN_SCHEMA_VERSION,
        run_id="begun",
        created_at=1,
        dataset="sample",
        steps=5_000,
        seed=3,
        ladder=("5m",),
        features="",
        feature_schema_hash="",
        settings=load_settings(locations).settings.model_dump(mode="json"),
        data=(),
        library_versions={},
    )
    return RunFolder.create(locations.runs, record)


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(("train", "--resume", "latest", *words))
        return int(ended.value.code or 0), capsys.readouterr().err

    return command


@pytest.mark.parametrize(
    ("words", "began"),
    [
        (("--steps", "6000"), "began with --steps 5000"),
        (("--seed", "4"), "began with --seed 3"),
        (("--set", "learning.gamma=0.9"), "began with learning.gamma=0.99"),
        (("--set", "costs.fee_rate=0"), "began with costs.fee_rate=0.001"),
        (("--steps", "6000", "--queue"), "began with --steps 5000"),
    ],
)
def test_what_contradicts_the_run_is_refused_before_a_passphrase_is_asked_for(
    folder: RunFolder, train: Run, words: tuple[str, ...], began: str
) -> None:
    code, said = train(*words)
    assert code == 2
    assert f"run {folder.path.name} {began}" in said
    assert "leave it out" in said


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "5000", "--seed", "3"),
        ("--set", "learning.gamma=0.99"),
        ("--set", "compute.memory_budget_gigabytes=3", "--set", "screen.plot_hertz=0.5"),
        # A core hands its own settings on to every child.
        ("--set", "learning.gamma=0.9", "--progress-json"),
    ],
)
def test_what_agrees_with_the_run_or_moves_no_bit_of_it_is_let_through(
    train: Run, words: tuple[str, ...]
) -> None:
    code, said = train(*words)
    assert code != 2  # the next thing that is missing is a passphrase, or the candles
    assert "--resume" not in said


def test_a_queued_run_is_the_one_that_was_the_latest_with_its_own_steps(
    folder: RunFolder, train: Run, home: Path
) -> None:
    assert train("--queue")[0] == 0
    queued = locate(home, {}).training_queue.read_text()
    assert f'"resume": "{folder.path.name}"' in queued
    assert '"steps": 5000' in queued
    assert '"seed": 3' in queued


_HOLDING = (
    "import sys; from pathlib import Path; from adan_core.learning.runs import RunFolder\n"
    "with RunFolder(Path(sys.argv[1])).held():\n"
    "    print('held', flush=True); sys.stdin.read()"
)


def test_a_run_that_another_process_is_at_is_refused_with_who_it_is_and_taken_once_it_has_gone(
    folder: RunFolder, train: Run
) -> None:
    orphan = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert orphan.stdout is not None
    assert orphan.stdin is not None
    assert orphan.stdout.readline() == "held\n"
    code, said = train()
    assert code == 2
    assert f"run {folder.path.name} is at work in process {orphan.pid}" in said
    waited: list[float] = []
    with pytest.raises(UsageError, match=f"process {orphan.pid}"), folder.held(1.0, waited.append):
        pass
    assert sum(waited) == pytest.approx(1.0, abs=0.3)

    def gone(_seconds: float) -> None:
        orphan.kill()
        orphan.wait()

    with folder.held(1.0, gone), pytest.raises(UsageError, match=f"process {os.getpid()}"):
        folder.require_free()
    orphan.stdin.close()
    orphan.stdout.close()
