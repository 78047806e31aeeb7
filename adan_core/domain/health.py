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
class CacheHealth:
    """What one process has had of the cache since it began, and how full the cache is.

    A hit was served from memory or disk, a miss was built; ``evictions`` counts entries dropped for
    room on either, ``damaged`` files dropped because they were not what was written, ``failures``
    times the disk refused. Sizes in bytes; the disk's part is shared by every process of the home.
    """

    hits: int
    misses: int
    evictions: int
    damaged: int
    failures: int
    memory_entries: int
    memory_bytes: int
    memory_limit: int
    disk_entries: int
    disk_bytes: int
    disk_limit: int


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """One reading of the machine; ``gpu_note`` says why no GPU is shown.

    Percentages are 0-100, memory and disk in bytes, ``loop_lag`` in milliseconds; ``cache`` is the
    core's own, ``memory_budget`` what its process may take.
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
    cache: CacheHealth | None
    memory_budget: int | None = None
