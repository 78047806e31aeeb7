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
    ("adan-core", "data", "features"): (
        "wrote 20,000 rows",
        "to seen.parquet: SIMULATED BTC/SIM 1h",
    ),
    ("adan-core", "data", "leakcheck"): (
        "clean: nothing at or before an instant",
        "1d:mean_distance",
    ),
    ("adan-core", "data", "leakcheck", "--self-test"): ("all 11 planted leaks were caught",),
    ("adan-core", "data", "export"): ("wrote 20,000 SIMULATED BTC/SIM 1h candles",),
    ("adan-core", "data", "cache"): (" of 4,096 MB",),
    ("adan-core", "data", "download"): ("stored test-binance-BTC-SIM-5m: SIMULATED", "new candles"),
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
            _beside_what_waits(place, block)
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
    told = (tuple(words[:n]) for n in (4, 3, 2))
    shows = next((_SHOWS[begins] for begins in told if begins in _SHOWS), None)
    if shows is None:
        raise Mismatch(f"the tour does not know what `{line}` must show: add it to _SHOWS")
    place.run(*words, typed=typed, shows=shows)


def _beside_what_waits(place: Place, block: tuple[Line, ...]) -> None:
    """Start the block's core or sandbox, carry out the lines beside it, and end it with ctrl-c."""
    waiting: subprocess.Popen[str] | None = None
    try:
        for line in block:
            if line.waits:
                start = start_sandbox if line.words[1] == "sandbox" else start_core
                waiting = start(place, *line.words[2:])
            elif line.program == "adan-tui":
                _look_in(place, line)
            else:
                _carry_out(place, line)
        if waiting is not None:
            end(place, waiting)
    finally:
        if waiting is not None:
            put_down(waiting)


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


def start_sandbox(place: Place, *words: str) -> "subprocess.Popen[str]":
    """Start `adan-core sandbox` and wait until it says where it listens."""
    print("  adan-core sandbox &", flush=True)
    sandbox = subprocess.Popen(
        ["adan-core", "sandbox", *words],
        cwd=place.desk,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    first = sandbox.stdout.readline() if sandbox.stdout else ""
    if "SIMULATED exchange at http://127.0.0.1:" not in first:
        sandbox.kill()
        said, _ = sandbox.communicate()
        raise Mismatch(f"the sandbox did not come up: {first}{said}")
    return sandbox


def end(place: Place, waiting: "subprocess.Popen[str]", number: int = signal.SIGINT) -> None:
    """End a core or a sandbox as ctrl-c does, and check that it went in order."""
    os.kill(waiting.pid, number)
    said, _ = waiting.communicate(timeout=60)
    print(f"  it ended -> {waiting.returncode}", flush=True)
    if waiting.returncode != 0 or "Traceback" in said:
        place.wrong.append(f"what waited ended with {waiting.returncode}:\n{said}")


def put_down(waiting: "subprocess.Popen[str]") -> None:
    """Kill a core or a sandbox that a mismatch left behind."""
    if waiting.poll() is None:
        waiting.kill()
        waiting.communicate()


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
