"""Trainings that wait for their turn, in a file: they outlive the core that took them on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from adan_core.domain.errors import DataError
from adan_core.domain.time import Clock
from adan_core.domain.training import QueuedTraining, TrainingRequest
from adan_core.resilience.files import write_atomically

QUEUE_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _File:
    schema_version: int
    next_id: int
    jobs: tuple[QueuedTraining, ...]


class TrainingQueue:
    """Jobs in the order of their turns; the first may be the one at work.

    ``path`` None keeps them in memory alone. Every change is on disk before it returns; SystemFailure
    if the disk refuses (it holds in memory all the same). DataError if the file is damaged or of
    another version.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._guard = threading.Lock()
        self._content = _read(path)

    @property
    def jobs(self) -> tuple[QueuedTraining, ...]:
        """All jobs, frozen."""
        return self._content.jobs

    def add(self, request: TrainingRequest) -> QueuedTraining:
        """Put a new job at the end and return it."""
        with self._guard:
            number = self._content.next_id
            job = QueuedTraining(number, request, self._clock.now())
            self._keep((*self.jobs, job), number + 1)
            return job

    def take(self) -> QueuedTraining | None:
        """Return the job whose turn it is, marked as running; None if none waits."""
        with self._guard:
            if not self.jobs:
                return None
            first = replace(self.jobs[0], running=True)
            self._keep((first, *self.jobs[1:]))
            return first

    def note_run(self, job_id: int, run_id: str) -> None:
        """Remember which run a job has become: taken again, it goes on with that one."""
        with self._guard:
            self._keep(
                tuple(
                    replace(job, request=replace(job.request, resume=run_id))
                    if job.job_id == job_id and job.request.resume != run_id
                    else job
                    for job in self.jobs
                )
            )

    def put_back(self) -> None:
        """Let the job at work wait again, at the head: its core ends, it has not."""
        with self._guard:
            self._keep(tuple(replace(job, running=False) for job in self.jobs))

    def finished(self, job_id: int) -> None:
        """Drop a job that has had its turn."""
        with self._guard:
            self._keep(tuple(job for job in self.jobs if job.job_id != job_id))

    def cancel(self, job_id: int) -> bool:
        """Drop a job that waits; False if none that waits has this number."""
        with self._guard:
            left = tuple(job for job in self.jobs if job.running or job.job_id != job_id)
            found = len(left) < len(self.jobs)
            self._keep(left)
            return found

    def _keep(self, jobs: tuple[QueuedTraining, ...], next_id: int | None = None) -> None:
        number = self._content.next_id if next_id is None else next_id
        content = _File(QUEUE_SCHEMA_VERSION, number, jobs)
        changed, self._content = content != self._content, content
        if changed and self._path is not None:
            write_atomically(self._path, msgspec.json.format(msgspec.json.encode(content)))


def open_queue(path: Path | None, clock: Clock, complain: Callable[[str], None]) -> TrainingQueue:
    """Return the queue at ``path``; a damaged one is set aside, with a word, so that nothing waits."""
    try:
        return TrainingQueue(path, clock)
    except DataError as error:
        if path is None:
            raise
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        complain(f"the queue of trainings is set aside as {aside.name}, none waits: {error}")
        return TrainingQueue(path, clock)


def _read(path: Path | None) -> _File:
    try:
        data = b"" if path is None else path.read_bytes()
    except FileNotFoundError:
        data = b""
    if not data:
        return _File(QUEUE_SCHEMA_VERSION, 1, ())
    try:
        content = msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError as error:
        raise DataError(
            f"{path}: {error}", "the queue of trainings", "move the file away; runs are not in it"
        ) from error
    if content.schema_version != QUEUE_SCHEMA_VERSION:
        raise DataError(
            f"{path} of schema version {content.schema_version}",
            str(QUEUE_SCHEMA_VERSION),
            "use the ADAN that wrote it, or move the file away",
        )
    return content
