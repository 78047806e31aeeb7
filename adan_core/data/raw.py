"""Candles as a file or an exchange gave them, and what validation reports about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adan_core.data.findings import Finding, FindingCode, Spans, Treatment
from adan_core.data.runs import Mask, Rows
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

_LEAVE_OUT = "leave these candles out"
_REMEDY = {
    FindingCode.TIME_ZONE: "state the zone with --time-zone, or read the stamps as UTC",
    FindingCode.TIME_UNITS: "read each stamp in its own unit",
    FindingCode.VOLUME_UNITS: "take each row's volume from its own column",
    FindingCode.NOT_A_PRICE: _LEAVE_OUT,
    FindingCode.OHLC: _LEAVE_OUT,
    FindingCode.BAD_VOLUME: _LEAVE_OUT,
    FindingCode.OFF_GRID: _LEAVE_OUT,
    FindingCode.UNFINISHED: _LEAVE_OUT,
    FindingCode.DISORDER: "put the candles in order",
    FindingCode.OUTLIER: _LEAVE_OUT,
    FindingCode.STUCK: _LEAVE_OUT,
    FindingCode.INTERPOLATED: _LEAVE_OUT,
}


@dataclass(frozen=True, slots=True)
class RawCandles:
    """Candles as a file gave them, not yet trusted.

    Arrays of shape (n,): ``row`` int64, the data row each came from, counted from 1; ``open_time``
    int64 milliseconds (UTC); prices and volume float64, NaN where the file has none.
    """

    row: Rows
    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    @classmethod
    def of(cls, series: CandleSeries) -> "RawCandles":
        """Return a series' candles as if a file had given them."""
        return cls(
            np.arange(1, len(series) + 1, dtype=np.int64),
            series.open_time,
            series.open,
            series.high,
            series.low,
            series.close,
            series.volume,
        )

    def __len__(self) -> int:
        return int(self.open_time.shape[0])

    def take(self, chosen: Mask | Rows | slice) -> "RawCandles":
        """Return the candles that ``chosen`` (a mask, indices or a slice) picks, in its order."""
        return RawCandles(
            self.row[chosen],
            self.open_time[chosen],
            self.open[chosen],
            self.high[chosen],
            self.low[chosen],
            self.close[chosen],
            self.volume[chosen],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What validation found, and the candles that are left when the policy has been followed.

    ``spans`` are all the places of each finding that has any.
    """

    findings: tuple[Finding, ...]
    candles: RawCandles
    spans: Mapping[FindingCode, Spans] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings for which nothing may be stored."""
        return tuple(each for each in self.findings if each.treatment is Treatment.REFUSE)

    def after(self, found: Sequence[tuple[Finding, Spans]]) -> "Report":
        """Return this report with ``found``, from outside the candles alone, put before it."""
        return Report(
            (*(each for each, _ in found), *self.findings),
            self.candles,
            {each.code: spans for each, spans in found if spans.row.size} | dict(self.spans),
        )

    def series(self, symbol: str, timeframe: Timeframe, synthetic: bool) -> CandleSeries:
        """Return the candles as a series; DataError naming the first refusal if there is one."""
        if self.refusals:
            first = self.refusals[0]
            remedy = _REMEDY.get(first.code)
            also = "".join(f", also {each.code}" for each in self.refusals[1:])
            raise DataError(
                f"{first.code}: {first.message}{also}",
                "candles as a market makes them",
                f"correct the file, or {remedy} with --on {first.code}=mark" if remedy else "",
            )
        if not len(self.candles):
            raise DataError("no candle is left", "at least one candle")
        left = self.candles
        return CandleSeries(
            symbol,
            timeframe,
            left.open_time,
            left.open,
            left.high,
            left.low,
            left.close,
            left.volume,
            synthetic,
        )
