"""`adan-core data check`: findings with all their places, a picture of where, and the settings' policy."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.cli.data_picture import picture
from adan_core.cli.main import main
from adan_core.config.candle_checks import Treatments
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.findings import FindingCode, Limits, Policy, Spans, treatable
from adan_core.data.partitions import to_frame
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import HOUR, SystemClock

Run = Callable[..., tuple[int, str, str]]
SERIES = SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 4).candles(0, 900)
TABLE = to_frame(SERIES)


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["data", *words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def written(table: pl.DataFrame, folder: Path, name: str = "BTCUSDT_1h.csv") -> str:
    table.write_csv(folder / name, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return str(folder / name)


def idle_every(step: int) -> pl.DataFrame:
    here = pl.int_range(pl.len()) % step == 0
    return TABLE.with_columns(pl.when(here).then(0.0).otherwise("volume").alias("volume"))


def test_json_has_every_place_and_a_person_a_picture_of_them(run: Run, tmp_path: Path) -> None:
    path = written(idle_every(20), tmp_path)
    code, out, _ = run("check", path, "--json")
    assert code == 0
    (found,) = [each for each in json.loads(out)["findings"] if each["code"] == "zero_volume"]
    assert (found["count"], found["places_total"], len(found["places"])) == (45, 45, 45)
    assert found["places"][2] == {
        "row": 41,
        "time": int(SERIES.open_time[40]),
        "end": int(SERIES.open_time[40]),
    }
    code, out, _ = run("check", path)
    lines = out.splitlines()
    assert max(len(line) for line in lines if "column" not in line) <= 80
    name, strip = lines[-3].split(maxsplit=1)
    assert (name, len(strip) > 60) == ("zero_volume", True)
    assert "2024-01-01T00:00" in lines[-2]
    assert lines[-1] == "it can be imported"


def test_places_in_json_are_bounded_and_their_number_is_said(run: Run, tmp_path: Path) -> None:
    long = to_frame(SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 4).candles(0, 1_500))
    path = written(long.with_columns(volume=pl.lit(0.0)), tmp_path)
    document = json.loads(run("check", path, "--json")[1])
    (found,) = [each for each in document["findings"] if each["code"] == "zero_volume"]
    assert (found["places_total"], len(found["places"])) == (1_500, 1_000)


def test_without_a_finding_there_is_no_picture(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("check", written(TABLE, tmp_path))
    assert code == 0
    assert len(out.splitlines()) == 3


def test_the_settings_say_what_is_refused_and_the_option_has_the_last_word(
    run: Run, home: Path, tmp_path: Path
) -> None:
    path = written(idle_every(20), tmp_path)
    strict = ("--set", "validation.treatments.zero_volume=refuse")
    assert run("check", path)[0] == 0
    assert run("check", path, *strict)[0] == 3
    assert run("check", path, *strict, "--on", "zero_volume=warn")[0] == 0
    code, _, err = run("import", path, *strict)
    assert (code, "zero_volume" in err) == (3, True)
    assert CandleStore(home / "data" / "candles").names() == ()
    code, _, err = run("check", path, "--set", "validation.treatments.conflict=mark")
    assert (code, "conflict" in err) == (2, True)


@pytest.mark.parametrize(
    ("key", "candles"),
    [("stuck_candles=9", 9), ("copied_candles=2", 9), ("interpolated_candles=20", 0)],
)
def test_the_settings_say_from_where_on_something_counts(
    run: Run, tmp_path: Path, key: str, candles: int
) -> None:
    prices = ("open", "high", "low", "close")
    rows = pl.int_range(pl.len())
    drawn = TABLE.with_columns(
        # a line of ten candles, and another ten that stand still
        pl.when(rows.is_between(99, 108)).then(40_000.0 + rows * 8).otherwise(name).alias(name)
        for name in prices
    ).with_columns(
        pl.when(rows.is_between(400, 409)).then(41_000.0).otherwise(name).alias(name)
        for name in prices
    )
    path = written(drawn, tmp_path)
    usual = {each["code"]: each for each in json.loads(run("check", path, "--json")[1])["findings"]}
    assert "stuck" not in usual
    assert usual["interpolated"]["candles"] == 8
    told = json.loads(run("check", path, "--json", "--set", f"validation.{key}")[1])["findings"]
    found = {each["code"]: each for each in told}
    if "stuck" in key:
        assert found["stuck"]["candles"] == candles
    if "interpolated" in key:
        assert "interpolated" not in found


def test_another_source_shows_deviations_and_hours_apart(run: Run, tmp_path: Path) -> None:
    one = written(TABLE, tmp_path)
    here = pl.int_range(pl.len()) == 70
    off = TABLE.with_columns(
        pl.when(here).then(pl.col("high") * 1.2).otherwise("high").alias("high")
    )
    other = written(off, tmp_path, "kraken_BTCUSDT_1h.csv")
    code, out, _ = run("check", one, "--against", other, "--json")
    document = json.loads(out)
    assert (code, document["accepted"]) == (3, False)
    assert document["against"]["common"] == 900
    assert document["against"]["largest_deviation"] == pytest.approx(0.2)
    assert document["findings"][0]["code"] == "contradiction"
    assert document["findings"][0]["places"][0]["row"] == 71
    assert run("check", one, "--against", other, "--on", "contradiction=warn")[0] == 0
    loose = ("--set", "exchange.deviation_reducing=0.25")
    code, out, _ = run("check", one, "--against", other, *loose)
    assert (code, "deviation [warn]" in out) == (0, True)
    late = TABLE.with_columns(pl.col("timestamp").dt.offset_by("3h"))
    shifted = written(late, tmp_path, "late_BTCUSDT_1h.csv")
    code, out, _ = run("check", shifted, "--against", one)
    assert code == 3
    assert "-3h is added" in out
    assert "refused" in out.splitlines()[-1]


def test_another_source_must_hold_the_same_candles(run: Run, tmp_path: Path) -> None:
    one = written(TABLE, tmp_path)
    other = to_frame(SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 4).candles(0, 300))
    code, _, err = run("check", one, "--against", written(other, tmp_path, "BTCUSDT_5m.csv"))
    assert (code, "5m candles" in err) == (2, True)
    later = TABLE.with_columns(pl.col("timestamp").dt.offset_by("90d"))
    code, _, err = run("check", one, "--against", written(later, tmp_path, "b_BTCUSDT_1h.csv"))
    assert (code, "no candle in common" in err) == (3, True)


def test_what_claims_to_be_current_is_stale_when_it_is_not(
    run: Run, home: Path, tmp_path: Path
) -> None:
    now = SystemClock().now() // HOUR * HOUR
    moved = TABLE.with_columns(
        (pl.col("timestamp").dt.timestamp("ms") + now - int(SERIES.open_time[-1])).alias(
            "timestamp"
        )
    )
    growing = written(moved, tmp_path)  # the last candle is still forming
    code, out, _ = run("check", growing, "--fresh", "--on", "stale=warn")
    assert (code, "unfinished [mark]" in out) == (0, True)
    assert run("import", growing, "--name", "growing")[0] == 0
    assert len(CandleStore(home / "data" / "candles").read("growing")) == 899
    assert run("check", "growing")[0] == 0
    old = written(TABLE, tmp_path, "old_BTCUSDT_1h.csv")
    assert run("check", old)[0] == 0
    code, out, _ = run("check", old, "--fresh")
    assert (code, "stale [refuse]" in out) == (3, True)
    assert run("import", old, "--name", "old")[0] == 0
    assert run("check", "old", "--fresh")[0] == 3


def test_what_was_admitted_is_not_refused_when_it_is_checked_again(
    run: Run, tmp_path: Path
) -> None:
    here = pl.int_range(pl.len()) == 500
    spike = TABLE.with_columns(
        pl.when(here).then(pl.col("high") * 9).otherwise("high").alias("high")
    )
    path = written(spike, tmp_path)
    assert run("import", path)[0] == 3
    assert run("import", path, "--on", "outlier=warn")[0] == 0
    code, out, _ = run("check", "BTC-USDT-1h")
    assert (code, "outlier [warn]" in out) == (0, True)
    assert run("check", "BTC-USDT-1h", "--on", "outlier=refuse")[0] == 3


def test_settings_and_code_know_the_same_kinds_treatments_and_defaults() -> None:
    shipped = load_settings(locate(None, {})).settings
    chosen = dict(shipped.validation.treatments)
    assert set(Treatments.model_fields) == {str(code) for code in treatable()}
    for code, allowed in treatable().items():
        assert chosen[code] == Policy().of(code)
        literal = Treatments.model_fields[code].annotation
        assert set(getattr(literal, "__args__", ())) == {str(each) for each in allowed}
    limits = Limits()
    for name in ("outlier_spreads", "outlier_ratio", "chance", "stuck_candles", "copied_candles"):
        assert getattr(shipped.validation, name) == getattr(limits, name)
    assert shipped.validation.interpolated_candles == limits.interpolated_candles
    assert shipped.exchange.deviation_warning == limits.deviation_warning
    assert shipped.exchange.deviation_reducing == limits.deviation_refusal
    assert shipped.staleness.candle_grace_seconds == limits.grace_seconds
    assert shipped.staleness.candle_grace_fraction == limits.grace_fraction


@given(
    width=st.integers(0, 200),
    encoding=st.sampled_from(["utf-8", "ascii", "latin-1", "no such encoding"]),
    count=st.integers(1, 400),
    spans=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 100)), min_size=1, max_size=20),
    level=st.sampled_from([0.0, 1e-9, 1e9]),
)
def test_a_picture_fits_its_width_and_shows_each_place(
    width: int, encoding: str, count: int, spans: list[tuple[int, int]], level: float
) -> None:
    times = np.arange(count) * HOUR
    close = 100.0 + level * np.sin(np.arange(count)) ** 2
    starts = np.array([start * HOUR for start, _ in spans])
    ends = starts + np.array([length * HOUR for _, length in spans])
    where = {FindingCode.GAP: Spans(np.ones(len(spans), dtype=np.int64), starts, ends)}
    lines = picture(times, close, HOUR, where, width, encoding)
    assert bool(lines) is (width >= 45)
    assert all(len(line) <= width for line, _ in lines)
    if encoding != "utf-8":
        assert all(line.isascii() for line, _ in lines)
    if lines:
        (strip,) = [line for line, code in lines if code is FindingCode.GAP]
        first, last = 0, max(count * HOUR, int(ends.max()) + HOUR)
        cells = strip[12:].ljust(width - 12)
        for start in starts.tolist():
            assert cells[int((start - first) / (last - first) * (width - 12))] != " "
