"""Feeds deliver each closed candle once, in order, at their pace, and stop when told to."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from adan_core.data.feed import CandleFeed, SeriesFeed, SimulatedFeed
from adan_core.data.series import CandleSeries, concatenate
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import ClosedCandles, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import MarketSource
from adan_core.domain.time import ManualClock

FIVE = Timeframe.parse("5m")
BITCOIN = SimulatedMarket("BTC/SIM", FIVE, 1)
ETHER = SimulatedMarket("ETH/SIM", FIVE, 1)


class Waiting:
    """Lets simulated time pass instead of real time, and says stop after so many waits."""

    def __init__(self, stop_after: int = 1_000_000) -> None:
        self.clock = ManualClock()
        self.waits: list[float] = []
        self._stop_after = stop_after

    async def __call__(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.clock.advance(round(seconds * 1000))
        return len(self.waits) > self._stop_after


def drain(feed: CandleFeed) -> list[ClosedCandles]:
    async def collect(instants: AsyncIterator[ClosedCandles]) -> list[ClosedCandles]:
        return [each async for each in instants]

    return asyncio.run(collect(feed.__aiter__()))


def without(series: CandleSeries, missing: set[int]) -> CandleSeries:
    kept = [series.slice(i, i + 1) for i in range(len(series)) if i not in missing]
    return concatenate(kept)


def test_the_simulated_feed_delivers_its_markets_candle_by_candle_at_its_pace() -> None:
    wait = Waiting(stop_after=5)
    feed = SimulatedFeed((BITCOIN, ETHER), 100, 2.0, wait, wait.clock)
    delivered = drain(feed)
    assert feed.source is MarketSource.SIMULATED
    assert [each.close_time for each in delivered] == [
        BITCOIN.open_time(100 + i) + FIVE.duration for i in range(5)
    ]
    assert delivered[3].candles == (
        ("BTC/SIM", BITCOIN.candle(103)),
        ("ETH/SIM", ETHER.candle(103)),
    )
    assert wait.waits == [0.0, 2.0, 2.0, 2.0, 2.0, 2.0]


def test_history_ends_where_the_feed_begins() -> None:
    wait = Waiting(stop_after=1)
    feed = SimulatedFeed((BITCOIN,), 100, 0.0, wait, wait.clock)
    (history,) = feed.history(30)
    assert len(history) == 30
    assert int(history.close_time[-1]) + FIVE.duration == drain(feed)[0].close_time
    assert len(feed.history(5000)[0]) == 100


def test_a_resumed_feed_goes_on_after_the_last_close() -> None:
    wait = Waiting(stop_after=10)
    whole = drain(SimulatedFeed((BITCOIN,), 0, 0.0, wait, wait.clock))
    again = Waiting(stop_after=5)
    index = BITCOIN.index_after(whole[4].close_time)
    rest = drain(SimulatedFeed((BITCOIN,), index, 0.0, again, again.clock))
    assert rest == whole[5:]
    series = BITCOIN.candles(0, 10)
    for after in (None, whole[4].close_time, whole[4].close_time + 1, whole[9].close_time):
        wait = Waiting()
        feed = SeriesFeed((series,), wait, wait.clock, after=after)
        expected = [each for each in whole if after is None or each.close_time > after]
        assert drain(feed) == expected
        assert len(feed.history(1000)[0]) == 10 - len(expected)


def test_symbols_are_aligned_and_missing_candles_are_absent() -> None:
    bitcoin = without(BITCOIN.candles(0, 12), {3, 4, 7})
    ether = without(ETHER.candles(2, 10), {2, 5})  # candles 4 and 7 of the market
    wait = Waiting()
    feed = SeriesFeed((bitcoin, ether), wait, wait.clock)
    delivered = drain(feed)
    times = [each.close_time for each in delivered]
    assert times == sorted(set(times))
    assert len(delivered) == 10  # 4 and 7 exist nowhere
    for symbol, series in (("BTC/SIM", bitcoin), ("ETH/SIM", ether)):
        seen = [candle for each in delivered for name, candle in each.candles if name == symbol]
        assert seen == [series.candle(i) for i in range(len(series))]
    for each in delivered:
        assert {candle.open_time for _, candle in each.candles} == {each.close_time - FIVE.duration}


def test_a_late_reader_is_not_flooded() -> None:
    wait = Waiting(stop_after=4)

    async def slow() -> None:
        feed = SimulatedFeed((BITCOIN,), 0, 2.0, wait, wait.clock)
        async for _ in feed:
            wait.clock.advance(60_000)

    asyncio.run(slow())
    # One candle may already be due; the many missed ones are not caught up in a burst.
    assert len(wait.waits) == 5
    assert wait.clock.monotonic() >= 4 * 60.0


def test_a_feed_is_of_one_timeframe_and_names_each_symbol_once() -> None:
    wait = Waiting()
    hourly = SimulatedMarket("ETH/SIM", Timeframe.parse("1h"), 1)
    for markets in ((BITCOIN, hourly), (BITCOIN, BITCOIN), ()):
        with pytest.raises(DataError):
            SimulatedFeed(markets, 0, 1.0, wait, wait.clock)
        with pytest.raises(DataError):
            SeriesFeed(tuple(m.candles(0, 5) for m in markets), wait, wait.clock)
    for pace in (-1.0, np.nan):
        with pytest.raises(ValueError, match="pace"):
            SimulatedFeed((BITCOIN,), 0, pace, wait, wait.clock)
