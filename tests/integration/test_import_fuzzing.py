"""Files that were damaged at random: imported whole, or refused with nothing stored.

Nothing but the documented errors may come out of ``adan-core data import`` and ``check``, and a
store that an import did not change is the same byte for byte.
"""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.cli.main import main
from adan_core.data.partitions import to_frame
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, UsageError

SERIES = SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 3).candles(0, 60)
TABLE = to_frame(SERIES).rename({"timestamp": "time"})
EPOCH = TABLE.with_columns(pl.col("time").dt.timestamp("ms"))
DOCUMENTED = {0, DataError.exit_code, UsageError.exit_code}


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    content = io.BytesIO()
    write(content)
    return content.getvalue()


CSV = EPOCH.write_csv().encode()
KINDS = ("truncate", "flip", "insert", "overwrite", "delete", "repeat", "swap columns",
         "other units", "encode")  # fmt: skip
ENCODINGS = ("utf-16", "utf-7", "utf-32-be")
TEXTS = (b"NaN", b"inf", b"-Infinity", b"1e400", b"1e-400", b"-0", b"null", b'"', b"[", b"{}", b",",
         b"\n", b"\x00", b"\xff\xfe", b"9" * 30, b"2024-01-01", b"1704067200", b"\xc3\xa9")  # fmt: skip
MENDED = ("time_zone=mark", "time_units=mark", "ohlc=mark", "not_a_price=mark", "disorder=mark",
          "outlier=warn", "stuck=mark", "zero_volume=mark", "off_grid=mark",
          "interpolated=mark")  # fmt: skip
FORMS: dict[str, bytes] = {
    "csv": CSV,
    "csv.gz": gzip.compress(CSV),
    "json": json.dumps(EPOCH.rows()).encode(),
    "json.gz": gzip.compress(json.dumps(EPOCH.to_dicts()).encode()),
    "parquet": _written(TABLE.write_parquet),
    "feather": _written(TABLE.write_ipc),
}


@dataclass(frozen=True, slots=True)
class Damage:
    """One change of a file's bytes; positions are taken modulo its length."""

    kind: str
    at: int
    length: int
    content: bytes

    def done_to(self, data: bytes) -> bytes:
        at = self.at % max(len(data), 1)
        cut = at + self.length
        head, part, tail = data[:at], data[at:cut], data[cut:]
        damaged = {
            "truncate": lambda: head,
            "flip": lambda: head + bytes(each ^ (self.length % 255 + 1) for each in part) + tail,
            "insert": lambda: head + self.content + part + tail,
            "overwrite": lambda: head + self.content + data[at + len(self.content) :],
            "delete": lambda: head + tail,
            "repeat": lambda: head + part + part + tail,
            "swap columns": lambda: _columns_swapped(data, at, self.length),
            "other units": lambda: head + part.replace(b"000,", b",") + tail,
            "encode": lambda: data.decode("latin-1").encode(ENCODINGS[at % len(ENCODINGS)]),
        }
        return damaged[self.kind]()


def _columns_swapped(data: bytes, one: int, other: int) -> bytes:
    lines = []
    for line in data.split(b"\n"):
        cells = line.split(b",")
        first, second = one % len(cells), other % len(cells)
        cells[first], cells[second] = cells[second], cells[first]
        lines.append(b",".join(cells))
    return b"\n".join(lines)


DAMAGES = st.lists(
    st.builds(
        Damage,
        kind=st.sampled_from(KINDS),
        at=st.integers(0, 20_000),
        length=st.integers(0, 400),
        content=st.binary(min_size=1, max_size=12) | st.sampled_from(TEXTS),
    ),
    min_size=1,
    max_size=4,
)
WORDS = st.lists(st.sampled_from(MENDED), max_size=4, unique=True)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _ends(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", *words])
    return int(ended.value.code or 0)


def _import(path: Path, home: Path, treatments: list[str]) -> None:
    """Import ``path`` beside a data set that is there already, and hold the result to the rules."""
    store = CandleStore(home / "data" / "candles")
    if "kept" not in store.names():
        store.write("kept", SERIES, "a test")
    before = _bytes(home)
    options = [word for treatment in treatments for word in ("--on", treatment)]
    code = _ends("import", str(path), "--symbol", "BTC/SIM", "--name", "fuzzed", *options)
    assert code in DOCUMENTED
    assert _ends("check", str(path), "--symbol", "BTC/SIM", "--json", *options) in DOCUMENTED
    if code:
        assert _bytes(home) == before
    else:
        assert len(store.read("fuzzed")) > 0
        store.remove("fuzzed")
    assert store.read("kept").content_hash == SERIES.content_hash


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "csv.gz", "json", "json.gz"])
@settings(max_examples=settings().max_examples // 2)
@given(damages=DAMAGES, inside=st.booleans(), treatments=WORDS)
def test_a_damaged_text_is_imported_whole_or_nothing_is_stored(
    form: str,
    damages: list[Damage],
    inside: bool,
    treatments: list[str],
    tmp_path: Path,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    zipped = form.endswith(".gz") and inside
    data = gzip.decompress(FORMS[form]) if zipped else FORMS[form]
    for damage in damages:
        data = damage.done_to(data)
    path = tmp_path / f"candles.{form}"
    path.write_bytes(gzip.compress(data) if zipped else data)
    _import(path, home, treatments)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "feather"])
@settings(max_examples=settings().max_examples // 10)
@given(damages=DAMAGES)
def test_a_damaged_table_is_imported_whole_or_nothing_is_stored(
    form: str,
    damages: list[Damage],
    tmp_path: Path,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = FORMS[form]
    for damage in damages:
        data = damage.done_to(data)
    path = tmp_path / f"candles.{form}"
    path.write_bytes(data)
    _import(path, home, [])


@pytest.mark.slow
@given(content=st.binary(max_size=400), form=st.sampled_from(["csv", "csv.gz", "json", "json.gz"]))
def test_bytes_of_no_meaning_are_refused(
    content: bytes, form: str, tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"candles.{form}"
    path.write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    _import(path, home, [])
