"""A symbol's candles as columns: immutable, in order, internally consistent, with a content hash."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adan_core.data.months import months
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, iso

COLUMNS = ("open", "high", "low", "close", "volume")
"""What a candle says beside its time, in this order wherever candles are hashed or stored."""

SYMBOL_PATTERN = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")
_FIRST_INSTANT = -62_135_596_800_000  # 0001-01-01, the first a calendar of Python's knows
_AFTER_LAST_INSTANT = 253_402_300_800_000  # 10000-01-01


def check_symbol(text: str) -> str:
    """Return ``text`` if it is a symbol such as ``BTC/USDT``; DataError otherwise."""
    if SYMBOL_PATTERN.fullmatch(text) is None:
        raise DataError(
            f"symbol {text!r}", "BASE/QUOTE in capitals and digits", "write it like BTC/USDT"
        )
    return text


@dataclass(frozen=True, slots=True, eq=False)
class CandleSeries:
    """Closed candles of one symbol and timeframe; missing candles are simply absent.

    ``open_time`` is int64 milliseconds (UTC), strictly ascending, on the timeframe's grid and
    between the years 1 and 9999.
    Prices are float64 in quote currency, finite and positive, with ``low`` <= ``open``, ``close``
    <= ``high``; ``volume`` is float64 in base currency, finite, not negative. All arrays have
    shape (n,) and are read-only. DataError names the first row that breaks any of this.
    """

    symbol: str
    timeframe: Timeframe
    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    synthetic: bool
    _month_hashes: tuple[str, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        check_symbol(self.symbol)
        object.__setattr__(self, "open_time", _frozen(self.open_time, np.int64))
        for name in COLUMNS:
            column = _frozen(getattr(self, name), np.float64)
            if column.shape != self.open_time.shape or column.ndim != 1:
                raise DataError(
                    f"column {name} of {self.symbol} has shape {column.shape}",
                    f"shape {self.open_time.shape}, one value per candle",
                )
            object.__setattr__(self, name, column)
        if np.signbit(self.volume).any():  # -0.0 equals 0.0, so it must not have another hash
            object.__setattr__(self, "volume", _frozen(self.volume + 0.0, np.float64))
        self._check_times()
        self._check_values()

    def __len__(self) -> int:
        return int(self.open_time.shape[0])

    @property
    def close_time(self) -> NDArray[np.int64]:
        """The instants at which the candles closed and became known, in milliseconds."""
        return self.open_time + self.timeframe.duration

    @property
    def content_hash(self) -> str:
        """A hash tree's root over symbol, timeframe and the hashes of the months; see `tree_hash`.

        The same candles have the same hash however they were stored, joined or cut; it travels
        with models.
        """
        return tree_hash(self.symbol, self.timeframe, self.month_hashes)

    @property
    def month_hashes(self) -> tuple[str, ...]:
        """BLAKE2b-128 in hexadecimal of each UTC month's candles, in order of time."""
        if not self._month_hashes:
            hashes = tuple(self._hash_of(start, stop) for _, start, stop in months(self.open_time))
            object.__setattr__(self, "_month_hashes", hashes)
        return self._month_hashes

    def candle(self, index: int) -> Candle:
        """Return candle ``index`` (negative: from the end); IndexError if there is none."""
        return Candle(
            open_time=int(self.open_time[index]),
            open=float(self.open[index]),
            high=float(self.high[index]),
            low=float(self.low[index]),
            close=float(self.close[index]),
            volume=float(self.volume[index]),
        )

    def slice(self, start: int, stop: int) -> "CandleSeries":
        """Return candles ``start`` to ``stop`` (excluded) without copying them."""
        rows = slice(start, stop)
        return CandleSeries(
            symbol=self.symbol,
            timeframe=self.timeframe,
            open_time=self.open_time[rows],
            open=self.open[rows],
            high=self.high[rows],
            low=self.low[rows],
            close=self.close[rows],
            volume=self.volume[rows],
            synthetic=self.synthetic,
        )

    def between(self, start: Milliseconds | None, end: Milliseconds | None) -> "CandleSeries":
        """Return the candles that open at or after ``start`` and before ``end`` (None: no bound)."""
        first = 0 if start is None else self.index_at(start)
        last = len(self) if end is None else self.index_at(end)
        whole = first == 0 and last == len(self)
        return self if whole else self.slice(first, max(first, last))

    def index_at(self, instant: Milliseconds) -> int:
        """Return the index of the first candle that opens at or after ``instant`` (n if none)."""
        return int(np.searchsorted(self.open_time, instant, side="left"))

    def _hash_of(self, start: int, stop: int) -> str:
        digest = hashlib.blake2b(digest_size=16, person=b"candles")
        digest.update(self.open_time[start:stop].astype("<i8", copy=False).data)
        for name in COLUMNS:
            digest.update(getattr(self, name)[start:stop].astype("<f8", copy=False).data)
        return digest.hexdigest()

    def _check_times(self) -> None:
        order = np.flatnonzero(self.open_time[1:] <= self.open_time[:-1])
        if order.size:
            row = int(order[0]) + 1
            raise DataError(
                f"row {row} of {self.symbol} opens at {self._when(row)}, "
                f"not after row {row - 1} ({self._when(row - 1)})",
                "opening times that strictly ascend",
            )
        for row in (0, -1) if len(self) else ():
            if not _FIRST_INSTANT <= self.open_time[row] < _AFTER_LAST_INSTANT:
                raise DataError(
                    f"candle {row} of {self.symbol} opens at {self._when(row)}",
                    "a time between the years 1 and 9999",
                )
        off = np.flatnonzero(self.open_time % self.timeframe.duration)
        if off.size:
            row = int(off[0])
            raise DataError(
                f"row {row} of {self.symbol} opens at {self._when(row)}",
                f"opening times on the {self.timeframe} grid (UTC)",
            )

    def _check_values(self) -> None:
        for name in ("open", "high", "low", "close"):
            column = getattr(self, name)
            self._refuse(~(np.isfinite(column) & (column > 0.0)), name, "a finite price above 0")
        self._refuse(
            ~(np.isfinite(self.volume) & (self.volume >= 0.0)), "volume", "a finite volume >= 0"
        )
        above = (self.high < self.open) | (self.high < self.close)
        below = (self.low > self.open) | (self.low > self.close)
        self._refuse(above, "high", "high >= open and close")
        self._refuse(below, "low", "low <= open and close")

    def _refuse(self, bad: NDArray[np.bool_], name: str, expected: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"column {name} of {self.symbol} is {getattr(self, name)[row]} at row {row} "
                f"({self._when(row)})",
                expected,
            )

    def _when(self, row: int) -> str:
        return describe_instant(int(self.open_time[row]))


