"""How the machine and the process are."""

from dataclasses import dataclass

from adan_core.domain.time import Milliseconds


@dataclass(frozen=True, slots=True)
class GpuHealth:
    """One GPU: utilisation in percent, memory in bytes, temperature in degrees Celsius."""

    name: str
    utilisation: float
    memory_used: int
    memory_total: int
    temperature: float | None


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """One reading of the machine; ``gpu_note`` says why no GPU is shown.

    Percentages are 0-100, memory and disk in bytes, ``loop_lag`` in milliseconds.
    """

    taken_at: Milliseconds
    cpu_percent: float
    memory_percent: float
    memory_used: int
    memory_total: int
    process_memory: int
    disk_percent: float
    disk_free: int
    loop_lag: float | None
    gpus: tuple[GpuHealth, ...]
    gpu_note: str
