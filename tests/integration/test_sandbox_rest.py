"""Unmodified ccxt as a client of the loopback exchange: what it reads, and what it makes of faults."""

import asyncio
import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Final

import ccxt
import ccxt.async_support
import pytest

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import MINUTE, SECOND, ManualClock
from adan_core.sandbox.exchange import LoopbackExchange
from adan_core.sandbox.faults import Fault, FaultKind, Faults
from tests.sandbox_market import START, minutes, pinned, row, rows, until

SERIES: Final = minutes(3000)
CLOSED: Final = 2000
LATE: Final = START + 1990 * MINUTE
VENUES: Final = ("binance", "kraken")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START + CLOSED * MINUTE + 30 * SECOND)


@pytest.fixture
def exchange(clock: ManualClock) -> Iterator[LoopbackExchange]:
    with LoopbackExchange([SERIES], clock.now) as running:
        yield running


def client_of(exchange: LoopbackExchange, venue: str = "binance") -> ccxt.Exchange:
    client = pinned(getattr(ccxt, venue)(), exchange.url)
    client.load_markets()
    return client


def ask(exchange: LoopbackExchange, path: str) -> tuple[int, dict[str, str], object]:
    """Ask without ccxt; return status, headers and document."""
    try:
        with urllib.request.urlopen(exchange.url + path) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


# ---------------------------------------------------------------- what ccxt reads


@pytest.mark.parametrize("venue", VENUES)
def test_ccxt_loads_the_market_with_its_steps(exchange: LoopbackExchange, venue: str) -> None:
    market = client_of(exchange, venue).market("BTC/USDT")
    assert market["active"]
    assert market["spot"]
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 1.0
    assert market["limits"]["amount"]["min"] == 1.0
    assert market["limits"]["cost"]["min"] == 5.0


@pytest.mark.parametrize("venue", VENUES)
def test_ccxt_reads_the_same_floats_and_the_forming_candle_last(
    exchange: LoopbackExchange, venue: str
) -> None:
    answered = client_of(exchange, venue).fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=1000)
    assert answered[:-1] == rows(SERIES, 1990, CLOSED)
    forming, final = answered[-1], row(SERIES, CLOSED)
    assert forming[:2] == final[:2]
    assert forming[2:] != final[2:]


@pytest.mark.parametrize("venue", VENUES)
def test_longer_candles_are_the_exchanges_too(exchange: LoopbackExchange, venue: str) -> None:
    answered = client_of(exchange, venue).fetch_ohlcv("BTC/USDT", "1h", since=START, limit=2)
    hours = [
        [START, 100.0, 161.0, 99.75, 160.0, sum(1.0 + i % 7 for i in range(60))],
        [
            START + 60 * MINUTE,
            160.0,
            221.0,
            159.75,
            220.0,
            sum(1.0 + i % 7 for i in range(60, 120)),
        ],
    ]
    expected = {"binance": hours, "kraken": hours}[venue]
    assert answered == expected


@pytest.mark.parametrize("venue", VENUES)
def test_its_clock_is_the_markets(
    exchange: LoopbackExchange, clock: ManualClock, venue: str
) -> None:
    assert client_of(exchange, venue).fetch_time() == clock.now()


def test_what_binance_has_no_page_for_ccxt_gets_in_several(exchange: LoopbackExchange) -> None:
    client = client_of(exchange)
    first = client.fetch_ohlcv("BTC/USDT", "1m", since=START, limit=5000)
    assert first == rows(SERIES, 0, 1000)
    second = client.fetch_ohlcv("BTC/USDT", "1m", since=START + 1000 * MINUTE, limit=1000)
    assert second == rows(SERIES, 1000, 2000)
    assert client.fetch_ohlcv("BTC/USDT", "1m", since=START + 3000 * MINUTE) == []


def test_kraken_answers_its_newest_720_whatever_one_asks_for(exchange: LoopbackExchange) -> None:
    answered = client_of(exchange, "kraken").fetch_ohlcv("BTC/USDT", "1m", since=START)
    assert answered[:-1] == rows(SERIES, CLOSED - 720, CLOSED)