def tree_hash(symbol: str, timeframe: Timeframe, month_hashes: Sequence[str]) -> str:
    """Return the content hash of the candles whose months, in order of time, have these hashes.

    BLAKE2b-128 in hexadecimal. Over months, so that a store that keeps months apart knows the
    hash of all its candles without reading them, and a new candle changes one month's alone.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"series")
    digest.update(f"{symbol}\0{timeframe.duration}\0{''.join(month_hashes)}".encode())
    return digest.hexdigest()


def concatenate(parts: Sequence[CandleSeries]) -> CandleSeries:
    """Return series of one symbol and timeframe, given in order of time, as one.

    DataError if there is none, if they differ in symbol, timeframe or origin, or are out of order.
    """
    if not parts:
        raise DataError("no candles to join", "at least one series")
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if (part.symbol, part.timeframe, part.synthetic) != (
            first.symbol,
            first.timeframe,
            first.synthetic,
        ):
            raise DataError(
                f"{part.symbol} {part.timeframe} after {first.symbol} {first.timeframe}",
                "one symbol, timeframe and origin",
            )
    return CandleSeries(
        first.symbol,
        first.timeframe,
        np.concatenate([part.open_time for part in parts]),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS},
        synthetic=first.synthetic,
    )


def describe_instant(instant: Milliseconds) -> str:
    """Return ``instant`` as ISO 8601, or as the bare number where no calendar reaches it."""
    try:
        return iso(instant)
    except (ValueError, OverflowError, OSError):
        return f"{instant} ms"


def _frozen(values: NDArray[np.generic], kind: type[np.generic]) -> NDArray[np.generic]:
    """Return a read-only, contiguous view of ``values`` (a copy only where it must be)."""
    view = np.ascontiguousarray(values, dtype=kind).view()
    view.flags.writeable = False
    return view
