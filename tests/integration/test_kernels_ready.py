"""The trading loop compiles nothing: what a candle needs is ready before the first one is taken in."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.state import Mode
from adan_core.runtime.trading_thread import warm
from tests.engine_bench import EngineBench

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.REPLAY])
def test_the_first_candles_find_every_kernel_ready(mode: Mode, tmp_path: Path) -> None:
    # In a process of its own, for what another test has compiled would be ready here.
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from {__name__} import child; child({str(tmp_path)!r}, {str(mode)!r})",
        ],
        capture_output=True,
        text=True,
        cwd=_ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def child(home: str, mode: str) -> None:
    """Print the kernels that the first candles after a start made ready themselves."""
    asyncio.run(_play(Path(home), Mode(mode)))


async def _play(home: Path, mode: Mode) -> None:
    series = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 7, 0.01).candles(0, 4_100)
    steps = iter(range(1_000_000))
    bench = EngineBench.build(home, series, lambda _: float(next(steps) % 2), mode=mode)
    warm(bench.parts)
    ready = _ready()
    assert await bench.parts.engine.reconcile()
    await bench.play(30)
    await bench.close()
    print(*sorted(name for name, count in _ready().items() if count > ready.get(name, 0)))


def _ready() -> dict[str, int]:
    """Return how many signatures of each kernel are compiled or loaded."""
    found = {}
    for name, module in tuple(sys.modules.items()):
        if name.startswith("adan_core"):
            for kernel in vars(module).values():
                if hasattr(kernel, "signatures") and hasattr(kernel, "py_func"):
                    found[f"{kernel.py_func.__module__}.{kernel.__name__}"] = len(kernel.signatures)
    return found
