"""Validation: every defect of raw candles is found, placed and treated as the policy says.

Checks run in the order of ``FindingCode``. A row that breaks one is left out of the later ones, so
one defect is not reported under several names; all kinds are reported at once, whatever is refused.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.findings import Finding, FindingCode, Place, Policy, Treatment
from adan_core.data.outliers import outlying
from adan_core.data.series import CandleSeries, describe_instant
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_PLACES = 10
_MOSTLY = 0.9  # a file with this share of steps back in time is newest first, with flaws
_SEVERITY = {
    Treatment.REFUSE: Severity.CRITICAL,
    Treatment.MARK: Severity.WARNING,
    Treatment.WARN: Severity.INFO,
}
_REMEDY = {
    FindingCode.VOLUME_UNITS: "take each row's volume from its own column",
    FindingCode.NOT_A_PRICE: "leave these candles out",
    FindingCode.OHLC: "leave these candles out",
    FindingCode.BAD_VOLUME: "leave these candles out",
    FindingCode.OFF_GRID: "leave these candles out",
    FindingCode.DISORDER: "put the candles in order",
    FindingCode.OUTLIER: "leave these candles out",
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

    def take(self, chosen: Mask | Rows) -> "RawCandles":
        """Return the candles that ``chosen`` (a mask or indices) picks, in its order."""
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
    """What validation found, and the candles that are left when the policy has been followed."""

    findings: tuple[Finding, ...]
    candles: RawCandles

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings for which nothing may be stored."""
        return tuple(each for each in self.findings if each.treatment is Treatment.REFUSE)

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


def validate(candles: RawCandles, timeframe: Timeframe, policy: Policy) -> Report:
    """Check ``candles`` and treat what is found as ``policy`` says; raises nothing."""
    check = _Check(candles, timeframe, policy)
    check.values()
    check.grid()
    check.order()
    check.duplicates()
    check.outliers()
    check.zero_volume()
    check.gaps()
    return Report(tuple(check.findings), check.candles)


