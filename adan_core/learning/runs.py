"""A training run on disk: what it was asked, on which candles, how it went, and its checkpoints."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from adan_core.domain.errors import AlreadyRunning, ModelError, UsageError
from adan_core.domain.time import Milliseconds
from adan_core.domain.training import TrainingProgress
from adan_core.resilience.files import (
    exclusive_lock,
    lock_holder,
    private_folder,
    write_atomically,
)

RUN_SCHEMA_VERSION = 1
PROGRESS_SCHEMA_VERSION = 1

_RECORD = "run.json"
_PROGRESS = "progress.jsonl"
_CHECKPOINTS = "checkpoints"
_LOCK = ".lock"
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Span:
    """Candles from ``start_time`` to ``stop_time`` (exclusive), milliseconds."""

    start_time: Milliseconds
    stop_time: Milliseconds
    candles: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The candles of one symbol that a run read, and how they were split.

    ``series_hash`` names the whole series, ``training_hash`` its training part.
    """

    symbol: str
    timeframe: str
    synthetic: bool
    series_hash: str
    training_hash: str
    training: Span
    validation: Span
    test: Span


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything a run is determined by; ``settings`` are resolved, ``features`` the file's text.

    ``external_hash`` names what was known of external columns, empty where there are none;
    ``profile`` is the member it trains, empty where the settings of ``learning`` hold as they are;
    ``ensemble`` names the four runs whose members make one model, empty for a run of its own;
    ``compute`` is what was measured before the run, if it was: its outcome stands in the settings.
    """

    schema_version: int
    run_id: str
    created_at: Milliseconds
    dataset: str | None
    steps: int
    seed: int
    ladder: tuple[str, ...]
    features: str
    feature_schema_hash: str
    settings: dict[str, Any]
    data: tuple[DataRecord, ...]
    library_versions: dict[str, str]
    external_hash: str = ""
    profile: str = ""
    ensemble: str = ""
    compute: dict[str, Any] | None = None


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.path / _CHECKPOINTS

    @classmethod
    def create(cls, runs: Path, record: RunRecord) -> "RunFolder":
        """Make the folder of a new run and write its record; UsageError if the id is taken."""
        folder = cls(runs / record.run_id)
        if folder.path.exists():
            raise UsageError(
                f"a run called {record.run_id}", "a name of its own", "start again in a second"
            )
        private_folder(folder.checkpoints)
        write_atomically(folder.path / _RECORD, msgspec.json.format(msgspec.json.encode(record)))
        return folder

    @classmethod
    def open(cls, runs: Path, name: str) -> "RunFolder":
        """Return the run called ``name``, or the newest one for ``latest``; UsageError if none is."""
        known = sorted(run_folders(runs), key=lambda folder: folder.record().created_at)
        if name == "latest" and known:
            return known[-1]
        for folder in known:
            if name in {folder.path.name, folder.record().ensemble}:
                return folder
        raise UsageError(
            f"no training run called {name}",
            ", ".join(folder.path.name for folder in known[-5:]) or "a run; there is none yet",
            "leave --resume out to start one",
        )

    def record(self) -> RunRecord:
        """Read the run's record; ModelError if it is damaged or newer than this program."""
        path = self.path / _RECORD
        try:
            record = msgspec.json.decode(path.read_bytes(), type=RunRecord)
        except (OSError, msgspec.DecodeError) as error:
            raise ModelError(f"{path}: {error}", "the record of a training run") from error
        if record.schema_version != RUN_SCHEMA_VERSION:
            raise ModelError(
                f"{path} of schema version {record.schema_version}",
                str(RUN_SCHEMA_VERSION),
                "use the ADAN that wrote it",
            )
        return record

    @contextmanager
    def held(
        self, patience: float = 0.0, wait: Callable[[float], object] = time.sleep
    ) -> Iterator[None]:
        """Keep everybody else from learning in this folder: two would write over each other.

        UsageError, which says who, where another process is at it and still is ``patience`` seconds
        later.
        """
        left = patience
        while True:
            try:
                lock = exclusive_lock(self.path / _LOCK)
                break
            except AlreadyRunning as error:
                if left <= 0.0:
                    raise self._taken(lock_holder(self.path / _LOCK)) from error
                wait(_LOOK_SECONDS)
                left -= _LOOK_SECONDS
        with lock:
            yield

    def require_free(self) -> None:
        """Raise what ``held`` would where another process is at this run now; take nothing."""
        holder = lock_holder(self.path / _LOCK)
        if holder is not None:
            raise self._taken(holder)

    def _taken(self, holder: int | None) -> UsageError:
        return UsageError(
            f"run {self.path.name} is at work in "
            + (f"process {holder}" if holder else "another process"),
            "one process at a run",
            "wait for it, or end it: the run goes on from its last checkpoint",
        )

    def log(self, progress: TrainingProgress) -> None:
        """Append one progress record."""
        line = msgspec.json.encode({"schema_version": PROGRESS_SCHEMA_VERSION, **asdict(progress)})
        with (self.path / _PROGRESS).open("ab") as file:
            file.write(line + b"\n")


def run_folders(runs: Path) -> Iterator[RunFolder]:
    """Yield every run in ``runs``."""
    if runs.is_dir():
        for path in runs.iterdir():
            if (path / _RECORD).is_file():
                yield RunFolder(path)
