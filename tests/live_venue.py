"""An exchange that is none and says so: it lives on a clock moved by hand, and misbehaves on order."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from adan_core.data.live import ExchangeFeed, LiveLimits
from adan_core.data.live_check import Comparison
from adan_core.data.live_shelf import CandleShelf
from adan_core.data.live_venue import Update, VenueName
from adan_core.data.store import CandleStore
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Candle, ClosedCandles, Timeframe
from adan_core.domain.errors import AdanError, RetryableError
from adan_core.domain.time import MINUTE, SECOND, ManualClock, Milliseconds

TIMEFRAME = Timeframe.parse("1m")
BEGIN: Milliseconds = 1_700_000_040_000  # on the minute
LIMITS = LiveLimits(5 * SECOND, 30 * SECOND, 30 * SECOND, SECOND)
FAKE = VenueName("binance", "http://fake.invalid")


def candle(opened: Milliseconds, number: float) -> Candle:
    """Return a candle whose every price tells which one it is."""
    return Candle(opened, 100.0 + number, 103.0 + number, 99.0 + number, 101.0 + number, 5.0)


def market(count: int, missing: Sequence[int] = (), shift: float = 0.0) -> dict[int, Candle]:
    """Return ``count`` minutes of candles from ``BEGIN`` on, without those numbered ``missing``."""
    times = {number: BEGIN + number * MINUTE for number in range(count)}
    return {
        opened: candle(opened, number + shift)
        for number, opened in times.items()
        if number not in missing
    }


@dataclass
class FakeVenue:
    """Lists ``markets`` as they stand at the exchange's time, which is ``skew`` ahead of the clock.

    ``broken(opened or None)`` may raise or alter an answer; ``speaks`` says whether the stream tells
    anything now; ``altered`` changes what it tells of a candle.
    """

    clock: ManualClock
    markets: Mapping[str, dict[int, Candle]]
    skew: Milliseconds = 0
    page: int = 7
    name: VenueName = FAKE
    host: str = "fake.invalid"
    spoil: Callable[[list[Candle]], list[Candle]] = field(default=lambda rows: rows)
    speaks: Callable[[], bool] = field(default=lambda: True)
    altered: Callable[[Candle], Candle] = field(default=lambda row: row)
    hidden: set[tuple[str, Milliseconds]] = field(default_factory=set)
    asked: list[tuple[str, Milliseconds]] = field(default_factory=list)
    connections: int = 0
    closed: bool = False
    _connected: bool = False
    _break: bool = False
    _news: list[Update] = field(default_factory=list)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now(self) -> Milliseconds:
        return self.clock.now() + self.skew

    async def prepare(self) -> None:
        self.spoil([])

    async def time(self) -> Milliseconds:
        return self.now

    async def candles(self, symbol: str, since: Milliseconds) -> Sequence[Candle]:
        self.asked.append((symbol, since))
        rows = [
            self.standing(row)
            for opened, row in sorted(self.markets[symbol].items())
            if since <= opened <= self.now and (symbol, opened) not in self.hidden
        ]
        return self.spoil(rows[: self.page])

    def standing(self, row: Candle) -> Candle:
        """Return ``row`` as it stands: other than final while it forms."""
        if row.open_time + MINUTE <= self.now:
            return row
        return replace(row, close=row.open, volume=1.0)

    def push(self) -> None:
        """Let the stream tell every symbol's forming and newest closed candle."""
        if not self._connected or not self.speaks():
            return
        for symbol, rows in self.markets.items():
            newest = [opened for opened in rows if self.now - 2 * MINUTE < opened <= self.now]
            self._news += [(symbol, self.altered(self.standing(rows[at]))) for at in newest]
        self._told.set()

    def drop(self) -> None:
        """Break the connection."""
        self._break = True
        self._told.set()

    async def updates(self) -> Sequence[Update]:
        if not self._connected:
            self._connected = True
            self.connections += 1
        await self._told.wait()
        self._told.clear()
        if self._break:
            self._break = False
            raise RetryableError("the connection was cut")
        news, self._news = self._news, []
        return news

    async def disconnect(self) -> None:
        self._connected = False
        self._news.clear()

    async def close(self) -> None:
        await self.disconnect()
        self.closed = True


class _AtOnce(ThreadPoolExecutor):
    """Does what is asked of it where it is asked: time moved by hand would run away from a thread."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN003, ANN202
        done: Future[object] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except AdanError as error:
            done.set_exception(error)
        return done


@dataclass
class LiveBench:
    """A live feed over fake venues, a store of its own and a clock moved by its waiting."""

    feed: ExchangeFeed
    venue: FakeVenue
    store: CandleStore
    clock: ManualClock
    until: Milliseconds = 0
    each_tick: Callable[[], None] = field(default=lambda: None)
    alarms: list[tuple[str, Severity, str]] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    delivered: list[ClosedCandles] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        store: CandleStore,
        venue: FakeVenue,
        after: Mapping[str, Milliseconds] | None = None,
        first_candles: int = 10,
        second: FakeVenue | None = None,
    ) -> "LiveBench":
        alarms: list[tuple[str, Severity, str]] = []
        compared: list[Comparison] = []

        async def wait(seconds: float) -> bool:
            return await bench.wait(seconds)

        feed = ExchangeFeed(
            venue,
            tuple(venue.markets),
            TIMEFRAME,
            CandleShelf(store, venue.name, TIMEFRAME),
            LIMITS,
            first_candles,
            after or {},
            wait,
            venue.clock,
            lambda *alarm: alarms.append(alarm),
            compared.append,
            second,
        )
        bench = cls(feed, venue, store, venue.clock, alarms=alarms, compared=compared)
        return bench

    async def wait(self, seconds: float) -> bool:
        """Move the clock instead of waiting, and let the stream speak meanwhile."""
        self.clock.advance(round(seconds * SECOND))
        if seconds > 0.0:
            self.each_tick()
            self.venue.push()
        for _ in range(4):
            await asyncio.sleep(0)
        return self.clock.now() >= self.until

    async def run(self, until: Milliseconds) -> None:
        """Prepare and follow the feed until the clock shows ``until``, then close it."""
        self.until = until
        asyncio.get_running_loop().set_default_executor(_AtOnce())
        try:
            if await self.feed.prepare():
                async for closed in self.feed:
                    self.delivered.append(closed)
        finally:
            await self.feed.close()

    def candles(self, symbol: str) -> list[Candle]:
        """Return what was delivered of ``symbol``, in that order."""
        return [row for closed in self.delivered for name, row in closed.candles if name == symbol]

    def codes(self) -> set[str]:
        """Return the codes of the alarms so far."""
        return {code for code, _, _ in self.alarms}


def misbehaving(seed: int, until: Callable[[], bool]) -> Callable[[list[Candle]], list[Candle]]:
    """Return what an exchange does to its answers until then; each row is left out once at most."""
    chance = random.Random(seed)
    left_out: set[Milliseconds] = set()

    def spoil(rows: list[Candle]) -> list[Candle]:
        if until():
            return rows
        kind = chance.choice(["whole", "error", "repeat", "disorder", "short", "skip", "skip"])
        if kind == "error":
            raise RetryableError("the exchange is busy")
        if kind == "repeat":
            return [row for row in rows for _ in range(chance.randint(1, 2))]
        if kind == "disorder":
            return chance.sample(rows, len(rows))
        if kind == "short":
            return rows[: max(1, len(rows) // 2)]
        if kind == "skip":
            gone = {row.open_time for row in rows if chance.random() < 0.3} - left_out
            left_out.update(gone)
            return [row for row in rows if row.open_time not in gone]
        return rows

    return spoil
