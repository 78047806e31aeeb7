"""Environment steps a second beside other people's environments, in the same run on the same candles.

Each environment has a process of its own (see ``environment_work``), which sleeps while the others
take their turns. A peer that is not there is compared with nothing: its row says why, and what it
reached where it was measured.
"""

import contextlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.benchmarks.environment_work import COLUMNS, COPIES
from tests.benchmarks.rows import Reference, Row

_PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
_SECONDS, _TURNS = 0.3, 8
_FEW, _MANY = 2_000, 100_000
_TIMES = 10.0
_ADAN = "adan"


@dataclass(frozen=True, slots=True)
class _Peer:
    """Whom ADAN is measured beside, over how many candles, and its steps a second as of old.

    ``recorded`` was measured on another machine with two cores, one of them in use, and 20 columns.
    """

    worker: str
    name: str
    rows: int
    recorded: float


_GYM_TRADING_ENV = _Peer("gym-trading-env", "gym-trading-env", _MANY, 60_000.0)
_FREQAI = _Peer("freqai", "FreqAI's Base5ActionRLEnv", _MANY, 8_600.0)
_FINRL = _Peer("finrl", "FinRL's StockTradingEnv", _FEW, 5_100.0)
_FINRL_LONG = _Peer("finrl", "FinRL's StockTradingEnv", _MANY, 381.0)
_ALL = (_GYM_TRADING_ENV, _FREQAI, _FINRL, _FINRL_LONG)


def beside_gym_trading_env() -> Row:
    """Steps a second of 256 copies, against gym-trading-env."""
    return _beside(_GYM_TRADING_ENV)


def beside_freqai() -> Row:
    """Steps a second of 256 copies, against FreqAI."""
    return _beside(_FREQAI)


def beside_finrl() -> Row:
    """Steps a second of 256 copies, against FinRL where its data are short."""
    return _beside(_FINRL)


def beside_finrl_long() -> Row:
    """Steps a second of 256 copies, against FinRL where its data are long."""
    return _beside(_FINRL_LONG)


def _beside(peer: _Peer) -> Row:
    rates, missing = _measured()
    name = f"environment steps, {COPIES} copies, {COLUMNS} columns, {peer.rows:,} candles"
    ours = rates[_ADAN, peer.rows]
    theirs = rates.get((peer.worker, peer.rows))
    if theirs is None:
        why = f"{peer.name}, not in this run ({missing[peer.worker]}); recorded elsewhere"
        reference = Reference(why, peer.recorded, recorded=True)
        return Row(name, ours, "steps/s", reference, None, smaller_is_better=False)
    reference = Reference(peer.name, theirs)
    return Row(name, ours, "steps/s", reference, _TIMES * theirs, smaller_is_better=False)


@cache
def _measured() -> tuple[dict[tuple[str, int], float], dict[str, str]]:
    """Return the best steps a second by worker and candles, and why a worker is missing."""
    wanted = sorted({(peer.worker, peer.rows) for peer in _ALL} | {(_ADAN, _FEW), (_ADAN, _MANY)})
    best: dict[tuple[str, int], float] = {}
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as running:
        workers = {}
        for each in wanted:
            worker = running.enter_context(_worker(*each))
            if isinstance(worker, str):
                missing[each[0]] = worker
            else:
                workers[each] = worker
        if _ADAN in missing:
            raise RuntimeError(missing[_ADAN])
        for _ in range(_TURNS):
            for each, worker in workers.items():
                best[each] = max(best.get(each, 0.0), _turn(worker))
    return best, missing


@contextlib.contextmanager
def _worker(name: str, rows: int) -> Iterator["subprocess.Popen[str] | str"]:
    """Start an environment's process and wait until it stands; or give the reason why it does not."""
    command = [sys.executable if name == _ADAN else str(_PEERS)]
    command += ["-m", "tests.benchmarks.environment_work", name, str(rows)]
    # gymnasium, and SB3 for FinRL, are those that ADAN is installed with.
    command += [sysconfig.get_path("purelib")]
    with tempfile.TemporaryFile("w+") as said:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            )
        except OSError as error:
            yield str(error)
            return
        with process:
            if _answer(process) == "ready":
                yield process
            else:
                process.wait()
                said.seek(0)
                yield (said.read().strip().splitlines() or ["it ended without a word"])[-1]


def _turn(worker: "subprocess.Popen[str]") -> float:
    assert worker.stdin is not None
    worker.stdin.write(f"{_SECONDS}\n")
    worker.stdin.flush()
    return float(_answer(worker))


def _answer(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()
