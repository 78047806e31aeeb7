"""Time stamps of files: seconds to nanoseconds since 1970, ISO 8601 text, or typed columns.

The rule for time zones: numbers since 1970 are UTC by definition; text and typed columns that say
their offset are taken at their word; those that do not are UTC unless a time zone is given, and
that this was assumed is reported. A zone given for stamps that carry one is refused.

The units of numbers cannot be confused: the years 2001 to 2100 in seconds, milliseconds,
microseconds and nanoseconds are ranges far apart.
"""

import re
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
EARLIEST = 978_307_200_000
LATEST = 4_102_444_800_000
_AWAY_FROM_UTC = re.compile(r"(?:utc|gmt)\s*[+-]\s*\d")
_OFFSET = r"(?:[Zz]|\s?UTC|[+-]\d{2}:?\d{2})$"
_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
)


@dataclass(frozen=True, slots=True)
class Stamps:
    """Instants in milliseconds (UTC), whether UTC had to be assumed, and the rows in another unit.

    ``milliseconds`` is int64, ``other_unit`` bool, both of shape (n,); the latter marks the rows
    whose number counts in another unit than most do.
    """

    milliseconds: NDArray[np.int64]
    assumed_utc: bool
    other_unit: NDArray[np.bool_]


def check_zone(zone: str | None) -> str | None:
    """Return ``zone`` if it names a time zone (or is None); UsageError otherwise."""
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(f"time zone {zone!r}", "a name such as UTC or Europe/Paris") from error
    return zone


def says_utc(name: str) -> bool:
    """Return whether a column's name, or a line above the table, says that its times are UTC."""
    plain = name.lower()
    words = re.findall(r"[a-z]+", plain)
    return _AWAY_FROM_UTC.search(plain) is None and any(
        word.startswith(("utc", "gmt")) or word.endswith(("utc", "gmt")) for word in words
    )


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


def parse_stamps(
    column: "pl.Series", zone: str | None, name: str, several_units: bool = False
) -> Stamps:
    """Return the instants in ``column``.

    DataError names the first row that is empty, no time, outside 2001-2100, of another unit than
    most (unless ``several_units`` are allowed: then each row is read in its own), not a whole
    number of milliseconds, or skipped or repeated by a clock change.
    """
    import polars as pl

    missing = column.is_null()
    if missing.any():
        raise DataError(f"row {_first(missing)} of column {name} is empty", "a time in each row")
    if is_epoch(column):
        _refuse_zone(zone, name)
        milliseconds, other = _epoch(column, name)
        if other.any() and not several_units:
            raise _outside(column, name, int(np.argmax(other)))
        return Stamps(milliseconds, assumed_utc=False, other_unit=other)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("ms"))  # finer units do not reach as far as dates do
    if column.dtype == pl.String:
        column = _text(column.str.strip_chars(), name)
    if not isinstance(column.dtype, pl.Datetime):
        raise DataError(f"column {name} holds {column.dtype}", "times")
    carried = column.dtype.time_zone
    whole = _whole_milliseconds(column, name)
    # Before any clock is asked: one that reaches no further than the calendar may panic.
    _refuse_outside((whole < EARLIEST) | (whole >= LATEST), column, name)
    if carried is not None:
        _refuse_zone(zone, name)
    elif zone is not None:
        whole = _whole_milliseconds(_local(column, zone, name), name)
    same = np.zeros(whole.shape, dtype=np.bool_)
    return Stamps(whole, assumed_utc=carried is None and zone is None, other_unit=same)


def _whole_milliseconds(column: "pl.Series", name: str) -> NDArray[np.int64]:
    """Return a typed column's counts since 1970, of UTC where it knows a zone."""
    import polars as pl

    per = {"ms": 1, "us": 1_000, "ns": 1_000_000}
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else "ms"
    counts = column.to_physical().to_numpy()
    broken = counts % per[unit] != 0
    if broken.any():
        raise DataError(
            f"row {int(np.argmax(broken)) + 1} of column {name} is no whole number of milliseconds"
        )
    return (counts // per[unit]).astype(np.int64)


def _epoch(column: "pl.Series", name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return numbers since 1970 in milliseconds, and the rows in another unit than most."""
    import polars as pl

    text = column.dtype == pl.String
    if text:
        column = column.str.strip_chars()
    exact = column.cast(pl.Int64, strict=False)
    whole_numbers = not exact.null_count() and (text or column.dtype.is_integer())
    values: NDArray[np.int64] | NDArray[np.float64]
    if whole_numbers:
        values = exact.to_numpy().astype(np.int64)
    else:
        floats = column.cast(pl.Float64, strict=False)
        bad = floats.is_null() | ~floats.is_finite()
        if bad.any():
            row = _first(bad)
            raise DataError(f"row {row} of column {name} is {column[row - 1]!r}", "a time")
        values = floats.to_numpy()
    milliseconds = np.zeros(values.shape, dtype=np.int64)
    unit = np.full(values.shape, -1, dtype=np.int8)
    for code, (_, numerator, denominator) in enumerate(_UNITS):
        low = EARLIEST * denominator // numerator
        high = LATEST * denominator // numerator
        inside = (values >= low) & (values < high)
        if inside.any():
            unit[inside] = code
            milliseconds[inside] = _whole(values, inside, numerator, denominator, name)
    _refuse_outside(unit < 0, column, name)
    usual = np.bincount(unit, minlength=len(_UNITS)).argmax() if unit.size else 0
    return milliseconds, unit != usual


def _whole(
    values: NDArray[np.int64] | NDArray[np.float64],
    inside: NDArray[np.bool_],
    numerator: int,
    denominator: int,
    name: str,
) -> NDArray[np.int64]:
    """Return the values ``inside`` one unit's range in milliseconds; DataError if not whole ones."""
    chosen = values[inside]
    if chosen.dtype == np.int64:
        broken = (chosen * numerator) % denominator != 0
        whole = chosen * numerator // denominator
    else:
        scaled = chosen * (numerator / denominator)
        rounded = np.rint(scaled)
        broken = np.abs(scaled - rounded) > 1e-3
        whole = rounded
    if broken.any():
        row = int(np.flatnonzero(inside)[np.argmax(broken)]) + 1
        raise DataError(f"row {row} of column {name} is no whole number of milliseconds")
    return whole.astype(np.int64)


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
    """Return local times with their zone.

    An hour that the clock showed twice can be told apart where a table has it twice, in order: the
    first time each of its stamps comes (the last, newest first) is the earlier one.
    """
    import polars as pl

    time = pl.col("time")
    counts = column.to_physical()  # a date past the year 9999 has no Python value to compare
    backwards = bool(len(counts)) and bool(counts[0] > counts[-1])
    earlier = (time.cum_count().over("time") == 1) ^ pl.lit(value=backwards)
    fold = (
        pl.when(pl.len().over("time") == 2)
        .then(pl.when(earlier).then(pl.lit("earliest")).otherwise(pl.lit("latest")))
        .otherwise(pl.lit("raise"))
    )
    try:
        aware = column.to_frame("time").select(
            time.dt.replace_time_zone(zone, ambiguous=fold, non_existent="raise")
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"column {name} in {zone}: {str(error).splitlines()[0]}",
            "times that exist in that zone, those of an hour it has twice once for each",
            "export the file with UTC stamps",
        ) from error
    return aware["time"]


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
