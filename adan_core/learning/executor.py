"""Where folds, seeds and trials are worked out: one protocol, processes of this machine behind it.

A task is a function of a module and one argument of plain data; what comes back is plain data, too. One
that fails says why and stops no other. Results come in the order in which they are ready.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, Self, TypeVar

from adan_core.domain.errors import AdanError, AlreadyRunning, UsageError
from adan_core.resilience.files import exclusive_lock, private_folder

Task = TypeVar("Task")
Result = TypeVar("Result")

# A search must leave the machine usable, and the trading core first in line.
_NICE: Final = 10
# Set before a worker imports its libraries, which read them once: one thread each.
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Finished(Generic[Task, Result]):
    """A task and what came of it: a result, or why there is none (``failure``, empty otherwise)."""

    task: Task
    result: Result | None
    failure: str


class Executor(Protocol):
    """Works tasks out, as many at a time as it has room for."""

    @property
    def workers(self) -> int:
        """How many tasks it works at once."""
        ...

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[Finished[Task, Result]]:
        """Yield each task with its outcome as it is ready; closing the iterator drops the rest."""
        ...


class InProcess:
    """One task after the other, here: for a single core, and for tests."""

    workers = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        """Keep nothing: there are no processes to end."""

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[Finished[Task, Result]]:
        """Yield each task with its outcome, in their order."""
        for task in tasks:
            yield _attempt(work, task)


class LocalProcesses:
    """Processes of their own, one thread each; ``workers`` of them, at most as many as cores.

    Used in a ``with`` block they stay from one ``run`` to the next, for importing what learns takes
    seconds, and end with the block; else they end with each run.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._keeping = False
        self._kept: ProcessPoolExecutor | None = None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.workers = max(1, min(workers or cores or 1, cores or 1))

    def __enter__(self) -> Self:
        self._keeping = True
        return self

    def __exit__(self, *_failure: object) -> None:
        self._keeping = False
        if self._kept is not None:
            _end(self._kept)
            self._kept = None

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[Finished[Task, Result]]:
        """Yield each task with its outcome as it is ready; one that killed its process failed.

        Where one of several at work has done so, each of them is tried again alone: who it was.
        """
        suspects = yield from self._run(work, list(reversed(tasks)), self.workers)
        while suspects:
            accused = suspects.pop()
            if (yield from self._run(work, [accused], 1)):
                yield Finished(accused, None, "its process ended without a word")

    def _run(
        self, work: Callable[[Task], Result], waiting: list[Task], room: int
    ) -> Generator[Finished[Task, Result], None, list[Task]]:
        """Yield outcomes, and return the tasks that were at work when a process died."""
        suspects: list[Task] = []
        while waiting:
            pool, self._kept = self._kept or self._pool(room), None
            running: dict[Future[Finished[Task, Result]], Task] = {}
            broken = False
            try:
                while not broken and (waiting or running):
                    # Never more than there is room for: what is not begun can still be dropped.
                    while waiting and len(running) < room:
                        task = waiting.pop()
                        running[pool.submit(_attempt, work, task)] = task
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        if isinstance(future.exception(), BrokenProcessPool):
                            broken = True
                        else:
                            del running[future]
                            yield future.result()
                suspects += running.values()
            finally:
                # What is still at work is dropped, and its processes with it.
                if self._keeping and not running and not broken:
                    self._kept = pool
                else:
                    _end(pool)
        return suspects

    def _pool(self, room: int) -> ProcessPoolExecutor:
        # Torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with _single_threaded():
            pool = ProcessPoolExecutor(room, mp_context=context, initializer=_settle_down)
            # The workers start now, while the environment they inherit says one thread.
            for worker in [pool.submit(_nothing) for _ in range(room)]:
                worker.result()
        return pool


def local_executor(workers: int | None) -> InProcess | LocalProcesses:
    """Return what works here, ``workers`` tasks at a time (None: one per core), to be used in ``with``."""
    return InProcess() if workers == 1 else LocalProcesses(workers)


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file at ``path``: two at the same tasks would sweep each other's work away.

    UsageError, which calls the tasks ``what``, if another process holds it.
    """
    private_folder(path.parent)
    try:
        lock = exclusive_lock(path)
    except AlreadyRunning as error:
        raise UsageError(
            f"another process is working on {what}: {error.found}",
            "one at a time",
            "wait for it, or end it: what it has done is kept",
        ) from error
    with lock:
        yield


def _attempt(work: Callable[[Task], Result], task: Task) -> Finished[Task, Result]:
    try:
        return Finished(task, work(task), "")
    except AdanError as error:
        return Finished(task, None, str(error))
    except MemoryError:
        return Finished(task, None, "there was not enough memory")
    except OSError as error:
        return Finished(task, None, f"the machine refused: {error}")


def _settle_down() -> None:
    os.nice(_NICE)
    # ctrl-c reaches everybody at the terminal; whether to end is for who began the work to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _nothing() -> None:
    """Give a worker a reason to start."""


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: nobody waits for what they were at."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    former = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
