"""Files of many forms are read by meaning, verified, and refused with row and column."""

import gzip
import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.columns import Role
from adan_core.data.export import export
from adan_core.data.files import Examined, Labels, Reading, examine
from adan_core.data.findings import FindingCode, Place, Policy, Treatment
from adan_core.data.series import CandleSeries
from adan_core.data.stamps import parse_stamps
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, UsageError

HOUR = Timeframe.parse("1h")
SERIES = SimulatedMarket("BTC/SIM", HOUR, 3).candles(0, 200)
REAL = Reading(symbol="BTC/USDT")


def frame(series: CandleSeries = SERIES) -> pl.DataFrame:
    return pl.DataFrame(
        {"time": series.open_time}
        | {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    )


def csv(table: pl.DataFrame, path: Path, header: bool = True, separator: str = ",") -> Path:
    text = io.BytesIO()
    table.write_csv(text, include_header=header, separator=separator)
    data = text.getvalue()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def same(examined: Examined) -> bool:
    found = examined.series()
    return all(
        np.array_equal(getattr(found, name), getattr(SERIES, name))
        for name in ("open_time", "open", "high", "low", "close", "volume")
    )


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather"])
def test_what_is_written_is_read_back_with_its_mark(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"any.{ending}"
    export(SERIES, path, replace=False)
    examined = examine(path, Reading())
    assert same(examined)
    assert (examined.symbol, examined.timeframe, examined.synthetic) == ("BTC/SIM", HOUR, True)
    with pytest.raises(UsageError, match="exists"):
        export(SERIES, path, replace=False)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_separator_and_missing_header_are_found_out(
    tmp_path: Path, separator: str, header: bool
) -> None:
    assert same(examine(csv(frame(), tmp_path / "x.csv", header, separator), REAL))


@pytest.mark.parametrize(
    "order", [("low", "high", "open", "close"), ("close", "high", "low", "open")]
)
@pytest.mark.parametrize("header", [True, False])
def test_the_order_of_columns_does_not_matter(
    tmp_path: Path, order: tuple[str, ...], header: bool
) -> None:
    table = frame().select("time", *order, "volume")
    assert same(examine(csv(table, tmp_path / "x.csv", header), REAL))


@pytest.mark.parametrize("per_second", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_since_1970_are_read_in_their_own_unit(tmp_path: Path, per_second: int) -> None:
    stamps = pl.Series("time", SERIES.open_time) // 1000 * per_second
    assert same(examine(csv(frame().with_columns(stamps), tmp_path / "x.csv"), REAL))


@pytest.mark.parametrize(
    ("pattern", "assumed"),
    [
        ("%Y-%m-%d %H:%M:%S", True),
        ("%Y-%m-%dT%H:%M:%SZ", False),
        ("%Y-%m-%dT%H:%M:%S.000+00:00", False),
        ("%Y/%m/%d %H:%M", True),
        ("%Y-%m-%d %I-%p", True),
        ("%Y-%m-%d %H:%M:%S UTC", False),
    ],
)
def test_text_that_says_no_time_zone_is_refused_unless_utc_is_assumed_with_a_mark(
    tmp_path: Path, pattern: str, assumed: bool
) -> None:
    times = pl.Series("time", SERIES.open_time).cast(pl.Datetime("ms")).dt.to_string(pattern)
    path = csv(frame().with_columns(times), tmp_path / "x.csv")
    examined = examine(path, REAL)
    assert (FindingCode.TIME_ZONE in [each.code for each in examined.findings]) is assumed
    if assumed:
        with pytest.raises(DataError, match=r"time_zone.*--time-zone"):
            examined.series()
    marked = Policy({FindingCode.TIME_ZONE: Treatment.MARK})
    assert same(examine(path, Reading(symbol="BTC/USDT", policy=marked)))


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("Date (UTC)", True),
        ("timestamp_utc", True),
        ("dateUTC", True),
        ("GMT time", True),
        ("date", False),
        ("Date (UTC+2)", False),
    ],
)
def test_a_column_may_say_its_time_zone_in_its_name(
    tmp_path: Path, name: str, stated: bool
) -> None:
    times = pl.Series("time", SERIES.open_time).cast(pl.Datetime("ms")).dt.to_string()
    table = frame().with_columns(times).rename({"time": name})
    examined = examine(
        csv(table, tmp_path / "x.csv"), Reading(symbol="BTC/USDT", columns={Role.TIME: name})
    )
    assert bool(examined.report.refusals) is not stated


def test_a_line_above_the_table_may_say_its_time_zone(tmp_path: Path) -> None:
    times = pl.Series("time", SERIES.open_time).cast(pl.Datetime("ms")).dt.to_string()
    path = csv(frame().with_columns(times), tmp_path / "x.csv")
    path.write_text("Timestamps are UTC timezone\n" + path.read_text())
    assert same(examine(path, REAL))


@pytest.mark.parametrize("per_second", [1, 1_000_000, 1_000_000_000])
def test_a_stamp_in_another_unit_is_placed_and_read_in_its_own_only_with_a_mark(
    tmp_path: Path, per_second: int
) -> None:
    stamps = SERIES.open_time.copy()
    stamps[40:43] = stamps[40:43] // 1000 * per_second
    path = csv(frame().with_columns(pl.Series("time", stamps)), tmp_path / "x.csv")
    examined = examine(path, REAL)
    (found,) = examined.report.refusals
    assert (found.code, found.count) == (FindingCode.TIME_UNITS, 3)
    assert found.places[0] == Place(41, int(SERIES.open_time[40]))
    marked = Policy({FindingCode.TIME_UNITS: Treatment.MARK})
    assert same(examine(path, Reading(symbol="BTC/USDT", policy=marked)))


def test_a_stated_time_zone_and_offsets_are_applied(tmp_path: Path) -> None:
    utc = pl.Series("time", SERIES.open_time).cast(pl.Datetime("ms", "UTC"))
    local = utc.dt.convert_time_zone("Asia/Kolkata").dt.replace_time_zone(None)
    zoned = csv(frame().with_columns(local.dt.to_string("%Y-%m-%d %H:%M")), tmp_path / "a.csv")
    assert same(examine(zoned, Reading(symbol="BTC/USDT", time_zone="Asia/Kolkata")))
    offset = local.dt.to_string("%Y-%m-%dT%H:%M:%S") + "+05:30"
    path = csv(frame().with_columns(offset.alias("time")), tmp_path / "b.csv")
    assert same(examine(path, REAL))
    with pytest.raises(DataError, match="its own"):
        examine(path, Reading(symbol="BTC/USDT", time_zone="UTC"))
    with pytest.raises(UsageError, match="Mars"):
        examine(path, Reading(symbol="BTC/USDT", time_zone="Mars/Olympus"))


@pytest.mark.parametrize("newest_first", [False, True])
def test_local_time_is_refused_as_utc_and_read_with_its_zone_even_where_it_has_an_hour_twice(
    tmp_path: Path, newest_first: bool
) -> None:
    series = SimulatedMarket("BTC/SIM", HOUR, 3).candles(0, 15_000)  # 20 months
    utc = pl.Series("time", series.open_time).cast(pl.Datetime("ms", "UTC"))
    local = utc.dt.convert_time_zone("Europe/Berlin").dt.replace_time_zone(None)
    table = frame(series).with_columns(local.dt.to_string("%Y-%m-%d %H:%M"))
    path = csv(table.reverse() if newest_first else table, tmp_path / "x.csv")
    as_utc = Reading(symbol="BTC/USDT", policy=Policy({FindingCode.TIME_ZONE: Treatment.MARK}))
    refused = {each.code: each for each in examine(path, as_utc).report.refusals}
    assert "Europe/Berlin" in refused[FindingCode.TIME_SHIFT].message
    read = examine(path, Reading(symbol="BTC/USDT", time_zone="Europe/Berlin")).series()
    assert np.array_equal(read.open_time, series.open_time)
    assert np.array_equal(read.close, series.close)
    once = table.unique("time", keep="first", maintain_order=True)
    with pytest.raises(DataError, match="ambiguous"):
        examine(
            csv(once, tmp_path / "y.csv"), Reading(symbol="BTC/USDT", time_zone="Europe/Berlin")
        )


@given(
    count=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from([10**15, 253_402_300_800_000, 0, 1_704_067_200_000]),
    ),
    unit=st.sampled_from(("ms", "us", "ns")),
    zone=st.sampled_from([None, "UTC", "Europe/Berlin"]),
    carried=st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_no_typed_stamp_ends_in_anything_but_an_instant_or_a_data_error(
    count: int, unit: Literal["ms", "us", "ns"], zone: str | None, carried: str | None
) -> None:
    column = pl.Series("time", [count, count]).cast(pl.Datetime(unit, carried))
    with suppress(DataError):
        stamps = parse_stamps(column, zone, "'time'").milliseconds
        assert np.all((stamps >= 978_307_200_000) & (stamps < 4_102_444_800_000))


def test_json_as_exchanges_and_programs_write_it(tmp_path: Path) -> None:
    lists = tmp_path / "BTC_USDT-1h.json"
    lists.write_text(json.dumps(frame().rows()))
    assert same(examine(lists, Reading()))
    objects = tmp_path / "BTC_USDT-1h.json.gz"
    objects.write_bytes(gzip.compress(json.dumps(frame().to_dicts()).encode()))
    assert same(examine(objects, Reading()))


def test_closing_stamps_are_moved_back_and_it_is_said(tmp_path: Path) -> None:
    late = frame().with_columns(pl.col("time") + HOUR.duration)
    by_name = examine(csv(late, tmp_path / "BTCUSDT_1h_closelabel.csv"), Reading())
    assert same(by_name)
    assert FindingCode.CLOSE_STAMPS in [each.code for each in by_name.findings]
    stated = Reading(symbol="BTC/USDT", labels=Labels.CLOSE)
    assert same(examine(csv(late, tmp_path / "x.csv"), stated))
    with pytest.raises(DataError, match="closing"):
        examine(tmp_path / "BTCUSDT_1h_closelabel.csv", Reading(labels=Labels.OPEN))


def test_misnamed_columns_are_a_misreading_not_a_market(tmp_path: Path) -> None:
    high_low = frame().rename({"high": "low", "low": "high"})
    with pytest.raises(DataError, match="misread"):
        examine(csv(high_low, tmp_path / "x.csv"), REAL)
    open_close = frame().rename({"open": "close", "close": "open"})
    with pytest.raises(DataError, match="exchanged"):
        examine(csv(open_close, tmp_path / "y.csv"), REAL)
    stated = Reading(symbol="BTC/USDT", columns={Role.OPEN: "close", Role.CLOSE: "open"})
    assert same(examine(tmp_path / "y.csv", stated))


# What exchanges answer with, without any names; prices, volumes and times are often text.
WIRE = {
    "binance": ("time", "open", "high", "low", "close", "volume", "closed", "turnover", "trades"),
    "kucoin": ("time", "open", "close", "high", "low", "volume", "turnover"),
    "gate": ("time", "turnover", "close", "high", "low", "open", "volume"),
    "coinbase": ("time", "low", "high", "open", "close", "volume"),
    "bitfinex": ("time", "open", "close", "high", "low", "volume"),
    "bybit": ("time", "open", "high", "low", "close", "volume", "turnover"),
}


@pytest.mark.parametrize("exchange", sorted(WIRE))
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_the_tables_exchanges_answer_with_come_out_right(
    tmp_path: Path, exchange: str, newest_first: bool, text: bool
) -> None:
    table = frame().with_columns(
        (pl.col("time") // 1000).alias("time"),
        (pl.col("time") // 1000 + 3599).alias("closed"),
        (pl.col("volume") * pl.col("close")).alias("turnover"),
        pl.lit(25).alias("trades"),
    )
    table = table.select(WIRE[exchange]).sort("time", descending=newest_first)
    rows = table.cast(pl.String).rows() if text else table.rows()
    path = tmp_path / "BTC_USDT-1h.json"
    path.write_text(json.dumps(rows))
    assert same(examine(path, Reading()))


def test_a_volume_that_says_the_quote_currency_is_not_taken_for_the_base(tmp_path: Path) -> None:
    header = ("Date", "Symbol", "Open", "High", "Low", "Close", "Volume USDT")
    table = frame().with_columns(pl.lit("BTC/USDT").alias("Symbol"))
    table = table.select("time", "Symbol", "open", "high", "low", "close", "volume")
    path = csv(table.rename(dict(zip(table.columns, header, strict=True))), tmp_path / "x.csv")
    with pytest.raises(DataError, match="counted in USDT"):
        examine(path, Reading())
    stated = Reading(columns={Role.VOLUME: "Volume USDT"})
    assert same(examine(path, stated))
    both = table.with_columns((pl.col("volume") * pl.col("close")).alias("quote"))
    names = dict(zip(both.columns, (*header[:6], "Volume BTC", "Volume USDT"), strict=True))
    assert same(examine(csv(both.rename(names), tmp_path / "y.csv"), Reading()))


def test_the_base_volume_is_the_one_that_gives_the_other(tmp_path: Path) -> None:
    table = frame().rename({"volume": "volume_btc"})
    table = table.with_columns((pl.col("volume_btc") * pl.col("close")).alias("volume"))
    assert same(examine(csv(table, tmp_path / "x.csv"), REAL))
    swapped = pl.int_range(pl.len()) < 80
    mixed = table.with_columns(
        pl.when(swapped).then("volume").otherwise("volume_btc").alias("volume_btc"),
        pl.when(swapped).then("volume_btc").otherwise("volume").alias("volume"),
    )
    path = csv(mixed, tmp_path / "y.csv")
    with pytest.raises(DataError, match="volume_units"):
        examine(path, REAL).series()
    marked = Policy({FindingCode.VOLUME_UNITS: Treatment.MARK})
    assert same(examine(path, Reading(symbol="BTC/USDT", policy=marked)))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("close", "abc", r"row 41 of column 'close' is 'abc'"),
        ("time", "yesterday", r"row 41 of column 'time' is 'yesterday'"),
        ("time", "", r"row 41 of column 'time' is ''"),
        ("time", "17040672000000000000", r"row 41 of column 'time'.*one unit"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, column: str, value: str, message: str) -> None:
    table = frame().cast(pl.String)
    cells = table[column].to_list()
    cells[40] = value
    path = csv(table.with_columns(pl.Series(column, cells)), tmp_path / "x.csv")
    with pytest.raises(DataError, match=message):
        examine(path, REAL)


def test_a_line_with_other_columns_is_named(tmp_path: Path) -> None:
    path = csv(frame(), tmp_path / "x.csv")
    lines = path.read_text().splitlines()
    lines[100] += ",7"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"row 100 .* 7 columns"):
        examine(path, REAL)


def test_symbol_and_timeframe_must_not_contradict_the_file(tmp_path: Path) -> None:
    path = csv(frame(), tmp_path / "kraken-spot_XBTUSD_1h.csv")
    assert examine(path, Reading()).symbol == "XBT/USD"
    assert examine(path, Reading(symbol="BTC/USD")).symbol == "BTC/USD"
    with pytest.raises(DataError, match="one symbol"):
        examine(path, Reading(symbol="ETH/USD"))
    for wrong in ("5m", "4h"):
        with pytest.raises(DataError, match="usually 1h"):
            examine(path, Reading(timeframe=Timeframe.parse(wrong)))
    with pytest.raises(DataError, match="tells no symbol"):
        examine(csv(frame(), tmp_path / "x.csv"), Reading())
    with pytest.raises(DataError, match="usually 1h"):
        examine(csv(frame(), tmp_path / "BTCUSDT_15m.csv"), Reading())


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binance-spot_BTCUSDT_1h_2017.csv", "BTC/USDT"),
        ("BTC_USDT-1h.csv", "BTC/USDT"),
        ("ETH-BTC-1h.csv", "ETH/BTC"),
        ("Coinbase_ETHUSD_1h.csv", "ETH/USD"),
        ("XBTUSD_60.csv", "XBT/USD"),
        ("MCOUSDT.csv", "MCO/USDT"),
    ],
)
def test_the_symbol_is_read_from_usual_names(tmp_path: Path, name: str, symbol: str) -> None:
    assert examine(csv(frame(), tmp_path / name), Reading()).symbol == symbol


