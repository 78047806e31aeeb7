"""A frame out of the cache is the frame that would be built, whatever it depends on has changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data import frames as module
from adan_core.data.cache import DataCache
from adan_core.data.external import ExternalColumn, ExternalData
from adan_core.data.features import Feature, FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateFrame, build_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

FIVE, QUARTER, HOUR, FOUR = (Timeframe.parse(text) for text in ("5m", "15m", "1h", "4h"))
LADDER = (FIVE, QUARTER, HOUR)
SPEC = FeatureSet(
    2,
    "small",
    (2, 1, 1),
    (
        Feature("close", "exponential_mean", (3,), (0, 1, 2)),
        Feature("strength", "strength_balance", (3,), (0, 1)),
    ),
)
MARKET = SimulatedMarket("BTC/SIM", FIVE, 1)
SERIES = MARKET.candles(0, 300)


@pytest.fixture
def cache(tmp_path: Path) -> DataCache:
    return DataCache(tmp_path / "cache", 10_000_000, 10_000_000, pytest.fail)


def same(one: StateFrame, other: StateFrame) -> bool:
    return (
        one.market.tobytes() == other.market.tobytes()
        and one.market.shape == other.market.shape
        and one.close_time.tobytes() == other.close_time.tobytes()
        and (one.ready, one.columns, one.schema_hash)
        == (other.ready, other.columns, other.schema_hash)
    )


@given(st.integers(0, 100), st.integers(0, 200))
def test_built_remembered_and_read_frames_are_bit_equal(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    series = SimulatedMarket("BTC/SIM", FIVE, seed).candles(0, count)
    built = build_frame(series, LADDER, SPEC)
    for _ in range(2):
        cache = DataCache(folder, 10_000_000, 10_000_000, pytest.fail)
        for _ in range(2):
            assert same(cached_frame(series, LADDER, SPEC, cache), built)
    assert (cache.statistics.hits, cache.statistics.misses) == (2, 0)


def changed_candle(series: CandleSeries) -> CandleSeries:
    volume = series.volume.copy()
    volume[150] = np.nextafter(volume[150], np.inf)
    return replace(series, volume=volume)


def test_whatever_a_frame_depends_on_asks_for_another_one(
    cache: DataCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_frame(SERIES, LADDER, SPEC, cache)
    other_feature = replace(SPEC, features=(Feature("close", "exponential_mean", (4,), (0, 1, 2)),))
    for series, ladder, spec in (
        (changed_candle(SERIES), LADDER, SPEC),
        (SERIES.slice(0, 299), LADDER, SPEC),
        (SimulatedMarket("BTC/SIM", FIVE, 2).candles(0, 300), LADDER, SPEC),
        (SERIES, (FIVE, HOUR, FOUR), SPEC),
        (SERIES, LADDER, other_feature),
        (SERIES, LADDER, replace(SPEC, windows=(1, 1, 1))),
    ):
        before = cache.statistics.misses
        assert same(cached_frame(series, ladder, spec, cache), build_frame(series, ladder, spec))
        assert cache.statistics.misses == before + 1
    monkeypatch.setattr(module, "CODE_VERSION", "another")
    before = cache.statistics.misses
    cached_frame(SERIES, LADDER, SPEC, cache)
    assert cache.statistics.misses == before + 1


def known(value: float) -> ExternalData:
    return ExternalData("mood", SERIES.close_time[100:101], np.array([value]))


class Growing:
    """An outside file that has changed each time it is looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def current(self) -> ExternalData:
        self.looks += 1
        return known(float(self.looks))


def test_outside_columns_are_part_of_what_a_frame_was_made_of(cache: DataCache) -> None:
    declared = replace(SPEC, external=(ExternalColumn("mood", 10**9),))
    for value in (1.0, 2.0):
        spec = declared.with_external({"mood": known(value)})
        assert same(cached_frame(SERIES, LADDER, spec, cache), build_frame(SERIES, LADDER, spec))
    assert cache.statistics.misses == 2


def test_an_outside_file_that_changes_meanwhile_is_not_kept_under_a_wrong_key(
    cache: DataCache,
) -> None:
    growing = Growing()
    spec = replace(SPEC, external=(ExternalColumn("mood", 10**9),)).with_external({"mood": growing})
    frame = cached_frame(SERIES, LADDER, spec, cache)
    assert growing.looks == 1
    assert frame.market[-1, frame.columns.index("mood")] == 1.0
    again = cached_frame(
        SERIES,
        LADDER,
        replace(SPEC, external=spec.external).with_external({"mood": known(1.0)}),
        cache,
    )
    assert same(again, frame)
    assert cache.statistics.hits == 1


def test_what_becomes_known_after_the_last_candle_needs_no_other_frame(cache: DataCache) -> None:
    declared = replace(SPEC, external=(ExternalColumn("mood", 10**9),))
    closes = SERIES.close_time
    now = ExternalData("mood", closes[[100, -1]], np.array([1.0, 2.0]))
    later = ExternalData("mood", np.append(now.known_at, closes[-1] + 1), np.arange(1.0, 4.0))
    for data in (now, later):
        spec = declared.with_external({"mood": data})
        assert same(cached_frame(SERIES, LADDER, spec, cache), build_frame(SERIES, LADDER, spec))
    assert (cache.statistics.hits, cache.statistics.misses) == (1, 1)


def test_candles_of_another_timeframe_are_refused_and_nothing_is_kept(cache: DataCache) -> None:
    with pytest.raises(DataError):
        cached_frame(SERIES, (QUARTER, HOUR, FOUR), SPEC, cache)
    assert cache.statistics.disk_entries == 0
