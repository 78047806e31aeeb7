"""Every source of candles keeps the one protocol: those asked for, whole, and said to be what they are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.export import export
from adan_core.data.files import Reading, examine
from adan_core.data.made_source import MadeSource
from adan_core.data.series import CandleSeries
from adan_core.data.sources import CandleSource, collected
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

FIVE = Timeframe.parse("5m")
COUNT = 70_000  # more than one batch of a made market


def market() -> SimulatedMarket:
    return SimulatedMarket("BTC/SIM", FIVE, 3)


@pytest.fixture(scope="module")
def whole() -> CandleSeries:
    return market().candles(0, COUNT)


@pytest.fixture(scope="module")
def sources(whole: CandleSeries, tmp_path_factory: pytest.TempPathFactory) -> list[CandleSource]:
    file = tmp_path_factory.mktemp("files") / "made.parquet"
    export(whole, file, replace=False)
    return [MadeSource(market(), COUNT), examine(file, Reading())]


def test_all_of_a_source_is_collected_and_says_what_it_is(
    sources: list[CandleSource], whole: CandleSeries
) -> None:
    for source in sources:
        assert collected(source).content_hash == whole.content_hash
        assert source.synthetic
    assert [source.description for source in sources] == [
        "simulated, regimes, seed 3",
        "made.parquet",
    ]


@given(st.integers(-50, COUNT + 50), st.integers(-300_000, 300_000), st.integers(1, 40))
def test_a_stretch_holds_what_opens_and_closes_within_it(
    sources: list[CandleSource], whole: CandleSeries, first: int, shift: int, count: int
) -> None:
    since = int(whole.open_time[0]) + first * FIVE.duration + shift
    until = since + count * FIVE.duration
    wanted = (whole.open_time >= since) & (whole.close_time <= until)
    for source in sources:
        given_ = [time for batch in source.batches(since, until) for time in batch.open_time]
        assert given_ == whole.open_time[wanted].tolist()


def test_an_unsound_file_is_not_collected(tmp_path: Path) -> None:
    bad = tmp_path / "BTCUSDT_1h.csv"
    bad.write_text(
        "time,open,high,low,close,volume\n"
        "1704067200,10,12,9,11,1\n1704070800,11,10,9,10,1\n1704074400,10,12,9,11,1\n"
    )
    with pytest.raises(DataError, match="ohlc"):
        collected(examine(bad, Reading()))
