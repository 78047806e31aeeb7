"""The regime detector on real hours of Bitcoin, on which nothing of it was ever fitted."""

from datetime import UTC, datetime

import numpy as np
import pytest

from adan_core.data.files import Reading, examine
from adan_core.data.series import CandleSeries
from adan_core.domain.market import Regime
from adan_core.domain.time import HOUR
from adan_core.learning.regime import RegimeHistory, detect_regimes
from adan_core.learning.regime_model import REGIMES
from tests.support import shared_data

CRISIS = REGIMES.index(Regime.CRISIS)
HIGH = REGIMES.index(Regime.HIGH_VOLATILITY)


@pytest.fixture(scope="module")
def bitcoin() -> tuple[CandleSeries, RegimeHistory]:
    path = shared_data() / "candles" / "binance-spot_BTCUSDT_1h_2017-08_2023-12.parquet"
    series = examine(path, Reading()).series()
    return series, detect_regimes(series)


def milliseconds(*date: int) -> int:
    year, month, day, hour = date
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("crash", [(2020, 3, 12, 10), (2021, 5, 19, 11)])
def test_a_crash_is_seen_within_three_hours_and_not_the_day_before(
    bitcoin: tuple[CandleSeries, RegimeHistory], crash: tuple[int, int, int, int]
) -> None:
    series, history = bitcoin
    opened = milliseconds(*crash)
    closes = series.close_time
    soon = history.regimes[(closes > opened) & (closes <= opened + 3 * HOUR)]
    assert {HIGH, CRISIS} & set(soon.tolist())
    day = milliseconds(*crash[:3], 0)
    before = history.regimes[(closes > day - 24 * HOUR) & (closes <= day)]
    assert len(before) == 24
    assert CRISIS not in before


def test_a_crisis_is_rare(bitcoin: tuple[CandleSeries, RegimeHistory]) -> None:
    series, history = bitcoin
    hours = history.regimes[series.open_time >= milliseconds(2018, 1, 1, 0)]
    assert np.mean(hours == CRISIS) <= 0.02
    assert set(hours.tolist()) == set(range(len(REGIMES)))