@given(
    content=st.binary(max_size=300),
    ending=st.sampled_from(["csv", "csv.gz", "json", "json.gz", "txt"]),
)
def test_no_bytes_end_in_anything_but_a_data_error(
    tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"BTCUSDT_1h.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    with pytest.raises(DataError):
        examine(path, Reading()).series()


CELL = st.one_of(
    st.sampled_from(["", "nan", "1e400", "-1", "0", "2024-01-01", "1704067200000", "x", '"', "é"]),
    st.floats(0.5, 2.0).map(str),
)


@given(
    rows=st.lists(st.lists(CELL, min_size=5, max_size=8), min_size=1, max_size=8),
    header=st.booleans(),
)
def test_no_table_ends_in_anything_but_a_series_or_a_data_error(
    tmp_path: Path, rows: list[list[str]], header: bool
) -> None:
    text = "\n".join(",".join(row) for row in rows)
    path = tmp_path / "BTCUSDT_1h.csv"
    path.write_text(("time,open,high,low,close,volume\n" if header else "") + text)
    with suppress(DataError):
        assert len(examine(path, Reading()).series()) > 0


@given(position=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_flipped_byte_ends_in_a_series_or_a_data_error(
    tmp_path: Path, position: int, byte: int
) -> None:
    path = tmp_path / "BTCSIM_1h.csv.gz"
    export(SERIES, path, replace=True)
    _damage(path, position, byte)
    with suppress(DataError):
        assert len(examine(path, Reading()).series()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_damaged_binary_file_ends_in_a_series_or_a_data_error(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"BTCSIM_1h.{ending}"
    for position in range(7, 9000, 700):
        export(SERIES, path, replace=True)
        _damage(path, position, 0xFF)
        with suppress(DataError):
            assert len(examine(path, Reading()).series()) > 0


def test_a_decoder_that_dies_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "BTCSIM_1h.parquet"
    export(SERIES, path, replace=False)
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -ABRT $$\n")
    killer.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(killer))
    with pytest.raises(DataError, match="damaged"):
        examine(path, Reading())


def _damage(path: Path, position: int, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[position % len(data)] = byte
    path.write_bytes(bytes(data))
