"""However candles arrive, in whatever pieces and order, the data set and its hash are the same."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.data.findings import Finding, FindingCode, Place, Treatment
from adan_core.data.series import COLUMNS, CandleSeries, concatenate
from adan_core.data.store import CandleStore
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import DAY, HOUR

HALF_DAY = Timeframe(12 * HOUR)
START = 18_628 * DAY + 25 * DAY  # 2021-01-26: the first month has few candles


def made(count: int, skipped: int = 0, timeframe: Timeframe = HALF_DAY) -> CandleSeries:
    """Return candles of a walk; those after the first ``skipped`` are the same for any count."""
    rows = np.arange(skipped, skipped + count, dtype=np.int64)
    close = 100.0 + 10.0 * np.sin(rows / 7.0)
    opened = 100.0 + 10.0 * np.sin((rows - 1) / 7.0)
    return CandleSeries(
        "BTC/USDT",
        timeframe,
        START + rows * timeframe.duration,
        opened,
        np.maximum(opened, close) + 1.0,
        np.minimum(opened, close) - 1.0,
        close,
        (rows % 5).astype(np.float64),
        synthetic=False,
    )


def chosen(series: CandleSeries, rows: NDArray[Any]) -> CandleSeries:
    """Return these candles of a series."""
    columns = {name: getattr(series, name)[rows] for name in ("open_time", *COLUMNS)}
    return replace(series, **columns)


def files(store: CandleStore) -> dict[str, tuple[bytes, int]]:
    """Return every file's bytes and when it was last changed."""
    return {
        str(path.relative_to(store.root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in store.root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles", patience=0.0)


@given(data=st.data(), count=st.integers(1, 200))
def test_batches_in_any_order_make_the_data_set_and_hash_of_one_piece(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int
) -> None:
    store = CandleStore(tmp_path_factory.mktemp("store"), patience=0.0)
    present = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    present[0] = True
    whole = chosen(made(count), np.array(present))
    rows = st.integers(0, len(whole) - 1)
    edges = sorted({0, len(whole), *data.draw(st.lists(rows, max_size=6))})
    spans = list(pairwise(edges))
    overlapping = data.draw(st.lists(st.tuples(rows, rows).map(sorted), max_size=3))
    spans += [(first, last + 1) for first, last in overlapping]
    for first, last in data.draw(st.permutations(spans)):
        store.append("name", whole.slice(first, last), "pieces")
    info = store.info("name")
    one_piece = store.write("one-piece", whole, "pieces")
    assert info.content_hash == one_piece.content_hash == whole.content_hash
    assert store.read("name").content_hash == whole.content_hash
    assert (info.rows, info.missing) == (len(whole), one_piece.missing)
    assert info.partitions == one_piece.partitions
    before = files(store)
    first, last = sorted(data.draw(st.tuples(rows, rows)))
    store.append("name", whole.slice(first, last + 1), "again, from elsewhere")
    assert files(store) == before


@given(data=st.data(), count=st.integers(1, 200), size=st.integers(1, 250))
def test_chunk_i_is_slice_i_and_all_chunks_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int, size: int
) -> None:
    store = CandleStore(tmp_path_factory.mktemp("store"), patience=0.0)
    whole = made(count)
    store.write("name", whole, "a test")
    chunks = list(store.chunks("name", size))
    for index, chunk in enumerate(chunks):
        expected = whole.slice(index * size, (index + 1) * size)
        assert chunk.open_time.tolist() == expected.open_time.tolist()
        assert chunk.content_hash == expected.content_hash
    assert concatenate(chunks).content_hash == whole.content_hash
    start, end = (START + DAY * data.draw(st.integers(-3, 110)) + HOUR for _ in range(2))
    window = store.read("name", start, end)
    inside = (whole.open_time >= start) & (whole.open_time < end)
    assert window.open_time.tolist() == whole.open_time[inside].tolist()
    pieces = list(store.chunks("name", size, start, end))
    assert [len(piece) for piece in pieces[:-1]] == [size] * len(pieces[:-1])
    assert [time for piece in pieces for time in piece.open_time] == window.open_time.tolist()


def test_a_new_candle_touches_the_last_partition_and_the_manifest_alone(store: CandleStore) -> None:
    store.write("name", made(150), "a test")
    before = files(store)
    store.append("name", made(1, skipped=150), "a test")
    after = files(store)
    assert store.read("name").content_hash == made(151).content_hash
    kept = before.keys() & after.keys()
    assert {name for name in kept if before[name] != after[name]} == {"name.json"}
    assert len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 1


def test_earlier_and_missing_candles_are_filled_in(store: CandleStore) -> None:
    whole = made(150)
    store.append("name", whole.slice(60, 70), "the end")
    assert store.append("name", whole.slice(0, 5), "the start").missing == 55
    info = store.append("name", whole.slice(0, 70), "the rest")
    assert (info.rows, info.missing) == (70, 0)
    assert info.source == "the end + the start + the rest"
    assert [each.month for each in info.partitions] == ["2021-01", "2021-02", "2021-03"]


def test_a_candle_that_contradicts_is_refused_with_its_place_and_both_values(
    store: CandleStore,
) -> None:
    store.write("name", made(100), "a test")
    before = files(store)

    wrong = np.array(made(110).high)
    wrong[90:92] += 0.5
    with pytest.raises(DataError, match="2021-03-12T00:00:00Z") as refused:
        store.append("name", replace(made(110), high=wrong), "another venue")
    values = f"with high {wrong[90] - 0.5} and would be added with high {wrong[90]} (2 such"
    assert values in str(refused.value)
    assert files(store) == before


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"symbol": "ETH/USDT"}, "ETH/USDT 12h candles"),
        ({"timeframe": Timeframe(6 * HOUR)}, "BTC/USDT 6h candles"),
        ({"synthetic": True}, "SIMULATED BTC/USDT 12h candles"),
    ],
)
def test_candles_of_another_kind_are_refused(
    store: CandleStore, kind: dict[str, Any], message: str
) -> None:
    store.write("name", made(10), "a test")
    with pytest.raises(DataError, match=message):
        store.append("name", replace(made(20), **kind), "a test")
    with pytest.raises(DataError, match="without candles"):
        store.append("name", made(0), "a test")
    assert store.info("name").rows == 10


def test_findings_are_joined_by_kind_however_often_candles_are_added(store: CandleStore) -> None:
    def gap(candles: int, severity: Severity) -> Finding:
        place = (Place(candles, None),)
        message = f"{candles} missing"
        return Finding(FindingCode.GAP, severity, Treatment.WARN, 1, candles, place, message)

    store.append("name", made(10), "a test", [gap(3, Severity.WARNING)])
    store.append("name", made(20), "a test", [gap(4, Severity.INFO)])
    (joined,) = store.append("name", made(30), "a test", [gap(5, Severity.INFO)]).findings
    assert (joined.count, joined.candles, joined.severity) == (3, 12, Severity.WARNING)
    assert joined.places == (Place(3, None),)
    assert joined.message == "3 in candles added at several times; the first: 3 missing"


def test_no_volume_has_one_hash_whatever_its_sign() -> None:
    plain = made(5)
    signed = replace(plain, volume=np.where(plain.volume == 0.0, -0.0, plain.volume))
    assert plain.volume[0] == 0.0
    assert signed.content_hash == plain.content_hash
