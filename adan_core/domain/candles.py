"""Candles and the timeframes they span."""

import re
from dataclasses import dataclass

from adan_core.domain.errors import DataError
from adan_core.domain.time import DAY, HOUR, MINUTE, Milliseconds

_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
_PATTERN = re.compile(r"([1-9]\d{0,3})([mhd])")


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """The span of one candle, e.g. five minutes; ordered by length."""

    duration: Milliseconds

    @classmethod
    def parse(cls, text: str) -> "Timeframe":
        """Return the timeframe written as ``5m``, ``4h`` or ``1d``; DataError if it is none."""
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            raise DataError(
                f"timeframe {text!r}", "a number and m, h or d", "write it like 5m, 1h or 1d"
            )
        return cls(int(match[1]) * _UNITS[match[2]])

    def __str__(self) -> str:
        for letter, unit in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
            if self.duration % unit == 0:
                return f"{self.duration // unit}{letter}"
        return f"{self.duration}ms"


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle: its opening time, prices in quote currency, volume in base currency."""

    open_time: Milliseconds
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class ClosedCandles:
    """The candles of one timeframe that closed at one instant, one per symbol, in symbol order.

    ``age`` is how long ago that was when the feed had them, by the market's own clock.
    ``settle_only``: they came late, or while the feed could not be trusted to be up to date, so that
    fills are booked and nothing is decided on them.
    """

    close_time: Milliseconds
    candles: tuple[tuple[str, Candle], ...]
    age: Milliseconds = 0
    settle_only: bool = False
