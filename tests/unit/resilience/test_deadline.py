"""Deadlines, on a clock that moves only when told to."""

import pytest

from adan_core.domain.time import ManualClock
from adan_core.resilience.deadline import Deadline


def test_it_runs_out_when_its_time_has_passed() -> None:
    clock = ManualClock()
    deadline = Deadline(clock, 1.5)
    assert deadline.remaining() == 1.5
    clock.advance(1_499)
    assert deadline.remaining() == pytest.approx(0.001)
    clock.advance(1)
    assert deadline.remaining() == 0.0
    clock.advance(10_000)
    assert deadline.remaining() == 0.0


def test_without_one_there_is_always_time() -> None:
    clock = ManualClock()
    deadline = Deadline(clock, None)
    clock.advance(10**12)
    assert deadline.remaining() is None


def test_turning_the_wall_clock_back_does_not_matter() -> None:
    clock = ManualClock(now=10_000)
    deadline = Deadline(clock, 1.0)
    clock.set(0)
    clock.advance(1_000)
    assert deadline.remaining() == 0.0


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_it_lies_ahead(seconds: float) -> None:
    with pytest.raises(ValueError, match="lies ahead"):
        Deadline(ManualClock(), seconds)
