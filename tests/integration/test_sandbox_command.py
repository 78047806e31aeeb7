"""`adan-core sandbox` as an operator runs it: what it says, serves, breaks, and how it ends."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import pytest

from adan_core.cli.main import main
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import HOUR, MINUTE
from tests.sandbox_market import START, minutes, pinned, row, rows, until

pytestmark = pytest.mark.slow


class Sandbox:
    """One ``adan-core sandbox --json`` process."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "adan_core", "sandbox", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Send the signal; return the exit code and what was still written."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


Start = Callable[..., tuple[Sandbox, dict[str, Any], ccxt.Exchange]]


@pytest.fixture
def store(home: Path) -> CandleStore:
    return CandleStore(home / "data" / "candles")


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as leaving:

        def begin(*words: str) -> tuple[Sandbox, dict[str, Any], ccxt.Exchange]:
            sandbox = Sandbox(("--json", *words))
            leaving.callback(_kill, sandbox.process)
            said: dict[str, Any] = json.loads(sandbox.next_line())
            return sandbox, said, pinned(ccxt.binance(), said["url"])

        yield begin


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_made_market_is_served_as_of_now_and_says_that_it_is_simulated(start: Start) -> None:
    sandbox, said, client = start("--timeframe", "1m", "--candles", "100", "--ahead", "10")
    assert said["simulated"] is True
    assert abs(client.fetch_time() - time.time_ns() // 1_000_000) < MINUTE
    assert [market["symbol"] for market in said["markets"]] == ["BTC/SIM", "ETH/SIM"]
    made = SimulatedMarket("BTC/SIM", Timeframe(MINUTE), 7)
    first = made.index_after(said["markets"][0]["start"])
    answered = client.fetch_ohlcv("BTC/SIM", "1m", limit=1000)
    assert 90 <= len(answered) < 100
    assert answered[0] == row(made.candles(first, 1), 0)
    assert client.last_response_headers["X-ADAN-Sandbox"] == "simulated"
    assert sandbox.end() == (0, "", "")


def test_stored_candles_are_served_at_their_own_dates(start: Start, store: CandleStore) -> None:
    series = minutes(200)
    store.write("mine", series, "test")
    sandbox, said, client = start("--dataset", "mine", "--ahead", "20", "--pace", "86400")
    assert said["market_time"] == START + 180 * MINUTE
    assert said["markets"][0] == {
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "candles": 200,
        "closed": 180,
        "start": START,
        "end": START + 200 * MINUTE,
    }
    assert client.fetch_ohlcv("BTC/USDT", "1m", START, 1000)[:180] == rows(series, 0, 180)
    assert sandbox.end(signal.SIGINT)[0] == 0


def test_an_old_venue_with_its_newest_candles_only(start: Start, store: CandleStore) -> None:
    store.write("mine", minutes(200), "test")
    _, _, client = start("--dataset", "mine", "--ahead", "0", "--newest-only", "5")
    answered = client.fetch_ohlcv("BTC/USDT", "1m", START, 1000)
    assert answered == rows(minutes(200), 195, 200)


def test_candles_close_at_the_pace_asked_for_and_the_streams_say_so(start: Start) -> None:
    _, said, _ = start("--timeframe", "1m", "--pace", "0.2", "--candles", "1000", "--ahead", "500")

    async def closed() -> list[list[float]]:
        client = pinned(ccxt.pro.binance(), said["url"])
        try:
            async with asyncio.timeout(30.0):
                seen: dict[float, list[float]] = {}
                while len(seen) < 4:
                    for each in await client.watch_ohlcv("BTC/SIM", "1m"):
                        seen[each[0]] = list(each)
                return list(seen.values())[1:3]
        finally:
            await client.close()

    made = SimulatedMarket("BTC/SIM", Timeframe(MINUTE), 7)
    for each in asyncio.run(closed()):
        assert each == row(made.candles(made.index_after(int(each[0])), 1), 0)


def test_faults_are_switched_off_and_on_by_a_signal(start: Start) -> None:
    sandbox, _, client = start("--fault", "unavailable=1", "--candles", "50")

    def refused() -> bool:
        try:
            client.fetch_time()
        except ccxt.ExchangeNotAvailable:
            return True
        return False

    assert refused()
    sandbox.process.send_signal(signal.SIGUSR1)
    until(lambda: not refused())
    sandbox.process.send_signal(signal.SIGUSR1)
    until(refused)
    code, _, complaints = sandbox.end()
    assert code == 0
    assert complaints == ("SIMULATED exchange: faults off\nSIMULATED exchange: faults on\n")


def test_in_words_it_says_simulated_and_what_to_type(home: Path) -> None:
    sandbox = Sandbox(("--candles", "50"))
    said: list[str] = []
    try:
        while not said or not said[-1].startswith("ctrl-c"):
            said.append(sandbox.next_line())
            assert said[-1], "it ended by itself"
    finally:
        ended = sandbox.end(signal.SIGINT)
    assert ended == (0, "SIMULATED exchange ended; it was asked for nothing\n", "")
    assert said[0].startswith("SIMULATED exchange at http://127.0.0.1:")
    url = said[0].split()[3].rstrip(":")
    typed = "".join(said)
    for venue in ("binance", "kraken"):
        assert f"adan-core data download BTC/SIM --exchange {venue} --timeframe 5m --since" in typed
    assert f"--base-url {url}\n" in typed


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--pace", "0"], 2, "0.05 to 86400"),
        (["--port", "70000"], 2, "65535"),
        (["--candles", "0"], 2, "1 to 5,000,000"),
        (["--ahead", "-1"], 2, "0 or more"),
        (["--newest-only", "0"], 2, "at least one"),
        (["--fault", "gremlins"], 2, "rate-limited"),
        (["--fault", "cut=0"], 2, "at least 1"),
        (["--timeframe", "soon"], 3, "5m"),
        (["--dataset", "nobody"], 3, "nobody"),
    ],
)
def test_what_cannot_be_served_is_said(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", *words])
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_hours_are_served_too(start: Start) -> None:
    _, said, client = start("--timeframe", "1h", "--candles", "60")
    client.load_markets()
    opens = [each[0] for each in client.fetch_ohlcv("ETH/SIM", "4h", limit=5)]
    assert {int(each) % (4 * HOUR) for each in opens} == {0}
    assert said["milliseconds_per_second"] == 1000.0
