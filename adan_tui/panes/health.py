"""Health: processor, memory, disk and GPU of the machine the core runs on, and the core's cache."""

from adan_core.domain.health import CacheHealth, GpuHealth, HealthSnapshot
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture
from adan_tui.service import standing_lines
from adan_tui.text import clean
from adan_tui.view import View


def watch(view: View) -> object:
    """Health changes with each reading."""
    return view.snapshot and (view.snapshot.health, view.snapshot.service)


def _gauge(label: str, percentage: float | None, beside: str, width: int) -> Line:
    room = max(6, min(20, width - 32))
    fraction = None if percentage is None else percentage / 100
    filled, rest = figures.bar(fraction, room)
    return (
        (f"{label:<7}", Ink.MUTED),
        (filled, Ink.BAR),
        (rest, Ink.FAINT),
        (f"{figures.share(percentage):>6}", Ink.STRONG),
        (f"  {beside}", Ink.MUTED),
    )


def _gpu(gpu: GpuHealth, width: int) -> Line:
    used = f"{figures.size(gpu.memory_used)} of {figures.size(gpu.memory_total)}"
    warmth = figures.MISSING if gpu.temperature is None else f"{gpu.temperature:.0f} °C"
    return _gauge("GPU", gpu.utilisation, f"{used}, {warmth}, {clean(gpu.name)}", width)


def _counts(cache: CacheHealth) -> str:
    parts = [f"{cache.hits:,} hits", f"{cache.misses:,} misses", f"{cache.evictions:,} evicted"]
    if cache.damaged:
        parts.append(f"{cache.damaged:,} damaged")
    if cache.failures:
        parts.append(f"{cache.failures:,} refused by the disk")
    return ", ".join(parts)


def _cache(cache: CacheHealth | None, width: int) -> list[Line]:
    """What the core itself has had of the cache, and how full it is; on two lines where one is short."""
    label = (f"{'cache':<7}", Ink.MUTED)
    if cache is None:
        return [(label, (figures.MISSING, Ink.MUTED))]
    memory = f"{figures.size(cache.memory_bytes)} of {figures.size(cache.memory_limit)}"
    disk = f"{figures.size(cache.disk_bytes)} of {figures.size(cache.disk_limit)}"
    counts, sizes = _counts(cache), f"{memory}, disk {disk}"
    if len(label[0]) + len(counts) + 2 + len(sizes) <= width:
        return [(label, (counts, Ink.STRONG), (f", {sizes}", Ink.MUTED))]
    return [(label, (counts, Ink.STRONG)), ((f"{'':<7}{sizes}", Ink.MUTED),)]


def _lines(health: HealthSnapshot, width: int) -> list[Line]:
    memory = f"{figures.size(health.memory_used)} of {figures.size(health.memory_total)}"
    lines = [
        _gauge("CPU", health.cpu_percent, "", width),
        _gauge("memory", health.memory_percent, memory, width),
        _gauge("disk", health.disk_percent, f"{figures.size(health.disk_free)} free", width),
    ]
    lines += [_gpu(gpu, width) for gpu in health.gpus]
    if not health.gpus:
        lines.append((("GPU    ", Ink.MUTED), (f"N/A: {clean(health.gpu_note)}", Ink.MUTED)))
    return lines + _cache(health.cache, width)


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw one gauge per resource."""
    health = view.snapshot.health if view.snapshot is not None else None
    if health is None:
        none: Line = (("N/A: no reading yet, the first takes a second.", Ink.MUTED),)
        return Picture("Health", figures.MISSING, rows=(none,))
    lag = f"loop lag {figures.latency(health.loop_lag)}"
    own = figures.size(health.process_memory)
    if health.memory_budget is not None:
        own += f" of {figures.size(health.memory_budget)}"
    note = f"ADAN {own}, {lag}"
    service = None if view.snapshot is None else view.snapshot.service
    rows = (*_lines(health, width), *standing_lines(service))
    return Picture("Health", note, rows=rows)
