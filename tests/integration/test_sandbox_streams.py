"""Unmodified ccxt.pro as a client of the loopback exchange's streams, and what it makes of faults.

``known`` is ccxt's own memory of a channel: messages of one connection arrive in order, so once the
last update sent is in it, everything before has been heard, or never will be.
"""

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import ccxt
import ccxt.pro
import pytest

from adan_core.domain.time import MINUTE, SECOND, ManualClock
from adan_core.sandbox.exchange import LoopbackExchange
from adan_core.sandbox.faults import Fault, FaultKind, Faults
from tests.sandbox_market import START, minutes, pinned, row

SERIES: Final = minutes(200)
OTHER: Final = minutes(200, "ETH/USDT", missing=(101, 102))
BEGIN: Final = 100  # the candle that forms when a test begins
VENUES: Final = ("binance", "kraken")


class Stage:
    """An exchange, its clock and one client; ``known`` are the candles ccxt holds."""

    def __init__(
        self, exchange: LoopbackExchange, clock: ManualClock, client: ccxt.pro.Exchange
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.client = client

    async def watch(self, symbol: str = "BTC/USDT", timeframe: str = "1m") -> list[list[float]]:
        watched = self.client.watch_ohlcv(symbol, timeframe)
        answered: list[list[float]] = await asyncio.wait_for(watched, 30.0)
        return [list(each) for each in answered]  # ccxt goes on changing the rows it hands out

    async def pass_time(self, seconds: int) -> None:
        """Move the clock and let the exchange tell its clients."""
        self.clock.advance(seconds * SECOND)
        await asyncio.to_thread(self.exchange.advance)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30.0):
            while not holds():
                await asyncio.sleep(0.001)

    def known(self, symbol: str = "BTC/USDT", timeframe: str = "1m") -> dict[int, list[float]]:
        """Return the rows in ccxt's memory by the number of their candle."""
        held = self.client.ohlcvs.get(symbol, {}).get(timeframe, [])
        return {(each[0] - START) // MINUTE: list(each) for each in held}


@asynccontextmanager
async def stage(venue: str = "binance", faults: Faults = Faults()) -> AsyncIterator[Stage]:  # noqa: B008
    clock = ManualClock(START + BEGIN * MINUTE + 20 * SECOND)
    with LoopbackExchange([SERIES, OTHER], clock.now, faults) as exchange:
        client = pinned(getattr(ccxt.pro, venue)(), exchange.url)
        try:
            yield Stage(exchange, clock, client)
        finally:
            await client.close()


def play(act: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await act()

    asyncio.run(run())


# ---------------------------------------------------------------- what ccxt hears


@pytest.mark.parametrize("venue", VENUES)
def test_a_candle_is_heard_forming_then_final_then_the_next_one(venue: str) -> None:
    async def act() -> None:
        async with stage(venue) as scene:
            first = await scene.watch()
            assert first[-1][0] == row(SERIES, BEGIN)[0]
            assert first[-1] != row(SERIES, BEGIN)
            await scene.pass_time(30)
            await scene.until(lambda: scene.known()[BEGIN][5] > first[-1][5])
            assert scene.known()[BEGIN] != row(SERIES, BEGIN)
            await scene.pass_time(30)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            assert scene.known()[BEGIN] == row(SERIES, BEGIN)
            assert scene.known()[BEGIN + 1] != row(SERIES, BEGIN + 1)

    play(act)


@pytest.mark.parametrize("venue", VENUES)
def test_candles_that_close_between_two_looks_are_all_heard(venue: str) -> None:
    async def act() -> None:
        async with stage(venue) as scene:
            await scene.watch()
            await scene.pass_time(5 * 60)
            await scene.until(lambda: BEGIN + 5 in scene.known())
            for number in range(BEGIN, BEGIN + 5):
                assert scene.known()[number] == row(SERIES, number)

    play(act)


def test_symbols_and_timeframes_do_not_mix_and_a_missing_candle_is_not_invented() -> None:
    async def act() -> None:
        async with stage() as scene:
            for symbol in ("BTC/USDT", "ETH/USDT"):
                await scene.watch(symbol)
            await scene.watch("BTC/USDT", "5m")
            await scene.pass_time(5 * 60)
            heard = (("BTC/USDT", "5m"), ("BTC/USDT", "1m"), ("ETH/USDT", "1m"))
            await scene.until(lambda: all(BEGIN + 5 in scene.known(*each) for each in heard))
            assert scene.known("BTC/USDT")[BEGIN] == row(SERIES, BEGIN)
            assert scene.known("ETH/USDT")[BEGIN] == row(OTHER, BEGIN)
            assert not {101, 102} & set(scene.known("ETH/USDT"))
            five = scene.known("BTC/USDT", "5m")[BEGIN]
            assert five[1:5] == [200.0, 206.0, 199.75, 205.0]
            assert five[5] == sum(SERIES.volume[BEGIN : BEGIN + 5])

    play(act)


def test_ccxt_watches_one_timeframe_of_a_symbol_at_kraken_and_no_second_one() -> None:
    async def act() -> None:
        async with stage("kraken") as scene:
            await scene.watch("BTC/USDT", "1m")
            other = asyncio.ensure_future(scene.watch("BTC/USDT", "5m"))
            await scene.pass_time(30)
            answered = await other
            assert answered[-1][0] == START + BEGIN * MINUTE
            assert "5m" not in scene.client.ohlcvs["BTC/USDT"]  # they are minutes
            asked = [each for each in scene.exchange.requests if each.method == "subscribe"]
            assert len(asked) == 1

    play(act)


def test_a_row_that_ccxt_has_handed_out_changes_afterwards() -> None:
    async def act() -> None:
        async with stage() as scene:
            handed_out = (await scene.client.watch_ohlcv("BTC/USDT", "1m"))[-1]
            before = list(handed_out)
            await scene.pass_time(60)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            assert handed_out == row(SERIES, BEGIN) != before

    play(act)


def test_what_a_client_asked_for_is_on_record() -> None:
    async def act() -> None:
        async with stage() as scene:
            await scene.watch()
            await scene.client.un_watch_ohlcv("BTC/USDT", "1m")
            heard = [(each.method, dict(each.query)) for each in scene.exchange.requests[-2:]]
            asked = {"streams": "btcusdt@kline_1m"}
            assert heard == [("SUBSCRIBE", asked), ("UNSUBSCRIBE", asked)]

    play(act)


# ---------------------------------------------------------------- what ccxt makes of faults


@pytest.mark.parametrize("venue", VENUES)
def test_a_gap_is_a_candle_that_ccxt_never_hears_of(venue: str) -> None:
    async def act() -> None:
        faults = Faults((Fault(FaultKind.GAP, first=2, where="BTC/USDT 1m"),))
        async with stage(venue, faults) as scene:
            await scene.watch()
            for _ in range(6):
                await scene.pass_time(30)
            await scene.until(lambda: BEGIN + 3 in scene.known())
            assert BEGIN + 1 not in scene.known()
            assert scene.known()[BEGIN] == row(SERIES, BEGIN)
            assert scene.known()[BEGIN + 2] == row(SERIES, BEGIN + 2)

    play(act)


def test_a_candle_whose_close_is_missing_keeps_what_it_was_while_forming() -> None:
    async def act() -> None:
        async with stage("binance", Faults((Fault(FaultKind.NEVER_CLOSED),))) as scene:
            await scene.watch()
            for _ in range(2):
                await scene.pass_time(35)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            stale = scene.known()[BEGIN]
            assert stale != row(SERIES, BEGIN)  # and looks like any other row of ccxt's
            rest = await scene.client.fetch_ohlcv("BTC/USDT", "1m", START + BEGIN * MINUTE, 1)
            assert rest == [row(SERIES, BEGIN)]

    play(act)


@pytest.mark.parametrize("venue", VENUES)
def test_a_deviating_stream_differs_from_rest_by_the_factor(venue: str) -> None:
    async def act() -> None:
        faults = Faults((Fault(FaultKind.DEVIATING, amount=1.12),))
        async with stage(venue, faults) as scene:
            await scene.watch()
            await scene.pass_time(60)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            final = row(SERIES, BEGIN)
            for place in range(1, 5):
                assert scene.known()[BEGIN][place] == pytest.approx(final[place] * 1.12, rel=1e-9)
            assert scene.known()[BEGIN][5] == final[5]

    play(act)


def test_silence_raises_nothing() -> None:
    async def act() -> None:
        silent = Faults((Fault(FaultKind.SILENT, first=2, count=4),))
        async with stage("binance", silent) as scene:
            heard = await scene.watch()
            waiting = asyncio.ensure_future(scene.watch())
            for _ in range(4):
                await scene.pass_time(5)
                assert not waiting.done()
            await scene.pass_time(5)  # the stream speaks again
            assert (await waiting)[-1][5] > heard[-1][5]

    play(act)


def test_an_update_that_comes_twice_is_one_row() -> None:
    async def act() -> None:
        doubled = Faults((Fault(FaultKind.DUPLICATED, count=None),))
        async with stage("binance", doubled) as scene:
            await scene.watch()
            await scene.pass_time(60)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            held = [each[0] for each in scene.client.ohlcvs["BTC/USDT"]["1m"]]
            assert len(held) == len(set(held)) == 2

    play(act)


def test_a_late_update_overwrites_the_final_candle_in_ccxts_memory() -> None:
    async def act() -> None:
        late = Faults((Fault(FaultKind.LATE, first=2),))
        async with stage("binance", late) as scene:
            await scene.watch()
            await scene.pass_time(30)  # held back until after the close
            await scene.pass_time(30)
            await scene.until(lambda: BEGIN + 1 in scene.known())
            assert scene.known()[BEGIN] != row(SERIES, BEGIN)
            assert scene.known()[BEGIN][5] < row(SERIES, BEGIN)[5]

    play(act)


@pytest.mark.parametrize("venue", VENUES)
def test_a_cut_stream_raises_and_its_successor_does_not_tell_what_was_missed(venue: str) -> None:
    async def act() -> None:
        async with stage(venue) as scene:
            first = await scene.watch()
            await scene.pass_time(10)  # Kraken sends a snapshot and an update: both are heard then
            await scene.until(lambda: scene.known()[BEGIN] != first[-1])
            scene.exchange.inject(Faults((Fault(FaultKind.DISCONNECTED),)))
            waiting = asyncio.ensure_future(scene.watch())
            await scene.pass_time(1)
            with pytest.raises(ccxt.NetworkError):
                await waiting
            scene.clock.advance(15 * MINUTE)  # more than a snapshot of Kraken's reaches back
            await scene.watch()
            await scene.until(lambda: BEGIN + 15 in scene.known())
            assert scene.known()[BEGIN] != row(SERIES, BEGIN)
            assert BEGIN + 1 not in scene.known()

    play(act)


def test_a_half_open_connection_is_found_out_by_pings_only() -> None:
    async def act() -> None:
        half_open = Faults((Fault(FaultKind.HALF_OPEN, first=2),))
        async with stage("binance", half_open) as scene:
            assert (
                scene.client.streaming["keepAlive"] == 180_000
            )  # minutes pass before ccxt says so
            scene.client.streaming["keepAlive"] = 50
            await scene.watch()
            waiting = asyncio.ensure_future(scene.watch())
            await scene.pass_time(5)
            with pytest.raises(ccxt.RequestTimeout):
                await waiting

    play(act)


# ---------------------------------------------------------------- Binance's own words


@asynccontextmanager
async def plain_socket(scene: Stage, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(scene.exchange.url + path) as ws,
    ):
        yield ws


async def next_message(ws: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    document: dict[str, Any] = await ws.receive_json(timeout=30.0)
    return document


def test_the_closing_update_and_only_it_is_marked() -> None:
    async def act() -> None:
        async with stage() as scene, plain_socket(scene, "/ws/btcusdt@kline_1m") as ws:
            heard = [await next_message(ws)]
            await scene.pass_time(30)
            await scene.pass_time(30)
            heard += [await next_message(ws) for _ in range(3)]
            marks = [
                ((each["k"]["t"] - START) // MINUTE, each["k"]["x"], each["e"], each["s"])
                for each in heard
            ]
            assert marks == [
                (BEGIN, False, "kline", "BTCUSDT"),
                (BEGIN, False, "kline", "BTCUSDT"),
                (BEGIN, True, "kline", "BTCUSDT"),
                (BEGIN + 1, False, "kline", "BTCUSDT"),
            ]
            assert heard[2]["k"]["T"] == START + (BEGIN + 1) * MINUTE - 1
            assert heard[2]["E"] == scene.clock.now()

    play(act)


def test_a_combined_stream_names_the_stream_of_each_event() -> None:
    async def act() -> None:
        path = "/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m"
        async with stage() as scene, plain_socket(scene, path) as ws:
            heard = [await next_message(ws) for _ in range(2)]
            assert [each["stream"] for each in heard] == ["btcusdt@kline_1m", "ethusdt@kline_1m"]
            assert [each["data"]["s"] for each in heard] == ["BTCUSDT", "ETHUSDT"]

    play(act)


def test_nothing_is_said_of_what_is_unsubscribed_unknown_or_unchanged() -> None:
    async def act() -> None:
        async with stage() as scene, plain_socket(scene, "/ws/0") as ws:
            asked = {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m", "no@kline_1m"], "id": 1}
            await ws.send_json(asked)
            assert await next_message(ws) == {"result": None, "id": 1}
            assert (await next_message(ws))["s"] == "BTCUSDT"
            await scene.pass_time(0)
            await ws.send_json({**asked, "method": "UNSUBSCRIBE", "id": 2})
            assert await next_message(ws) == {"result": None, "id": 2}
            await scene.pass_time(60)
            await ws.send_json({**asked, "params": [], "id": 3})
            assert await next_message(ws) == {"result": None, "id": 3}

    play(act)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        (json.dumps({"method": "SHOUT", "id": 1}), 2),
        (json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}), 2),
    ],
)
def test_what_the_stream_does_not_understand_is_answered_with_an_error(
    text: str, code: int
) -> None:
    async def act() -> None:
        async with stage() as scene, plain_socket(scene, "/ws") as ws:
            await ws.send_str(text)
            assert (await next_message(ws))["error"]["code"] == code

    play(act)


def test_two_clients_hear_the_same_whenever_they_came() -> None:
    async def act() -> None:
        path = "/ws/btcusdt@kline_1m"
        async with stage() as scene, plain_socket(scene, path) as first:
            await next_message(first)
            scene.clock.advance(10 * SECOND)
            async with plain_socket(scene, path) as second:
                await next_message(second)
                await scene.pass_time(0)
                newest = await next_message(first)
                assert await next_message(second) == newest
                assert newest["E"] == scene.clock.now()

    play(act)


def test_a_stream_says_that_it_is_simulated() -> None:
    clock = ManualClock(START)
    with LoopbackExchange([SERIES], clock.now) as exchange:
        host = exchange.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        connection.request("GET", "/ws", headers={**upgrade, "Sec-WebSocket-Key": "A" * 22 + "=="})
        with contextlib.closing(connection), connection.getresponse() as answer:
            assert answer.status == 101
            assert answer.headers["X-ADAN-Sandbox"] == "simulated"


def test_kraken_sends_a_snapshot_then_updates_until_one_leaves() -> None:
    async def act() -> None:
        async with stage() as scene, plain_socket(scene, "/v2") as ws:
            assert (await next_message(ws))["channel"] == "status"
            what = {"channel": "ohlc", "symbol": ["BTC/USDT"], "interval": 1}
            await ws.send_json({"method": "subscribe", "params": what, "req_id": 1})
            assert (await next_message(ws))["success"] is True
            snapshot, update = [await next_message(ws) for _ in range(2)]
            assert (snapshot["type"], len(snapshot["data"])) == ("snapshot", 10)
            assert update == {**snapshot, "type": "update", "data": snapshot["data"][-1:]}
            await ws.send_json({"method": "unsubscribe", "params": what, "req_id": 2})
            assert (await next_message(ws))["req_id"] == 2
            await scene.pass_time(60)
            await ws.send_json({"method": "ping", "req_id": 3})
            assert await next_message(ws) == {"method": "pong", "req_id": 3}

    play(act)


@pytest.mark.parametrize(
    "params",
    [
        {"channel": "ohlc", "symbol": ["NO/PE"], "interval": 1},
        {"channel": "ohlc", "symbol": ["BTC/USDT"], "interval": 7},
        {"channel": "book", "symbol": ["BTC/USDT"]},
    ],
)
def test_kraken_refuses_in_its_own_words(params: dict[str, object]) -> None:
    async def act() -> None:
        async with stage() as scene, plain_socket(scene, "/v2") as ws:
            assert (await next_message(ws))["channel"] == "status"
            await ws.send_json({"method": "subscribe", "params": params, "req_id": 5})
            refused = await next_message(ws)
            assert (refused["success"], refused["req_id"]) == (False, 5)
            await ws.send_json({"method": "ping", "req_id": 6})
            assert await next_message(ws) == {"method": "pong", "req_id": 6}

    play(act)
