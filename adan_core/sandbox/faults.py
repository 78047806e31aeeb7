"""Scripted faults: what goes wrong at the sandbox, and for which request, candle or update.

A fault names its kind and, counted from 1, the ones it hits: number ``first``, then each
``every``-th after it, ``count`` times in all (None: without end). What is counted depends on the kind:

    requests   every HTTP request whose path and query contain ``where``
    pages      the answers with candles among those requests
    candles    the candles that a stream reports, forming or closed, e.g. ``BTC/USDT 1m``
    updates    the updates that a stream would send

``amount`` is in the unit of the kind; see ``FaultKind``.
"""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from adan_core.domain.candles import Candle
from adan_core.sandbox.market import Kline


class FaultKind(StrEnum):
    """What can go wrong; the words are those of ``adan-core sandbox --fault``."""

    # requests
    RATE_LIMITED = "rate-limited"
    """Refused for too many requests; ``amount`` seconds until another try is welcome."""
    BANNED = "banned"
    """Refused for having ignored that; ``amount`` seconds until the ban is lifted."""
    UNAVAILABLE = "unavailable"
    """Refused with status 503."""
    DROPPED = "dropped"
    """The connection is cut before anything is answered."""
    CUT = "cut"
    """The connection is cut in the middle of the answer."""
    DELAYED = "delayed"
    """Answered after ``amount`` seconds of the machine's clock."""
    TRUNCATED = "truncated"
    """A complete answer whose body stops half way."""
    HTML = "html"
    """Status 200 with a web page instead of JSON."""
    EMPTY = "empty"
    """Status 200 without a body."""

    # pages
    REPEATED = "repeated"
    """The page's middle row comes ``amount`` times more."""
    SKIPPED = "skipped"
    """``amount`` rows in the middle of the page are left out."""
    DISORDERED = "disordered"
    """The page's second half comes before its first."""
    SHORT = "short"
    """The page holds only its first ``amount`` rows."""

    # candles of a stream
    GAP = "gap"
    """No update of the candle is sent."""
    NEVER_CLOSED = "never-closed"
    """Only the update that closes the candle is missing."""
    DEVIATING = "deviating"
    """The candle's prices are ``amount`` times those that REST answers."""

    # updates of a stream
    SILENT = "silent"
    """The update is not sent; the connection stays and answers pings."""
    DUPLICATED = "duplicated"
    """The update comes twice."""
    LATE = "late"
    """The update comes after the one that follows it."""
    DISCONNECTED = "disconnected"
    """Instead of the update the connection is cut."""
    HALF_OPEN = "half-open"
    """Instead of the update the connection falls silent for good: open, but nobody answers."""


REQUEST_FAULTS: Final = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.BANNED,
        FaultKind.UNAVAILABLE,
        FaultKind.DROPPED,
        FaultKind.CUT,
        FaultKind.DELAYED,
        FaultKind.TRUNCATED,
        FaultKind.HTML,
        FaultKind.EMPTY,
    }
)
PAGE_FAULTS: Final = frozenset(
    {FaultKind.REPEATED, FaultKind.SKIPPED, FaultKind.DISORDERED, FaultKind.SHORT}
)
CANDLE_FAULTS: Final = frozenset({FaultKind.GAP, FaultKind.NEVER_CLOSED, FaultKind.DEVIATING})
UPDATE_FAULTS: Final = frozenset(
    {
        FaultKind.SILENT,
        FaultKind.DUPLICATED,
        FaultKind.LATE,
        FaultKind.DISCONNECTED,
        FaultKind.HALF_OPEN,
    }
)


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

    def next(self, kinds: frozenset[FaultKind], target: str) -> tuple[Fault, ...]:
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
