"""Validation: every defect of raw candles is found, placed and treated as the policy says.

Checks run in the order of ``FindingCode``. A row that breaks one is left out of the later ones, so
one defect is not reported under several names; all kinds are reported at once, whatever is refused.
"""

from dataclasses import fields

import numpy as np

from adan_core.data.clock_changes import local_time
from adan_core.data.findings import (
    NOWHERE,
    Finding,
    FindingCode,
    Policy,
    Spans,
    Treatment,
    finding,
)
from adan_core.data.holes import find_holes
from adan_core.data.invented import interpolated, stuck
from adan_core.data.outliers import outlying
from adan_core.data.raw import RawCandles, Report
from adan_core.data.runs import Mask, Rows, covered
from adan_core.data.series import describe_instant
from adan_core.data.units import price_steps, volume_steps
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import SECOND, Milliseconds

_MOSTLY = 0.9  # a file with this share of steps back in time is newest first, with flaws
_CALENDAR = 253_402_300_800_000  # milliseconds to the year 10 000: no stamp lies beyond


def validate(
    candles: RawCandles,
    timeframe: Timeframe,
    policy: Policy,
    now: Milliseconds | None = None,
    fresh: bool = False,
) -> Report:
    """Check ``candles`` and treat what is found as ``policy`` says; raises nothing.

    With ``now`` candles that have not closed by then are found, too; ``fresh`` says that the newest
    candle claims to be the last one that closed.
    """
    check = _Check(candles, timeframe, policy)
    check.values(now)
    check.order()
    check.clock_changes()
    check.duplicates()
    check.prices()
    check.invented()
    check.zero_volume()
    check.holes()
    if now is not None and fresh:
        check.staleness(now)
    return Report(tuple(check.findings), check.candles, check.spans)


