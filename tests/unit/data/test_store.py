"""A data set is whole or absent, verified on every read, and written by one process at a time."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from adan_core.data.manifest import DatasetInfo, encode_manifest
from adan_core.data.partitions import to_frame
from adan_core.data.store import CandleStore, dataset_name
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, SystemFailure
from adan_core.resilience.files import exclusive_lock

FIVE = Timeframe.parse("5m")
MARKET = SimulatedMarket("BTC/SIM", FIVE, 1)
SERIES = MARKET.candles(0, 500)
OTHER = MARKET.candles(1000, 500)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles", patience=0.0)


def only_partition(store: CandleStore) -> Path:
    (path,) = store.root.rglob("*.parquet")
    return path


def manifest(store: CandleStore) -> dict[str, Any]:
    record = json.loads((store.root / "name.json").read_text())
    assert isinstance(record, dict)
    return record


def test_what_was_written_is_read_whole_or_in_part(store: CandleStore) -> None:
    name = dataset_name("BTC/SIM", FIVE)
    info = store.write(name, SERIES, "a test")
    assert name == "BTC-SIM-5m"
    assert store.names() == (info.name,)
    assert (info.schema_version, info.rows, info.missing, info.synthetic) == (2, 500, 0, True)
    assert store.read(name).content_hash == SERIES.content_hash == info.content_hash
    start, end = int(SERIES.open_time[100]), int(SERIES.open_time[200])
    assert store.read(name, start, end).content_hash == SERIES.slice(100, 200).content_hash
    assert len(store.read(name, end=start)) == 100
    assert len(store.read(name, start=end + 10**12)) == 0
    modes = {path.stat().st_mode & 0o777 for path in store.root.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_another_data_set_of_the_name_is_replaced_only_on_request(store: CandleStore) -> None:
    store.write("name", SERIES, "first")
    store.write("name", SERIES, "the same again")
    with pytest.raises(DataError, match="already"):
        store.write("name", OTHER, "second")
    assert store.read("name").content_hash == SERIES.content_hash
    store.write("name", OTHER, "second", replace=True)
    assert store.read("name").content_hash == OTHER.content_hash
    assert len(list(store.root.rglob("*.parquet"))) == 1


def test_the_mark_of_simulated_candles_is_not_lost_by_writing_them_again(
    store: CandleStore,
) -> None:
    store.write("name", SERIES, "made")
    with pytest.raises(DataError, match="SIMULATED BTC/SIM 5m candles, as it holds"):
        store.write("name", replace(SERIES, synthetic=False), "the same without the mark")
    assert store.info("name").synthetic


@pytest.mark.parametrize("position", [10, 4000, -30])
def test_a_damaged_file_is_refused_with_what_to_do(store: CandleStore, position: int) -> None:
    store.write("name", SERIES, "a test")
    path = only_partition(store)
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="data remove name"):
        store.read("name")
    store.write("name", SERIES, "again", replace=True)
    assert store.read("name").content_hash == SERIES.content_hash
    path.write_bytes(bytes(data[:-1]))
    with pytest.raises(DataError, match="data remove name"):
        store.size_on_disk("name")
    path.unlink()
    for damaged in (store.read, store.size_on_disk, lambda name: list(store.chunks(name, 9))):
        with pytest.raises(DataError, match="data remove name"):
            damaged("name")
    with pytest.raises(DataError, match="cannot be used"):
        store.append("name", MARKET.candles(500, 1), "a test")
    store.write("name", SERIES, "again", replace=True)
    assert store.read("name").content_hash == SERIES.content_hash


def test_candles_exchanged_for_others_are_found_by_their_hash(store: CandleStore) -> None:
    store.write("name", SERIES, "a test")
    for stranger in (OTHER, SERIES):  # the same candles in other bytes are not parsed either
        to_frame(stranger).write_parquet(only_partition(store), compression="lz4")
        with pytest.raises(DataError, match="parquet does not have the hash"):
            store.read("name")
    for forged, message in (
        (to_frame(OTHER), "hash they were stored with"),
        (to_frame(SERIES).head(499), "499 candles"),
        (to_frame(SERIES).drop("close"), "no candles"),
        (to_frame(SERIES).with_columns(pl.lit("x").alias("open")), "no candles"),
        (to_frame(SERIES).with_columns(pl.lit(None).alias("low")), "values missing"),
        (to_frame(SERIES).with_columns(pl.lit(0.0).alias("low")), "column low"),
    ):
        path = only_partition(store)
        forged.write_parquet(path)
        file_hash = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        path.rename(path.with_name(f"{path.name[:7]}.{file_hash[:16]}.parquet"))
        record = manifest(store)
        record["partitions"][0] |= {"file_hash": file_hash, "file": only_partition(store).name}
        del record["manifest_hash"]
        forged_manifest = msgspec.convert(record, DatasetInfo)
        (store.root / "name.json").write_bytes(encode_manifest(forged_manifest))
        with pytest.raises(DataError, match=message):
            store.read("name")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("{}", "damaged"),
        ('{"schema_version": 3, "anything": "new"}', "newer ADAN"),
        ('{"schema_version": 1}', "damaged"),
        ('{"schema_version": 2}', "damaged"),
        ("\xff", "damaged"),
    ],
)
def test_a_manifest_that_is_damaged_or_newer_is_refused(
    store: CandleStore, content: str, message: str
) -> None:
    store.write("name", SERIES, "a test")
    (store.root / "name.json").write_text(content)
    with pytest.raises(DataError, match=message):
        store.info("name")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "other", "hash it was stored with"),
        ("symbol", "ETH/SIM", "does not agree"),
        ("timeframe", "1h", "does not agree"),
        ("rows", 499, "does not agree"),
        ("content_hash", "0" * 32, "does not agree"),
        ("partitions", [], "not its partitions"),
        ("file", "../../name.parquet", "not its partitions"),
        ("month", "../..", "not its partitions"),
        ("content_hash of its partition", "0" * 32, "does not agree"),
        ("synthetic", False, "hash it was stored with"),
        ("source", "binance", "hash it was stored with"),
        ("size of its partition", 1, "hash it was stored with"),
        ("manifest_hash", "0" * 32, "hash it was stored with"),
    ],
)
def test_a_manifest_that_was_altered_is_refused(
    store: CandleStore, key: str, value: object, message: str
) -> None:
    store.write("name", SERIES, "a test")
    record = manifest(store)
    owner = record["partitions"][0] if key in {"file", "month"} or "its" in key else record
    owner[key.partition(" ")[0]] = value
    (store.root / "name.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=message):
        store.info("name")
    assert store.remove("name") is None
    assert list(store.root.rglob("*.parquet")) == []


def test_a_data_set_renamed_by_hand_is_refused(store: CandleStore) -> None:
    store.write("name", SERIES, "a test")
    (store.root / "name.json").rename(store.root / "other.json")
    with pytest.raises(DataError, match="another data set"):
        store.info("other")


def test_a_folder_that_cannot_be_looked_into_is_not_taken_for_an_empty_one(
    store: CandleStore,
) -> None:
    assert store.names() == ()
    store.root.touch()
    with pytest.raises(SystemFailure, match="Not a directory"):
        store.names()


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
