"""One UTC month of a data set as a Parquet file, verified before it is parsed."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from adan_core.data.series import COLUMNS, CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Partition:
    """A month of a data set, as the manifest names it.

    ``month`` is UTC, like ``2021-01``; ``start`` is the first opening and ``end`` the last closing
    in milliseconds; ``size`` is the file's in bytes and ``file_hash`` the BLAKE2b-128 of them,
    whose first half is in the file's name; ``content_hash`` is that of the candles, one of
    `CandleSeries.month_hashes`.
    """

    month: str
    file: str
    rows: int
    start: Milliseconds
    end: Milliseconds
    size: int
    file_hash: str
    content_hash: str


def to_frame(series: CandleSeries) -> "pl.DataFrame":
    """Return timestamp (datetime[ms, UTC], the opening), open, high, low, close and volume."""
    import polars as pl

    return pl.DataFrame(
        {
            "timestamp": pl.Series(series.open_time).cast(pl.Datetime("ms", "UTC")),
            **{column: getattr(series, column) for column in COLUMNS},
        }
    )


def file_name(month: str, file_hash: str) -> str:
    """Return the name of a partition's file: other bytes never bear the same."""
    return f"{month}.{file_hash[:16]}.parquet"


def encode(month: str, series: CandleSeries) -> tuple[Partition, bytes]:
    """Return the candles of one month as the bytes of a Parquet file, and what the manifest says."""
    content = io.BytesIO()
    to_frame(series).write_parquet(
        content,
        compression="zstd",
        metadata={"symbol": series.symbol, "timeframe": str(series.timeframe)},
    )
    data = content.getvalue()
    file_hash = digest(data)
    (content_hash,) = series.month_hashes
    partition = Partition(
        month=month,
        file=file_name(month, file_hash),
        rows=len(series),
        start=int(series.open_time[0]),
        end=int(series.open_time[-1]) + series.timeframe.duration,
        size=len(data),
        file_hash=file_hash,
        content_hash=content_hash,
    )
    return partition, data


def decode(
    symbol: str,
    timeframe: Timeframe,
    synthetic: bool,
    parts: Sequence[tuple[Partition, BinaryIO]],
) -> CandleSeries:
    """Return the candles of some partitions, in order of time, from their opened files.

    The bytes of each are checked against their hash before they are parsed, the candles against
    theirs. Takes memory for the candles and for one partition more. DataError says what is damaged.
    """
    rows = sum(partition.rows for partition, _ in parts)
    open_time = np.empty(rows, dtype=np.int64)
    columns = {name: np.empty(rows, dtype=np.float64) for name in COLUMNS}
    row = 0
    for partition, file in parts:
        try:
            data = file.read()
        except OSError as error:
            raise DataError(f"{partition.file} is unreadable ({error.strerror})") from error
        frame = parse(data, partition.file_hash, partition.file)
        if frame.height != partition.rows:
            raise DataError(f"{partition.file} holds {frame.height} candles, not {partition.rows}")
        stop = row + frame.height
        open_time[row:stop] = frame["timestamp"].to_numpy()
        for name, column in columns.items():
            column[row:stop] = frame[name].to_numpy()
        row = stop
    series = CandleSeries(symbol, timeframe, open_time, **columns, synthetic=synthetic)
    if series.month_hashes != tuple(partition.content_hash for partition, _ in parts):
        raise DataError("its candles do not have the hash they were stored with")
    return series


def parse(data: bytes, file_hash: str, name: str) -> "pl.DataFrame":
    """Return timestamp (int64 milliseconds), open, high, low, close, volume (float64) of a file.

    DataError if its bytes do not have ``file_hash``, or are no candles all the same.
    """
    import polars as pl

    # Checked before it is parsed: a parser may do worse than complain about damaged bytes.
    if digest(data) != file_hash:
        raise DataError(f"{name} does not have the hash it was stored with")
    try:
        frame = pl.read_parquet(io.BytesIO(data)).select(
            pl.col("timestamp").dt.timestamp("ms"), pl.col(COLUMNS).cast(pl.Float64)
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name} holds no candles") from error
    if any(column.null_count() for column in frame):
        raise DataError(f"{name} holds candles with values missing")
    return frame


def digest(data: bytes) -> str:
    """Return the BLAKE2b-128 of ``data`` in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
