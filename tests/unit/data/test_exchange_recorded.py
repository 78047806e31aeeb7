"""Answers that exchanges really gave come out of our clients as they were recorded to."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import ccxt
import numpy as np
import pytest

from adan_core.data.exchange_client import exchange_errors, open_client
from adan_core.data.exchange_history import ExchangeHistory
from adan_core.data.raw import RawCandles
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import MINUTE, ManualClock
from tests.answering_server import Answer, Request, answering
from tests.support import shared_data

_MINUTES = Timeframe(MINUTE)


@cache
def _cases() -> list[dict[str, Any]]:
    path = shared_data() / "known_answers" / "ccxt_unified" / "ccxt_unified.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return cases


def _case(exchange: str, method: str) -> dict[str, Any]:
    (case,) = (
        each for each in _cases() if (each["exchange"], each["method"]) == (exchange, method)
    )
    return case


def _fixture(name: str) -> bytes:
    """Return a recorded answer; of a capture, the body that its first line holds."""
    path = shared_data() / "fixtures" / name.removesuffix(" (first line)")
    if path.suffix == ".json":
        return path.read_bytes()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        return b"{" + lines.readline().partition(b": {")[2]


def _markets() -> dict[str, bytes]:
    return {
        "/api/v3/exchangeInfo": _fixture("cryptofeed/BINANCE.0.gz"),
        "/0/public/AssetPairs": _fixture("cryptofeed/KRAKEN.0.gz"),
        "/0/public/Assets": b'{"error": [], "result": {}}',
    }


@contextmanager
def _opened(exchange: str, answers: dict[str, bytes]) -> Iterator[ccxt.Exchange]:
    """Give a client whose every request is answered from recorded bodies, by path."""

    def answer(request: Request) -> Answer:
        body = answers.get(request.path)
        return Answer(b"{}", 404) if body is None else Answer(body)

    with answering(answer) as server, closing(open_client(exchange, server.url)) as client:
        client.enableRateLimit = False
        yield client


def _path(case: dict[str, Any]) -> str:
    request: str = case["request"]
    return urlsplit(request.partition(" ")[2]).path


def _rows(pages: Iterator[RawCandles]) -> list[list[float]]:
    columns = ("open_time", "open", "high", "low", "close", "volume")
    return [
        list(row)
        for page in pages
        for row in zip(*(getattr(page, name).tolist() for name in columns), strict=True)
    ]


@pytest.mark.slow
def test_every_recorded_case_is_answered_as_recorded() -> None:
    for case in _cases():
        with _opened(
            case["exchange"], {**_markets(), _path(case): _fixture(case["fixture"])}
        ) as client:
            call: Callable[..., object] = getattr(client, case["method"])
            with exchange_errors(client):
                client.load_markets()
                client.apiKey, client.secret = "nobody", "bm9ib2R5"
                found = json.loads(json.dumps(call(*case["args"])))

        name = f"{case['exchange']} {case['method']} of {case['fixture']}"
        if "unified_len" in case:
            assert len(found) == case["unified_len"], name
            found = found[:25] + found[-25:] if len(found) > 50 else found
        assert found == case["unified"], name


def test_kraken_s_candles_come_out_of_our_source_as_recorded() -> None:
    case, time = _case("kraken", "fetch_ohlcv"), _case("kraken", "fetch_time")
    answers = _markets() | {_path(each): _fixture(each["fixture"]) for each in (case, time)}
    first = case["unified"][0][0]
    with _opened("kraken", answers) as client:
        history = _source(client, "BTC/USDT")
        assert history.now == time["unified"]
        rows = _rows(history.batches(first, None))

    # The last one recorded was forming at the time the exchange told.
    assert case["unified"][-1][0] + MINUTE > time["unified"]
    assert len(rows) == case["unified_len"] - 1
    assert rows[:25] == case["unified"][:25]
    assert rows[-24:] == case["unified"][-25:-1]


def test_binance_s_candle_comes_out_of_our_source_as_recorded() -> None:
    case, time = _case("binance", "fetch_ohlcv"), _case("binance", "fetch_time")
    answers = _markets() | {_path(each): _fixture(each["fixture"]) for each in (case, time)}
    first = case["unified"][0][0]
    with _opened("binance", answers) as client:
        history = _source(client, "BTC/USDT")
        rows = _rows(history.batches(first, first + MINUTE))

    assert rows == case["unified"]


def test_another_recording_of_kraken_s_comes_out_with_its_own_digits() -> None:
    folder = "xchange/xchange-kraken/kraken/dto/marketdata"
    recorded = _fixture(f"{folder}/example-ohlc-data.json")
    raw = json.loads(recorded)["result"]["XXBTZUSD"]
    pairs = json.loads(_markets()["/0/public/AssetPairs"])
    # Dark pools, long closed: ccxt would take theirs for the market of that symbol.
    pairs["result"] = {
        name: pair for name, pair in pairs["result"].items() if not name.endswith(".d")
    }
    closed = {"error": [], "result": {"unixtime": raw[-1][0] + 60}}
    answers = _markets() | {
        "/0/public/AssetPairs": json.dumps(pairs).encode(),
        "/0/public/OHLC": recorded,
        "/0/public/Time": json.dumps(closed).encode(),
    }
    with _opened("kraken", answers) as client:
        rows = _rows(_source(client, "BTC/USD").batches(raw[0][0] * 1000, None))

    expected = [
        [time * 1000, *map(float, (opening, high, low, close, volume))]
        for time, opening, high, low, close, _, volume, _ in raw
    ]
    assert np.array_equal(np.array(rows), np.array(expected))


def _source(client: ccxt.Exchange, symbol: str) -> ExchangeHistory:
    return ExchangeHistory(client, symbol, _MINUTES, ManualClock(0), _never, lambda: 0.0)


def _never(seconds: float) -> None:
    pytest.fail(f"nothing went wrong, and it waited {seconds} s")
