"""Binance spot's market streams, as far as candles need them: ``/ws`` and ``/stream``.

Streams are named in the path or asked for with SUBSCRIBE; on ``/stream`` each event comes wrapped
with its stream's name. As on Binance, a name that is no stream's is accepted and stays silent.
"""

import contextlib
from typing import Final

import msgspec
from aiohttp import web

from adan_core.domain.time import Milliseconds
from adan_core.sandbox.binance import INTERVALS, symbol_id, trade_count
from adan_core.sandbox.market import Kline, UnknownTimeframe, turnover
from adan_core.sandbox.streams import Channel, StreamClient, StreamHub
from adan_core.sandbox.text import decimal_text
from adan_core.sandbox.venue import Venue

_SUBSCRIBE: Final = "SUBSCRIBE"
_UNSUBSCRIBE: Final = "UNSUBSCRIBE"


class _Asked(msgspec.Struct):
    """A client's message."""

    method: str
    params: list[str] = []
    id: int | str | None = None


class BinanceStreams:
    """The handlers of ``/ws`` and ``/stream``."""

    def __init__(self, venue: Venue, hub: StreamHub) -> None:
        self._venue = venue
        self._hub = hub
        self._channels: dict[str, Channel] = {
            stream_name((symbol, timeframe)): (symbol, timeframe)
            for symbol in venue.market.rules
            for timeframe in INTERVALS.values()
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the paths this protocol answers."""
        return [
            web.get("/ws", self._plain),
            web.get("/ws/{names:.*}", self._plain),
            web.get("/stream", self._combined),
            web.get("/stream/{rest:.*}", self._combined),
        ]

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info.get("names", "").split("/")
        return await self._converse(request, StreamClient(request, _event), names)

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        names = request.query.get("streams", "").split("/")
        return await self._converse(request, StreamClient(request, _wrapped_event), names)

    async def _converse(
        self, request: web.Request, client: StreamClient, names: list[str]
    ) -> web.StreamResponse:
        await client.open()
        self._hub.join(client)

        async def hear(text: str) -> None:
            await self._hear(request.path, client, text)

        try:
            await self._greet(client, self._register(client, names))
            await client.messages(hear)
        finally:
            self._hub.leave(client)
        return client.socket

    async def _hear(self, path: str, client: StreamClient, text: str) -> None:
        try:
            asked = msgspec.json.decode(text, type=_Asked)
        except msgspec.DecodeError:
            await client.send(_refusal(None, 3, "Invalid JSON: expected value at line 1 column 1"))
            return
        streams = {"streams": ",".join(asked.params)}
        self._venue.record.add(self._venue.market.now(), asked.method, path, streams)
        other = [name for name in asked.params if "@kline_" not in name]
        if asked.method not in {_SUBSCRIBE, _UNSUBSCRIBE}:
            await client.send(
                _refusal(asked.id, 2, f"Invalid request: unknown variant {asked.method}")
            )
        elif other:
            text = f"Invalid request: this sandbox has candle streams only, not {other[0]}"
            await client.send(_refusal(asked.id, 2, text))
        else:
            opened: list[Channel] = []
            if asked.method == _SUBSCRIBE:
                opened = self._register(client, asked.params)
            else:
                gone = {self._channels[name] for name in asked.params if name in self._channels}
                client.channels -= gone
            await client.send(msgspec.json.encode({"result": None, "id": asked.id}).decode())
            await self._greet(client, opened)

    def _register(self, client: StreamClient, names: list[str]) -> list[Channel]:
        """Register ``client`` for the streams among ``names``; return their channels."""
        heard = []
        for name in names:
            channel = self._channels.get(name)
            if channel is not None:
                with contextlib.suppress(UnknownTimeframe):
                    self._hub.register(client, channel)
                    heard.append(channel)
        return heard

    async def _greet(self, client: StreamClient, channels: list[Channel]) -> None:
        for channel in channels:
            await self._hub.greet(client, channel)


def stream_name(channel: Channel) -> str:
    """Return Binance's name of a channel: ``btcusdt@kline_1m``."""
    return f"{symbol_id(channel[0]).lower()}@kline_{channel[1]}"


def _event(channel: Channel, kline: Kline, now: Milliseconds) -> str:
    return msgspec.json.encode(_document(channel, kline, now)).decode()


def _wrapped_event(channel: Channel, kline: Kline, now: Milliseconds) -> str:
    document = {"stream": stream_name(channel), "data": _document(channel, kline, now)}
    return msgspec.json.encode(document).decode()


def _document(channel: Channel, kline: Kline, now: Milliseconds) -> dict[str, object]:
    candle = kline.candle
    trades = trade_count(kline)
    return {
        "e": "kline",
        "E": now,
        "s": symbol_id(channel[0]),
        "k": {
            "t": candle.open_time,
            "T": candle.open_time + kline.timeframe.duration - 1,
            "s": symbol_id(channel[0]),
            "i": str(kline.timeframe),
            "f": -1 if not trades else 0,
            "L": -1 if not trades else 0,
            "o": decimal_text(candle.open),
            "c": decimal_text(candle.close),
            "h": decimal_text(candle.high),
            "l": decimal_text(candle.low),
            "v": decimal_text(candle.volume),
            "n": trades,
            "x": kline.closed,
            "q": f"{turnover(candle):.8f}",
            "V": decimal_text(round(candle.volume / 2.0, 8)),
            "Q": f"{turnover(candle) / 2.0:.8f}",
            "B": "0",
        },
    }


def _refusal(number: int | str | None, code: int, text: str) -> str:
    document = {"error": {"code": code, "msg": text}, "id": number}
    return msgspec.json.encode(document).decode()
