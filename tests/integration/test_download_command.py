"""`adan-core data download` against the loopback exchange: what it says, and how it ends; SIMULATED."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from adan_core.cli.main import main
from adan_core.data.export import export
from adan_core.data.series import concatenate
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import HOUR, MINUTE, Milliseconds, iso
from adan_core.sandbox.exchange import LoopbackExchange
from adan_core.sandbox.faults import Fault, FaultKind, Faults

Run = Callable[..., tuple[int, str, str]]

_SYMBOLS = ("BTC/USDT", "ETH/USDT")
_MARKETS = tuple(
    SimulatedMarket(symbol, Timeframe(MINUTE), 11).candles(0, 4321) for symbol in _SYMBOLS
)
_CLOSED = _MARKETS[0].slice(0, 4320)
_START = int(_CLOSED.open_time[0])
_NOW = int(_MARKETS[0].open_time[-1]) + 20_000


@pytest.fixture
def exchange() -> Iterator[LoopbackExchange]:
    with LoopbackExchange(_MARKETS, lambda: _NOW) as running:
        yield running


@pytest.fixture
def run(home: Path, exchange: LoopbackExchange, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str, name: str = "binance") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["data", "download", *words, "--exchange", name, "--base-url", exchange.url])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def store(home: Path) -> CandleStore:
    return CandleStore(home / "data" / "candles")


def _words(exchange: LoopbackExchange, *more: str) -> list[str]:
    return [
        *("-m", "adan_core", "data", "download", "BTC/USDT", "--timeframe", "1m"),
        *("--exchange", "binance", "--base-url", exchange.url, *more),
    ]


def _pages(exchange: LoopbackExchange, before: int = 0) -> list[Milliseconds]:
    """Return the opening times from which pages of minutes were asked for, save the first ones."""
    return [
        int(each.query["startTime"])
        for each in exchange.requests[before:]
        if each.path.endswith("klines") and each.query["interval"] == "1m"
    ]


def test_it_says_what_it_stored_and_that_it_is_simulated(run: Run, store: CandleStore) -> None:
    code, out, err = run("BTC/USDT", "--timeframe", "1m", "--since", iso(_START))

    assert (code, err) == (0, "")
    assert (
        "stored test-binance-BTC-USDT-1m: SIMULATED BTC/USDT 1m, 4,320 candles (0 missing)" in out
    )
    assert "4,320 new candles" in out
    assert "behind this machine's" in out
    assert store.read("test-binance-BTC-USDT-1m").content_hash == _CLOSED.content_hash


def test_several_symbols_are_told_in_one_document(run: Run, store: CandleStore) -> None:
    code, out, _ = run(*_SYMBOLS, "--timeframe", "1h", "--since", iso(_START), "--json")

    document = json.loads(out)
    assert code == 0
    assert document["schema_version"] == 1
    assert [each["dataset"]["symbol"] for each in document["downloads"]] == list(_SYMBOLS)
    assert [each["added"] for each in document["downloads"]] == [72, 72]
    assert document["downloads"][0]["dataset"]["synthetic"] is True
    assert document["downloads"][0]["holes"] == {"count": 0, "candles": 0, "longest": []}
    assert store.names() == ("test-binance-BTC-USDT-1h", "test-binance-ETH-USDT-1h")


def test_it_ends_before_until_and_continues_there(run: Run, store: CandleStore) -> None:
    middle = iso(_START + 30 * HOUR)
    words = ("BTC/USDT", "--timeframe", "1h", "--name", "bitcoin")
    run(*words, "--since", iso(_START), "--until", middle)
    assert store.info("bitcoin").rows == 30

    code, out, _ = run(*words)

    assert code == 0
    assert "42 new candles" in out
    assert store.info("bitcoin").rows == 72


def test_a_venue_that_forgets_is_told_with_code_3_and_its_candles_are_kept(
    run: Run, store: CandleStore
) -> None:
    code, out, err = run("BTC/USDT", "--timeframe", "1m", "--since", "2017-01-01", name="kraken")

    assert code == 3
    assert "720 candles (0 missing)" in out
    assert "kraken serves only its newest 720 candles of 1m: asked from 2017-01-01T00:00:00Z" in err
    assert "take another exchange, or import a file" in err
    assert store.info("test-kraken-BTC-USDT-1m").rows == 720


def test_what_a_venue_no_longer_keeps_can_be_added_from_a_file(
    run: Run, store: CandleStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "test-kraken-BTC-USDT-1m"
    words = ("BTC/USDT", "--timeframe", "1m")
    run(*words, "--since", iso(_START), name="kraken")
    older = tmp_path / "older.parquet"
    export(_CLOSED.slice(0, 3700), older, replace=False)

    with pytest.raises(SystemExit, match="0"):
        main(
            [
                "data",
                "import",
                str(older),
                *words[1:],
                "--symbol",
                words[0],
                "--name",
                name,
                "--add",
            ]
        )

    assert store.read(name).content_hash == _CLOSED.content_hash
    code, out, _ = run(*words, name="kraken")
    assert code == 0, "the venue's own data set is continued"
    assert "0 new candles" in out


def test_holes_are_told_with_the_longest(
    home: Path, capsys: pytest.CaptureFixture[str], store: CandleStore
) -> None:
    market = _MARKETS[0]
    thin = concatenate([market.slice(0, 90), market.slice(97, 800), market.slice(801, 4321)])
    with LoopbackExchange([thin], lambda: _NOW) as exchange, pytest.raises(SystemExit, match="0"):
        main(_words(exchange, "--since", iso(_START))[2:])

    said = capsys.readouterr().out
    assert "no candles for 8 in 2 holes, the longest 7 from 2024-01-01T01:30:00Z" in said
    assert store.info("test-binance-BTC-USDT-1m").missing == 8


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--since", "2021-01-01T06:30"), 2, "a zone"),
        (("--since", "yesterday"), 2, "write it like 2021-01-01"),
        (("--since", "2024-01-02", "--until", "2024-01-02"), 2, "an end after the beginning"),
        (("--since", "2024-01-01", "--on", "ohlc=warn"), 2, "treatment warn for ohlc"),
        (("--since", "2024-01-01", "--name", "../up"), 3, "data set name"),
        ((), 3, "add --since"),
        (("--since", "2030-01-01"), 2, "exchange's past"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_code(
    run: Run, store: CandleStore, words: tuple[str, ...], code: int, said: str
) -> None:
    ended, out, err = run("BTC/USDT", "--timeframe", "1h", *words)

    assert (ended, out) == (code, "")
    assert said in err
    assert store.names() == ()


def test_one_name_cannot_be_several_symbols(run: Run) -> None:
    code, _, err = run(*_SYMBOLS, "--timeframe", "1h", "--name", "both")

    assert code == 2
    assert "one --name for 2 symbols" in err


def test_candles_of_another_venue_do_not_join(run: Run) -> None:
    words = ("BTC/USDT", "--timeframe", "1h", "--since", iso(_START), "--name", "bitcoin")
    run(*words)

    code, _, err = run(*words, name="kraken")

    assert code == 3
    assert "came from: test-binance at 127.0.0.1" in err


def test_a_ban_ends_with_code_5_and_says_what_is_stored(
    run: Run, exchange: LoopbackExchange, store: CandleStore
) -> None:
    exchange.inject(
        Faults((Fault(FaultKind.BANNED, first=3, where="klines", amount=120.0),)),
    )

    code, _, err = run("BTC/USDT", "--timeframe", "1m", "--since", iso(_START))

    assert code == 5
    assert "2,000 new candles are stored, the same command continues" in err
    assert "binance has banned this address for 120 s" in err
    assert store.info("test-binance-BTC-USDT-1m").rows == 2000


def test_an_end_that_comes_early_is_told_and_is_no_error(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = _CLOSED.slice(60, 1500)
    words = ("--since", iso(_START), "--until", iso(_NOW))
    with LoopbackExchange([closed], lambda: _NOW) as exchange:
        for more in ((), ("--json",)):
            with pytest.raises(SystemExit, match="0"):
                main(_words(exchange, *words, *more)[2:])

    said, told = capsys.readouterr().out.split("{", 1)
    assert "nothing before 2024-01-01T01:00:00Z (asked from 2024-01-01T00:00:00Z)" in said
    assert "nothing after 2024-01-02T01:00:00Z (asked until 2024-01-04T00:00:00Z)" in said
    (document,) = json.loads("{" + told)["downloads"]
    assert document["nothing_after"]["candles"] == 4320 - 1500
    assert document["nothing_before"]["candles"] == 60


def test_where_nobody_sees_a_bar_long_waits_are_told(
    run: Run, exchange: LoopbackExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(random, "random", lambda: 0.0)
    exchange.inject(Faults((Fault(FaultKind.UNAVAILABLE, count=4, where="klines"),)))

    code, _, err = run("BTC/USDT", "--timeframe", "1h", "--since", iso(_START))

    assert code == 0
    assert {1.0, 2.0, 4.0, 8.0} <= set(waited)
    assert err.splitlines() == [
        "test-binance-BTC-USDT-1h: no answer from binance that can be used, "
        f"asking again in {seconds} s"
        for seconds in (4, 8)
    ]


def test_without_any_candle_nothing_is_said_to_continue(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        LoopbackExchange([_CLOSED.slice(0, 10)], lambda: _NOW) as exchange,
        pytest.raises(SystemExit, match="3"),
    ):
        main(_words(exchange, "--since", iso(_START + HOUR))[2:])

    err = capsys.readouterr().err
    assert "no candle from" in err
    assert "continues" not in err
    assert "stopped" not in err


def test_what_a_file_would_be_refused_for_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = _CLOSED.slice(0, 1500)
    high, close = market.high.copy(), market.close.copy()
    high[700] = close[700] = close[700] * 3.0
    odd = replace(market, high=high, close=close)
    words = ("--since", iso(_START))
    with LoopbackExchange([odd], lambda: _NOW) as exchange:
        for more in (("--json",), ()):
            with pytest.raises(SystemExit, match="0"):
                main(_words(exchange, *words, *more, "--name", f"odd{len(more)}")[2:])
        with pytest.raises(SystemExit, match="0"):
            main(_words(exchange, *words, "--name", "known", "--on", "outlier=warn")[2:])

    first, said = capsys.readouterr().out.split("\n", 1)
    (refused,) = json.loads(first)["downloads"][0]["would_be_refused"]
    assert (refused["code"], refused["count"]) == ("outlier", 1)
    assert (
        "though a file would be refused for it: outlier (1); see `adan-core data check odd0`"
        in said
    )
    assert said.count("would be refused") == 1, "what the operator allows is not held against it"


@pytest.mark.slow
def test_killed_at_random_and_started_again_it_ends_with_the_same_candles(
    home: Path, exchange: LoopbackExchange, store: CandleStore
) -> None:
    chance = random.Random(5)
    page = 60
    exchange.inject(Faults((Fault(FaultKind.SHORT, count=None, where="1m", amount=page),)))
    words = _words(exchange, "--since", iso(_START))
    stored = kills = 0
    for _ in range(6):
        before = len(exchange.requests)
        with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL) as process:
            kills += _kill(process, exchange, before, chance)
        asked = _pages(exchange, before)
        assert all(start >= _START + stored * MINUTE for start in asked), "asked for what was there"
        now_stored = store.info("test-binance-BTC-USDT-1m").rows if store.names() else 0
        assert now_stored >= stored + page * (len(asked) - 1), "more than the page at hand was lost"
        stored = now_stored
    assert kills >= 3
    assert stored > 0
    exchange.inject(Faults())

    subprocess.run([sys.executable, *words], check=True, capture_output=True)

    assert store.read("test-binance-BTC-USDT-1m").content_hash == _CLOSED.content_hash


def _kill(
    process: subprocess.Popen[bytes], exchange: LoopbackExchange, before: int, chance: random.Random
) -> bool:
    """Kill ``process`` at some instant after it has asked for one to three pages, if it still runs."""
    pages, later = chance.randint(1, 3), chance.randrange(2_000)
    while len(_pages(exchange, before)) < pages and process.poll() is None:
        continue
    for _ in range(later):
        process.poll()
    process.kill()
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_and_says_what_is_stored(
    home: Path, exchange: LoopbackExchange, store: CandleStore
) -> None:
    hangs = Fault(FaultKind.DELAYED, first=3, where="klines", amount=600.0)
    exchange.inject(Faults((hangs,)))
    with pexpect.spawn(
        sys.executable,
        _words(exchange, "--since", iso(_START)),
        encoding="utf-8",
        timeout=300,
        dimensions=(24, 120),
    ) as terminal:
        terminal.expect("test-binance-BTC-USDT-1m")
        terminal.expect("46%")
        terminal.expect("2,000 new candles")
        terminal.expect(r"0:\d\d:\d\d")  # what is left
        terminal.sendintr()
        terminal.expect("2,000 new candles are stored, the same command continues")
        terminal.expect(pexpect.EOF)
        assert "Traceback" not in terminal.before
    assert terminal.exitstatus == 130
    assert store.info("test-binance-BTC-USDT-1m").rows == 2000
