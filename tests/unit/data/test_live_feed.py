"""Whatever stream and REST do: exactly the exchange's closed candles, in order, once, and none that forms."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.data.live_shelf import CandleShelf
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Candle
from adan_core.domain.errors import DataError
from adan_core.domain.time import MINUTE, SECOND, ManualClock
from tests.live_venue import (
    BEGIN,
    FAKE,
    TIMEFRAME,
    FakeVenue,
    LiveBench,
    candle,
    market,
    misbehaving,
)

BTC, ETH = "BTC/USDT", "ETH/USDT"
START = BEGIN + 30 * MINUTE + 20 * SECOND


def bench_of(
    folder: Path, markets: dict[str, dict[int, Candle]], start: int = START, **changes: object
) -> LiveBench:
    venue = FakeVenue(ManualClock(start), markets, **changes)  # type: ignore[arg-type]
    return LiveBench.build(CandleStore(folder), venue)


def stored(bench: LiveBench, symbol: str) -> list[Candle]:
    series = bench.store.read(FAKE.dataset(symbol, TIMEFRAME))
    return [series.candle(row) for row in range(len(series))]


@pytest.mark.slow
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    missing=st.sets(st.integers(15, 48), max_size=12),
    skew=st.integers(-90, 90).map(lambda seconds: seconds * SECOND),
    restart_after=st.none() | st.integers(1, 15).map(lambda minutes: minutes * MINUTE),
)
def test_any_interleaving_gives_the_closed_candles_in_order_once(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    missing: set[int],
    skew: int,
    restart_after: int | None,
) -> None:
    folder = tmp_path_factory.mktemp("candles")
    markets = {BTC: market(60, tuple(missing)), ETH: market(60, shift=500.0)}
    chance, end = random.Random(seed), START + 18 * MINUTE
    healed = START + 12 * MINUTE

    def unruly(bench: LiveBench) -> None:
        venue = bench.venue
        venue.spoil = misbehaving(seed, lambda: venue.clock.now() >= healed)
        mood = {"silent_until": 0}

        def tick() -> None:
            now = venue.clock.now()
            if now >= healed:
                return
            if chance.random() < 0.01:
                mood["silent_until"] = now + chance.randint(1, 90) * SECOND
            if chance.random() < 0.02:
                venue.drop()

        bench.each_tick = tick
        venue.speaks = lambda: (
            venue.clock.now() >= healed
            or (venue.clock.now() >= mood["silent_until"] and chance.random() < 0.8)
        )
        venue.altered = lambda row: (
            row if chance.random() < 0.9 else replace(row, high=row.high + 1.0)
        )

    async def story() -> list[LiveBench]:
        venue = FakeVenue(ManualClock(START), markets, skew)
        benches = [LiveBench.build(CandleStore(folder), venue)]
        unruly(benches[0])
        await benches[0].run(end if restart_after is None else START + restart_after)
        if restart_after is not None:
            closes = {
                symbol: max(row.open_time for row in rows) + MINUTE
                for symbol in markets
                if (rows := benches[0].candles(symbol))
            }
            venue.clock.advance(chance.randint(0, 4) * MINUTE)
            again = FakeVenue(ManualClock(venue.clock.now()), markets, skew)
            benches.append(LiveBench.build(CandleStore(folder), again, closes))
            unruly(benches[1])
            await benches[1].run(max(end, again.clock.now() + 3 * MINUTE))
        return benches

    benches = asyncio.run(story())
    closed_by = benches[-1].until + skew - MINUTE
    for symbol, rows in markets.items():
        kept = stored(benches[-1], symbol)
        expected = [row for row in rows.values() if kept[0].open_time <= row.open_time]
        assert kept == expected[: len(kept)]
        assert kept[-1].open_time >= max(at for at in rows if at + MINUTE <= closed_by)
        delivered = [row for bench in benches for row in bench.candles(symbol)]
        if len(benches) == 1 or benches[0].candles(symbol):
            first = kept.index(delivered[0])
            waiting = kept[first + len(delivered) :]  # for another symbol's, when it was stopped
            assert delivered == kept[first : len(kept) - len(waiting)]
            assert len(waiting) <= 1
    for bench in benches:
        for closed in bench.delivered:
            assert all(row.open_time + MINUTE == closed.close_time for _, row in closed.candles)
            assert closed.settle_only or closed.age <= 45 * SECOND
        assert bench.venue.closed


def test_an_empty_store_is_filled_first_and_what_closes_then_is_delivered(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60), ETH: market(60)})
    asyncio.run(bench.run(START + 3 * MINUTE))
    history = bench.feed.history(1000)
    assert [len(each) for each in history] == [10, 10]
    assert history[0].synthetic  # a test venue's candles never look like an exchange's
    assert [closed.close_time for closed in bench.delivered] == [
        BEGIN + number * MINUTE for number in (31, 32, 33)
    ]
    assert [len(closed.candles) for closed in bench.delivered] == [2, 2, 2]
    assert not any(closed.settle_only for closed in bench.delivered)
    assert all(closed.age <= 2 * SECOND for closed in bench.delivered)
    assert bench.alarms == []


def test_a_restart_delivers_what_was_missed_to_be_settled_and_decides_on_the_newest(
    tmp_path: Path,
) -> None:
    markets = {BTC: market(60)}
    first = bench_of(tmp_path, markets)
    asyncio.run(first.run(START + 2 * MINUTE))
    later = START + 8 * MINUTE
    venue = FakeVenue(ManualClock(later), markets)
    again = LiveBench.build(CandleStore(tmp_path), venue, {BTC: first.delivered[-1].close_time})
    asyncio.run(again.run(later + MINUTE))
    assert first.candles(BTC) + again.candles(BTC) == stored(again, BTC)[-9:]
    assert [closed.settle_only for closed in again.delivered] == [True] * 6 + [False]
    assert again.feed.history(3)[0].close_time[-1] == first.delivered[-1].close_time


def test_candles_stored_and_not_settled_before_a_crash_are_delivered_again(tmp_path: Path) -> None:
    first = bench_of(tmp_path, {BTC: market(60)})
    asyncio.run(first.run(START + 3 * MINUTE))
    again = LiveBench.build(
        CandleStore(tmp_path),
        FakeVenue(first.clock, first.venue.markets),
        {BTC: first.delivered[0].close_time},
    )
    asyncio.run(again.run(first.clock.now() + 10 * SECOND))
    assert again.candles(BTC) == first.candles(BTC)[1:]


def test_a_silent_stream_pauses_decisions_reconnects_and_resumes_after_rest(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})
    silent = range(START + 10 * SECOND, START + 100 * SECOND)
    bench.venue.speaks = lambda: bench.clock.now() not in silent
    seen: dict[str, int] = {}

    def look() -> None:
        stream, now = bench.feed.stream, bench.clock.now()
        if now > START + 2 * SECOND:
            if stream.silence(now):
                seen.setdefault("stale", now)
            if stream.paused:
                seen.setdefault("paused", now)
            elif "paused" in seen:
                seen.setdefault("resumed", now)

    bench.each_tick = look
    asyncio.run(bench.run(START + 4 * MINUTE))
    last_word = START + 10 * SECOND
    assert last_word + 4 * SECOND < seen["stale"] <= last_word + 6 * SECOND
    assert last_word + 29 * SECOND < seen["paused"] <= last_word + 31 * SECOND
    assert START + 100 * SECOND <= seen["resumed"] <= START + 105 * SECOND
    assert [closed.settle_only for closed in bench.delivered] == [True, False, False, False]
    assert bench.venue.connections >= 3
    assert "stream" in bench.codes()


def test_candles_that_cannot_be_stored_pause_decisions_until_they_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})
    locked = range(START + 30 * SECOND, START + 110 * SECOND)
    append = CandleShelf.append

    def refused(self: CandleShelf, symbol: str, candles: Sequence[Candle], host: str) -> None:
        if bench.clock.now() in locked:
            raise DataError("another process is writing")
        append(self, symbol, candles, host)

    monkeypatch.setattr(CandleShelf, "append", refused)
    said: list[str] = []

    def look() -> None:
        # From the first candle that closes while the store is locked, some seconds on, to its end.
        if START + 50 * SECOND < bench.clock.now() < START + 110 * SECOND:
            said.append(bench.feed.stream.paused)

    bench.each_tick = look
    asyncio.run(bench.run(START + 4 * MINUTE))
    assert len(said) > 5
    assert all(said)
    assert any("cannot be stored" in each for each in said)
    assert bench.candles(BTC) == stored(bench, BTC)[-len(bench.candles(BTC)) :]
    assert bench.feed.stream.paused == ""
    assert bench.delivered[0].settle_only
    assert not bench.delivered[-1].settle_only


def test_a_stream_that_never_speaks_is_told_and_nothing_is_decided(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)}, speaks=lambda: False)
    asyncio.run(bench.run(START + 3 * MINUTE))
    assert len(bench.delivered) == 3
    assert all(closed.settle_only for closed in bench.delivered)
    assert "stream" in bench.codes()
    assert "silent" in bench.feed.stream.paused


def test_a_connection_that_breaks_is_opened_again_and_nothing_is_lost(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})
    bench.each_tick = lambda: bench.venue.drop() if bench.clock.now() % 7_000 < 250 else None
    asyncio.run(bench.run(START + 4 * MINUTE))
    assert bench.candles(BTC) == stored(bench, BTC)[-4:]
    assert not any(closed.settle_only for closed in bench.delivered)
    assert bench.venue.connections > 10


def test_a_symbol_late_is_absent_and_its_candle_is_settled_when_it_comes(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60), ETH: market(60)})
    late = BEGIN + 30 * MINUTE
    bench.venue.hidden = {(ETH, late), (ETH, late + MINUTE)}
    appears = late + MINUTE + 45 * SECOND

    def reveal() -> None:
        if bench.clock.now() >= appears:
            bench.venue.hidden.clear()

    bench.each_tick = reveal
    asyncio.run(bench.run(START + 4 * MINUTE))
    got = [
        (closed.close_time - late, tuple(name for name, _ in closed.candles), closed.settle_only)
        for closed in bench.delivered
    ]
    assert got[:3] == [
        (MINUTE, (BTC,), False),
        (MINUTE, (ETH,), True),
        (2 * MINUTE, (BTC, ETH), False),
    ]
    assert f"late {ETH}" in bench.codes()
    assert bench.candles(ETH) == stored(bench, ETH)[-len(bench.candles(ETH)) :]


def test_a_candle_counts_by_the_exchanges_clock_not_ours(tmp_path: Path) -> None:
    for skew in (-20 * SECOND, 50 * SECOND):
        bench = bench_of(tmp_path / str(skew), {BTC: market(60)}, skew=skew)
        times: list[int] = []
        bench.each_tick = lambda times=times, bench=bench: (  # type: ignore[misc]
            times.append(bench.venue.now) if len(bench.delivered) > len(times) else None
        )
        asyncio.run(bench.run(START + 3 * MINUTE))
        assert times
        for seen, closed in zip(times, bench.delivered, strict=False):
            assert closed.close_time <= seen <= closed.close_time + 3 * SECOND


def test_a_candle_that_cannot_be_is_left_out_and_told(tmp_path: Path) -> None:
    rows = market(60)
    broken = BEGIN + 31 * MINUTE
    rows[broken] = replace(rows[broken], high=1.0)
    bench = bench_of(tmp_path, {BTC: rows})
    asyncio.run(bench.run(START + 5 * MINUTE))
    assert broken not in {row.open_time for row in stored(bench, BTC)}
    assert len(bench.delivered) == 4
    assert f"candle {BTC}" in bench.codes()


def test_a_candle_changed_after_it_closed_is_told_and_its_first_version_stays(
    tmp_path: Path,
) -> None:
    rows = market(60)
    bench = bench_of(tmp_path, {BTC: rows})
    changed = BEGIN + 30 * MINUTE

    def revise() -> None:
        if bench.clock.now() > changed + MINUTE + 30 * SECOND:
            rows[changed] = replace(candle(changed, 30), high=160.0)

    bench.each_tick = revise
    asyncio.run(bench.run(START + 3 * MINUTE))
    assert candle(changed, 30) in stored(bench, BTC)
    assert f"revised {BTC}" in bench.codes()
    (off,) = [one for one in bench.compared if one.deviation > 0.0]
    assert (off.against, off.close_time) == ("what it told before", changed + MINUTE)
    assert off.deviation == pytest.approx(160.0 / 133.0 - 1.0)


def test_stream_and_rest_are_compared_candle_by_candle(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})
    odd = BEGIN + 32 * MINUTE
    bench.venue.altered = lambda row: (
        replace(row, high=row.high * 1.2) if row.open_time == odd else row
    )
    asyncio.run(bench.run(START + 5 * MINUTE))
    own = {one.close_time: one.deviation for one in bench.compared if "stream" in one.against}
    assert own == {
        BEGIN + 32 * MINUTE: 0.0,
        odd + MINUTE: pytest.approx(0.2),
        BEGIN + 34 * MINUTE: 0.0,
        BEGIN + 35 * MINUTE: 0.0,
    }


def test_a_second_venue_is_asked_for_each_candle_and_compared(tmp_path: Path) -> None:
    clock = ManualClock(START)
    venue = FakeVenue(clock, {BTC: market(60)})
    other = FakeVenue(clock, {BTC: market(60, shift=10.0)}, name=replace(FAKE, exchange="kraken"))
    bench = LiveBench.build(CandleStore(tmp_path), venue, second=other)
    asyncio.run(bench.run(START + 4 * MINUTE))
    found = [one for one in bench.compared if one.against == "test-kraken"]
    assert [one.close_time for one in found] == [BEGIN + n * MINUTE for n in (31, 32, 33, 34)]
    assert all(0.05 < one.deviation < 0.10 for one in found)
    assert other.closed


def test_a_second_venue_that_does_not_answer_stops_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START)
    other = FakeVenue(clock, {BTC: {}}, name=replace(FAKE, exchange="kraken"))
    other.spoil = misbehaving(3, lambda: False)
    bench = LiveBench.build(
        CandleStore(tmp_path), FakeVenue(clock, {BTC: market(60)}), second=other
    )
    asyncio.run(bench.run(START + 4 * MINUTE))
    assert len(bench.delivered) == 4
    assert not any(closed.settle_only for closed in bench.delivered)
    assert "second venue" in bench.codes()


def test_a_market_without_candles_is_refused(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: {}})
    with pytest.raises(DataError, match="lists no 1m candle of BTC/USDT"):
        asyncio.run(bench.run(START + MINUTE))
    assert bench.venue.closed


def test_an_exchange_that_does_not_answer_at_first_is_asked_until_it_does(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})
    bench.venue.spoil = misbehaving(5, lambda: bench.clock.now() > START + 30 * SECOND)
    asyncio.run(bench.run(START + 2 * MINUTE))
    assert bench.candles(BTC) == stored(bench, BTC)[-2:]


def test_told_to_stop_while_it_fetches_it_stops(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, {BTC: market(60)})

    async def for_ever(*_: object) -> list[Candle]:
        await asyncio.Event().wait()
        return []

    bench.venue.candles = for_ever  # type: ignore[method-assign, assignment]
    asyncio.run(bench.run(START + 5 * SECOND))
    assert bench.delivered == []
    assert bench.venue.closed