def test_a_venue_can_be_told_to_hold_its_newest_only(clock: ManualClock) -> None:
    with LoopbackExchange([SERIES], clock.now, newest_only=7) as exchange:
        for venue in VENUES:
            answered = client_of(exchange, venue).fetch_ohlcv("BTC/USDT", "1m", since=START)
            assert answered[:-1] == rows(SERIES, CLOSED - 7, CLOSED)


def test_ccxt_reads_ticker_and_book(exchange: LoopbackExchange) -> None:
    client = client_of(exchange)
    forming = client.fetch_ohlcv("BTC/USDT", "1m", limit=1)[-1]
    ticker = client.fetch_ticker("BTC/USDT")
    assert ticker["last"] == forming[4]
    assert ticker["bid"] < ticker["ask"]
    assert ticker["high"] == max(2102.0 - 1, forming[2])
    book = client.fetch_order_book("BTC/USDT", limit=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] == ticker["bid"]
    assert client.fetch_bids_asks(["BTC/USDT"])["BTC/USDT"]["ask"] == ticker["ask"]
    assert client.fetch_last_prices(["BTC/USDT"])["BTC/USDT"]["price"] == ticker["last"]


def test_the_record_says_what_was_asked_and_when(
    exchange: LoopbackExchange, clock: ManualClock
) -> None:
    client_of(exchange).fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=3)
    last = exchange.requests[-1]
    assert (last.at, last.method, last.path) == (clock.now(), "GET", "/api/v3/klines")
    assert last.query == {
        "interval": "1m",
        "limit": "3",
        "symbol": "BTCUSDT",
        "startTime": str(LATE),
    }


# ---------------------------------------------------------------- Binance's own words


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("symbol=NOPE&interval=1m", -1121),
        ("symbol=BTC%20USDT&interval=1m", -1100),
        ("interval=1m", -1102),
        ("symbol=BTCUSDT", -1102),
        ("symbol=BTCUSDT&interval=7m", -1120),
        ("symbol=BTCUSDT&interval=1m&startTime=now", -1100),
        ("symbol=BTCUSDT&interval=1m&limit=0", -1130),
    ],
)
def test_what_cannot_be_answered_is_refused_with_binances_code(
    exchange: LoopbackExchange, query: str, code: int
) -> None:
    status, _, document = ask(exchange, f"/api/v3/klines?{query}")
    assert status == 400
    assert isinstance(document, dict)
    assert document["code"] == code


def test_a_page_of_binances_has_500_rows_and_1000_at_most(exchange: LoopbackExchange) -> None:
    for limit, expected in (("", 500), ("&limit=3", 3), ("&limit=5000", 1000)):
        path = f"/api/v3/klines?symbol=BTCUSDT&interval=1m{limit}"
        answered = ask(exchange, path)[2]
        assert isinstance(answered, list)
        assert len(answered) == expected


def test_krakens_last_is_where_to_ask_on(exchange: LoopbackExchange, clock: ManualClock) -> None:
    def ohlc(since: int) -> tuple[list[int], int]:
        path = f"/0/public/OHLC?pair=XBTUSDT&interval=1&since={since}"
        document = ask(exchange, path)[2]
        assert isinstance(document, dict)
        result = document["result"]
        return [entry[0] for entry in result["XBTUSDT"]], result["last"]

    _, last = ohlc(0)
    assert last == (START + (CLOSED - 1) * MINUTE) // SECOND  # the newest that has closed
    clock.advance(2 * MINUTE)
    opens, after = ohlc(last)
    assert opens == [last + 60, last + 120, last + 180]
    assert after == last + 120


def test_ccxt_names_a_symbol_the_exchange_does_not_have(exchange: LoopbackExchange) -> None:
    client = client_of(exchange)
    with pytest.raises(ccxt.BadSymbol):
        client.public_get_klines({"symbol": "NOPE", "interval": "1m"})
    with pytest.raises(ccxt.ExchangeError, match="Unknown asset pair"):
        client_of(exchange, "kraken").public_get_ohlc({"pair": "NOPE"})


def test_every_answer_says_that_it_is_simulated(exchange: LoopbackExchange) -> None:
    for path in ("/api/v3/time", "/api/v3/klines", "/0/public/Time"):
        assert ask(exchange, path)[1]["X-ADAN-Sandbox"] == "simulated"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(exchange.url + "/api/v3/order")  # noqa: S310
    with error.value as answer:
        assert answer.code == 404
        assert answer.headers["X-ADAN-Sandbox"] == "simulated"


