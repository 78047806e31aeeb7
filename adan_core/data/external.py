"""Columns from outside the market, such as a sentiment index: optional, dated, joined causally.

A value is known from its own time stamp on and never before. At a candle's close the newest value
known then is shown, beside a second column that says whether there is one and it is not too old;
where there is none, both are 0: absence is said, not guessed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from adan_core.data.stamps import parse_stamps
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExternalColumn:
    """One declared column; a value older than ``max_age`` (milliseconds) counts as unknown."""

    name: str
    max_age: Milliseconds


@dataclass(frozen=True, slots=True, eq=False)
class ExternalData:
    """What is known of one column: ``known_at`` int64 milliseconds (UTC), ascending; ``value`` float64.

    DataError if the instants do not strictly ascend or a value is no finite number.
    """

    name: str
    known_at: Integers
    value: Floats
    content_hash: str = field(init=False)

    def __post_init__(self) -> None:
        if self.known_at.shape != self.value.shape or self.known_at.ndim != 1:
            raise DataError(
                f"{self.name}: {self.known_at.shape} instants, {self.value.shape} values",
                "one value per instant",
            )
        back = np.flatnonzero(np.diff(self.known_at) <= 0)
        if back.size:
            raise DataError(
                f"{self.name}: row {int(back[0]) + 2} is not after the row before it",
                "instants that ascend, each once",
            )
        bad = ~np.isfinite(self.value)
        if bad.any():
            raise DataError(
                f"{self.name}: row {int(np.argmax(bad)) + 1} is {self.value[bad][0]}",
                "a finite number, or no row",
            )
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        digest.update(self.known_at.astype("<i8", copy=False).tobytes())
        digest.update(self.value.astype("<f8", copy=False).tobytes())
        object.__setattr__(self, "content_hash", digest.hexdigest())

    def current(self) -> "ExternalData":
        """Return itself: what is in memory does not change."""
        return self

    def known_by(self, instant: Milliseconds) -> "ExternalData":
        """Return what of it was known by ``instant``."""
        count = int(np.searchsorted(self.known_at, instant, side="right"))
        return ExternalData(self.name, self.known_at[:count], self.value[:count])

    def at(self, close_time: Integers, max_age: Milliseconds) -> tuple[Floats, Floats]:
        """Return, per instant, the newest value known then and 1, or 0 and 0; both shape (n,)."""
        newest = np.searchsorted(self.known_at, close_time, side="right") - 1
        some = newest >= 0
        place = np.maximum(newest, 0)
        if not self.known_at.size:
            return np.zeros(close_time.shape), np.zeros(close_time.shape)
        fresh = some & (close_time - self.known_at[place] <= max_age)
        return np.where(fresh, self.value[place], 0.0), fresh.astype(np.float64)


def read_external(path: Path, name: str) -> ExternalData:
    """Read a CSV or Parquet file with the columns ``time`` (when the value was known) and ``name``.

    DataError if it cannot be read, lacks a column, or its times say no time zone.
    """
    import polars as pl

    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).strip().partition("\n")[0]
        raise DataError(f"{path}: {why}", "a CSV or Parquet file") from error
    missing = sorted({"time", name} - set(frame.columns))
    if missing:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}",
            f"the columns time and {name}",
        )
    stamps = parse_stamps(frame["time"], None, "'time'")
    if stamps.assumed_utc:
        raise DataError(
            f"{path}: times without a time zone",
            "times in UTC that say so, such as 2024-01-31T09:30:00Z, or numbers since 1970",
        )
    if not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.String):
        raise DataError(f"{path}: column {name} holds {frame[name].dtype}", "numbers")
    values = frame[name].cast(pl.Float64, strict=False)
    bad = values.is_null()
    if bad.any():
        row = bad.arg_max() or 0
        raise DataError(f"{path}: row {row + 1} of {name} is {frame[name][row]!r}", "a number")
    return ExternalData(name, stamps.milliseconds, values.to_numpy().astype(np.float64))


class ExternalSource(Protocol):
    """Where the values of one column come from."""

    def current(self) -> ExternalData:
        """Return what is known by now."""
        ...


class ExternalFile:
    """A file that somebody keeps writing: read again when it has changed, the last good one kept."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._seen = self._mark()
        self._data = read_external(path, name)

    def current(self) -> ExternalData:
        """Return the newest good content; a bad one is said in the log and changes nothing.

        The values then grow older than their ``max_age`` and count as unknown.
        """
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            try:
                self._data = read_external(self._path, self._name)
            except DataError as error:
                _log.warning("external file unusable, its last good content stays", why=str(error))
        return self._data

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            now = self._path.stat()
        except OSError:
            return None
        return now.st_mtime_ns, now.st_size, now.st_ino


def open_externals(files: Mapping[str, Path]) -> dict[str, ExternalSource]:
    """Open one file per external column, by the column's name; DataError if one is unusable."""
    return {name: ExternalFile(path, name) for name, path in files.items()}
