"""Data sets as ADAN stored them first, one file each, are read as ever and move on when written."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.errors import DataError, SystemFailure
from adan_core.resilience import files
from tests.unit.data.test_store_append import made

SERIES = made(150)


def digest(*pieces: bytes) -> str:
    return hashlib.blake2b(b"".join(pieces), digest_size=16).hexdigest()


def write_version_1(root: Path, series: CandleSeries, name: str = "name") -> Path:
    """Store candles as version 1 did; return the file that holds them."""
    columns = {each: getattr(series, each) for each in ("open", "high", "low", "close", "volume")}
    header = f"{series.symbol}\0{series.timeframe.duration}\0{len(series)}\0".encode()
    content_hash = digest(
        header, series.open_time.tobytes(), *(column.tobytes() for column in columns.values())
    )
    path = root / f"{name}.{content_hash[:16]}.parquet"
    root.mkdir(parents=True, exist_ok=True)
    stamps = pl.Series(series.open_time).cast(pl.Datetime("ms", "UTC"))
    pl.DataFrame({"timestamp": stamps, **columns}).write_parquet(path)
    sidecar = {
        "schema_version": 1,
        "name": name,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "rows": len(series),
        "missing": 0,
        "start": int(series.open_time[0]),
        "end": int(series.close_time[-1]),
        "synthetic": series.synthetic,
        "source": "long ago",
        "content_hash": content_hash,
        "file": path.name,
        "file_hash": digest(path.read_bytes()),
        "findings": [],
    }
    (root / f"{name}.json").write_text(json.dumps(sidecar))
    return path


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    store = CandleStore(tmp_path / "candles", patience=0.0)
    write_version_1(store.root, SERIES)
    return store


def test_it_is_listed_read_and_walked_as_ever(store: CandleStore) -> None:
    before = {path: path.read_bytes() for path in store.root.iterdir()}
    info = store.info("name")
    assert (info.schema_version, info.rows, info.source) == (1, 150, "long ago")
    assert store.read("name").content_hash == info.content_hash == SERIES.content_hash
    start, end = int(SERIES.open_time[20]), int(SERIES.open_time[90])
    assert store.read("name", start, end).content_hash == SERIES.slice(20, 90).content_hash
    assert [len(chunk) for chunk in store.chunks("name", 60)] == [60, 60, 30]
    (candles,) = store.root.glob("*.parquet")
    assert store.size_on_disk("name") == candles.stat().st_size
    assert {path: path.read_bytes() for path in store.root.iterdir()} == before


@pytest.mark.parametrize("last", [150, 160])
def test_appending_divides_it_into_months(store: CandleStore, last: int) -> None:
    info = store.append("name", made(last), "today")
    assert (info.schema_version, info.source) == (2, "long ago + today")
    assert store.read("name").content_hash == made(last).content_hash
    assert not list(store.root.glob("*.parquet"))
    assert len(list(store.root.glob("name.candles/*.parquet"))) == len(info.partitions) > 3


def test_writing_the_same_or_another_in_its_place_leaves_nothing_of_it(store: CandleStore) -> None:
    with pytest.raises(DataError, match="already"):
        store.write("name", made(7), "today")
    assert store.write("name", SERIES, "today").schema_version == 2
    write_version_1(store.root, SERIES)
    assert store.write("name", made(7), "today", replace=True).rows == 7
    assert not list(store.root.glob("*.parquet"))
    write_version_1(store.root, SERIES)
    removed = store.remove("name")
    assert removed is not None
    assert removed.rows == 150
    assert [path.name for path in store.root.iterdir()] == [".lock"]


@pytest.mark.parametrize("failing", range(1, 8))
def test_a_disk_that_refuses_leaves_it_or_what_becomes_of_it(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    count = 0

    def fail(folder: Path) -> None:
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(files, "fsync_folder", fail)
        try:
            store.append("name", made(160), "today")
        except SystemFailure:
            assert count == failing
    assert store.read("name").content_hash in {SERIES.content_hash, made(160).content_hash}
    store.append("name", made(170), "today")
    assert store.read("name").content_hash == made(170).content_hash
    assert not list(store.root.glob("*.parquet"))


def test_other_data_sets_of_a_like_name_are_left_alone(store: CandleStore) -> None:
    for other in ("name.json", "name.candles", "nam", "name.0123456789abcdef"):
        write_version_1(store.root, made(20), other)
        store.write(f"{other}2", made(30), "today")
    store.append("name", made(160), "today")
    store.remove("name")
    for other in ("name.json", "name.candles", "nam", "name.0123456789abcdef"):
        assert len(store.read(other)) == 20
        assert len(store.read(f"{other}2")) == 30


@pytest.mark.parametrize("damage", ["bytes", "hash", "file", "gone", "json"])
def test_damage_is_found(store: CandleStore, damage: str) -> None:
    sidecar = store.root / "name.json"
    record = json.loads(sidecar.read_text())
    path = store.root / record["file"]
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif damage == "hash":
        record["content_hash"] = "0" * 32
    elif damage == "file":
        record["file"] = f"../{path.name}"
    elif damage == "gone":
        path.unlink()
    else:
        del record["rows"]
    sidecar.write_text(json.dumps(record))
    for look in (store.info, store.read, lambda name: list(store.chunks(name, 10))):
        with pytest.raises(DataError, match="data remove name"):
            look("name")
    assert store.remove("name") is None
    assert [path.name for path in store.root.iterdir()] == [".lock"]
