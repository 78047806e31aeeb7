"""Candle streams: who listens to what, what is due since it was last said, and what goes wrong.

Nothing here waits for a clock. ``StreamHub.advance`` is told that time has passed; it looks what
has closed since and where the forming candle stands, and says so to every client that asked. A
client that subscribes is told at once where its candle stands. Faults are counted per channel, over
all its clients and however often they reconnect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSMsgType, web

from adan_core.domain.candles import Timeframe
from adan_core.domain.time import Milliseconds
from adan_core.sandbox.faults import CANDLE_FAULTS, UPDATE_FAULTS, Fault, FaultKind, deviate
from adan_core.sandbox.market import Kline
from adan_core.sandbox.venue import MARK, Venue

Channel = tuple[str, Timeframe]
"""A symbol and the span of its candles."""
Encode = Callable[[Channel, Kline, Milliseconds], str]
"""Writes an update in the words of a protocol; the last argument is the market's time."""

_PATIENCE: Final = 2.0  # seconds for a client that does not read; then it is cut off
_MANY: Final = 1_000_000  # candles, more than any clock leaps over


class StreamClient:
    """One client's connection: what it listens to, and the words it understands."""

    def __init__(self, request: web.Request, encode: Encode) -> None:
        # Pings are answered by hand: a half-open connection is one where nobody does.
        self.socket = web.WebSocketResponse(autoping=False)
        self.socket.headers[MARK] = "simulated"
        self.encode = encode
        self.channels: set[Channel] = set()
        self.deaf = asyncio.Event()
        self._request = request

    async def open(self) -> None:
        """Shake hands."""
        await self.socket.prepare(self._request)

    async def send(self, text: str) -> None:
        """Send one message; a client that has gone or does not read is cut off."""
        if self.deaf.is_set() or self.socket.closed:
            return
        try:
            await asyncio.wait_for(self.socket.send_str(text), _PATIENCE)
        except (ConnectionError, TimeoutError):
            self.cut()

    def cut(self) -> None:
        """Cut the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def messages(self, hear: Callable[[str], Awaitable[None]]) -> None:
        """Hand each message to ``hear`` until the client leaves, or for ever once it is half open."""
        while not self.deaf.is_set():
            message = await self.socket.receive()
            if self.deaf.is_set():
                break
            if message.type is WSMsgType.TEXT:
                await hear(message.data)
            elif message.type is WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return
        await asyncio.Event().wait()  # ended by the connection's end, or by the exchange's


@dataclass(slots=True)
class _Told:
    """What a channel's listeners know; ``late`` waits for the update after it."""

    next_open: Milliseconds
    at: Milliseconds = -1
    late: list[Kline] = field(default_factory=list)


@dataclass(slots=True)
class _Candle:
    """The newest candle that a channel has mentioned, and what is wrong with it."""

    open_time: Milliseconds
    faults: tuple[Fault, ...]


class StreamHub:
    """All clients, all channels; used on the exchange's own loop."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._clients: set[StreamClient] = set()
        self._told: dict[Channel, _Told] = {}
        self._candles: dict[Channel, _Candle] = {}
        self._telling = asyncio.Lock()

    def join(self, client: StreamClient) -> None:
        """Take ``client`` in."""
        self._clients.add(client)

    def leave(self, client: StreamClient) -> None:
        """Forget ``client``."""
        client.channels.clear()
        self._clients.discard(client)

    def cut_all(self) -> None:
        """Cut every client's connection."""
        for client in self._clients:
            client.cut()

    def register(self, client: StreamClient, channel: Channel) -> None:
        """Let ``client`` hear of ``channel`` from this instant on.

        UnknownSymbol or UnknownTimeframe if there is no such channel.
        """
        symbol, timeframe = channel
        self._venue.market.klines(symbol, timeframe, None, None, 1)
        if not self._listeners(channel):
            now = self._venue.market.now()
            self._told[channel] = _Told(next_open=now // timeframe.duration * timeframe.duration)
        client.channels.add(channel)

    async def greet(self, client: StreamClient, channel: Channel) -> None:
        """Tell ``client``, who has registered, where the candle of ``channel`` stands."""
        async with self._telling:
            now = self._venue.market.now()
            told = self._told[channel]
            due = self._due(channel, told, now)
            # If a candle has closed since, it comes first, and with it all that `advance` tells.
            if due and not due[0].closed:
                await self._tell(channel, told, due[0], {client}, now)
                if self._listeners(channel) == {client}:
                    told.at = now

    async def advance(self) -> None:
        """Tell everybody what has happened since they were last told; nothing new says nothing."""
        async with self._telling:
            now = self._venue.market.now()
            for channel in sorted({each for client in self._clients for each in client.channels}):
                told = self._told[channel]
                for kline in self._due(channel, told, now):
                    if kline.closed:
                        told.next_open = kline.candle.open_time + channel[1].duration
                    if kline.closed or now > told.at:
                        await self._tell(channel, told, kline, self._listeners(channel), now)
                told.at = now

    def _listeners(self, channel: Channel) -> set[StreamClient]:
        return {client for client in self._clients if channel in client.channels}

    def _due(self, channel: Channel, told: _Told, now: Milliseconds) -> list[Kline]:
        symbol, timeframe = channel
        return self._venue.market.klines(symbol, timeframe, told.next_open, now, _MANY)

    async def _tell(
        self,
        channel: Channel,
        told: _Told,
        kline: Kline,
        listeners: set[StreamClient],
        now: Milliseconds,
    ) -> None:
        """Send one update as the faults leave it, and the one that was held back for it."""
        target = f"{channel[0]} {channel[1]}"
        shown = self._as_faults_show(channel, kline, target)
        if shown is None:
            return
        late, told.late = told.late, []
        updates = [shown]
        for fault in self._venue.script.next(UPDATE_FAULTS, target):
            if fault.kind is FaultKind.DUPLICATED:
                updates *= 2
            elif fault.kind is FaultKind.LATE:
                told.late, updates = updates, []
            else:
                updates = []
                if fault.kind is not FaultKind.SILENT:
                    self._break(listeners, cut=fault.kind is FaultKind.DISCONNECTED)
        for update in updates + late:
            for client in listeners:
                await client.send(client.encode(channel, update, now))

    def _break(self, listeners: set[StreamClient], cut: bool) -> None:
        """Cut the listeners' connections, or leave them open and dead."""
        for client in listeners:
            if cut:
                client.cut()
                self.leave(client)
            else:
                client.deaf.set()

    def _as_faults_show(self, channel: Channel, kline: Kline, target: str) -> Kline | None:
        """Return what the faults of the candle leave of this update of it; None: nothing."""
        for fault in self._candle_faults(channel, kline, target):
            if fault.kind is FaultKind.DEVIATING:
                kline = deviate(kline, fault.amount)
            elif fault.kind is FaultKind.GAP or kline.closed:
                return None
        return kline

    def _candle_faults(self, channel: Channel, kline: Kline, target: str) -> tuple[Fault, ...]:
        candle = self._candles.get(channel)
        if candle is None or kline.candle.open_time > candle.open_time:
            candle = _Candle(kline.candle.open_time, self._venue.script.next(CANDLE_FAULTS, target))
            self._candles[channel] = candle
        return candle.faults
