"""Work in processes: every outcome comes, failures say why, and a dead worker takes nobody along."""

import errno
import os
import signal
from collections.abc import Callable

import pytest

from adan_core.domain.errors import DataError
from adan_core.learning.executor import Executor, InProcess, LocalProcesses


def halved(number: int) -> float:
    if number % 2:
        raise DataError(f"{number}", "an even number")
    return number / 2.0


def fatal(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def interrupted(number: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return number


def full(number: int) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", f"fold{number}")


def pid(_number: int) -> int:
    return os.getpid()


def alive(process: int | None) -> bool:
    assert process is not None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def nature(_number: int) -> tuple[int, str, int]:
    return os.getpid(), os.environ["OMP_NUM_THREADS"], os.nice(0)


@pytest.mark.slow
@pytest.mark.parametrize("executor", [InProcess, LocalProcesses])
def test_every_task_has_its_outcome(executor: Callable[[], Executor]) -> None:
    done = {one.task: one for one in executor().run(halved, range(5))}
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert [done[task].result for task in (0, 2, 4)] == [0.0, 1.0, 2.0]
    assert done[3].result is None
    assert "an even number" in done[3].failure


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_task_and_no_other() -> None:
    done = {one.task: one for one in LocalProcesses().run(fatal, range(5))}
    assert [done[task].result for task in (0, 1, 3, 4)] == [0, 1, 3, 4]
    assert done[2].failure == "its process ended without a word"


@pytest.mark.slow
def test_processes_stay_from_one_run_to_the_next_unless_one_is_cut_off_or_dies() -> None:
    with LocalProcesses(1) as executor:
        pids = [one.result for _ in range(2) for one in executor.run(pid, [0])]
        assert pids[0] == pids[1] != os.getpid()
        (dead,) = executor.run(fatal, [2])
        assert dead.result is None
        (after,) = executor.run(pid, [0])
        assert after.result not in {None, pids[0]}
        assert not alive(pids[0])
    assert after.result is not None
    assert not alive(after.result)
    (alone,) = executor.run(pid, [0])
    assert alone.result is not None
    assert not alive(alone.result)


@pytest.mark.slow
def test_an_interrupt_at_the_terminal_is_for_who_began_the_work() -> None:
    """It reaches every process there; a worker that ended by it would cut off the task at work."""
    assert [one.result for one in LocalProcesses(1).run(interrupted, [7])] == [7]


def test_a_full_disk_is_a_failure_with_its_reason() -> None:
    done = list(InProcess().run(full, [1, 2]))
    assert [one.result for one in done] == [None, None]
    assert "No space left on device" in done[0].failure


@pytest.mark.slow
def test_workers_are_processes_of_one_thread_that_let_others_go_first() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    (one,) = LocalProcesses(1).run(nature, [0])
    assert one.result is not None
    process, threads, niceness = one.result
    assert process != os.getpid()
    assert threads == "1"
    assert niceness > os.nice(0)
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_there_are_never_more_workers_than_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert LocalProcesses(1_000).workers == cores == LocalProcesses().workers
