"""Data sets of schema version 1: all candles in one Parquet file, named by a sidecar.

They are read as they are, and become version 2 when something is next written to them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adan_core.data.findings import Finding
from adan_core.data.manifest import DatasetInfo
from adan_core.data.partitions import parse
from adan_core.data.series import COLUMNS, CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds
from adan_core.resilience.files import open_regular

if TYPE_CHECKING:
    import polars as pl


def read_version_1(root: Path, sidecar: bytes) -> tuple[DatasetInfo, CandleSeries]:
    """Return what a sidecar of version 1 describes, with the content hash of today, and its candles.

    DataError if either is damaged.
    """
    try:
        record = msgspec.json.decode(sidecar, type=_Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"its manifest is damaged ({error})") from error
    if Path(record.file).name != record.file:
        raise DataError("its manifest names files that are not its own")
    try:
        with open_regular(root / record.file) as file:
            data = file.read()
    except OSError as error:
        raise DataError(f"{record.file} is unreadable ({error.strerror})") from error
    frame = parse(data, record.file_hash, record.file)
    series = CandleSeries(
        record.symbol,
        Timeframe.parse(record.timeframe),
        frame["timestamp"].to_numpy(),
        **{name: frame[name].to_numpy() for name in COLUMNS},
        synthetic=record.synthetic,
    )
    if _hash_of(record, frame) != record.content_hash or frame.height != record.rows:
        raise DataError("its candles do not have the hash they were stored with")
    info = DatasetInfo(
        schema_version=record.schema_version,
        name=record.name,
        symbol=record.symbol,
        timeframe=record.timeframe,
        rows=record.rows,
        missing=record.missing,
        start=record.start,
        end=record.end,
        synthetic=record.synthetic,
        source=record.source,
        content_hash=series.content_hash,
        findings=record.findings,
        partitions=(),
    )
    return info, series


@dataclass(frozen=True, slots=True)
class _Sidecar:
    schema_version: int
    name: str
    symbol: str
    timeframe: str
    rows: int
    missing: int
    start: Milliseconds
    end: Milliseconds
    synthetic: bool
    source: str
    content_hash: str
    file: str
    file_hash: str
    findings: tuple[Finding, ...]


def _hash_of(record: _Sidecar, frame: "pl.DataFrame") -> str:
    """Return the content hash of version 1: over all candles at once, as they were stored."""
    duration = Timeframe.parse(record.timeframe).duration
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{record.symbol}\0{duration}\0{frame.height}\0".encode())
    digest.update(frame["timestamp"].to_numpy().astype("<i8", copy=False).data)
    for name in COLUMNS:
        digest.update(frame[name].to_numpy().astype("<f8", copy=False).data)
    return digest.hexdigest()
