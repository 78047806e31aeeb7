"""Candles as files for other programs: CSV, Parquet, Feather; written as they come."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from adan_core.data.files import SYNTHETIC_COLUMN
from adan_core.data.partitions import to_frame
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import DataError, SystemFailure, UsageError
from adan_core.resilience.files import whole_or_absent

if TYPE_CHECKING:
    import polars as pl

_INSTANTS = "%Y-%m-%dT%H:%M:%SZ"
_SINKS: dict[str, Callable[["pl.LazyFrame", BinaryIO], object]] = {
    ".csv": lambda frame, file: frame.sink_csv(file, datetime_format=_INSTANTS),
    ".csv.gz": lambda frame, file: frame.sink_csv(
        file, datetime_format=_INSTANTS, compression="gzip"
    ),
    ".parquet": lambda frame, file: frame.sink_parquet(file, compression="zstd"),
    ".feather": lambda frame, file: frame.sink_ipc(file),
    ".arrow": lambda frame, file: frame.sink_ipc(file),
}


def export(series: CandleSeries, path: Path, replace: bool) -> None:
    """Write ``series`` to ``path``, whole or not at all, in the form its ending names.

    As `export_chunks`.
    """
    export_chunks((series,), path, replace)


def export_chunks(chunks: Iterable[CandleSeries], path: Path, replace: bool) -> None:
    """Write candles of one market to ``path``, whole or not at all, in the form its ending names.

    Chunks come in order of time, and memory is needed for a few of them, not for all. Beside the
    candles the file says their symbol and, if they are simulated, that they are. UsageError for an
    unknown ending, or a file that exists unless ``replace``; DataError if there is no candle;
    SystemFailure if the disk refuses.
    """
    import polars as pl

    ending = next((each for each in _SINKS if path.name.lower().endswith(each)), None)
    if ending is None:
        raise UsageError(f"{path.name}", f"a name ending in {', '.join(_SINKS)}")
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder", "a file", f"name one in it, like {path}/candles{ending}"
        )
    if path.exists() and not replace:
        raise UsageError(f"{path} exists", "a new file", "add --replace, or name another file")
    frames = (_labelled(chunk) for chunk in chunks if len(chunk))
    first = next(frames, None)
    if first is None:
        raise DataError("no candle to write", "at least one")
    try:
        with whole_or_absent(path) as file:
            _SINKS[ending](_lazily(first, frames), file)
    except pl.exceptions.PolarsError as error:  # how some forms tell that the disk refused
        raise SystemFailure(
            f"{path} could not be written: {error}",
            "a disk with room",
            "free space, then try again",
        ) from error


def _labelled(series: CandleSeries) -> "pl.DataFrame":
    import polars as pl

    frame = to_frame(series).with_columns(pl.lit(series.symbol).alias("symbol"))
    return (
        frame.with_columns(pl.lit(value=True).alias(SYNTHETIC_COLUMN))
        if series.synthetic
        else frame
    )


def _lazily(first: "pl.DataFrame", following: Iterator["pl.DataFrame"]) -> "pl.LazyFrame":
    """Return frames as one that asks for the next when it has taken the one before."""
    from polars.io.plugins import register_io_source

    def source(
        columns: list[str] | None, _filter: object, _rows: int | None, _batch: int | None
    ) -> Iterator["pl.DataFrame"]:
        for frame in chain((first,), following):
            yield frame if columns is None else frame.select(columns)

    return register_io_source(source, schema=first.schema)
