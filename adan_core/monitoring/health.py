"""How the machine and this process are, read in threads of their own and judged against limits."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from adan_core.config.settings import Monitoring
from adan_core.domain.alerts import Severity
from adan_core.domain.health import CacheHealth, GpuHealth, HealthSnapshot
from adan_core.domain.time import Clock, Milliseconds
from adan_core.monitoring.alerts import AlertManager
from adan_core.monitoring.gpu import GpuReading, read_gpus
from adan_core.resilience.memory import MemoryLevel, MemoryManager, process_memory

Reading = TypeVar("Reading")


@dataclass(frozen=True, slots=True)
class MachineReading:
    """CPU, memory, disk and the cache at one instant; percentages 0-100, sizes in bytes."""

    taken_at: Milliseconds
    cpu_percent: float
    memory_percent: float
    memory_used: int
    memory_total: int
    process_memory: int
    disk_percent: float
    disk_free: int
    cache: CacheHealth


def read_machine(clock: Clock, disk: Path, cache: Callable[[], CacheHealth]) -> MachineReading:
    """Ask the operating system and the cache; ``disk`` lies on the disk that ADAN writes to."""
    memory = psutil.virtual_memory()
    usage = psutil.disk_usage(str(next(p for p in (disk, *disk.parents) if p.exists())))
    return MachineReading(
        taken_at=clock.now(),
        cpu_percent=psutil.cpu_percent(),
        memory_percent=memory.percent,
        memory_used=memory.total - memory.available,
        memory_total=memory.total,
        process_memory=process_memory(),
        disk_percent=usage.percent,
        disk_free=usage.free,
        cache=cache(),
    )


class _Probe(Generic[Reading]):
    """One question asked again and again in a thread of its own, because an answer may never come."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Reading],
        clock: Clock,
        answered: Callable[[], None],
        interval: Callable[[], float],
    ) -> None:
        self.name = name
        self.latest: Reading | None = None
        self.failure = ""
        self._ask = ask
        self._clock = clock
        self._answered = answered
        self._interval = interval
        self._answered_at = clock.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"health: {name}", daemon=True)

    def start(self) -> None:
        self._answered_at = self._clock.monotonic()
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Stop asking; a probe that hangs is left behind (its thread is a daemon)."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def silent_for(self) -> float:
        """Seconds since the last answer, or since the start."""
        return self._clock.monotonic() - self._answered_at

    def ask_once(self) -> None:
        try:
            self.latest = self._ask()
            self.failure = ""
        except (OSError, psutil.Error) as error:
            self.latest = None
            self.failure = str(error)
        self._answered_at = self._clock.monotonic()
        self._answered()

    def _run(self) -> None:
        while True:
            self.ask_once()
            if self._stop.wait(self._interval()):
                return


class HealthMonitor:
    """Reads health at the settings' cadence, keeps the newest picture, raises alerts on limits."""

    def __init__(
        self,
        settings: Monitoring,
        disk: Path,
        clock: Clock,
        alerts: AlertManager,
        loop_lag: Callable[[], float | None],
        cache: Callable[[], CacheHealth],
        memory: MemoryManager,
        gpus: Callable[[], GpuReading] = read_gpus,
    ) -> None:
        """``loop_lag`` returns the trading loop's delay in milliseconds, None while not known.

        ``cache`` may look at the disk: it is asked in the machine's own probe; ``memory`` holds this
        process to its budget with each reading.
        """
        self._settings = settings
        self._clock = clock
        self._alerts = alerts
        self._loop_lag = loop_lag
        self._memory = memory
        self._judging = threading.Lock()
        self._levels: dict[str, Severity] = {}
        self._machine = _Probe(
            "machine", lambda: read_machine(clock, disk, cache), clock, self._judge, self._cadence
        )
        self._gpus = _Probe("GPU", gpus, clock, self._judge, self._cadence)

    def configure(self, settings: Monitoring) -> None:
        """Take on another cadence and other limits, from the next reading on."""
        self._settings = settings

    def start(self) -> None:
        """Begin to read."""
        psutil.cpu_percent()  # the first call has nothing to compare with and would answer 0
        self._machine.start()
        self._gpus.start()

    def stop(self) -> None:
        """Stop reading; waits two seconds at most for a probe that hangs."""
        self._machine.stop(1.0)
        self._gpus.stop(1.0)

    def snapshot(self) -> HealthSnapshot | None:
        """Return the newest picture; None before the first, or while the machine cannot be read.

        ``taken_at`` is when the machine last answered; a GPU that stopped answering is not shown
        with its old figures but with a note that says since when.
        """
        machine = self._machine.latest
        if machine is None:
            return None
        gpus, note = self._gpu_picture()
        return HealthSnapshot(
            taken_at=machine.taken_at,
            cpu_percent=machine.cpu_percent,
            memory_percent=machine.memory_percent,
            memory_used=machine.memory_used,
            memory_total=machine.memory_total,
            process_memory=machine.process_memory,
            disk_percent=machine.disk_percent,
            disk_free=machine.disk_free,
            loop_lag=self._loop_lag(),
            gpus=gpus,
            gpu_note=note,
            cache=machine.cache,
            memory_budget=self._memory.budget,
        )

    def _gpu_picture(self) -> tuple[tuple[GpuHealth, ...], str]:
        silent = self._gpus.silent_for()
        if silent > self._settings.no_answer_seconds + self._settings.health_seconds:
            return (), f"no answer for {silent:.0f} s"
        reading = self._gpus.latest
        if reading is None:
            return (), self._gpus.failure or "not read yet"
        return reading.gpus, reading.note

    def _cadence(self) -> float:
        return self._settings.health_seconds

    def _judge(self) -> None:
        """Compare the newest figures with the limits; called by either probe after its answer."""
        limits = self._settings
        with self._judging:
            machine = self._machine.latest
            if machine is not None:
                for code, found, warning, critical in (
                    (
                        "MEMORY",
                        machine.memory_percent,
                        limits.memory_warning,
                        limits.memory_critical,
                    ),
                    ("DISK", machine.disk_percent, limits.disk_warning, limits.disk_critical),
                ):
                    level = (
                        Severity.CRITICAL
                        if found >= critical
                        else Severity.WARNING
                        if found >= warning
                        else None
                    )
                    limit = critical if level is Severity.CRITICAL else warning
                    self._level(
                        code, level, f"{code.lower()} {found:.0f} % used, limit {limit:g} %"
                    )
                self._level("MEMORY BUDGET", *self._budget())
            for probe in (self._machine, self._gpus):
                silent = probe.silent_for()
                hangs = silent > limits.no_answer_seconds + limits.health_seconds
                self._level(
                    f"HEALTH {probe.name}",
                    Severity.WARNING if hangs or probe.failure else None,
                    f"{probe.name}: "
                    + (probe.failure if probe.failure else f"no answer for {silent:.0f} s"),
                )

    def _budget(self) -> tuple[Severity | None, str]:
        level = self._memory.look()
        severity = {MemoryLevel.PRESSED: Severity.WARNING, MemoryLevel.EXCEEDED: Severity.CRITICAL}
        return severity.get(level), f"this process holds {self._memory.described}"

    def _level(self, code: str, level: Severity | None, message: str) -> None:
        """Raise an alert when a condition begins or worsens; what lasts is on the screen anyway."""
        before = self._levels.get(code)
        if level is None:
            self._levels.pop(code, None)
            return
        self._levels[code] = level
        if level != before and before is not Severity.CRITICAL:
            self._alerts.raise_alert(code, level, message)
