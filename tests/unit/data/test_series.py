"""A series holds only candles as a market makes them, and never changes."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.months import months
from adan_core.data.series import CandleSeries, concatenate
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import HOUR

SPAN = Timeframe(HOUR)


def make(count: int = 6, symbol: str = "BTC/USDT") -> CandleSeries:
    rows = np.arange(count, dtype=np.int64)
    steps = rows.astype(np.float64)
    prices = {"open": 10.0 + steps, "high": 12.0 + steps, "low": 9.0 + steps, "close": 11.0 + steps}
    return CandleSeries(symbol, SPAN, rows * HOUR, **prices, volume=steps, synthetic=False)


def test_candles_come_back_as_they_went_in() -> None:
    series = make()
    assert len(series) == 6
    assert series.candle(2) == Candle(2 * HOUR, 12.0, 14.0, 11.0, 13.0, 2.0)
    assert series.candle(-1).open_time == 5 * HOUR
    assert series.close_time.tolist() == [(i + 1) * HOUR for i in range(6)]
    assert series.index_at(2 * HOUR) == 2
    assert series.index_at(2 * HOUR + 1) == 3
    assert series.index_at(99 * HOUR) == 6


def test_the_hash_is_of_the_content_alone() -> None:
    series = make()
    assert series.content_hash == make().content_hash
    assert series.slice(0, 6).content_hash == series.content_hash
    others = {make(5).content_hash, make(symbol="ETH/USDT").content_hash, series.content_hash}
    assert len(others) == 3
    nothing = replace(series, volume=np.zeros(len(series)))
    assert replace(series, volume=-nothing.volume).content_hash == nothing.content_hash
    assert concatenate([series.slice(0, 2), series.slice(2, 6)]).content_hash == series.content_hash


def test_the_hash_is_a_tree_over_utc_months() -> None:
    count = 24 * 40  # from 1970-01-01: all of January, nine days of February
    series = make(count)

    def leaf(part: CandleSeries) -> str:
        columns = (part.open_time, part.open, part.high, part.low, part.close, part.volume)
        data = b"".join(column.tobytes() for column in columns)
        return hashlib.blake2b(data, digest_size=16, person=b"candles").hexdigest()

    january, february = series.slice(0, 24 * 31), series.slice(24 * 31, count)
    assert series.month_hashes == (leaf(january), leaf(february))
    assert series.slice(24, count).month_hashes[1] == series.month_hashes[1]
    root = f"BTC/USDT\0{HOUR}\0{leaf(january)}{leaf(february)}".encode()
    expected = hashlib.blake2b(root, digest_size=16, person=b"series").hexdigest()
    assert series.content_hash == expected
    assert make(0).month_hashes == ()
    assert len({make(0).content_hash, make(0, "ETH/USDT").content_hash}) == 2


@given(data=st.data(), first=st.integers(-60_000_000, 80_000_000))
def test_months_part_the_candles_as_the_calendar_does(data: st.DataObject, first: int) -> None:
    steps = data.draw(st.lists(st.integers(1, 2_000), max_size=40))
    hours = np.cumsum([0, *steps], dtype=np.int64) + first // 24
    parts = list(months(hours * HOUR))
    assert [row for _, start, stop in parts for row in range(start, stop)] == list(
        range(len(hours))
    )
    for month, start, stop in parts:
        for hour in hours[start:stop]:
            stamp = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))
            assert month == f"{stamp.year:04d}-{stamp.month:02d}"
    assert len({month for month, _, _ in parts}) == len(parts)


def test_nobody_can_write_into_a_series() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make().close[0] = 1.0


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("open", 1, float("nan"), "open .* row 1"),
        ("close", 2, 0.0, "close .* row 2"),
        ("low", 3, -1.0, "low .* row 3"),
        ("high", 4, 11.0, "high .* row 4"),
        ("low", 4, 15.5, "low .* row 4"),
        ("volume", 5, -0.1, "volume .* row 5"),
        ("volume", 5, float("inf"), "volume .* row 5"),
        ("open_time", 3, 2 * HOUR, "row 3 .* not after row 2"),
        ("open_time", 3, 3 * HOUR + 1, "row 3"),
        ("open_time", 0, -18_000_000 * HOUR, "candle 0 .* year"),
        ("open_time", 5, 71_000_000 * HOUR, "candle -1 .* year"),
    ],
)
def test_a_candle_no_market_makes_is_refused_with_its_place(
    column: str, row: int, value: float, message: str
) -> None:
    good = make()
    columns = {
        name: np.array(getattr(good, name))
        for name in ("open_time", "open", "high", "low", "close", "volume")
    }
    columns[column][row] = value
    with pytest.raises(DataError, match=message):
        CandleSeries("BTC/USDT", SPAN, **columns, synthetic=False)


def test_series_that_do_not_belong_together_are_not_joined() -> None:
    with pytest.raises(DataError):
        concatenate([make(), make(symbol="ETH/USDT")])
    with pytest.raises(DataError):
        concatenate([make().slice(3, 6), make().slice(0, 3)])
    with pytest.raises(DataError):
        concatenate([])
    four = np.full(4, 10.0)
    with pytest.raises(DataError, match="shape"):
        CandleSeries(
            "BTC/USDT", SPAN, make().open_time, four, four, four, four, four, synthetic=True
        )