class _Check:
    """One validation under way: the candles still in play and the findings so far."""

    def __init__(self, candles: RawCandles, timeframe: Timeframe, policy: Policy) -> None:
        self.candles = candles
        self.timeframe = timeframe
        self.policy = policy
        self.findings: list[Finding] = []

    def values(self) -> None:
        """Prices that are none, candles whose parts contradict each other, impossible volumes."""
        now = self.candles
        prices = np.stack((now.open, now.high, now.low, now.close))
        no_price: Mask = np.any(~np.isfinite(prices) | ~(prices > 0.0), axis=0)
        self._leave_out(FindingCode.NOT_A_PRICE, no_price, "a price that is no positive number")
        now = self.candles
        inside = (now.high >= np.maximum(now.open, now.close)) & (
            now.low <= np.minimum(now.open, now.close)
        )
        self._leave_out(FindingCode.OHLC, ~inside, "high below, or low above, open or close")
        volume = self.candles.volume
        bad = ~(np.isfinite(volume) & (volume >= 0.0))
        self._leave_out(FindingCode.BAD_VOLUME, bad, "a volume that is negative or no number")

    def grid(self) -> None:
        """Candles that do not open where candles of this timeframe do."""
        off = self.candles.open_time % self.timeframe.duration != 0
        self._leave_out(
            FindingCode.OFF_GRID, off, f"an opening time off the {self.timeframe} grid (UTC)"
        )

    def order(self) -> None:
        """Time that runs backwards: throughout, or here and there."""
        steps = np.diff(self.candles.open_time)
        if not (steps < 0).any():
            return
        if float(np.mean(steps < 0)) > _MOSTLY or bool((steps <= 0).all()):
            self._add(FindingCode.DESCENDING, None, 1, len(self.candles), "newest candle first")
            self.candles = self.candles.take(np.arange(len(self.candles) - 1, -1, -1))
        times = self.candles.open_time
        before = np.maximum.accumulate(times)
        late = np.concatenate(([False], times[1:] < before[:-1]))
        count = int(late.sum())
        self._add(FindingCode.DISORDER, late, count, count, "out of order")
        if count:
            self.candles = self.candles.take(np.argsort(times, kind="stable"))

    def duplicates(self) -> None:
        """One opening time twice: the same candle again, or another one that contradicts it."""
        now = self.candles
        again = np.concatenate(([False], np.diff(now.open_time) == 0))[: len(now)]
        if not again.any():
            return
        group = np.cumsum(~again) - 1
        first = np.flatnonzero(~again)[group]
        columns = (now.open, now.high, now.low, now.close, now.volume)
        same = np.logical_and.reduce([column == column[first] for column in columns])
        conflict = again & ~same
        self._add(
            FindingCode.DUPLICATE,
            again & same,
            int((again & same).sum()),
            int((again & same).sum()),
            "the same candle again",
        )
        self._add(
            FindingCode.CONFLICT,
            conflict,
            int(conflict.sum()),
            int(conflict.sum()),
            "a second candle for one opening time, with other values",
        )
        self.candles = now.take(~again)

    def outliers(self) -> None:
        """Prices far from all those around them, in units of what those do."""
        now = self.candles
        bad = outlying(now.open, now.high, now.low, now.close)
        treatment = self.policy.of(FindingCode.OUTLIER)
        message = "a price nothing around it supports"
        if treatment is Treatment.WARN:
            self._add(FindingCode.OUTLIER, bad, int(bad.sum()), int(bad.sum()), message)
        else:
            self._leave_out(FindingCode.OUTLIER, bad, message)

    def zero_volume(self) -> None:
        """Candles in which nothing was traded."""
        idle = self.candles.volume == 0.0
        message = "no volume"
        if self.policy.of(FindingCode.ZERO_VOLUME) is Treatment.MARK:
            self._leave_out(FindingCode.ZERO_VOLUME, idle, message)
        else:
            self._add(FindingCode.ZERO_VOLUME, idle, int(idle.sum()), int(idle.sum()), message)

    def gaps(self) -> None:
        """Candles missing between two that are there; the places are the candles before."""
        times = self.candles.open_time
        missing = np.diff(times) // self.timeframe.duration - 1
        holes = np.flatnonzero(missing > 0)
        if not holes.size:
            return
        largest = holes[np.argsort(-missing[holes], kind="stable")]
        worst = int(largest[0])
        total = int(missing[holes].sum())
        self._add(
            FindingCode.GAP,
            largest,
            int(holes.size),
            total,
            f"{total} missing candles, the most ({missing[worst]}) after "
            f"{describe_instant(int(times[worst]))}",
        )

    def _leave_out(self, code: FindingCode, bad: Mask, message: str) -> None:
        count = int(bad.sum())
        self._add(code, bad, count, count, message)
        if count:
            self.candles = self.candles.take(~bad)

    def _add(
        self, code: FindingCode, where: Mask | Rows | None, count: int, candles: int, message: str
    ) -> None:
        if count:
            self.findings.append(
                found_in(self.candles, code, self.policy, where, message, (count, candles))
            )


def found_in(
    raw: RawCandles,
    code: FindingCode,
    policy: Policy,
    where: Mask | Rows | None,
    message: str,
    counts: tuple[int, int] | None = None,
) -> Finding:
    """Return the finding ``code`` at ``where`` in ``raw`` (a mask, indices, or None: everywhere).

    ``counts`` are occurrences and candles concerned; None: as many as places.
    """
    indices: Rows = np.empty(0, dtype=np.int64)
    if where is not None:
        indices = np.flatnonzero(where) if where.dtype == np.bool_ else where.astype(np.int64)
    places = tuple(Place(int(raw.row[i]), int(raw.open_time[i])) for i in indices[:_PLACES])
    count, candles = counts or (int(indices.size), int(indices.size))
    treatment = policy.of(code)
    return Finding(
        code=code,
        severity=_SEVERITY[treatment],
        treatment=treatment,
        count=count,
        candles=candles,
        places=places,
        message=_placed(message, count, () if code is FindingCode.GAP else places),
    )


def _placed(message: str, count: int, places: tuple[Place, ...]) -> str:
    if not places or places[0].time is None:
        return message
    rows = "row" if count == 1 else f"{count} rows, first row"
    return f"{message}: {rows} {places[0].row} ({describe_instant(places[0].time)})"
