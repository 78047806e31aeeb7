"""Filling a stored data set from a source: only what is missing is asked for, page after page.

Every page is validated and stored before the next one is asked for. So whoever is killed at any
instant and starts again loses at most the page at hand, and what is stored is never asked for
again: which stretches are missing is read from the store itself, there is no other record of how
far a download came.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from adan_core.data.findings import Finding, FindingCode, Policy, Treatment
from adan_core.data.manifest import DatasetInfo
from adan_core.data.series import CandleSeries
from adan_core.data.sources import CandleSource, NewestOnly
from adan_core.data.store import CandleStore
from adan_core.data.validation import validate
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, iso

MOST_HOLES: Final = 100
"""How many holes between stored candles one download asks for again, the largest ones first."""

_MANNERS = (FindingCode.DISORDER, FindingCode.DESCENDING, FindingCode.DUPLICATE)


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """So many ``candles`` without a break, from ``start`` to ``end`` (excluded) in milliseconds."""

    start: Milliseconds
    end: Milliseconds
    candles: int


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a download is: candles of time passed and to pass, and candles newly stored."""

    done: int
    total: int
    added: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download did.

    ``info`` is the data set as it now is; ``added`` counts the candles that this download added,
    which lie within ``added_within``. Of what was asked for, ``holes`` are the stretches without
    candles between ``info.start`` and ``info.end``, ``before`` and ``after`` the ones that lie
    outside; ``shortfall`` says why older candles could not be had.
    """

    info: DatasetInfo
    added: int
    added_within: tuple[Milliseconds, Milliseconds] | None
    holes: tuple[Stretch, ...]
    before: Stretch | None
    after: Stretch | None
    shortfall: NewestOnly | None

    def longest_holes(self, count: int) -> tuple[Stretch, ...]:
        """Return the ``count`` longest holes, the longest first."""
        return tuple(sorted(self.holes, key=lambda hole: -hole.candles)[:count])


class Download:
    """One download of ``source`` into data set ``name``, up to ``until``.

    ``since`` is where it begins; None: where the data set ends. DataError if there is no data set
    yet and ``since`` is None, or if the one there came from elsewhere.
    """

    def __init__(
        self,
        source: CandleSource,
        store: CandleStore,
        name: str,
        since: Milliseconds | None,
        until: Milliseconds,
        policy: Policy,
    ) -> None:
        self._source = source
        self._store = store
        self._name = name
        treatments = {**policy.treatments, **dict.fromkeys(_MANNERS, Treatment.MARK)}
        self._policy = replace(policy, treatments=treatments)
        self._info = store.info(name) if name in store.names() else None
        if self._info is not None:
            _check_origin(self._info, source)
        elif since is None:
            raise DataError(
                f"no data set {name!r} to continue",
                "an instant to begin at",
                "add --since 2021-01-01",
            )
        duration = source.timeframe.duration
        begin = self._info.end if since is None and self._info is not None else since or 0
        self._whole = self._stretch(-(-begin // duration) * duration, until // duration * duration)
        self._shortfall: NewestOnly | None = None
        self._added_within: tuple[Milliseconds, Milliseconds] | None = None
        self.added = 0
        """Candles stored so far by this download."""

    def run(self, report: Callable[[Reached], None]) -> Downloaded:
        """Ask for what is missing, then once more for holes that this left; store what comes.

        Raises what the source and the store raise; what was stored before stays.
        """
        missing = self._missing()
        self._fill(_worth_asking(missing, self._info), report)
        new = [hole for hole in self._holes() if hole not in missing]
        if new:
            self._fill(_largest(new), report)
        if self._info is None:
            raise DataError(
                f"{self._source.description}: no candle from {iso(self._whole.start)} "
                f"to {iso(self._whole.end)}",
                "at least one closed candle",
                "check --since, and whether the market was open then",
            )
        left, info = self._missing(), self._info
        return Downloaded(
            info,
            self.added,
            self._added_within,
            tuple(each for each in left if _is_inside(each, info)),
            next((each for each in left if each.end <= info.start), None),
            next((each for each in left if each.start >= info.end), None),
            self._shortfall,
        )

    def _fill(self, stretches: list[Stretch], report: Callable[[Reached], None]) -> None:
        total = sum(each.candles for each in stretches)
        done = 0
        report(Reached(done, total, self.added))
        for stretch in stretches:
            try:
                for page in self._source.batches(stretch.start, stretch.end):
                    found = validate(page, self._source.timeframe, self._policy)
                    if found.refusals or len(found.candles):
                        self._append(
                            found.series(
                                self._source.symbol, self._source.timeframe, self._source.synthetic
                            ),
                            found.findings,
                        )
                    passed = self._stretch(stretch.start, int(page.open_time.max())).candles + 1
                    report(Reached(done + passed, total, self.added))
            except NewestOnly as error:
                self._shortfall = error
            done += stretch.candles
            report(Reached(done, total, self.added))

    def _append(self, series: CandleSeries, findings: tuple[Finding, ...]) -> None:
        # What only the candles around it can tell is nothing to judge a page by: holes, say.
        told = tuple(
            each
            for each in findings
            if each.treatment is not Treatment.WARN or each.code is FindingCode.ZERO_VOLUME
        )
        self._info, added = self._store.extend(self._name, series, self._source.description, told)
        if added:
            first, last = int(series.open_time[0]), int(series.close_time[-1])
            known = self._added_within or (first, last)
            self._added_within = min(first, known[0]), max(last, known[1])
        self.added += added

    def _stretch(self, start: Milliseconds, end: Milliseconds) -> Stretch:
        return Stretch(start, end, (end - start) // self._source.timeframe.duration)

    def _missing(self) -> list[Stretch]:
        """Return the stretches of the whole without stored candles, in order of time."""
        missing, cursor = [], self._whole.start
        for start, end in self._stored():
            if start > cursor:
                missing.append(self._stretch(cursor, min(start, self._whole.end)))
            cursor = max(cursor, end)
        if cursor < self._whole.end:
            missing.append(self._stretch(cursor, self._whole.end))
        return missing

    def _holes(self) -> list[Stretch]:
        """Return the missing stretches with stored candles on both sides."""
        return [each for each in self._missing() if _is_inside(each, self._info)]

    def _stored(self) -> Iterator[tuple[Milliseconds, Milliseconds]]:
        """Yield the runs of stored candles that reach into the whole, first opening to last closing.

        Months without a gap are known from the manifest alone; only the others are read.
        """
        if self._info is None:
            return
        duration = self._source.timeframe.duration
        for part in self._info.partitions:
            if part.end <= self._whole.start or part.start >= self._whole.end:
                continue
            if part.rows == (part.end - part.start) // duration:
                yield part.start, part.end
                continue
            times = self._store.read(self._name, part.start, part.end).open_time
            edges = np.flatnonzero(np.diff(times) != duration) + 1
            for run in np.split(times, edges):
                yield int(run[0]), int(run[-1]) + duration


def _check_origin(info: DatasetInfo, source: CandleSource) -> None:
    """Refuse (DataError) to add to a data set that has nothing of this venue, its name's first word.

    What an operator added to it from files does not make it another venue's.
    """
    venue = _venue(source.description)
    if all(_venue(part) != venue for part in info.source.split(" + ")):
        raise DataError(
            f"data set {info.name!r} came from: {info.source}",
            f"candles of one venue; these come from: {source.description}",
            "choose another --name",
        )


def _venue(description: str) -> str:
    return description.partition(" ")[0]


def _is_inside(stretch: Stretch, info: DatasetInfo | None) -> bool:
    return info is not None and info.start < stretch.start and stretch.end < info.end


def _worth_asking(missing: list[Stretch], info: DatasetInfo | None) -> list[Stretch]:
    """Return what lies before and after the stored candles, and the largest holes between them."""
    ends = [each for each in missing if not _is_inside(each, info)]
    return sorted(ends + _largest([each for each in missing if _is_inside(each, info)]))


def _largest(holes: list[Stretch]) -> list[Stretch]:
    return sorted(sorted(holes, key=lambda hole: -hole.candles)[:MOST_HOLES])
