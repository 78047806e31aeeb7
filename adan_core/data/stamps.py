"""Time stamps of files: seconds to nanoseconds since 1970, ISO 8601 text, or typed columns.

The rule for time zones: numbers since 1970 are UTC by definition; text and typed columns that say
their offset are taken at their word; those that do not are UTC unless a time zone is given, and
that this was assumed is reported. A zone given for stamps that carry one is refused.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars as pl

# (milliseconds are stamp * numerator // denominator); the ranges of 2001 to 2100 do not overlap
_UNITS = (("s", 1_000, 1), ("ms", 1, 1), ("us", 1, 1_000), ("ns", 1, 1_000_000))
_EARLIEST = 978_307_200_000
_LATEST = 4_102_444_800_000
_OFFSET = r"(?:[Zz]|\s?UTC|[+-]\d{2}:?\d{2})$"
_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
)


@dataclass(frozen=True, slots=True)
class Stamps:
    """Instants in milliseconds (UTC), shape (n,), and whether UTC had to be assumed."""

    milliseconds: NDArray[np.int64]
    assumed_utc: bool


def check_zone(zone: str | None) -> str | None:
    """Return ``zone`` if it names a time zone (or is None); UsageError otherwise."""
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(f"time zone {zone!r}", "a name such as UTC or Europe/Paris") from error
    return zone


def looks_like_time(column: "pl.Series") -> bool:
    """Return whether the first value of ``column`` reads as an instant between 2001 and 2100."""
    try:
        parse_stamps(column.head(1), None, "first row")
    except DataError:
        return False
    return True


def is_epoch(column: "pl.Series") -> bool:
    """Return whether ``column`` holds numbers (since 1970), typed or as text."""
    import polars as pl

    if column.dtype == pl.String:
        return column.head(1).str.strip_chars().str.contains(r"^\d+(\.\d*)?([eE]\+?\d+)?$").all()
    return column.dtype.is_numeric()


def parse_stamps(column: "pl.Series", zone: str | None, name: str) -> Stamps:
    """Return the instants in ``column``.

    DataError names the first row that is empty, no time, outside 2001-2100, of another unit than
    the rest, not a whole number of milliseconds, or skipped or repeated by a clock change.
    """
    import polars as pl

    missing = column.is_null()
    if missing.any():
        raise DataError(f"row {_first(missing)} of column {name} is empty", "a time in each row")
    if is_epoch(column):
        _refuse_zone(zone, name)
        return Stamps(_epoch(column, name), assumed_utc=False)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if column.dtype == pl.String:
        column = _text(column.str.strip_chars(), name)
    if not isinstance(column.dtype, pl.Datetime):
        raise DataError(f"column {name} holds {column.dtype}", "times")
    carried = column.dtype.time_zone
    if carried is not None:
        _refuse_zone(zone, name)
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif zone is not None:
        column = _local(column, zone, name)
    counts = column.dt.timestamp("ns" if column.dtype == pl.Datetime("ns") else "us").to_numpy()
    per = 1_000_000 if column.dtype == pl.Datetime("ns") else 1_000
    broken = counts % per != 0
    if broken.any():
        raise DataError(
            f"row {int(np.argmax(broken)) + 1} of column {name} is no whole number of milliseconds"
        )
    whole = (counts // per).astype(np.int64)
    _refuse_outside((whole < _EARLIEST) | (whole >= _LATEST), column, name)
    return Stamps(whole, assumed_utc=carried is None and zone is None)


def _epoch(column: "pl.Series", name: str) -> NDArray[np.int64]:
    import polars as pl

    text = column.dtype == pl.String
    if text:
        column = column.str.strip_chars()
    exact = column.cast(pl.Int64, strict=False)
    if exact.null_count() or (not text and not column.dtype.is_integer()):
        floats = column.cast(pl.Float64, strict=False)
        bad = floats.is_null() | ~floats.is_finite()
        if bad.any():
            row = _first(bad)
            raise DataError(f"row {row} of column {name} is {column[row - 1]!r}", "a time")
        return _fractional(floats.to_numpy(), column, name)
    values = exact.to_numpy().astype(np.int64)
    for _, numerator, denominator in _UNITS:
        low = _EARLIEST * denominator // numerator
        high = _LATEST * denominator // numerator
        if low <= values[0] < high:
            _refuse_outside((values < low) | (values >= high), column, name)
            broken = (values * numerator) % denominator != 0
            if broken.any():
                raise DataError(
                    f"row {int(np.argmax(broken)) + 1} of column {name} "
                    "is no whole number of milliseconds"
                )
            return values * numerator // denominator
    raise _outside(column, name, 0)


def _fractional(values: NDArray[np.float64], column: "pl.Series", name: str) -> NDArray[np.int64]:
    for _, numerator, denominator in _UNITS:
        scaled = values * (numerator / denominator)
        if _EARLIEST <= scaled[0] < _LATEST:
            _refuse_outside((scaled < _EARLIEST) | (scaled >= _LATEST), column, name)
            whole = np.rint(scaled)
            broken = np.abs(scaled - whole) > 1e-3
            if broken.any():
                raise DataError(
                    f"row {int(np.argmax(broken)) + 1} of column {name} "
                    "is no whole number of milliseconds"
                )
            return whole.astype(np.int64)
    raise _outside(column, name, 0)


def _text(column: "pl.Series", name: str) -> "pl.Series":
    """Parse year-first dates; day-first and month-first ones are ambiguous and refused."""
    offset = column.str.contains(_OFFSET)
    if offset.any() and not offset.all():
        raise DataError(
            f"row {_first(offset != offset[0])} of column {name} differs from the first in saying "
            "its offset",
            "an offset in every row or in none",
        )
    plain = (
        column.str.replace(_OFFSET, "")
        .str.replace(r"^(\d{4})[-/.](\d{2})[-/.](\d{2})T", "$1-$2-$3 ")
        .str.replace(r"^(\d{4})[/.](\d{2})[/.](\d{2})", "$1-$2-$3")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})$", "$1 00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}) (\d{2})-([AaPp][Mm])$", "$1 $2:00 $3")
    )
    attempts = [
        plain.str.to_datetime(pattern, time_unit="us", strict=False, exact=True)
        for pattern in _FORMATS
    ]
    parsed = min(attempts, key=lambda attempt: attempt.null_count())
    unread = parsed.is_null()
    if unread.any():
        row = _first(unread)
        raise DataError(
            f"row {row} of column {name} is {column[row - 1]!r}",
            "a time written year first, such as 2024-01-31 09:30:00",
        )
    return _shifted(parsed, column) if offset.any() else parsed


def _shifted(parsed: "pl.Series", column: "pl.Series") -> "pl.Series":
    """Return ``parsed`` (local) as UTC, by the offset that each row of ``column`` ends with."""
    import polars as pl

    parts = column.str.extract(r"([+-]\d{2}:?\d{2})$").fill_null("+0000").str.replace(":", "")
    sign = pl.select(pl.when(parts.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    minutes = sign * (
        parts.str.slice(1, 2).cast(pl.Int64) * 60 + parts.str.slice(3, 2).cast(pl.Int64)
    )
    local = parsed.dt.timestamp("us") - minutes * 60_000_000
    return local.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _local(column: "pl.Series", zone: str, name: str) -> "pl.Series":
    import polars as pl

    try:
        aware = column.dt.replace_time_zone(zone, ambiguous="raise", non_existent="raise")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"column {name} in {zone}: {str(error).splitlines()[0]}",
            "times that exist once in that zone",
            "export the file with UTC stamps",
        ) from error
    return aware.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _refuse_zone(zone: str | None, name: str) -> None:
    if zone is not None:
        raise DataError(
            f"time zone {zone} was given, but column {name} says its own",
            "a time zone only for stamps without one",
            "leave --time-zone out",
        )


def _refuse_outside(outside: NDArray[np.bool_], column: "pl.Series", name: str) -> None:
    if outside.any():
        raise _outside(column, name, int(np.argmax(outside)))


def _outside(column: "pl.Series", name: str, index: int) -> DataError:
    import polars as pl

    text = column.dtype == pl.String
    # A date past the year 9999 has no Python value to show; its count since 1970 always has.
    value = repr(column[index]) if text else str(column.slice(index, 1).to_physical()[0])
    return DataError(
        f"row {index + 1} of column {name} is {value}",
        "a time from 2001 to 2100, all rows in one unit (s, ms, us or ns)",
    )


def _first(mask: "pl.Series") -> int:
    place = mask.arg_max()
    return 1 if place is None else place + 1