def test_weight_is_counted_refused_and_punished(clock: ManualClock) -> None:
    with LoopbackExchange([SERIES], clock.now, weight_limit=30) as exchange:
        client = client_of(exchange)  # 20 for exchangeInfo
        for _ in range(5):
            client.fetch_ohlcv("BTC/USDT", "1m", limit=1)
        assert client.last_response_headers["X-MBX-USED-WEIGHT-1M"] == "30"
        with pytest.raises(ccxt.DDoSProtection, match="429"):
            client.fetch_ohlcv("BTC/USDT", "1m", limit=1)
        until_the_minute_ends = 60 - clock.now() // SECOND % 60
        assert client.last_response_headers["Retry-After"] == str(until_the_minute_ends)
        for _ in range(4):
            with pytest.raises(ccxt.DDoSProtection, match="429"):
                client.fetch_time()
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            client.fetch_time()
        clock.advance(MINUTE)
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            client.fetch_time()
        clock.advance(MINUTE)
        assert client.fetch_time() == clock.now()


# ---------------------------------------------------------------- what ccxt makes of faults


@pytest.mark.parametrize(
    ("kind", "venue", "expected"),
    [
        (FaultKind.RATE_LIMITED, "binance", ccxt.DDoSProtection),
        (FaultKind.RATE_LIMITED, "kraken", ccxt.DDoSProtection),
        (FaultKind.BANNED, "binance", ccxt.DDoSProtection),
        (FaultKind.BANNED, "kraken", ccxt.DDoSProtection),
        (FaultKind.UNAVAILABLE, "binance", ccxt.ExchangeNotAvailable),
        (FaultKind.UNAVAILABLE, "kraken", ccxt.ExchangeNotAvailable),
        (FaultKind.OVERLOADED, "binance", ccxt.ExchangeError),  # not one of NetworkError's
        (FaultKind.OVERLOADED, "kraken", ccxt.ExchangeNotAvailable),
        (FaultKind.DROPPED, "binance", ccxt.NetworkError),
        (FaultKind.DROPPED, "kraken", ccxt.NetworkError),
        (FaultKind.CUT, "binance", ccxt.NetworkError),
        (FaultKind.CUT, "kraken", ccxt.NetworkError),
    ],
)
def test_a_request_that_fails_raises_exactly_this(
    exchange: LoopbackExchange, kind: FaultKind, venue: str, expected: type[Exception]
) -> None:
    client = client_of(exchange, venue)
    exchange.inject(Faults((Fault(kind),)))
    with pytest.raises(expected) as raised:
        client.fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=6)
    assert raised.type is expected
    # only once: the next try succeeds
    assert client.fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=6) == rows(SERIES, 1990, 1996)


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.BANNED])
def test_how_long_to_stay_away_is_in_the_headers(
    exchange: LoopbackExchange, kind: FaultKind
) -> None:
    client = client_of(exchange)
    exchange.inject(Faults((Fault(kind, amount=17),)))
    with pytest.raises(ccxt.DDoSProtection):
        client.fetch_ohlcv("BTC/USDT", "1m")
    assert client.last_response_headers["Retry-After"] == "17"


