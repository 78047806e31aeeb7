"""What the sandbox shows of its candles at an instant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import HOUR, MINUTE, ManualClock, Milliseconds
from adan_core.sandbox.market import Kline, MarketData, UnknownSymbol, UnknownTimeframe
from adan_core.sandbox.text import decimal_text, short_text
from tests.sandbox_market import START, minutes

ONE, FIVE = Timeframe(MINUTE), Timeframe(5 * MINUTE)
MISSING = (3, 10, 11, 12, 13, 14, 27, 28)


def market_at(
    now: Milliseconds, series: CandleSeries | None = None, newest_only: int | None = None
) -> MarketData:
    held = minutes(60, missing=MISSING) if series is None else series
    return MarketData([held], ManualClock(now).now, newest_only)


def by_hand(series: CandleSeries, timeframe: Timeframe) -> list[Candle]:
    """Put candles together one by one, the plain way."""
    made: dict[int, Candle] = {}
    for index in range(len(series)):
        new = series.candle(index)
        opens = new.open_time // timeframe.duration * timeframe.duration
        old = made.get(opens)
        made[opens] = (
            Candle(opens, new.open, new.high, new.low, new.close, new.volume)
            if old is None
            else Candle(
                opens,
                old.open,
                max(old.high, new.high),
                min(old.low, new.low),
                new.close,
                old.volume + new.volume,
            )
        )
    return list(made.values())


@given(st.integers(0, 61 * MINUTE))
def test_a_candle_is_absent_then_forming_within_its_bounds_then_final(age: Milliseconds) -> None:
    series = minutes(60, missing=MISSING)
    now = START + age
    shown = market_at(now, series).klines("BTC/USDT", ONE, None, None, 1000)
    assert [row.candle.open_time for row in shown] == [
        int(each) for each in series.open_time if each <= now
    ]
    for index, row in enumerate(shown):
        final = series.candle(index)
        assert row.closed == (final.open_time + MINUTE <= now)
        if row.closed:
            assert row.candle == final
        else:
            forming = row.candle
            assert forming.open == final.open
            assert final.low <= forming.low <= forming.close <= forming.high <= final.high
            assert 0.0 <= forming.volume < final.volume


def test_a_forming_candle_differs_from_the_final_one_in_what_a_careless_reader_would_store() -> (
    None
):
    now = START + 5 * MINUTE + MINUTE // 2
    forming = market_at(now).klines("BTC/USDT", ONE, None, None, 1)[0]
    # a rising candle: from 105 to its low, then half way up to its high of 107
    assert forming.candle == Candle(START + 5 * MINUTE, 105.0, 105.88, 104.75, 105.88, 3.0)
    assert not forming.closed


@given(
    st.integers(0, 62 * MINUTE), st.integers(-3 * MINUTE, 63 * MINUTE), st.sampled_from([1, 4, 7])
)
def test_pages_from_an_instant_follow_each_other_without_a_gap_or_a_row_twice(
    age: Milliseconds, since: Milliseconds, limit: int
) -> None:
    market = market_at(START + age)
    for timeframe in (ONE, FIVE):
        everything = market.klines("BTC/USDT", timeframe, 0, None, 1000)
        collected: list[Kline] = []
        position = START + since
        while page := market.klines("BTC/USDT", timeframe, position, None, limit):
            assert len(page) <= limit
            collected += page
            position = page[-1].candle.open_time + 1
        assert collected == [row for row in everything if row.candle.open_time >= START + since]


@given(st.integers(1, 30), st.integers(0, 61 * MINUTE))
def test_without_a_start_the_newest_are_answered(limit: int, until: Milliseconds) -> None:
    market = market_at(START + 61 * MINUTE)
    for timeframe in (ONE, FIVE):
        everything = market.klines("BTC/USDT", timeframe, 0, None, 1000)
        expected = [row for row in everything if row.candle.open_time <= START + until]
        answered = market.klines("BTC/USDT", timeframe, None, START + until, limit)
        assert answered == expected[-limit:]


@pytest.mark.parametrize("span", [2 * MINUTE, 5 * MINUTE, HOUR])
def test_longer_candles_are_put_together_from_shorter_ones_gaps_included(
    span: Milliseconds,
) -> None:
    series = minutes(60, missing=MISSING)
    shown = market_at(START + HOUR, series).klines("BTC/USDT", Timeframe(span), 0, None, 1000)
    assert [row.candle for row in shown] == by_hand(series, Timeframe(span))
    assert all(row.closed for row in shown)


def test_a_longer_candle_forms_from_what_its_shorter_ones_have_become() -> None:
    market = market_at(START + 6 * MINUTE + MINUTE // 2)
    forming = market.klines("BTC/USDT", FIVE, None, None, 1)[0]
    assert not forming.closed
    # minute 5 is final (105, 107, 104.75, 106, 6), minute 6 half way (106, 106.88, 105.75, 106.88, 3.5)
    assert forming.candle == Candle(START + 5 * MINUTE, 105, 107, 104.75, 106.88, 9.5)


@given(st.integers(1, 40), st.integers(0, 61 * MINUTE), st.sampled_from([ONE, FIVE]))
def test_a_venue_with_its_newest_candles_only_answers_no_older_one(
    newest: int, age: Milliseconds, timeframe: Timeframe
) -> None:
    everything = market_at(START + age).klines("BTC/USDT", timeframe, 0, None, 1000)
    closed = [row for row in everything if row.closed]
    bounded = market_at(START + age, newest_only=newest)
    assert (
        bounded.klines("BTC/USDT", timeframe, 0, None, 1000)
        == everything[max(0, len(closed) - newest) :]
    )


def test_symbols_and_timeframes_that_are_not_held_are_named() -> None:
    market = market_at(START)
    with pytest.raises(UnknownSymbol, match="ETH/USDT"):
        market.klines("ETH/USDT", ONE, None, None, 1)
    with pytest.raises(UnknownTimeframe, match="30000ms"):
        market.klines("BTC/USDT", Timeframe(MINUTE // 2), None, None, 1)


def test_nothing_to_serve_and_the_same_twice_are_refused() -> None:
    clock = ManualClock()
    with pytest.raises(DataError):
        MarketData([], clock.now)
    with pytest.raises(DataError):
        MarketData([minutes(3), minutes(4)], clock.now)
    with pytest.raises(DataError):
        MarketData([minutes(0)], clock.now)


def test_rules_come_from_the_digits_of_prices_and_volumes() -> None:
    rules = market_at(START).rules["BTC/USDT"]
    assert (rules.base, rules.quote) == ("BTC", "USDT")
    assert (rules.tick_size, rules.lot_step, rules.minimum_quantity) == (0.01, 1.0, 1.0)


def test_the_book_is_a_tick_wide_around_the_last_price() -> None:
    bids, asks = market_at(START + 61 * MINUTE).book("BTC/USDT", 2)
    assert [price for price, _ in bids] == [160.0, 159.99]
    assert [price for price, _ in asks] == [160.01, 160.02]
    assert market_at(START - 1).book("BTC/USDT", 2) == ([], [])


def test_the_last_24_hours_are_summed_up() -> None:
    day = market_at(START + HOUR, minutes(60)).day("BTC/USDT")
    assert day is not None
    assert (day.open, day.high, day.low, day.last) == (100.0, 161.0, 99.75, 160.0)
    assert day.volume == sum(1.0 + index % 7 for index in range(60))
    assert market_at(START - 1).day("BTC/USDT") is None


@given(st.floats(min_value=0.0, max_value=1e15, allow_subnormal=False))
def test_numbers_are_read_back_exactly_and_never_have_an_exponent(value: float) -> None:
    for text in (decimal_text(value), short_text(value)):
        assert float(text) == value
        assert "e" not in text
    assert len(decimal_text(value).partition(".")[2]) >= 8
