"""Scripted faults: what goes wrong at the sandbox, and for which request, candle or update.

A fault names its kind and, counted from 1, the ones it hits: number ``first``, then each
``every``-th after it, ``count`` times in all (None: without end). What is counted depends on the kind:

    requests   every HTTP request whose path and query contain ``where``
    pages      the answers with candles among those requests
    candles    the candles that a stream reports, forming or closed, e.g. ``BTC/USDT 1m``
    updates    the updates that a stream would send

What ``amount`` means depends on the kind, too: ``DESCRIPTIONS``.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from adan_core.domain.candles import Candle
from adan_core.sandbox.market import Kline


class FaultKind(StrEnum):
    """What can go wrong; the words are those of ``adan-core sandbox --fault``."""

    RATE_LIMITED = "rate-limited"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    DROPPED = "dropped"
    CUT = "cut"
    DELAYED = "delayed"
    TRUNCATED = "truncated"
    HTML = "html"
    EMPTY = "empty"
    REPEATED = "repeated"
    SKIPPED = "skipped"
    DISORDERED = "disordered"
    SHORT = "short"
    GAP = "gap"
    NEVER_CLOSED = "never-closed"
    DEVIATING = "deviating"
    SILENT = "silent"
    DUPLICATED = "duplicated"
    LATE = "late"
    DISCONNECTED = "disconnected"
    HALF_OPEN = "half-open"


REQUEST_FAULTS: Final = {
    FaultKind.RATE_LIMITED: "refused for too many; `amount` seconds until another is welcome",
    FaultKind.BANNED: "refused for having ignored that; `amount` seconds until the ban ends",
    FaultKind.UNAVAILABLE: "status 503 from what stands before the exchange: no words of its own",
    FaultKind.OVERLOADED: "the exchange says, in its own words, that it is too busy",
    FaultKind.DROPPED: "the connection is cut before anything is answered",
    FaultKind.CUT: "the connection is cut in the middle of the answer",
    FaultKind.DELAYED: "answered after `amount` seconds of this machine's clock",
    FaultKind.TRUNCATED: "a complete answer whose body stops half way",
    FaultKind.HTML: "status 200 with a web page instead of JSON",
    FaultKind.EMPTY: "status 200 without a body",
}
PAGE_FAULTS: Final = {
    FaultKind.REPEATED: "the page's middle row comes again, `amount` x",
    FaultKind.SKIPPED: "rows in the middle of the page are left out: `amount`",
    FaultKind.DISORDERED: "the page's second half comes before its first",
    FaultKind.SHORT: "the page ends after its first rows: `amount`",
}
CANDLE_FAULTS: Final = {
    FaultKind.GAP: "no update of the candle is sent",
    FaultKind.NEVER_CLOSED: "only the update that closes the candle is missing",
    FaultKind.DEVIATING: "the candle's prices are `amount` times those of REST",
}
UPDATE_FAULTS: Final = {
    FaultKind.SILENT: "the update is not sent; the connection lives and answers pings",
    FaultKind.DUPLICATED: "the update comes twice",
    FaultKind.LATE: "the update comes after the one that follows it",
    FaultKind.DISCONNECTED: "instead of the update the connection is cut",
    FaultKind.HALF_OPEN: "instead of it the connection dies without closing",
}
DESCRIPTIONS: Final = {**REQUEST_FAULTS, **PAGE_FAULTS, **CANDLE_FAULTS, **UPDATE_FAULTS}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and whom it hits; ValueError for numbers that cannot be."""

    kind: FaultKind
    first: int = 1
    every: int = 1
    count: int | None = 1
    where: str = ""
    amount: float = 1.0

    def __post_init__(self) -> None:
        if self.first < 1 or self.every < 1 or (self.count is not None and self.count < 1):
            raise ValueError(f"first, every and count are at least 1; got {self}")
        if not 0.0 < self.amount < float("inf"):
            raise ValueError(f"an amount is positive and finite; got {self.amount}")

    def hits(self, number: int) -> bool:
        """Return whether number ``number`` (from 1) is one that this fault hits."""
        turn, rest = divmod(number - self.first, self.every)
        return turn >= 0 and rest == 0 and (self.count is None or turn < self.count)


@dataclass(frozen=True, slots=True)
class Faults:
    """All that is to go wrong; nothing by default."""

    script: tuple[Fault, ...] = ()


class FaultScript:
    """Counts what passes, and tells which faults it meets; used by the exchange's own thread."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults.script
        self._passed: Counter[int] = Counter()

    def next(self, kinds: Collection[FaultKind], target: str) -> tuple[Fault, ...]:
        """Count ``target`` for each fault of ``kinds`` that looks at it; return those that hit."""
        met = []
        for place, fault in enumerate(self._faults):
            if fault.kind in kinds and fault.where in target:
                self._passed[place] += 1
                if fault.hits(self._passed[place]):
                    met.append(fault)
        return tuple(met)


def spoil_page(rows: list[Kline], faults: tuple[Fault, ...]) -> list[Kline]:
    """Return a page of candles as ``faults`` (of ``PAGE_FAULTS``) leave it."""
    for fault in faults:
        middle = len(rows) // 2
        number = int(fault.amount)
        if fault.kind is FaultKind.REPEATED:
            rows = rows[:middle] + rows[middle : middle + 1] * number + rows[middle:]
        elif fault.kind is FaultKind.SKIPPED:
            rows = rows[:middle] + rows[middle + number :]
        elif fault.kind is FaultKind.DISORDERED:
            rows = rows[middle:] + rows[:middle]
        else:
            rows = rows[:number]
    return rows


def deviate(kline: Kline, factor: float) -> Kline:
    """Return ``kline`` with every price multiplied by ``factor``."""
    candle = kline.candle
    return replace(
        kline,
        candle=Candle(
            candle.open_time,
            candle.open * factor,
            candle.high * factor,
            candle.low * factor,
            candle.close * factor,
            candle.volume,
        ),
    )