def test_an_answer_that_does_not_come_times_out(exchange: LoopbackExchange) -> None:
    client = client_of(exchange)
    client.timeout = 100
    exchange.inject(Faults((Fault(FaultKind.DELAYED, amount=3600.0),)))
    with pytest.raises(ccxt.RequestTimeout):
        client.fetch_ohlcv("BTC/USDT", "1m")


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.EMPTY])
def test_rubbish_with_status_200_reads_as_no_candles_at_all(
    exchange: LoopbackExchange, kind: FaultKind, venue: str
) -> None:
    client = client_of(exchange, venue)
    exchange.inject(Faults((Fault(kind),)))
    assert client.fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=6) == []
    assert client.last_json_response is None  # the only sign that this is not the end of history


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.REPEATED, [1990, 1991, 1992, 1993, 1993, 1993]),  # the limit cuts real rows off
        (FaultKind.SKIPPED, [1990, 1991, 1992, 1995]),
        (FaultKind.DISORDERED, [1990, 1991, 1992, 1993, 1994, 1995]),  # sorted by ccxt
        (FaultKind.SHORT, [1990, 1991]),
    ],
)
def test_spoilt_pages_pass_through_ccxt(
    exchange: LoopbackExchange, kind: FaultKind, expected: list[int]
) -> None:
    client = client_of(exchange)
    exchange.inject(Faults((Fault(kind, amount=2),)))
    answered = client.fetch_ohlcv("BTC/USDT", "1m", since=LATE, limit=6)
    assert [(candle[0] - START) // MINUTE for candle in answered] == expected


def test_faults_hit_the_requests_they_are_meant_for(exchange: LoopbackExchange) -> None:
    client = client_of(exchange)
    exchange.inject(Faults((Fault(FaultKind.UNAVAILABLE, 2, every=2, count=2, where="klines"),)))
    outcomes = []
    for _ in range(6):
        client.fetch_time()
        try:
            client.fetch_ohlcv("BTC/USDT", "1m", limit=1)
            outcomes.append("answered")
        except ccxt.ExchangeNotAvailable:
            outcomes.append("refused")
    assert outcomes == ["answered", "refused", "answered", "refused", "answered", "answered"]


async def _asynchronously(exchange: LoopbackExchange, faults: Faults) -> list[list[float]]:
    client = pinned(ccxt.async_support.binance(), exchange.url)
    try:
        await client.load_markets()
        exchange.inject(faults)
        answered: list[list[float]] = await client.fetch_ohlcv("BTC/USDT", "1m", LATE, 6)
        return answered
    finally:
        await client.close()


def test_asynchronous_ccxt_reads_the_same(exchange: LoopbackExchange) -> None:
    assert asyncio.run(_asynchronously(exchange, Faults())) == rows(SERIES, 1990, 1996)


def test_asynchronous_ccxt_takes_a_cut_answer_for_an_error_of_the_exchange(
    exchange: LoopbackExchange,
) -> None:
    with pytest.raises(ccxt.ExchangeError) as raised:
        asyncio.run(_asynchronously(exchange, Faults((Fault(FaultKind.CUT),))))
    assert raised.type is ccxt.ExchangeError  # and not NetworkError, as the synchronous one says


def test_asynchronous_ccxt_asks_again_by_itself_when_the_connection_is_dropped(
    exchange: LoopbackExchange,
) -> None:
    dropped = Faults((Fault(FaultKind.DROPPED, where="klines"),))
    assert asyncio.run(_asynchronously(exchange, dropped)) == rows(SERIES, 1990, 1996)
    asked = [each for each in exchange.requests if each.path == "/api/v3/klines"]
    assert len(asked) == 2


# ---------------------------------------------------------------- its own life


def test_it_ends_at_once_even_with_an_answer_outstanding_and_leaves_no_thread(
    clock: ManualClock,
) -> None:
    faults = Faults((Fault(FaultKind.DELAYED, amount=3600.0),))
    with LoopbackExchange([SERIES], clock.now, faults) as exchange:
        address = exchange.url.removeprefix("http://").split(":")
        with contextlib.closing(socket.create_connection((address[0], int(address[1])))) as waiting:
            waiting.sendall(b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: len(exchange.requests) == 1)
            exchange.close()
            assert waiting.recv(1) == b""
    exchange.close()  # once more is nothing
    assert "sandbox" not in {thread.name for thread in threading.enumerate()}


def test_who_comes_while_it_ends_is_let_go(clock: ManualClock) -> None:
    for _ in range(20):  # each time a little earlier or later than the end
        exchange = LoopbackExchange([SERIES], clock.now)
        host, _, port = exchange.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as newcomer:
            exchange.close()
            with contextlib.suppress(ConnectionResetError):
                assert newcomer.recv(1) == b""


def test_a_port_that_is_taken_is_said(exchange: LoopbackExchange, clock: ManualClock) -> None:
    port = int(exchange.url.rpartition(":")[2])
    with pytest.raises(SystemFailure, match=str(port)):
        LoopbackExchange([SERIES], clock.now, port=port)
