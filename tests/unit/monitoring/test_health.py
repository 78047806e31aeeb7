"""Health is read for real, judged against limits, and honest about what does not answer."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import psutil
import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Monitoring
from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.health import CacheHealth, GpuHealth
from adan_core.domain.time import SECOND, ManualClock
from adan_core.monitoring import health as module
from adan_core.monitoring.alerts import AlertManager
from adan_core.monitoring.gpu import GpuReading, read_gpus
from adan_core.monitoring.health import HealthMonitor, MachineReading, read_machine
from adan_core.resilience.memory import MemoryManager

PATIENCE = 60.0
LIMITS: Monitoring = load_settings(locate(Path("nowhere"), {})).settings.monitoring
CACHE = CacheHealth(12, 3, 1, 0, 0, 2, 45_000, 90_000, 5, 180_000, 200_000)
GPU = GpuHealth("Test GPU", 40.0, 1_000, 4_000, 61.0)


class Machine:
    """A machine whose figures the test sets and whose readings it awaits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(5_000)
        self.said: list[Alert] = []
        self.memory = self.disk = 10.0
        self.held = 500
        self.room_made: list[str] = []
        self.read = Event()
        self.gpu_asked = Event()
        self.gpu_may_answer = Event()
        self.gpu_may_answer.set()
        self.error: OSError | None = None
        monkeypatch.setattr(module, "read_machine", self.machine)
        self.alerts = manager = AlertManager(self.clock, 300.0, 100, self.said.append)
        self.monitor = HealthMonitor(
            LIMITS.model_copy(update={"health_seconds": 0.001}),
            Path("/"),
            self.clock,
            manager,
            lambda: 1.5,
            lambda: CACHE,
            MemoryManager(1_000, self.room_made.append, used=lambda: self.held),
            self.gpus,
        )

    def machine(self, clock: ManualClock, *_: object) -> MachineReading:
        self.read.set()
        if self.error:
            raise self.error
        return MachineReading(clock.now(), 1.0, self.memory, 1, 2, 3, self.disk, 4, CACHE)

    def gpus(self) -> GpuReading:
        self.gpu_asked.set()
        self.gpu_may_answer.wait(PATIENCE)
        return GpuReading((GPU,), "")

    def reads_twice(self) -> None:
        """Wait until a reading that began after this call has been judged."""
        for _ in range(3):
            self.read.clear()
            assert self.read.wait(PATIENCE)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    found = Machine(monkeypatch)
    yield found
    found.gpu_may_answer.set()
    found.monitor.stop()


def test_the_real_machine_answers_with_sane_figures(tmp_path: Path) -> None:
    reading = read_machine(ManualClock(7), tmp_path / "not" / "there", lambda: CACHE)
    assert reading.taken_at == 7
    assert 0 < reading.memory_percent < 100
    assert reading.memory_total == psutil.virtual_memory().total
    assert 10_000_000 < reading.process_memory < reading.memory_total
    assert 0 <= reading.disk_percent <= 100
    assert reading.disk_free > 0


def test_gpus_are_shown_or_their_absence_explained() -> None:
    reading = read_gpus()
    assert bool(reading.gpus) != bool(reading.note)


def test_before_the_first_reading_there_is_no_picture(machine: Machine) -> None:
    assert machine.monitor.snapshot() is None


def test_a_picture_carries_what_was_read(machine: Machine) -> None:
    machine.monitor.start()
    machine.reads_twice()
    assert machine.gpu_asked.wait(PATIENCE)
    machine.reads_twice()
    picture = machine.monitor.snapshot()
    assert picture is not None
    assert (picture.taken_at, picture.memory_percent, picture.loop_lag) == (5_000, 10.0, 1.5)
    assert picture.gpus == (GPU,)
    assert picture.gpu_note == ""
    assert picture.cache == CACHE
    assert machine.said == []


def test_a_limit_crossed_is_said_once_and_again_when_it_worsens(machine: Machine) -> None:
    machine.memory = 80.0
    machine.monitor.start()
    machine.reads_twice()
    assert [(alert.code, alert.severity) for alert in machine.said] == [
        ("MEMORY", Severity.WARNING)
    ]
    assert "80 %" in machine.said[0].message
    machine.memory = 95.0
    machine.disk = 97.0
    machine.reads_twice()
    assert [(alert.code, alert.severity) for alert in machine.said[1:]] == [
        ("MEMORY", Severity.CRITICAL),
        ("DISK", Severity.CRITICAL),
    ]
    assert [alert.repeats for alert in machine.alerts.alerts()] == [0, 0, 0]


def test_the_processes_own_memory_is_held_to_its_budget(machine: Machine) -> None:
    machine.held = 950
    machine.monitor.start()
    machine.reads_twice()
    assert len(machine.room_made) == 1
    assert [(alert.code, alert.severity) for alert in machine.said] == [
        ("MEMORY BUDGET", Severity.WARNING)
    ]
    machine.held = 1_100
    machine.reads_twice()
    assert machine.said[1].severity is Severity.CRITICAL
    assert "of a budget of" in machine.said[1].message
    picture = machine.monitor.snapshot()
    assert picture is not None
    assert picture.memory_budget == 1_000


def test_a_probe_that_hangs_is_said_and_its_old_figures_are_not_shown(machine: Machine) -> None:
    machine.monitor.start()
    assert machine.gpu_asked.wait(PATIENCE)
    machine.gpu_may_answer.clear()
    machine.gpu_asked.clear()
    assert machine.gpu_asked.wait(PATIENCE)
    machine.clock.advance(60 * SECOND)
    machine.reads_twice()
    picture = machine.monitor.snapshot()
    assert picture is not None
    assert picture.gpus == ()
    assert picture.gpu_note == "no answer for 60 s"
    assert [alert.code for alert in machine.said] == ["HEALTH GPU"]


def test_a_machine_that_cannot_be_read_is_said(machine: Machine) -> None:
    machine.error = OSError("input/output error")
    machine.monitor.start()
    machine.reads_twice()
    assert machine.monitor.snapshot() is None
    assert "input/output error" in machine.said[0].message
