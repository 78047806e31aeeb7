"""README's commands, carried out one after another as a stranger would."""

import os
import signal
import subprocess
import threading
import time

from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import iso
from tests.tour.place import PASSPHRASE, Mismatch, Place
from tests.tour.readme import Line, blocks
from tests.tour.terminal import Terminal

MINE = "my-candles.csv"
_MINE_ROWS = 20_000

# What a command's answer must hold, by the words that begin it.
_SHOWS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("adan-core", "doctor"): ("nothing is in the way",),
    ("adan-core", "data", "sample"): ("SIMULATED",),
    ("adan-core", "data", "list"): ("practice", "SIMULATED"),
    ("adan-core", "data", "check"): ("its content has the hash it was stored with",),
    ("adan-core", "data", "import"): ("stored btc: BTC/USDT 1h", "0 missing"),
    ("adan-core", "train"): ("is sealed", "adan-core evaluate"),
    ("adan-core", "models", "list"): ("shipped", "operator"),
    ("adan-core", "evaluate"): ("net of 0.10% fee", "buy and hold", "N/A", "Net of costs"),
    ("adan-core", "backtest"): ("net of costs", "profit factor"),
    ("adan-core", "run", "--mode"): ("REPLAY", "equity", "drawdown"),
    ("adan-core", "config", "show"): ("risk.stop_loss", "[now, limit]", "config hash"),
    ("adan-core", "status"): ("SIMULATED", "kill switch: armed"),
    ("adan-core", "halt"): ("HALT confirmed", "0 entry orders left"),
    ("adan-core", "rearm"): ("re-armed",),
}


def readme(place: Place) -> None:
    """Carry out every command of README's blocks; `make run` and `make test` are other acts."""
    _write_my_candles(place)
    for block in blocks():
        if any(line.waits for line in block):
            _beside_a_core(place, block)
        else:
            for line in block:
                _carry_out(place, line)


def _carry_out(place: Place, line: Line) -> None:
    if line.program == "make":
        return  # the screen's acts and the suite
    words = list(line.words)
    typed = ""
    if words[1] == "train":
        # On a server without a keyring, as README says; standard input is no terminal here.
        words, typed = [*words, "--passphrase-stdin"], f"{PASSPHRASE}\n"
    if words[1] == "rearm":
        typed = "REARM\n"
    shows = next((_SHOWS[tuple(words[:n])] for n in (3, 2) if tuple(words[:n]) in _SHOWS), None)
    if shows is None:
        raise Mismatch(f"the tour does not know what `{line}` must show: add it to _SHOWS")
    place.run(*words, typed=typed, shows=shows)


def _beside_a_core(place: Place, block: tuple[Line, ...]) -> None:
    """Start the block's core, carry out the other lines beside it, and end it as README says."""
    core: subprocess.Popen[str] | None = None
    try:
        for line in block:
            if line.waits:
                core = start_core(place, *line.words[2:])
            elif line.program == "adan-tui":
                _look_in(place, line)
            else:
                _carry_out(place, line)
        if core is not None:
            end_core(place, core)
    finally:
        if core is not None and core.poll() is None:
            core.kill()
            core.communicate()


def start_core(place: Place, *words: str) -> "subprocess.Popen[str]":
    """Start `adan-core run` and wait until it trades."""
    print("  adan-core run &", flush=True)
    core = subprocess.Popen(
        ["adan-core", "run", *words],
        cwd=place.desk,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pause, deadline = threading.Event(), time.monotonic() + 120.0
    while True:
        asked = subprocess.run(
            ["adan-core", "status"],
            env=place.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0 and "equity" in asked.stdout:
            return core
        if core.poll() is not None or time.monotonic() > deadline:
            core.kill()
            said, _ = core.communicate()
            raise Mismatch(f"the core did not come up: {asked.stdout}{asked.stderr}\n{said}")
        pause.wait(0.5)


def end_core(place: Place, core: "subprocess.Popen[str]", number: int = signal.SIGINT) -> None:
    """End a core as ctrl-c does, and check that it went in order."""
    os.kill(core.pid, number)
    said, _ = core.communicate(timeout=60)
    print(f"  the core ended -> {core.returncode}", flush=True)
    if core.returncode != 0 or "Traceback" in said:
        place.wrong.append(f"the core ended with {core.returncode}:\n{said}")


def _look_in(place: Place, line: Line) -> None:
    with Terminal(place, line.words) as screen:
        screen.see("PAPER", "SIMULATED MARKET", "RUNNING", r"equity [\d,.]+ SIM")
        screen.press("F10")
        screen.ends(0)


def _write_my_candles(place: Place) -> None:
    """Put a file where README's reader has their own: candles as any exchange's export has them."""
    market = SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 11)
    series = market.candles(0, _MINE_ROWS)
    rows = ["open time,open,high,low,close,volume"]
    for index in range(len(series)):
        candle = series.candle(index)
        prices = f"{candle.open},{candle.high},{candle.low},{candle.close},{candle.volume}"
        rows.append(f"{iso(candle.open_time)},{prices}")
    (place.desk / MINE).write_text("\n".join(rows) + "\n", encoding="utf-8")
