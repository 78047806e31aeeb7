"""Kraken spot's public streams, version 2, as far as candles need them: ``/v2``, channel ``ohlc``.

Unlike Binance's, an update does not say whether its candle is final: that shows only in the next
candle's beginning. A subscription is answered with a snapshot of the newest candles.
"""

from typing import Final

import msgspec
from aiohttp import web

from adan_core.domain.candles import Timeframe
from adan_core.domain.time import MINUTE, Milliseconds, iso
from adan_core.sandbox.kraken import TIMEFRAMES
from adan_core.sandbox.market import Kline, UnknownSymbol, UnknownTimeframe, turnover
from adan_core.sandbox.streams import Channel, StreamClient, StreamHub
from adan_core.sandbox.venue import Venue

_SNAPSHOT: Final = 10  # candles
_OHLC: Final = "ohlc"


class _What(msgspec.Struct):
    channel: str = ""
    symbol: list[str] = []
    interval: int = 1
    snapshot: bool = True


class _Asked(msgspec.Struct):
    """A client's message."""

    method: str
    params: _What = msgspec.field(default_factory=_What)
    req_id: int | None = None


class KrakenStreams:
    """The handler of ``/v2``."""

    def __init__(self, venue: Venue, hub: StreamHub) -> None:
        self._venue = venue
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Return the paths this protocol answers."""
        return [web.get("/v2", self._converse)]

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        client = StreamClient(request, _update)
        await client.open()
        self._hub.join(client)

        async def hear(text: str) -> None:
            await self._hear(client, text)

        try:
            system = {"system": "online", "api_version": "v2", "version": "2.0.10"}
            await client.send(_text({"channel": "status", "type": "update", "data": [system]}))
            await client.messages(hear)
        finally:
            self._hub.leave(client)
        return client.socket

    async def _hear(self, client: StreamClient, text: str) -> None:
        try:
            asked = msgspec.json.decode(text, type=_Asked)
        except msgspec.DecodeError:
            await client.send(_text({"error": "Malformed message", "success": False}))
            return
        what = asked.params
        streams = {"streams": ",".join(f"{symbol} {what.interval}" for symbol in what.symbol)}
        self._venue.record.add(self._venue.market.now(), asked.method, "/v2", streams)
        if asked.method == "ping":
            await client.send(_text({"method": "pong", "req_id": asked.req_id}))
        elif asked.method not in {"subscribe", "unsubscribe"}:
            await self._refuse(client, asked, "Unsupported method")
        elif what.channel != _OHLC:
            await self._refuse(client, asked, "This sandbox has the channel ohlc only")
        elif Timeframe(what.interval * MINUTE) not in TIMEFRAMES:
            await self._refuse(client, asked, "Unsupported interval")
        else:
            for symbol in what.symbol:
                await self._change(client, asked, symbol)

    async def _change(self, client: StreamClient, asked: _Asked, symbol: str) -> None:
        timeframe = Timeframe(asked.params.interval * MINUTE)
        channel = (symbol, timeframe)
        leaves = asked.method == "unsubscribe"
        try:
            newest = self._venue.market.klines(symbol, timeframe, None, None, _SNAPSHOT)
            if leaves:
                client.channels.discard(channel)
            else:
                self._hub.register(client, channel)
        except UnknownSymbol:
            await self._refuse(client, asked, f"Currency pair not supported {symbol}")
            return
        except UnknownTimeframe:
            await self._refuse(client, asked, "Unsupported interval")
            return
        result = {
            "channel": _OHLC,
            "symbol": symbol,
            "interval": asked.params.interval,
            "snapshot": asked.params.snapshot,
        }
        answer = {"method": asked.method, "success": True, "result": result, "req_id": asked.req_id}
        await client.send(_text(answer))
        if not leaves:
            if asked.params.snapshot:
                data = [_candle(channel, kline) for kline in newest]
                await client.send(_text({"channel": _OHLC, "type": "snapshot", "data": data}))
            await self._hub.greet(client, channel)

    @staticmethod
    async def _refuse(client: StreamClient, asked: _Asked, why: str) -> None:
        answer = {"method": asked.method, "success": False, "error": why, "req_id": asked.req_id}
        await client.send(_text(answer))


def _update(channel: Channel, kline: Kline, _now: Milliseconds) -> str:
    return _text({"channel": _OHLC, "type": "update", "data": [_candle(channel, kline)]})


def _candle(channel: Channel, kline: Kline) -> dict[str, object]:
    candle = kline.candle
    return {
        "symbol": channel[0],
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "trades": int(candle.volume > 0.0),
        "volume": candle.volume,
        "vwap": turnover(candle) / candle.volume if candle.volume else 0.0,
        "interval_begin": iso(candle.open_time).replace("Z", ".000000000Z"),
        "interval": kline.timeframe.duration // MINUTE,
        "timestamp": iso(candle.open_time + kline.timeframe.duration).replace("Z", ".000000Z"),
    }


def _text(document: object) -> str:
    return msgspec.json.encode(document).decode()
