"""`adan-core data features`: the file holds the state, bit for bit, and says what it was made of."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from adan_core.cli.main import main
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateFrame, build_frame
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.learning.market import feature_set, ladder_of
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.security.shipped_key import shipped_public_key

Run = Callable[..., tuple[int, str, str]]
HOURLY = Timeframe.parse("1h")


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["data", "features", *words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def series(home: Path) -> CandleSeries:
    """Candles of ETH/SIM, stored as ``eth``."""
    made = SimulatedMarket("ETH/SIM", HOURLY, 5).candles(0, 900)
    CandleStore(home / "data" / "candles").write("eth", made, "made")
    return made


def frame_of(series: CandleSeries, home: Path) -> StateFrame:
    locations = locate(home, {})
    settings = load_settings(locations).settings
    ladder = ladder_of(settings, series.timeframe)
    return build_frame(series, ladder, feature_set(settings, locations))


def same_bits(column: pl.Series, values: NDArray[np.float64] | NDArray[np.float32]) -> bool:
    return column.to_numpy().tobytes() == np.ascontiguousarray(values).tobytes()


def test_the_file_holds_every_column_of_the_state_bit_for_bit(
    run: Run, home: Path, tmp_path: Path, series: CandleSeries
) -> None:
    path = tmp_path / "seen.parquet"
    code, out, _ = run("ETH/SIM", "--output", str(path))
    assert code == 0
    assert "SIMULATED ETH/SIM 1h" in out
    frame, seen = frame_of(series, home), pl.read_parquet(path)
    assert seen.columns == ["time", *frame.columns, "ready"]
    assert seen["time"].dt.timestamp("ms").to_list() == series.close_time.tolist()
    assert all(
        same_bits(seen[name], frame.market[:, place]) for place, name in enumerate(frame.columns)
    )
    assert seen["ready"].to_list() == [row >= frame.ready for row in range(len(series))]
    told = pl.read_parquet_metadata(path)
    assert told["adan.data_hash"] == series.content_hash
    assert told["adan.feature_schema_hash"] == frame.schema_hash
    assert told["adan.feature_set"] == "default"
    assert told["adan.feature_schema_version"] == "2"
    assert json.loads(told["adan.ladder"]) == ["1h", "4h", "1d"]
    assert told["adan.synthetic"] == "true"
    assert "adan.model" not in told


def test_a_part_is_cut_out_of_the_whole_not_computed_anew(
    run: Run, home: Path, tmp_path: Path, series: CandleSeries
) -> None:
    path = tmp_path / "part.parquet"
    days = ("--since", "2024-01-30", "--until", "2024-02-01T12:30Z")
    code, out, _ = run("eth", "--output", str(path), *days, "--json")
    told = json.loads(out)
    assert (code, told["rows"], told["schema_version"]) == (0, 60, 1)
    frame, seen = frame_of(series, home), pl.read_parquet(path)
    start = 29 * 24
    assert seen["time"][0].isoformat() == "2024-01-30T01:00:00+00:00"
    assert seen["time"][-1].isoformat() == "2024-02-01T12:00:00+00:00"
    for place, name in enumerate(frame.columns):
        assert same_bits(seen[name], frame.market[start : start + 60, place])
    assert told["first_ready"] is None
    assert frame.ready < start
    soon = ("--since", "2024-01-01T10:00Z", "--replace", "--json")
    told = json.loads(run("eth", "--output", str(path), *soon)[1])
    assert told["first_ready"] == frame.ready - 10
    assert pl.read_parquet(path)["ready"].arg_max() == frame.ready - 10
    assert told["data_hash"] == series.content_hash


@pytest.mark.slow
def test_with_a_model_the_columns_are_as_it_reads_them(
    run: Run, home: Path, tmp_path: Path
) -> None:
    made = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 5).candles(0, 1_500)
    CandleStore(home / "data" / "candles").write("btc", made, "made")
    registry = ModelRegistry(home / "none", shipped_models(), {"shipped": shipped_public_key()})
    model = registry.load(registry.listing()[0].model_id)
    path = tmp_path / "read.parquet"
    code, out, _ = run("btc", "--output", str(path), "--model", model.model_id)
    assert code == 0
    assert model.model_id in out
    frame, seen = frame_of(made, home), pl.read_parquet(path)
    read = model.normaliser.apply(frame.market)
    for place, name in enumerate(frame.columns):
        assert seen[f"normalised:{name}"].dtype == pl.Float32
        assert same_bits(seen[f"normalised:{name}"], read[:, place])
    assert pl.read_parquet_metadata(path)["adan.model"] == model.model_id


def test_another_data_set_that_is_damaged_is_no_hindrance(
    run: Run, home: Path, tmp_path: Path, series: CandleSeries
) -> None:
    (home / "data" / "candles" / "broken.json").write_text("{")
    assert run("ETH/SIM", "--output", str(tmp_path / "seen.parquet"))[0] == 0
    assert run("broken", "--output", str(tmp_path / "other.parquet"))[0] == 3


def test_a_symbol_with_two_data_sets_and_one_with_none_are_told(
    run: Run, home: Path, tmp_path: Path, series: CandleSeries
) -> None:
    store = CandleStore(home / "data" / "candles")
    store.write("ether", series, "made")
    path = tmp_path / "seen.parquet"
    code, _, err = run("ETH/SIM", "--output", str(path))
    assert code == 2
    assert "eth, ether" in err
    assert run("ether", "--output", str(path))[0] == 0
    code, _, err = run("DOGE/SIM", "--output", str(path), "--replace")
    assert code == 2
    assert "neither" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--output", "seen.csv"), 2, ".parquet"),
        (("--output", "old.parquet"), 2, "--replace"),
        (("--output", "new.parquet", "--since", "soon"), 2, "2021-01-01"),
        (("--output", "new.parquet", "--since", "2024-01-01T10:00"), 2, "zone"),
        (("--output", "new.parquet", "--since", "2030-01-01"), 3, "no candle"),
        (("--output", "new.parquet", "--model", "nobody"), 4, "no model"),
        ((), 2, "--output"),
    ],
)
def test_nothing_is_written_for_wrong_words(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    series: CandleSeries,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.parquet").write_text("old")
    ended, out, err = run("eth", *words)
    assert (ended, out) == (code, "")
    assert message in err
    assert not Path("new.parquet").exists()
    assert Path("old.parquet").read_text() == "old"
