"""An alert is said once, counted when it repeats, and never lost when it is a HALT."""

from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.errors import UsageError
from adan_core.domain.time import SECOND, ManualClock
from adan_core.monitoring.alerts import FLATTEN, HALT, AlertManager

COOLDOWN = 300.0


class Desk:
    def __init__(self, history: int = 1000) -> None:
        self.clock = ManualClock(1_000_000)
        self.said: list[Alert] = []
        self.manager = AlertManager(self.clock, COOLDOWN, history, self.said.append)

    def warn(self, code: str = "STALE", message: str = "late") -> Alert:
        return self.manager.raise_alert(code, Severity.WARNING, message)


def test_a_duplicate_within_the_cooldown_is_counted_and_not_said() -> None:
    desk = Desk()
    first = desk.warn(message="5 s late")
    desk.clock.advance(299 * SECOND)
    second = desk.warn(message="304 s late")
    assert desk.said == [first]
    assert (second.alert_id, second.repeats, second.time) == (first.alert_id, 1, first.time)
    assert desk.manager.alerts()[0].message == "304 s late"


def test_after_the_cooldown_it_is_said_again() -> None:
    desk = Desk()
    desk.warn()
    desk.clock.advance(300 * SECOND)
    desk.warn()
    assert len(desk.said) == 2
    assert [alert.repeats for alert in desk.manager.alerts()] == [0, 0]


def test_another_code_or_a_worse_severity_is_no_duplicate() -> None:
    desk = Desk()
    desk.warn()
    desk.warn("STALE ETH/SIM")
    desk.manager.raise_alert("STALE", Severity.CRITICAL, "late")
    assert len(desk.said) == 3


@pytest.mark.parametrize("code", [HALT, FLATTEN])
def test_a_stop_is_never_suppressed(code: str) -> None:
    desk = Desk()
    for _ in range(3):
        desk.manager.raise_alert(code, Severity.CRITICAL, "operator")
    assert [alert.code for alert in desk.said] == [code] * 3
    assert len({alert.alert_id for alert in desk.said}) == 3


def test_an_acknowledged_alert_is_marked_and_an_unknown_one_refused() -> None:
    desk = Desk()
    alert = desk.warn()
    assert desk.manager.acknowledge(alert.alert_id).acknowledged
    assert desk.manager.alerts()[0].acknowledged
    with pytest.raises(UsageError, match="no alert 99"):
        desk.manager.acknowledge(99)


@given(
    codes=st.lists(st.sampled_from("abcdef"), max_size=60),
    history=st.integers(10, 20),
)
def test_the_newest_are_kept_newest_first_and_nothing_is_lost_of_the_count(
    codes: list[str], history: int
) -> None:
    desk = Desk(history)
    for code in codes:
        desk.warn(code)
    kept = desk.manager.alerts()
    assert len(kept) <= history
    assert [alert.alert_id for alert in kept] == sorted((a.alert_id for a in kept), reverse=True)
    assert sum(alert.repeats + 1 for alert in kept) == len(codes)


def test_a_forgotten_alert_is_said_anew() -> None:
    desk = Desk(history=10)
    first = desk.warn("one")
    for number in range(10):
        desk.warn(f"other {number}")
    assert desk.warn("one").alert_id != first.alert_id
    desk.manager.configure(COOLDOWN, 10)
    assert len(desk.manager.alerts()) == 10
    assert len(desk.manager._last_said) == 10  # nor does it grow out of sight


def test_threads_raising_at_once_lose_nothing() -> None:
    desk = Desk()
    barrier = Barrier(8)

    def storm() -> None:
        barrier.wait()
        for _ in range(500):
            desk.warn()

    threads = [Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(desk.said) == 1
    assert desk.manager.alerts()[0].repeats == 8 * 500 - 1
