"""NVIDIA GPUs, asked through NVIDIA's own library."""

from dataclasses import dataclass

import pynvml

from adan_core.domain.health import GpuHealth


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The GPUs found, or why there are none to show."""

    gpus: tuple[GpuHealth, ...]
    note: str


def read_gpus() -> GpuReading:
    """Ask the driver for every GPU; without driver or GPU the reading carries a note instead.

    A call into a wedged driver may not return: ask from a thread of its own.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return GpuReading((), f"no NVIDIA driver ({_sentence(error)})")
    try:
        gpus = tuple(_read(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError as error:
        return GpuReading((), f"the NVIDIA driver failed ({_sentence(error)})")
    finally:
        pynvml.nvmlShutdown()
    return GpuReading(gpus, "" if gpus else "no GPU found")


def _read(index: int) -> GpuHealth:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    return GpuHealth(
        name=_text(pynvml.nvmlDeviceGetName(device)),
        utilisation=float(pynvml.nvmlDeviceGetUtilizationRates(device).gpu),
        memory_used=int(memory.used),
        memory_total=int(memory.total),
        temperature=_temperature(device),
    )


def _temperature(device: object) -> float | None:
    try:
        return float(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError_NotSupported:
        return None


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _sentence(error: pynvml.NVMLError) -> str:
    return str(error).lower()
