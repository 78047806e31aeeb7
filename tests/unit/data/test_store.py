"""A data set is whole or absent, verified on every read, and written by one process at a time."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from adan_core.data.export import to_frame
from adan_core.data.store import CandleStore, dataset_name
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, SystemFailure
from adan_core.resilience import files
from adan_core.resilience.files import exclusive_lock

FIVE = Timeframe.parse("5m")
MARKET = SimulatedMarket("BTC/SIM", FIVE, 1)
SERIES = MARKET.candles(0, 500)
OTHER = MARKET.candles(1000, 500)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles")


def test_what_was_written_is_read_whole_or_in_part(store: CandleStore) -> None:
    name = dataset_name("BTC/SIM", FIVE)
    info = store.write(name, SERIES, "a test")
    assert name == "BTC-SIM-5m"
    assert store.names() == (info.name,)
    assert (info.schema_version, info.rows, info.missing, info.synthetic) == (1, 500, 0, True)
    assert store.read(name).content_hash == SERIES.content_hash == info.content_hash
    start, end = int(SERIES.open_time[100]), int(SERIES.open_time[200])
    assert store.read(name, start, end).content_hash == SERIES.slice(100, 200).content_hash
    assert len(store.read(name, end=start)) == 100
    assert len(store.read(name, start=end + 10**12)) == 0
    assert {path.stat().st_mode & 0o777 for path in store.root.iterdir()} == {0o600}


def test_another_data_set_of_the_name_is_replaced_only_on_request(store: CandleStore) -> None:
    store.write("name", SERIES, "first")
    store.write("name", SERIES, "the same again")
    with pytest.raises(DataError, match="already"):
        store.write("name", OTHER, "second")
    assert store.read("name").content_hash == SERIES.content_hash
    store.write("name", OTHER, "second", replace=True)
    assert store.read("name").content_hash == OTHER.content_hash
    assert len(list(store.root.glob("*.parquet"))) == 1


@pytest.mark.parametrize("failing", [1, 2])
def test_a_disk_that_refuses_leaves_the_old_data_set(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    store.write("name", SERIES, "first")
    synced = []
    original = files.fsync_folder

    def fail_at(folder: Path) -> None:
        synced.append(folder)
        if len(synced) == failing:
            raise OSError(28, "No space left on device")
        original(folder)

    monkeypatch.setattr(files, "fsync_folder", fail_at)
    with pytest.raises(SystemFailure):
        store.write("name", OTHER, "second", replace=True)
    assert len(store.read("name")) == 500
    monkeypatch.undo()
    store.write("name", OTHER, "second", replace=True)
    assert len(list(store.root.glob("*.parquet"))) == 1


@pytest.mark.parametrize("position", [10, 4000, -30])
def test_a_damaged_file_is_refused_with_what_to_do(store: CandleStore, position: int) -> None:
    info = store.write("name", SERIES, "a test")
    path = store.root / info.file
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="import the data set again"):
        store.read("name")
    path.unlink()
    with pytest.raises(DataError, match="import the data set again"):
        store.read("name")


def test_candles_exchanged_for_others_are_found_by_their_hash(store: CandleStore) -> None:
    info = store.write("name", SERIES, "a test")
    path = store.root / info.file
    to_frame(OTHER).write_parquet(path)
    with pytest.raises(DataError, match="hash"):
        store.read("name")
    sidecar = store.root / "name.json"
    for stranger, message in (
        (to_frame(OTHER), "hash they were stored with"),
        (to_frame(SERIES).drop("close"), "no candles"),
        (to_frame(SERIES).with_columns(pl.lit("x").alias("open")), "no candles"),
        (to_frame(SERIES).with_columns(pl.lit(None).alias("low")), "column low"),
    ):
        stranger.write_parquet(path)
        record = json.loads(sidecar.read_text())
        record["file_hash"] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        sidecar.write_text(json.dumps(record))
        with pytest.raises(DataError, match=message):
            store.read("name")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("{}", "damaged"),
        ('{"schema_version": 2, "anything": "new"}', "newer ADAN"),
        ('{"schema_version": 1}', "damaged"),
    ],
)
def test_a_sidecar_that_is_damaged_or_newer_is_refused(
    store: CandleStore, content: str, message: str
) -> None:
    store.write("name", SERIES, "a test")
    (store.root / "name.json").write_text(content)
    with pytest.raises(DataError, match=message):
        store.info("name")


def test_a_sidecar_cannot_point_elsewhere(store: CandleStore) -> None:
    store.write("name", SERIES, "a test")
    sidecar = store.root / "name.json"
    record = json.loads(sidecar.read_text())
    record["file"] = "../name.parquet"
    sidecar.write_text(json.dumps(record))
    with pytest.raises(DataError, match="another data set"):
        store.read("name")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a" * 65, "a\n"])
def test_names_that_are_paths_or_worse_are_refused(store: CandleStore, name: str) -> None:
    for act in (lambda: store.write(name, SERIES, "x"), lambda: store.read(name)):
        with pytest.raises(DataError, match="name"):
            act()
    assert not store.root.exists()


def test_one_writes_at_a_time_and_an_unknown_name_says_what_there_is(store: CandleStore) -> None:
    store.write("name", SERIES, "a test")
    with (
        exclusive_lock(store.root / ".lock"),
        pytest.raises(DataError, match="another process is writing"),
    ):
        store.write("other", SERIES, "a test")
    with pytest.raises(DataError, match="one of: name"):
        store.read("other")
    with pytest.raises(DataError, match="without candles"):
        store.write("empty", SERIES.slice(0, 0), "a test")
