"""The door to ccxt: pinned to one host, spot markets only, errors told by what is to be done."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import pytest
from aiohttp import web

from adan_core.data.exchange_client import (
    RateLimited,
    effective_hosts,
    exchange_errors,
    open_client,
    open_stream_client,
)
from adan_core.domain.errors import DataError, RetryableError, TradingError, UsageError
from tests.answering_server import Answer, Request, answering

_MARKETS = b"""{"timezone": "UTC", "serverTime": 1700000000000, "rateLimits": [], "symbols": [
{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
 "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["MARKET"], "filters": [],
 "isSpotTradingAllowed": true, "permissions": ["SPOT"]}]}"""


def _binance(klines: Answer) -> Callable[[Request], Answer]:
    return lambda request: klines if request.path.endswith("klines") else Answer(_MARKETS)


def _fetch(answer: Answer) -> object:
    """Ask a server that answers so for candles, and return what comes of it."""
    with (
        answering(_binance(answer)) as server,
        closing(open_client("binance", server.url)) as client,
    ):
        client.enableRateLimit = False
        with exchange_errors(client):
            return client.fetch_ohlcv("BTC/USDT", "1m")


@pytest.mark.parametrize("name", ["rest", "streams"])
def test_every_driver_is_pinned_to_the_host_it_is_given(name: str) -> None:
    library, opened = (ccxt, open_client) if name == "rest" else (ccxt.pro, open_stream_client)
    pinned = 0
    for exchange in library.exchanges:
        try:
            client = opened(exchange, "http://127.0.0.1:9000")
        except UsageError:
            continue
        assert effective_hosts(client) == {"127.0.0.1:9000"}, exchange
        pinned += 1
    assert pinned > 50


def test_paths_stay_and_streams_take_the_scheme_that_goes_with_the_base() -> None:
    plain = open_stream_client("binance", "http://127.0.0.1:9000")
    secure = open_stream_client("binance", "https://venue.test")

    assert plain.urls["api"]["public"] == "http://127.0.0.1:9000/api/v3"
    assert plain.urls["api"]["ws"]["spot"] == "ws://127.0.0.1:9000/ws"
    assert secure.urls["api"]["ws"]["spot"] == "wss://venue.test/ws"


def test_an_unpinned_client_keeps_its_exchange_s_own_hosts() -> None:
    assert effective_hosts(open_client("bitstamp")) == {"www.bitstamp.net"}
    assert "api.kraken.com" in effective_hosts(open_client("kraken"))


def test_loading_markets_asks_for_spot_and_only_there() -> None:
    with answering(_binance(Answer(b"[]"))) as server:
        with closing(open_client("binance", server.url)) as client, exchange_errors(client):
            markets = client.load_markets()

        assert {request.host for request in server.requests} == {urlsplit(server.url).netloc}
        assert [request.path for request in server.requests] == ["/api/v3/exchangeInfo"]
    assert list(markets) == ["BTC/USDT"]


def test_an_address_the_driver_composes_itself_is_refused() -> None:
    client = open_client("binance", "http://127.0.0.1:9000")

    with closing(client), pytest.raises(TradingError, match=r"only 127\.0\.0\.1:9000"):
        client.fetch("http://127.0.0.2/api/v3/ping")


def test_a_redirection_to_another_host_is_not_followed() -> None:
    with answering(lambda _: Answer(b"[[1]]")) as elsewhere:
        with pytest.raises(TradingError):
            _fetch(Answer(b"", 302, {"Location": elsewhere.url}))
        assert elsewhere.requests == []


def test_a_stream_composed_by_the_driver_is_refused_too() -> None:
    client = open_stream_client("binance", "http://127.0.0.1:9000")

    with pytest.raises(TradingError, match=r"only 127\.0\.0\.1:9000"):
        client.client("ws://127.0.0.2/ws")


@pytest.mark.parametrize(
    ("exchange", "base_url", "said"),
    [
        ("binanc", None, "did you mean binance"),
        ("Kraken", None, "did you mean kraken"),
        ("luno", "ftp://127.0.0.1", "base URL"),
        ("binance", "127.0.0.1:9000", "base URL"),
        ("binance", "http://127.0.0.1/api", "base URL"),
        ("binance", "http://[::", "base URL"),
        ("binance", "http://127.0.0.1:99999", "base URL"),
        ("binance", "http://:9000", "base URL"),
        ("paymium", None, "no fetchOHLCV"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_a_remedy(
    exchange: str, base_url: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        open_client(exchange, base_url)


def test_an_exchange_without_streams_of_candles_is_refused() -> None:
    with pytest.raises(UsageError, match="watchOHLCV"):
        open_stream_client("bitstamp")


@pytest.mark.parametrize(
    ("answer", "retry_after", "banned"),
    [
        (Answer(b"{}", 429, {"Retry-After": "17"}), 17.0, False),
        (Answer(b"{}", 429), None, False),
        (Answer(b"{}", 418, {"retry-after": "120"}), 120.0, True),
        (Answer(b"<html>", 418), None, True),
    ],
)
def test_a_rate_limit_tells_how_long_to_wait(
    answer: Answer, retry_after: float | None, banned: bool
) -> None:
    with pytest.raises(RateLimited) as caught:
        _fetch(answer)

    assert (caught.value.retry_after, caught.value.banned) == (retry_after, banned)


def test_a_date_to_come_back_at_is_read_against_the_server_s_own_clock() -> None:
    from adan_core.data.exchange_client import _retry_after

    headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}

    assert _retry_after({**headers, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 30.0
    assert _retry_after(headers) is None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"{}", 500),
        Answer(b"<html>maintenance</html>", 503, {"Content-Type": "text/html"}),
        Answer(b"{}", 507),
        Answer(b'{"code": -1008, "msg": "overloaded"}', 503),
        Answer(b"<html>hello</html>", 200, {"Content-Type": "text/html"}),
        Answer(b""),
        Answer(b"[[1700000000000, "),
        Answer(b"[[1700000000000, ", announced=500),
    ],
    ids=["500", "503", "507", "503 with a code", "html", "empty", "truncated", "broken off"],
)
def test_what_may_pass_is_retryable(answer: Answer) -> None:
    with pytest.raises(RetryableError):
        _fetch(answer)


def test_nobody_there_is_retryable() -> None:
    with answering(_binance(Answer(b"[]"))) as server:
        gone = server.url
    client = open_client("binance", gone)

    with closing(client), pytest.raises(RetryableError), exchange_errors(client):
        client.fetch_time()


@pytest.mark.parametrize("status", [403, 404, 451])
def test_a_refusal_is_not_taken_for_an_outage(status: int) -> None:
    with pytest.raises(TradingError) as caught:
        _fetch(Answer(b"<html>", status, {"Content-Type": "text/html"}))

    assert not isinstance(caught.value, RetryableError)
    assert str(status) in str(caught.value)


def test_a_symbol_the_exchange_does_not_have_is_a_data_error() -> None:
    with (
        answering(_binance(Answer(b"[]"))) as server,
        closing(open_client("binance", server.url)) as client,
        pytest.raises(DataError, match="NOPE/USDT"),
        exchange_errors(client),
    ):
        client.fetch_ohlcv("NOPE/USDT", "1m")


def test_nothing_of_ccxt_s_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    _fetch(Answer(b"[]"))

    assert not [record for record in caplog.records if record.name.startswith("ccxt")]


def test_an_asynchronous_client_tells_the_same_errors_and_closes_clean() -> None:
    async def klines(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "3"})

    async def html(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def torn(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = 1000
        await answer.prepare(request)
        await answer.write(b"[[17")
        assert request.transport is not None
        request.transport.close()
        return answer

    async def ask() -> None:
        application = web.Application()
        application.router.add_get("/api/v3/exchangeInfo", klines)
        application.router.add_get("/api/v3/time", html)
        application.router.add_get("/api/v3/klines", torn)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        client = open_stream_client("binance", f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            with pytest.raises(RateLimited) as caught, exchange_errors(client):
                await client.load_markets()
            assert caught.value.retry_after == 3.0
            with pytest.raises(RetryableError, match="no JSON"), exchange_errors(client):
                await client.fetch_time()
            with pytest.raises(RetryableError, match="broke off"), exchange_errors(client):
                await client.public_get_klines({"symbol": "BTCUSDT"})
        finally:
            await client.close()
            await runner.cleanup()

    asyncio.run(ask())
