"""How long one month of a ten-year 1m history takes to open, and how much memory."""

import functools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import DAY, MINUTE
from tests.benchmarks.rows import Reference, Row

_ROUNDS = 5
_CANDLES = 5_260_000  # ten years of minutes
_START = 16_801 * DAY  # 2016-01-01
_MONTH = (_START + 3_043 * DAY, _START + 3_074 * DAY)  # May 2024
_SECONDS, _MEGABYTES = 0.05, 100.0
_Measured = tuple[float, float, float]
# A process of its own: what it had in memory before does not count, what it ever needed does.
_OPEN = """
import json, sys, time
from pathlib import Path
import polars
from adan_core.data.store import CandleStore

def megabytes(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024

store, (start, end) = CandleStore(Path(sys.argv[1])), json.loads(sys.argv[2])
before = megabytes("VmRSS")
began = time.perf_counter()
series = store.read("ten-years", start, end)
seconds = time.perf_counter() - began
peak = megabytes("VmHWM")
print(json.dumps([len(series), seconds, peak - before, peak]))
"""


def window_time() -> Row:
    """Seconds to read the month, imports done; beside the whole history."""
    month, whole = _measured()
    reference = Reference("all ten years", whole[0])
    return Row("a month of ten years of 1m, opened", month[0], "s", reference, _SECONDS)


def window_memory() -> Row:
    """The most memory it took above what the imports had; beside the whole history."""
    month, whole = _measured()
    reference = Reference("all ten years", whole[1])
    return Row("the same, memory above imports", month[1], "MB", reference, _MEGABYTES)


def window_process() -> Row:
    """The most memory of the whole process; beside the whole history."""
    month, whole = _measured()
    return Row(
        "the same, whole process", month[2], "MB", Reference("all ten years", whole[2]), None
    )


@functools.cache
def _measured() -> tuple[_Measured, _Measured]:
    with tempfile.TemporaryDirectory() as folder:
        CandleStore(Path(folder)).write("ten-years", _history(), "made here")
        return _opened(folder, _MONTH), _opened(folder, (None, None))


def _opened(folder: str, period: tuple[int | None, int | None]) -> _Measured:
    """Return the median seconds and megabytes of some fresh processes that open a period."""
    command = [sys.executable, "-c", _OPEN, folder, json.dumps(period)]
    runs = [json.loads(subprocess.check_output(command)) for _ in range(_ROUNDS)]
    expected = _CANDLES if period[0] is None else 31 * DAY // MINUTE
    if any(rows != expected for rows, *_ in runs):
        raise RuntimeError(f"{runs[0][0]} candles were opened, expected {expected}")
    seconds, above, total = (statistics.median(run[at] for run in runs) for at in (1, 2, 3))
    return seconds, above, total


def _history() -> CandleSeries:
    random = np.random.default_rng(0)
    close = 30_000.0 * np.exp(np.cumsum(random.normal(0.0, 2e-4, _CANDLES))).round(2)
    opened = np.concatenate(([30_000.0], close[:-1]))
    return CandleSeries(
        "BTC/USDT",
        Timeframe(MINUTE),
        _START + np.arange(_CANDLES, dtype=np.int64) * MINUTE,
        opened,
        np.maximum(opened, close) * 1.0001,
        np.minimum(opened, close) * 0.9999,
        close,
        random.exponential(20.0, _CANDLES).round(6),
        synthetic=False,
    )
