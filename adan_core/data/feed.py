"""Feeds: closed candles of several symbols, aligned by their close, one instant at a time.

A feed is an asynchronous iterator. Its pace is kept by a ``Wait`` that is passed in; the iteration
ends when that says stop, or when there are no more candles. A symbol whose candle is missing is
absent from that instant: nothing is invented.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np

from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Candle, ClosedCandles, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import MarketSource, StreamStatus
from adan_core.domain.time import Clock, Milliseconds

Wait = Callable[[float], Awaitable[bool]]
"""Waits for so many seconds (0: only lets others run); returns True, at once, when told to stop."""


class CandleFeed(Protocol):
    """What an engine reads the market from."""

    @property
    def source(self) -> MarketSource:
        """Where the candles come from; the screen says it."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of this feed, in the order in which candles carry them."""
        ...

    @property
    def timeframe(self) -> Timeframe:
        """The span of every candle."""
        ...

    @property
    def seconds_per_candle(self) -> float:
        """The pace in seconds of the machine's clock; 0: as fast as the reader reads."""
        ...

    @property
    def stream(self) -> StreamStatus | None:
        """How the stream that candles are announced by is; None where there is none."""
        ...

    async def prepare(self) -> bool:
        """Fetch what the feed's history lacks, however long it takes; False if told to stop first."""
        ...

    async def close(self) -> None:
        """Let go of every connection; no candle comes after it."""
        ...

    def history(self, count: int) -> tuple[CandleSeries, ...]:
        """Return each symbol's last ``count`` candles before the feed's first, fewer if none exist."""
        ...

    def __aiter__(self) -> AsyncIterator[ClosedCandles]:
        """Return the iterator over the instants at which candles closed."""
        ...


class _AtHand:
    """What feeds have in common whose candles are all here already."""

    stream: StreamStatus | None = None

    async def prepare(self) -> bool:
        """Nothing is lacking."""
        return True

    async def close(self) -> None:
        """Nothing is connected."""


class SimulatedFeed(_AtHand):
    """Endless candles of simulated markets, one instant every ``seconds_per_candle`` seconds.

    ``start_index`` is the first candle delivered; a feed that resumes after a close time starts at
    ``markets[0].index_after(close_time)``. DataError if markets disagree on the timeframe.
    """

    source = MarketSource.SIMULATED

    def __init__(
        self,
        markets: Sequence[SimulatedMarket],
        start_index: int,
        seconds_per_candle: float,
        wait: Wait,
        clock: Clock,
    ) -> None:
        check_alike([(market.symbol, market.timeframe) for market in markets])
        self._markets = tuple(markets)
        self._start_index = start_index
        self._pace = _Pace(seconds_per_candle, wait, clock)
        self.symbols = tuple(market.symbol for market in markets)
        self.timeframe = self._markets[0].timeframe
        self.seconds_per_candle = seconds_per_candle

    def history(self, count: int) -> tuple[CandleSeries, ...]:
        """Return each symbol's ``count`` candles before the feed's first (fewer at the beginning)."""
        first = max(0, self._start_index - count)
        return tuple(market.candles(first, self._start_index - first) for market in self._markets)

    async def __aiter__(self) -> AsyncIterator[ClosedCandles]:
        """Yield every instant of the simulated time, without end."""
        self._pace.begin()
        index = self._start_index
        while not await self._pace.stopped():
            close_time = self._markets[0].open_time(index) + self.timeframe.duration
            yield ClosedCandles(
                close_time,
                tuple((market.symbol, market.candle(index)) for market in self._markets),
            )
            index += 1


class SeriesFeed(_AtHand):
    """Recorded candles, replayed in the order of their close times.

    Starts with the first candle that closes after ``after`` (None: with the very first).
    DataError if the series disagree on the timeframe or a symbol comes twice.
    """

    source = MarketSource.REPLAY

    def __init__(
        self,
        series: Sequence[CandleSeries],
        wait: Wait,
        clock: Clock,
        seconds_per_candle: float = 0.0,
        after: Milliseconds | None = None,
    ) -> None:
        check_alike([(each.symbol, each.timeframe) for each in series])
        self._series = tuple(series)
        self._pace = _Pace(seconds_per_candle, wait, clock)
        self.symbols = tuple(each.symbol for each in series)
        self.timeframe = self._series[0].timeframe
        self.seconds_per_candle = seconds_per_candle
        duration = self.timeframe.duration
        self._starts = tuple(
            0 if after is None else each.index_at(after - duration + 1) for each in self._series
        )

    def history(self, count: int) -> tuple[CandleSeries, ...]:
        """Return each symbol's last ``count`` candles before the feed's first (fewer if absent)."""
        return tuple(
            each.slice(max(0, start - count), start)
            for each, start in zip(self._series, self._starts, strict=True)
        )

    async def __aiter__(self) -> AsyncIterator[ClosedCandles]:
        """Yield every instant at which at least one symbol's candle closed."""
        self._pace.begin()
        places = list(self._starts)
        times = np.unique(
            np.concatenate(
                [
                    each.open_time[start:]
                    for each, start in zip(self._series, self._starts, strict=True)
                ]
            )
        )
        for open_time in times:
            if await self._pace.stopped():
                return
            closed: list[tuple[str, Candle]] = []
            for number, each in enumerate(self._series):
                place = places[number]
                if place < len(each) and each.open_time[place] == open_time:
                    closed.append((each.symbol, each.candle(place)))
                    places[number] = place + 1
            yield ClosedCandles(int(open_time) + self.timeframe.duration, tuple(closed))


class _Pace:
    """Keeps candles at even spacing on a monotonic clock; a late reader does not cause a burst."""

    def __init__(self, seconds: float, wait: Wait, clock: Clock) -> None:
        if not 0.0 <= seconds < float("inf"):
            raise ValueError(f"a pace is a number of seconds >= 0; got {seconds}")
        self._seconds = seconds
        self._wait = wait
        self._clock = clock
        self._due = 0.0

    def begin(self) -> None:
        self._due = self._clock.monotonic()

    async def stopped(self) -> bool:
        """Wait until the next candle is due; return True if the feed is to stop instead."""
        now = self._clock.monotonic()
        self._due = max(self._due, now - self._seconds)
        stop = await self._wait(max(0.0, self._due - now))
        self._due += self._seconds
        return stop


def check_alike(parts: Sequence[tuple[str, Timeframe]]) -> None:
    """Refuse (DataError) parts that cannot be one feed: none, a symbol twice, mixed timeframes."""
    if not parts:
        raise DataError("a feed without symbols", "at least one symbol", "name one in the settings")
    symbols = [symbol for symbol, _ in parts]
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise DataError(f"{twice[0]} twice in one feed", "each symbol once")
    first_symbol, first = parts[0]
    for symbol, timeframe in parts[1:]:
        if timeframe != first:
            raise DataError(
                f"{symbol} has candles of {timeframe} and {first_symbol} of {first}",
                "one timeframe per feed",
            )