class _Check:
    """One validation under way: the candles still in play and the findings so far."""

    def __init__(self, candles: RawCandles, timeframe: Timeframe, policy: Policy) -> None:
        self.candles = candles
        self.duration = timeframe.duration
        self.timeframe = timeframe
        self.policy = policy
        self.findings: list[Finding] = []
        self.spans: dict[FindingCode, Spans] = {}

    def values(self, now: Milliseconds | None) -> None:
        """Rows that are no candle by themselves: each is found once, and all are left out."""
        each = self.candles
        bad = np.zeros(len(each), dtype=np.bool_)
        prices = (each.open, each.high, each.low, each.close)
        wrong = np.zeros(len(each), dtype=np.bool_)
        for price in prices:
            wrong |= ~(price > 0.0) | np.isinf(price)
        self._rows(FindingCode.NOT_A_PRICE, wrong, bad, "a price that is no positive number")
        for price in (each.open, each.close):
            wrong |= (each.high < price) | (each.low > price)
        self._rows(FindingCode.OHLC, wrong, bad, "high below, or low above, open or close")
        wrong = ~(each.volume >= 0.0) | np.isinf(each.volume)
        self._rows(FindingCode.BAD_VOLUME, wrong, bad, "a volume that is negative or no number")
        wrong = each.open_time % self.duration != 0
        wrong |= (each.open_time >= _CALENDAR) | (each.open_time <= -_CALENDAR)
        self._rows(
            FindingCode.OFF_GRID,
            wrong,
            bad,
            f"an opening time off the {self.timeframe} grid (UTC)",
        )
        if now is not None:
            self._rows(
                FindingCode.UNFINISHED,
                each.open_time > now - self.duration,
                bad,
                f"a candle that had not closed by {describe_instant(now)}",
            )
        if bad.any():
            del each, prices, price
            self._keep(~bad)

    def order(self) -> None:
        """Time that runs backwards: throughout, or here and there."""
        times = self.candles.open_time
        back = times[1:] < times[:-1]
        if not back.any():
            return
        if float(np.mean(back)) > _MOSTLY or not (times[1:] > times[:-1]).any():
            self._add(
                FindingCode.DESCENDING, NOWHERE, "newest candle first", (1, len(self.candles))
            )
            self._keep(slice(None, None, -1))
            times = self.candles.open_time
        late = np.zeros(len(self.candles), dtype=np.bool_)
        late[1:] = times[1:] < np.maximum.accumulate(times)[:-1]
        self._add(FindingCode.DISORDER, self._at(late), "out of order")
        if late.any():
            self._keep(np.argsort(times, kind="stable"))

    def clock_changes(self) -> None:
        """Stamps that skip and repeat the hours a local clock does."""
        told = local_time(self.candles.open_time, self.duration)
        if told is None:
            return
        changes = np.sort(np.array((*told.skipped, *told.doubled), dtype=np.int64))
        # The place is the last candle before the hour that is skipped or shown twice.
        before = np.searchsorted(self.candles.open_time, changes) - 1
        self._add(
            FindingCode.TIME_SHIFT,
            self._at(before),
            f"stamps follow the clocks of {told.zone}: they skip {len(told.skipped)} and repeat "
            f"{len(told.doubled)} of the hours those do (if they are text: --time-zone {told.zone})",
        )

    def duplicates(self) -> None:
        """One opening time twice: the same candle again, or another one that contradicts it."""
        now = self.candles
        again = np.zeros(len(now), dtype=np.bool_)
        again[1:] = now.open_time[1:] == now.open_time[:-1]
        if not again.any():
            return
        rows = np.flatnonzero(again)
        first = np.searchsorted(now.open_time, now.open_time[rows])
        columns = (now.open, now.high, now.low, now.close, now.volume)
        same = np.logical_and.reduce([column[rows] == column[first] for column in columns])
        self._add(FindingCode.DUPLICATE, self._at(rows[same]), "the same candle again")
        self._add(
            FindingCode.CONFLICT,
            self._at(rows[~same]),
            "a second candle for one opening time, with other values",
        )
        del now, columns
        self._keep(~again)

    def prices(self) -> None:
        """Prices far from all those around them, and prices and volumes that change their unit."""
        now, limits = self.candles, self.policy.limits
        bad = outlying(now.high, now.low, now.close, limits.outlier_spreads, limits.outlier_ratio)
        self._add(FindingCode.OUTLIER, self._at(bad), "a price nothing around it supports")
        steps = price_steps(now.open, now.close, bad)
        self._add(
            FindingCode.PRICE_STEP,
            self._at(steps),
            "prices go on at a power of ten times the close before",
        )
        self._add(
            FindingCode.VOLUME_STEP,
            self._at(volume_steps(now.volume, now.close)),
            "volumes go on at the price times what they were, or at that part of it",
        )
        if bad.any() and self.policy.of(FindingCode.OUTLIER) is not Treatment.WARN:
            del now
            self._keep(~bad)

    def invented(self) -> None:
        """Candles no market made: a frozen feed, copies, straight lines."""
        now, limits = self.candles, self.policy.limits
        prices = (now.open, now.high, now.low, now.close)
        adjoining = np.diff(now.open_time) == self.duration
        frozen = stuck(
            prices,
            now.volume,
            adjoining,
            limits.stuck_candles,
            limits.copied_candles,
            limits.chance,
        )
        drawn = interpolated(prices, now.volume, adjoining, limits.interpolated_candles)
        left = np.ones(len(now), dtype=np.bool_)
        for code, found, what in (
            (FindingCode.STUCK, frozen, "that repeat the one before them"),
            (FindingCode.INTERPOLATED, drawn, "on a straight line between their neighbours"),
        ):
            starts, lengths = found
            if not starts.size:
                continue
            spans, candles = self._runs(starts, lengths), int(lengths.sum())
            first = f"the first at row {spans.row[0]} ({describe_instant(int(spans.start[0]))})"
            self._add(code, spans, f"{candles} candles {what}, {first}", (starts.size, candles))
            if self.policy.of(code) is not Treatment.WARN:
                left &= ~covered(starts, lengths, len(now))
        if not left.all():
            del now, prices
            self._keep(left)

    def zero_volume(self) -> None:
        """Candles in which nothing was traded."""
        idle = self.candles.volume == 0.0
        self._add(FindingCode.ZERO_VOLUME, self._at(idle), "no volume")
        if idle.any() and self.policy.of(FindingCode.ZERO_VOLUME) is Treatment.MARK:
            self._keep(~idle)

    def holes(self) -> None:
        """Candles missing between two that are there, and what the volume tells about why."""
        now = self.candles
        holes = find_holes(now.open_time, now.volume, self.duration, self.policy.limits.chance)
        largest = np.argsort(-holes.missing, kind="stable")
        before, missing = holes.before[largest], holes.missing[largest]
        if before.size:
            self._add(
                FindingCode.GAP,
                self._holes(before, missing),
                f"{int(missing.sum())} missing candles, the most ({int(missing[0])}) after "
                f"{describe_instant(int(now.open_time[before[0]]))}",
                (int(before.size), int(missing.sum())),
            )
        outage, no_trade = holes.outage[largest], holes.no_trade[largest]
        idle = self._runs(holes.idle_starts, holes.idle_lengths)
        halted = self._holes(before[outage], missing[outage])
        for code, spans, candles, message in (
            (
                FindingCode.OUTAGE,
                halted.joined(idle),
                int(missing[outage].sum() + holes.idle_lengths.sum()),
                "spans in which the exchange stood still, as the volume beside them tells",
            ),
            (
                FindingCode.NO_TRADE,
                self._holes(before[no_trade], missing[no_trade]),
                int(missing[no_trade].sum()),
                "holes in thin trading: candles without a trade are left out",
            ),
            (
                FindingCode.MISSING,
                self._holes(before[~outage & ~no_trade], missing[~outage & ~no_trade]),
                int(missing[~outage & ~no_trade].sum()),
                "holes that nothing around them explains",
            ),
        ):
            count = len(spans.row)
            self._add(code, spans, f"{count} {message}; {candles} candles", (count, candles))

    def staleness(self, now: Milliseconds) -> None:
        """A newest candle after which another one should have closed long ago."""
        if not len(self.candles):
            return
        limits = self.policy.limits
        grace = max(limits.grace_seconds * SECOND, limits.grace_fraction * self.duration)
        closed = int(self.candles.open_time[-1]) + self.duration
        if now > closed + self.duration + grace:
            self._add(
                FindingCode.STALE,
                self._at(np.array([len(self.candles) - 1])),
                f"the newest candle closed {(now - closed) // SECOND} s ago",
            )

    def _keep(self, chosen: Mask | Rows | slice) -> None:
        """Go on with the ``chosen`` candles; each old column goes before the next one is copied.

        So a history of millions of candles is never held twice beside the caller's own.
        """
        columns = [getattr(self.candles, each.name) for each in fields(RawCandles)]
        self.candles = self.candles.take(np.empty(0, dtype=np.int64))  # a slice would hold on
        for place in range(len(columns)):
            columns[place] = columns[place][chosen]
        self.candles = RawCandles(*columns)

    def _rows(self, code: FindingCode, wrong: Mask, bad: Mask, message: str) -> None:
        """Report the rows that are ``wrong`` and not ``bad`` yet; they are bad from then on."""
        self._add(code, self._at(wrong & ~bad), message)
        bad |= wrong

    def _at(self, where: Mask | Rows) -> Spans:
        rows = np.flatnonzero(where) if where.dtype == np.bool_ else where
        times = self.candles.open_time[rows]
        return Spans(self.candles.row[rows], times, times)

    def _runs(self, starts: Rows, lengths: Rows) -> Spans:
        times = self.candles.open_time
        return Spans(self.candles.row[starts], times[starts], times[starts + lengths - 1])

    def _holes(self, before: Rows, missing: Rows) -> Spans:
        times = self.candles.open_time[before]
        return Spans(self.candles.row[before], times, times + missing * self.duration)

    def _add(
        self,
        code: FindingCode,
        spans: Spans,
        message: str,
        counts: tuple[int, int] | None = None,
    ) -> None:
        if not (counts or spans.row.size) or (counts and not counts[0]):
            return
        self.findings.append(finding(code, self.policy, spans, message, counts))
        if spans.row.size:
            self.spans[code] = spans
