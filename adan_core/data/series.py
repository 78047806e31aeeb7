"""A symbol's candles as columns: immutable, in order, internally consistent, with a content hash."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, iso

SYMBOL_PATTERN = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")


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

    ``open_time`` is int64 milliseconds (UTC), strictly ascending and on the timeframe's grid.
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
    _hash: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        check_symbol(self.symbol)
        object.__setattr__(self, "open_time", _frozen(self.open_time, np.int64))
        for name in ("open", "high", "low", "close", "volume"):
            column = _frozen(getattr(self, name), np.float64)
            if column.shape != self.open_time.shape or column.ndim != 1:
                raise DataError(
                    f"column {name} of {self.symbol} has shape {column.shape}",
                    f"shape {self.open_time.shape}, one value per candle",
                )
            object.__setattr__(self, name, column)
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
        """BLAKE2b-128 in hexadecimal over symbol, timeframe and arrays; travels with models."""
        if not self._hash:
            digest = hashlib.blake2b(digest_size=16)
            digest.update(f"{self.symbol}\0{self.timeframe.duration}\0{len(self)}\0".encode())
            digest.update(self.open_time.astype("<i8", copy=False).data)
            for column in (self.open, self.high, self.low, self.close, self.volume):
                digest.update(column.astype("<f8", copy=False).data)
            object.__setattr__(self, "_hash", digest.hexdigest())
        return self._hash

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

    def index_at(self, instant: Milliseconds) -> int:
        """Return the index of the first candle that opens at or after ``instant`` (n if none)."""
        return int(np.searchsorted(self.open_time, instant, side="left"))

    def _check_times(self) -> None:
        order = np.flatnonzero(np.diff(self.open_time) <= 0)
        if order.size:
            row = int(order[0]) + 1
            raise DataError(
                f"row {row} of {self.symbol} opens at {self._when(row)}, "
                f"not after row {row - 1} ({self._when(row - 1)})",
                "opening times that strictly ascend",
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
        body_top = np.maximum(self.open, self.close)
        body_bottom = np.minimum(self.open, self.close)
        self._refuse(self.high < body_top, "high", "high >= open and close")
        self._refuse(self.low > body_bottom, "low", "low <= open and close")

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


def concatenate(parts: Sequence[CandleSeries]) -> CandleSeries:
    """Return series of one symbol and timeframe, given in order of time, as one.

    DataError if there is none, if they differ in symbol, timeframe or origin, or are out of order.
    """
    if not parts:
        raise DataError("no candles to join", "at least one series")
    first = parts[0]
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
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
        first.synthetic,
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
