"""Which column of a table means what: by its name, or by its values, and verified either way.

A name is only a claim. High and low must enclose open and close; open must follow the close before
it rather than the other way round; of several volumes the base volume is the one that, times the
price, gives another. Where that fails or leaves a choice, the file is refused and asked about.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from adan_core.data.stamps import is_epoch, looks_like_time
from adan_core.data.tables import Table
from adan_core.domain.errors import DataError

Floats = NDArray[np.float64]


class Role(StrEnum):
    """What a column can mean."""

    TIME = "time"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"


_PRICES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
_TIMES = (
    "timestamp", "unix", "unixtime", "unixtimestamp", "opentime", "ts", "t", "datetime", "time",
    "date", "opendate", "starttime", "begin", "start", "index", "indexlevel0",
)  # fmt: skip
_NAMES: dict[Role, frozenset[str]] = {
    Role.OPEN: frozenset({"open", "o", "openprice", "priceopen", "opening", "first"}),
    Role.HIGH: frozenset({"high", "h", "highprice", "pricehigh", "highest", "max"}),
    Role.LOW: frozenset({"low", "l", "lowprice", "pricelow", "lowest", "min"}),
    Role.CLOSE: frozenset({"close", "c", "closeprice", "priceclose", "closing", "last"}),
}
_NOT_NUMBERS = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})
_MISREAD_SHARE = 0.05
_NEARLY_ALL = 0.98
_ENOUGH = 30


@dataclass(frozen=True, slots=True)
class Mapped:
    """A table's columns by role: the index of each, and its numbers (NaN where it has none).

    ``exchanged`` marks the rows whose volume in base currency stands in another column than in the
    other rows; ``volumes`` holds it from there. All arrays have shape (rows,).
    """

    time: int
    prices: tuple[int, int, int, int]
    volume: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volumes: Floats
    exchanged: NDArray[np.bool_]

    def describe(self, table: Table) -> str:
        """Return which column was read as what."""
        indices = (self.time, *self.prices, self.volume)
        return ", ".join(
            f"{role} from column {table.column(index)}"
            for role, index in zip(Role, indices, strict=True)
        )


def map_columns(table: Table, symbol: str, chosen: Mapping[Role, str]) -> Mapped:
    """Find time, prices and volume in ``table``; ``chosen`` names columns the operator stated.

    A column without a name is stated by its number, from 1. Raises DataError if one is missing,
    ambiguous, holds no numbers, if the values contradict the names, or if the only volume says that
    it is counted in the quote currency of ``symbol``.
    """
    stated = {role: _stated(table, role, text) for role, text in chosen.items()}
    time = stated.get(Role.TIME)
    if time is None:
        time = _time_column(table)
    if table.names is None and not all(role in stated for role in _PRICES):
        prices = _prices_by_value(table, time)
    else:
        first, second, third, fourth = (
            stated.get(role, _by_name(table, role) if role not in stated else 0) for role in _PRICES
        )
        prices = (first, second, third, fourth)
    opening, high, low, close = (numbers(table, index) for index in prices)
    _verify(table, opening, high, low, close)
    exchanged = np.zeros(close.shape, dtype=np.bool_)
    if Role.VOLUME in stated:
        volume = stated[Role.VOLUME]
        volumes = numbers(table, volume)
    else:
        found = _volume_columns(table, taken={time, *prices}, after=max(prices))
        _refuse_quote_volume(table, symbol, found)
        volume, volumes, exchanged = _base_volume(table, close, found)
    return Mapped(time, prices, volume, opening, high, low, close, volumes, exchanged)


def verify_sequence(open_time: NDArray[np.int64], opening: Floats, close: Floats) -> None:
    """Refuse (DataError) a table whose open and close are exchanged; times may be in any order.

    In any market a candle opens nearer to the close before it than that one's open lies to its
    close; exchanged columns turn this round.
    """
    order = np.argsort(open_time, kind="stable")
    usable = order[(opening[order] > 0.0) & (close[order] > 0.0)]
    if usable.size < _ENOUGH:
        return
    first, last = np.log(opening[usable]), np.log(close[usable])
    as_named = float(np.mean(np.abs(first[1:] - last[:-1])))
    exchanged = float(np.mean(np.abs(last[1:] - first[:-1])))
    if as_named > 3.0 * exchanged:
        raise DataError(
            "each candle's close is the next one's close before its open",
            "candles that open where the one before closed",
            "open and close look exchanged: name them with --column open=... --column close=...",
        )


def numbers(table: Table, index: int) -> Floats:
    """Return a column as float64, NaN where it says that it has none; DataError names bad text."""
    import polars as pl

    column = table.columns[index]
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        converted = text.cast(pl.Float64, strict=False)
        bad = converted.is_null() & text.is_not_null()
        bad &= ~text.str.to_lowercase().is_in(list(_NOT_NUMBERS)).fill_null(value=True)
        if bad.any():
            row = bad.arg_max() or 0
            raise DataError(
                f"row {row + 1} of column {table.column(index)} is {text[row]!r}", "a number"
            )
    elif column.dtype.is_numeric():
        converted = column.cast(pl.Float64)
    else:
        raise DataError(f"column {table.column(index)} holds {column.dtype}", "numbers")
    return converted.fill_null(float("nan")).to_numpy().astype(np.float64)


def _stated(table: Table, role: Role, text: str) -> int:
    if table.names is not None and table.names.count(text) == 1:
        return table.names.index(text)
    if table.names is None and text.isdecimal() and 1 <= int(text) <= len(table.columns):
        return int(text) - 1
    raise DataError(f"no column {text!r} for {role}", _offer(table))


def _offer(table: Table) -> str:
    if table.names is None:
        return f"a number from 1 to {len(table.columns)} (the file has no header)"
    return f"one of {', '.join(table.names)}"


def _plain(name: str) -> str:
    return re.sub(r"^\d+", "", re.sub(r"[^a-z0-9]", "", name.lower()))


def _by_name(table: Table, role: Role) -> int:
    names = table.names or ()
    found = [index for index, name in enumerate(names) if _plain(name) in _NAMES[role]]
    if len(found) != 1:
        raise DataError(
            f"{len(found)} columns look like {role} among {', '.join(names)}",
            "exactly one",
            f"state it with --column {role}=NAME",
        )
    return found[0]


def _time_column(table: Table) -> int:
    if table.names is None:
        found = [index for index, each in enumerate(table.columns) if looks_like_time(each)]
    else:
        plain = [re.sub("utc|gmt", "", _plain(name)) for name in table.names]
        named = [plain.index(name) for name in _TIMES if name in plain]
        found = [index for index in named if looks_like_time(table.columns[index])] or named
    if not found:
        raise DataError(
            "no column looks like the time", _offer(table), "state it with --column time=NAME"
        )
    # Numbers since 1970 need no time zone, so they are preferred to text.
    return next((index for index in found if is_epoch(table.columns[index])), found[0])


def _prices_by_value(table: Table, time: int) -> tuple[int, int, int, int]:
    """Find four columns side by side of which one is the highest, one the lowest, row by row.

    Volumes stand above all prices of many a market, too; but a candle's own high is near its low.
    """
    numeric = [
        index for index in range(len(table.columns)) if index != time and _numeric(table, index)
    ]
    found: list[tuple[float, tuple[int, int, int, int]]] = []
    for start in range(len(numeric) - 3):
        prices = _order_of(table, time, numeric[start : start + 4])
        if prices is not None:
            high, low = numbers(table, prices[1]), numbers(table, prices[2])
            usable = (low > 0.0) & np.isfinite(high)
            found.append((float(np.median(high[usable] / low[usable])), prices))
    if found:
        return min(found)[1]
    raise DataError(
        "no four columns side by side are open, high, low and close",
        "one never below, one never above the others",
        "state them by number with --column open=2 and so on",
    )


def _order_of(table: Table, time: int, block: list[int]) -> tuple[int, int, int, int] | None:
    """Return which columns of ``block`` are open, high, low and close; None if they are no prices."""
    values = [numbers(table, index) for index in block]
    fits: list[tuple[float, tuple[int, int, int, int]]] = []
    for first, top, bottom, last in permutations(range(4)):
        enclosed = _enclosed(values[first], values[top], values[bottom], values[last])
        usable = (values[bottom] > 0.0) & np.isfinite(values[top])
        if float(np.mean(enclosed)) >= 1.0 - _MISREAD_SHARE and bool(usable.any()):
            jump = _jump(table, time, values[first], values[last])
            fits.append((jump, (block[first], block[top], block[bottom], block[last])))
    fits.sort()
    if len(fits) == 1 or (len(fits) > 1 and fits[0][0] < 0.9 * fits[1][0]):
        return fits[0][1]
    # Flat candles fit in any order; the order every exchange uses is then the only claim.
    usual = (block[0], block[1], block[2], block[3])
    return usual if any(fit[1] == usual for fit in fits) else None


def _jump(table: Table, time: int, opening: Floats, close: Floats) -> float:
    """Return the mean distance from a close to the next open, in the order of time."""
    import polars as pl

    stamps = table.columns[time]
    if stamps.dtype == pl.String and is_epoch(stamps):
        stamps = stamps.cast(pl.Float64, strict=False)
    order = stamps.arg_sort().to_numpy()
    known = np.isfinite(opening[order][1:]) & np.isfinite(close[order][:-1])
    gaps = np.abs(opening[order][1:][known] - close[order][:-1][known])
    return float(np.mean(gaps)) if gaps.size else 0.0


def _numeric(table: Table, index: int) -> bool:
    try:
        return bool(np.isfinite(numbers(table, index)).any())
    except DataError:
        return False


def _enclosed(opening: Floats, high: Floats, low: Floats, close: Floats) -> NDArray[np.bool_]:
    """Return which candles are consistent; those without all four numbers count as such."""
    known = np.isfinite(opening) & np.isfinite(high) & np.isfinite(low) & np.isfinite(close)
    inside = (high >= np.maximum(opening, close)) & (low <= np.minimum(opening, close))
    consistent: NDArray[np.bool_] = inside | ~known
    return consistent


def _verify(table: Table, opening: Floats, high: Floats, low: Floats, close: Floats) -> None:
    bad = ~_enclosed(opening, high, low, close)
    if bad.shape[0] >= _ENOUGH and float(np.mean(bad)) > _MISREAD_SHARE:
        row = int(np.argmax(bad))
        raise DataError(
            f"{int(bad.sum())} of {bad.shape[0]} rows have a high below, or a low above, their open "
            f"or close (first: row {row + 1}: {opening[row]:g}, {high[row]:g}, {low[row]:g}, "
            f"{close[row]:g}); the columns were misread, or are misnamed",
            "high and low that enclose open and close",
            f"state the columns with --column; there are {_offer(table)}",
        )


def _volume_columns(table: Table, taken: set[int], after: int) -> list[int]:
    """Return the columns that could be the volume in base currency."""
    if table.names is None:
        later = range(after + 1, len(table.columns))
        return [index for index in later if index not in taken and _numeric(table, index)][:1]
    plain = [_plain(name) for name in table.names]
    return [
        index
        for index, name in enumerate(plain)
        if index not in taken and (name.startswith(("vol", "basevol")) or name in {"v", "qty"})
    ]


def _refuse_quote_volume(table: Table, symbol: str, found: list[int]) -> None:
    """Refuse a single volume whose name says the quote currency and not the base."""
    if table.names is None or len(found) != 1:
        return
    base, quote = symbol.split("/")
    words = set(re.split(r"[^A-Z0-9]+", table.names[found[0]].upper()))
    if quote in words and base not in words:
        raise DataError(
            f"the only volume, column {table.column(found[0])}, is counted in {quote}",
            f"volume in {base}",
            f"take it as it is with --column volume={table.names[found[0]]!r}",
        )


def _base_volume(
    table: Table, close: Floats, found: list[int]
) -> tuple[int, Floats, NDArray[np.bool_]]:
    """Return the base volume's column and numbers, and the rows where two columns are exchanged.

    Of two volumes the base volume is the one that, times the price, gives the other.
    """
    if len(found) == 1:
        return found[0], numbers(table, found[0]), np.zeros(close.shape, dtype=np.bool_)
    if len(found) == 2:
        first, second = (numbers(table, index) for index in found)
        plain, turned = _gives(first, second, close), _gives(second, first, close)
        told = (first > 0.0) & (second > 0.0) & (close > 0.0)
        shares = [float(np.mean(each[told])) if told.any() else 0.0 for each in (plain, turned)]
        if sum(shares) > _NEARLY_ALL:
            # What most rows say is the rule, and the rows that say the contrary are exchanged.
            if shares[0] >= shares[1]:
                exchanged = turned & ~plain
                return found[0], np.where(exchanged, second, first), exchanged
            exchanged = plain & ~turned
            return found[1], np.where(exchanged, first, second), exchanged
    raise DataError(
        f"{len(found)} columns could be the volume in base currency"
        + "".join(f", {table.column(index)}" for index in found),
        "exactly one column",
        "state it with --column volume=NAME",
    )


def _gives(base: Floats, quote: Floats, close: Floats) -> NDArray[np.bool_]:
    """Return in which rows ``base`` times the price is about ``quote``."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = quote / (base * close)
    fits: NDArray[np.bool_] = (ratio > 0.5) & (ratio < 2.0)
    return fits
