"""A core on an exchange's candles, in processes of their own: the sandbox, the core, kill -9, status."""

import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from adan_core.config.locations import Locations, locate
from adan_core.data.store import CandleStore
from adan_core.domain.time import MINUTE
from adan_core.learning.registry import shipped_models
from tests.end_to_end.test_core_process import WORDS, Core, adan, status, until

pytestmark = pytest.mark.slow

SPAN = 5 * MINUTE
PATIENCE = 240.0  # seconds; the first core of a machine compiles its kernels


def shipped_model() -> str:
    (folder,) = (path for path in shipped_models().iterdir() if (path / "model.json").exists())
    return folder.name


@pytest.fixture
def locations(home: Path) -> Locations:
    return locate(home, {})


@pytest.fixture
def sandbox(home: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[str]]]]:
    """Start a sandbox, five-minute candles every four seconds, and return it and the core's words."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], list[str]]:
        made = ("--timeframe", "5m", "--candles", "6000", "--ahead", "1000", "--pace", "4")
        process = subprocess.Popen(
            [*WORDS, "sandbox", "--json", *made, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        settings = {
            "market.source": "exchange",
            "market.symbols": "[BTC/SIM, ETH/SIM]",
            "exchange.name": "binance",
            "exchange.base_url": url,
            "exchange.first_candles": "4500",
            "exchange.agreeing_candles": "2",
            # An exchange whose time runs 75 times faster is late by as much.
            "staleness.candle_grace_seconds": "240.0",
        }
        return process, [word for key in settings for word in ("--set", f"{key}={settings[key]}")]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def started(home: Path) -> Iterator[Callable[..., Core]]:
    cores: list[Core] = []

    def start(*words: str) -> Core:
        cores.append(Core(words))
        return cores[-1]

    yield start
    for core in cores:
        core.end(signal.SIGKILL)


def alive(core: Core, holds: Callable[[], bool]) -> Callable[[], bool]:
    """Return ``holds``, which fails at once when the core has ended."""

    def look() -> bool:
        assert core.process.poll() is None, f"ended with {core.end()}: {core.said}"
        return holds()

    return look


def venue_time(words: list[str]) -> int:
    """Return what the sandbox says the time is, in milliseconds."""
    (address,) = (word for word in words if word.startswith("exchange.base_url="))
    with urlopen(address.partition("=")[2] + "/api/v3/time", timeout=10.0) as answer:  # noqa: S310
        return int(json.load(answer)["serverTime"])


def market_time(found: dict[str, Any]) -> int:
    return int(found["market"]["market_time"] or 0)


def decided(found: dict[str, Any]) -> set[int]:
    return {one["time"] for one in found.get("decisions", ())}


def test_a_paper_account_follows_an_exchanges_candles_through_a_kill(
    sandbox: Callable[..., tuple[subprocess.Popen[str], list[str]]],
    started: Callable[..., Core],
    locations: Locations,
) -> None:
    _, words = sandbox()
    core = started(*words, "--model", shipped_model())
    until("two decided upon", alive(core, lambda: len(decided(status())) >= 2), PATIENCE)
    said = adan("status")
    assert "market: SIMULATED TEST VENUE, binance at http://127.0.0.1:" in said
    assert "NOT the exchange itself" in said
    assert "stream: " in said
    first = status()
    assert first["market"]["source"] == "SIMULATED TEST VENUE"
    core.end(signal.SIGKILL)
    at_rest = adan("status", code=9)
    # What it is worth by then depends on what the model has made of the candles.
    assert re.search(r"account test-binance-SIM at rest: equity [\d,]+\.\d\d, cash", at_rest)
    assert "account: no journal yet" in at_rest
    # A start that finds everything compiled is quicker than a candle: some must have closed first.
    closed = market_time(first) + 3 * SPAN
    until("candles closed meanwhile", lambda: venue_time(words) >= closed, PATIENCE)

    again = started(*words, "--model", shipped_model())
    until("more", alive(again, lambda: len(decided(status()) - decided(first)) >= 2), PATIENCE)
    last = status()
    assert again.end() == 0
    assert "SIMULATED TEST VENUE 127.0.0.1" in again.said
    # Whatever closed between the two lives was settled, in order, once, and not decided upon.
    times = [point["time"] for point in last["equity_curve"]]
    assert times == list(range(times[0], market_time(last) + 1, SPAN))
    gap = [
        time for time in times if market_time(first) < time < min(decided(last) - decided(first))
    ]
    assert gap
    journal = locations.account_journal("test-binance-SIM")
    with sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True) as book:
        rows = book.execute("SELECT decision_id, count(*) FROM decisions GROUP BY decision_id")
        assert all(count == 1 for _, count in rows)
    assert not locations.journal.exists()
    store = CandleStore(locations.datasets)
    for symbol in ("BTC", "ETH"):
        info = store.info(f"test-binance-{symbol}-SIM-5m")
        assert info.synthetic
        assert info.missing == 0
        assert info.end >= market_time(last)


def test_prices_that_two_sources_tell_apart_let_exposure_only_shrink(
    sandbox: Callable[..., tuple[subprocess.Popen[str], list[str]]],
    started: Callable[..., Core],
    locations: Locations,
) -> None:
    exchange, words = sandbox("--fault", "deviating=1")
    core = started(*words, "--model", shipped_model())
    until("REDUCING", alive(core, lambda: status().get("state") == "REDUCING"), PATIENCE)
    assert "off its own stream" in adan("status")
    critical = [one for one in status()["alerts"] if one["severity"] == "critical"]
    assert any("only orders that shrink exposure pass" in one["message"] for one in critical)
    exchange.send_signal(signal.SIGUSR1)  # the faults are off: the sources agree again
    until("RUNNING", alive(core, lambda: status().get("state") == "RUNNING"), PATIENCE)
    assert core.end() == 0


def test_what_cannot_be_is_refused_with_a_remedy_before_anything_starts(
    sandbox: Callable[..., tuple[subprocess.Popen[str], list[str]]], locations: Locations
) -> None:
    _, words = sandbox()
    told = adan("run", *words, code=4)
    assert f"{shipped_model()} (made for the simulated market)" in told
    assert "--model" in told
    assert "the exchange's own pace" in adan(
        "run", *words, "--model", shipped_model(), "--pace", "1", code=2
    )
    real = [word.replace("SIM", "USDT") for word in words[:4]]
    real += ["--set", "exchange.name=binance", "--set", "account.quote=USDT"]
    told = adan("run", *real, "--model", shipped_model(), code=4)
    assert "was trained on synthetic candles" in told
    assert "adan-core data download" in told
    assert "must be quoted in account.quote SIM" in adan("run", *real[:-2], code=2)
    assert "exchange.name must name one" in adan("run", "--set", "market.source=exchange", code=2)
    unknown = [*real, "--set", "exchange.name=binanc"]
    assert "did you mean binance" in adan("run", *unknown, "--model", shipped_model(), code=2)
    assert not locations.state.exists()


def test_a_core_ended_before_it_knows_its_account_tells_no_figures(
    sandbox: Callable[..., tuple[subprocess.Popen[str], list[str]]],
    started: Callable[..., Core],
) -> None:
    exchange, words = sandbox()
    exchange.kill()
    exchange.wait()
    core = started(*words, "--model", shipped_model())

    def waits_for_its_exchange() -> bool:
        stream = (status().get("market") or {}).get("stream") or {}
        return bool(stream.get("paused"))

    until("the exchange is gone", alive(core, waits_for_its_exchange))
    assert core.end() == 0
    assert "equity" not in core.said
