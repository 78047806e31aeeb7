"""A series holds only candles as a market makes them, and never changes."""

import numpy as np
import pytest

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
    assert concatenate([series.slice(0, 2), series.slice(2, 6)]).content_hash == series.content_hash


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
