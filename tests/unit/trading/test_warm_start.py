"""A start out of the cache decides on the same bytes as one that lets every past candle in."""

from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.cache import DataCache
from adan_core.data.features import Feature, FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateStream
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.market import MarketRules
from adan_core.learning.regime import RegimeDetector
from adan_core.trading.desk import Desk

LADDER = tuple(Timeframe.parse(text) for text in ("1h", "4h", "1d"))
HOUR = LADDER[0]
SPEC = FeatureSet(
    2,
    "small",
    (2, 1, 2),
    (
        Feature("close", "exponential_mean", (24,), (0, 1, 2)),
        Feature("strength", "strength_balance", (14,), (0, 1)),
        Feature("place", "range_position", (48,), (0,)),
    ),
)
RULES = MarketRules("BTC/SIM", "BTC", "SIM", 1e-5, 0.01, 1e-5, 10.0)
WHOLE = SimulatedMarket("BTC/SIM", HOUR, 4).candles(0, 2_600)  # three months and a half
MONTH = np.flatnonzero(np.diff(WHOLE.open_time.astype("datetime64[ms]").astype("datetime64[M]")))


def desk(cache: DataCache | None, spec: FeatureSet = SPEC) -> Desk:
    stream = StateStream(HOUR, LADDER, spec)
    return Desk("BTC/SIM", RULES, stream, RegimeDetector(HOUR), deque(), cache=cache)


def what_it_knows(one: Desk) -> tuple[object, ...]:
    market = None if one.market is None else one.market.tobytes()
    return market, one.reading, tuple(one.closes), one.price()


def assert_alike(one: Desk, other: Desk, following: CandleSeries) -> None:
    """Both know the same now, and after each of the next candles."""
    assert what_it_knows(one) == what_it_knows(other)
    for index in range(len(following)):
        candle = following.candle(index)
        for each in (one, other):
            each.push(candle, candle.open_time + HOUR.duration)
        assert what_it_knows(one) == what_it_knows(other)


def with_gaps(seed: int, keep: float) -> CandleSeries:
    present = np.random.default_rng(seed).random(len(WHOLE)) < keep
    return replace(
        WHOLE,
        open_time=WHOLE.open_time[present],
        open=WHOLE.open[present],
        high=WHOLE.high[present],
        low=WHOLE.low[present],
        close=WHOLE.close[present],
        volume=WHOLE.volume[present],
    )


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([1.0, 0.8]), st.floats(0.0, 0.97))
def test_out_of_the_cache_or_not_a_desk_knows_the_same_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, keep: float, share: float
) -> None:
    series = with_gaps(seed, keep)
    start = int(share * len(series))
    past, following = series.slice(0, start), series.slice(start, start + 60)
    folder = tmp_path_factory.mktemp("cache")
    for _ in range(2):  # the first computes and keeps it, the second reads it from disk
        fresh, kept = desk(None), desk(DataCache(folder, 0, 10**7, pytest.fail))
        for each in (fresh, kept):
            each.warm(past)
        assert_alike(fresh, kept, following)


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(tmp_path, 10**7, 10**7, pytest.fail)


def test_a_start_a_little_later_reads_what_the_months_before_have_left(cache: DataCache) -> None:
    for stop in (MONTH[2] + 2, MONTH[2] + 300, len(WHOLE)):
        desk(cache).warm(WHOLE.slice(0, int(stop)))
    found = cache.statistics
    assert (found.misses, found.hits) == (1, 2)
    desk(cache).warm(WHOLE.slice(0, int(MONTH[2])))
    assert cache.statistics.misses == 2


def test_within_the_first_month_there_is_nothing_to_keep(cache: DataCache) -> None:
    desk(cache).warm(WHOLE.slice(0, int(MONTH[0])))
    desk(cache).warm(WHOLE.slice(0, 0))
    assert (cache.statistics.misses, cache.statistics.disk_entries) == (0, 0)


def test_other_candles_or_features_read_nothing_of_these(cache: DataCache) -> None:
    desk(cache).warm(WHOLE)
    other = SimulatedMarket("BTC/SIM", HOUR, 5).candles(0, 2_600)
    desk(cache).warm(other)
    desk(cache, FeatureSet(2, "other", (1, 1, 1), SPEC.features)).warm(WHOLE)
    assert (cache.statistics.misses, cache.statistics.hits) == (3, 0)


def test_a_desk_that_has_seen_candles_does_not_take_over_anothers_past(cache: DataCache) -> None:
    fresh, kept = desk(None), desk(cache)
    for each in (fresh, kept):
        each.push(WHOLE.candle(0), WHOLE.candle(0).open_time + HOUR.duration)
        each.warm(WHOLE.slice(1, 2_000))
    assert cache.statistics.misses == 0
    assert_alike(fresh, kept, WHOLE.slice(2_000, 2_010))
