"""TimeoutManager: what a checkpoint takes is measured and held back before the deadline."""

from adan_core.domain.time import ManualClock
from adan_core.resilience.deadline import Deadline
from adan_core.resilience.timeout import TimeoutManager


def test_it_is_due_while_a_save_still_fits() -> None:
    clock = ManualClock()
    timeout = TimeoutManager(Deadline(clock, 60.0), clock)
    with timeout.saving():
        clock.advance(3_000)
    with timeout.saving():
        clock.advance(1_000)
    timeout.could_not_look(2.0)
    timeout.could_not_look(0.5)
    assert timeout.reserve == 2 * 3.0 + 2.0
    assert timeout.remaining() == 56.0
    clock.advance(47_900)
    assert not timeout.due
    clock.advance(100)
    assert timeout.due
    assert timeout.remaining() == 8.0


def test_before_anything_was_measured_a_little_is_held_back() -> None:
    clock = ManualClock()
    timeout = TimeoutManager(Deadline(clock, 1.0), clock)
    clock.advance(749)
    assert not timeout.due
    clock.advance(1)
    assert timeout.due


def test_without_a_deadline_nothing_is_ever_due() -> None:
    clock = ManualClock()
    timeout = TimeoutManager(Deadline(clock, None), clock)
    timeout.could_not_look(1e9)
    assert not timeout.due
    assert timeout.remaining() is None
