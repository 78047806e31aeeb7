"""State and regimes of a long history out of the cache, beside computing them again."""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.cache import DataCache
from adan_core.data.frames import cached_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.learning.evaluation import regimes_of
from adan_core.learning.market import feature_set
from tests.benchmarks.rows import Reference, Row

_CANDLES = 1_000_000
_ROUNDS = 7
_TIMES_REBUILD = 20.0
_PLENTY = 2**33


@cache
def _measured() -> dict[str, float]:
    """Return median milliseconds of the rebuild and of both hits, measured in turns.

    The candles are in memory and their hash is known, as after reading them from the store; the
    cache's file is in the system's page cache, as after a recent command.
    """
    locations = locate(Path("unused"), {})
    settings = load_settings(locations, (), {}).settings
    spec = feature_set(settings, locations)
    minute = Timeframe.parse("1m")
    series = SimulatedMarket("BTC/SIM", minute, 7).candles(0, _CANDLES)
    assert series.content_hash

    def ask(kept: DataCache | None) -> float:
        began = time.perf_counter()
        cached_frame(series, settings.ladders[minute], spec, kept)
        regimes_of(series, kept)
        return (time.perf_counter() - began) * 1e3

    def never(_: str) -> None:
        raise AssertionError("the disk refused")

    with tempfile.TemporaryDirectory() as folder:
        remembering = DataCache(Path(folder), _PLENTY, _PLENTY, never)
        for kept in (None, remembering):
            ask(kept)  # compiles, or reads what was compiled before; then fills the cache
        ways: dict[str, Callable[[], DataCache | None]] = {
            "rebuild": lambda: None,
            "memory": lambda: remembering,
            "disk": lambda: DataCache(Path(folder), 0, _PLENTY, never),
        }
        turns: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                turns[name].append(ask(way()))
        assert remembering.statistics.misses == 2
    return {name: statistics.median(taken) for name, taken in turns.items()}


def memory_hit() -> Row:
    """State and regimes of a million candles, from the process's own memory."""
    return _row("memory")


def disk_hit() -> Row:
    """The same from the cache's folder, every byte checked."""
    return _row("disk")


def _row(name: str) -> Row:
    measured = _measured()
    rebuild = measured["rebuild"]
    return Row(
        f"cache hit from {name}, 1 000 000 candles",
        measured[name],
        "ms",
        Reference("rebuild", rebuild),
        rebuild / _TIMES_REBUILD,
    )
