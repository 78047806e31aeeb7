"""Columns from outside the market: known from their own time stamp on, and said to be absent else."""

import dataclasses
import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.external import ExternalData, open_externals, read_external
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateFrame, StateStream, build_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.domain.time import HOUR, MINUTE

LADDER = tuple(Timeframe.parse(text) for text in ("5m", "1h"))
SPEC = FeatureSet.parse(
    """
schema_version: 2
name: with sentiment
windows: [1, 1]
features:
  - {name: return_1, function: log_return, parameters: [1], timeframes: [0, 1]}
external:
  - {name: sentiment, max_age: 2h}
""",
    "features.yaml",
)


def candles() -> CandleSeries:
    return SimulatedMarket("BTC/SIM", LADDER[0], 5).candles(0, 100)


def known(*rows: tuple[int, float]) -> ExternalData:
    return ExternalData(
        "sentiment",
        np.array([at for at, _ in rows], dtype=np.int64),
        np.array([value for _, value in rows], dtype=np.float64),
    )


def frame_with(data: ExternalData, series: CandleSeries) -> StateFrame:
    return build_frame(series, LADDER, SPEC.with_external({"sentiment": data}))


def test_a_value_is_shown_from_the_first_close_at_or_after_its_own_time() -> None:
    series = candles()
    closes = series.close_time
    frame = frame_with(known((int(closes[30]), 0.4), (int(closes[40]) + 1, -0.6)), series)
    value, is_known = frame.columns.index("sentiment"), frame.columns.index("sentiment:known")
    assert frame.market[:30, [value, is_known]].tolist() == [[0.0, 0.0]] * 30
    assert frame.market[30:41, [value, is_known]].tolist() == [[0.4, 1.0]] * 11
    assert frame.market[41, [value, is_known]].tolist() == [-0.6, 1.0]


def test_a_value_past_its_age_counts_as_unknown() -> None:
    series = candles()
    frame = frame_with(known((int(series.close_time[30]), 0.4)), series)
    is_known = frame.columns.index("sentiment:known")
    # Two hours are 24 candles of five minutes.
    assert frame.market[54, is_known] == 1.0
    assert frame.market[55, is_known] == 0.0


@given(st.lists(st.integers(-100, 700), unique=True, max_size=12), st.integers(0, 10_000))
def test_one_candle_at_a_time_sees_the_same_bits(minutes: list[int], seed: int) -> None:
    series = candles()
    start = int(series.open_time[0])
    random = np.random.default_rng(seed)
    rows = [
        (start + minute * MINUTE, float(random.standard_normal())) for minute in sorted(minutes)
    ]
    data = known(*rows)
    frame = frame_with(data, series)
    stream = StateStream(LADDER[0], LADDER, SPEC.with_external({"sentiment": data}))
    for index in range(len(series)):
        row = stream.push(series.candle(index))
        if row is not None:
            assert row.tobytes() == frame.market[index].tobytes()


@given(st.integers(0, 99))
def test_what_becomes_known_later_changes_nothing(cut: int) -> None:
    series = candles()
    start = int(series.open_time[0])
    rows = [(start + hour * HOUR, 0.1 * hour) for hour in range(9)]
    now = int(series.close_time[cut])
    altered = [(at, value if at <= now else value + 5.0) for at, value in rows]
    before = frame_with(known(*rows), series).market[: cut + 1]
    after = frame_with(known(*altered), series).market[: cut + 1]
    assert before.tobytes() == after.tobytes()


def test_without_its_file_a_declared_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without data for sentiment"):
        StateStream(LADDER[0], LADDER, SPEC)


def test_an_external_column_makes_another_schema() -> None:
    plain = dataclasses.replace(SPEC, external=())
    assert plain.schema_hash(LADDER) != SPEC.schema_hash(LADDER)


def test_a_file_is_read_by_its_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "mood.csv"
    path.write_text(
        "sentiment,note,time\n0.5,calm,2024-01-01T00:00:00Z\n-1,fear,2024-01-01T01:30:00Z\n"
    )
    data = read_external(path, "sentiment")
    assert data.value.tolist() == [0.5, -1.0]
    assert np.diff(data.known_at).tolist() == [90 * MINUTE]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time,mood\n2024-01-01T00:00:00Z,1\n", "no column sentiment"),
        ("time,sentiment\n2024-01-01 00:00:00,1\n", "without a time zone"),
        ("time,sentiment\n2024-01-01T00:00:00Z,high\n", "'high'"),
        ("time,sentiment\n2024-01-01T00:00:00Z,nan\n", "finite"),
        (
            "time,sentiment\n2024-01-02T00:00:00Z,1\n2024-01-01T00:00:00Z,2\n",
            "not after the row before",
        ),
    ],
)
def test_a_file_with_a_mistake_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "mood.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=why):
        read_external(path, "sentiment")


@pytest.mark.parametrize(
    "value",
    [
        pl.Series("sentiment", [[1.0]]),
        pl.Series("sentiment", [b"1"]),
        pl.Series("sentiment", ["1"], dtype=pl.Categorical),
        pl.Series("sentiment", [{"now": 1.0}]),
        pl.Series("sentiment", [True]),
        pl.Series("sentiment", [date(2024, 1, 1)]),
    ],
    ids=lambda value: str(value.dtype),
)
def test_a_column_of_anything_but_numbers_is_refused(value: pl.Series, tmp_path: Path) -> None:
    path = tmp_path / "mood.parquet"
    pl.DataFrame([pl.Series("time", [1_704_067_200_000]), value]).write_parquet(path)
    with pytest.raises(DataError, match="expected: numbers"):
        read_external(path, "sentiment")


def test_a_file_that_grows_is_read_again_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mood.csv"
    path.write_text("time,sentiment\n2024-01-01T00:00:00Z,1\n")
    source = open_externals({"sentiment": path})["sentiment"]
    assert source.current().value.tolist() == [1.0]
    path.write_text("time,sentiment\n2024-01-01T00:00:00Z,1\n2024-01-01T01:00:00Z,2\n")
    assert source.current().value.tolist() == [1.0, 2.0]
    path.write_text("time,sentiment\nhalf a li")
    os.utime(path, ns=(1, 1))
    assert source.current().value.tolist() == [1.0, 2.0]
    path.unlink()
    assert source.current().value.tolist() == [1.0, 2.0]
