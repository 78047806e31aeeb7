"""What validation can find in candles, and what is to be done about each kind of finding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.series import describe_instant
from adan_core.domain.alerts import Severity
from adan_core.domain.errors import UsageError
from adan_core.domain.time import Milliseconds

PLACES: Final = 10
"""How many places a finding carries into a data set's sidecar."""


class FindingCode(StrEnum):
    """Every kind of finding.

    The first three only say how a file was understood. ``GAP`` counts every hole; ``OUTAGE``,
    ``NO_TRADE`` and ``MISSING`` divide the holes by what the volume around them tells, and
    ``OUTAGE`` counts idle spans without a hole, too.
    """

    COLUMNS = "columns"
    CLOSE_STAMPS = "close_stamps"
    PREAMBLE = "preamble"
    TIME_ZONE = "time_zone"
    TIME_UNITS = "time_units"
    VOLUME_UNITS = "volume_units"
    NOT_A_PRICE = "not_a_price"
    OHLC = "ohlc"
    BAD_VOLUME = "bad_volume"
    OFF_GRID = "off_grid"
    UNFINISHED = "unfinished"
    DESCENDING = "descending"
    DISORDER = "disorder"
    TIME_SHIFT = "time_shift"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    OUTLIER = "outlier"
    PRICE_STEP = "price_step"
    VOLUME_STEP = "volume_step"
    STUCK = "stuck"
    INTERPOLATED = "interpolated"
    ZERO_VOLUME = "zero_volume"
    GAP = "gap"
    OUTAGE = "outage"
    NO_TRADE = "no_trade"
    MISSING = "missing"
    STALE = "stale"
    DEVIATION = "deviation"
    CONTRADICTION = "contradiction"


class Treatment(StrEnum):
    """What happens to what was found.

    REFUSE: nothing is stored. MARK: it is repaired (rows left out, put in order or read in their
    own unit, never invented) and the mark stays with the data. WARN: it is kept as found and
    reported.
    """

    REFUSE = "refuse"
    MARK = "mark"
    WARN = "warn"


_SEVERITY: Final = {
    Treatment.REFUSE: Severity.CRITICAL,
    Treatment.MARK: Severity.WARNING,
    Treatment.WARN: Severity.INFO,
}
_REFUSE, _MARK, _WARN = Treatment.REFUSE, Treatment.MARK, Treatment.WARN
_ALLOWED: Final[dict[FindingCode, tuple[Treatment, ...]]] = {
    # the first is the default
    FindingCode.TIME_ZONE: (_REFUSE, _MARK),
    FindingCode.TIME_UNITS: (_REFUSE, _MARK),
    FindingCode.VOLUME_UNITS: (_REFUSE, _MARK),
    FindingCode.NOT_A_PRICE: (_REFUSE, _MARK),
    FindingCode.OHLC: (_REFUSE, _MARK),
    FindingCode.BAD_VOLUME: (_REFUSE, _MARK),
    FindingCode.OFF_GRID: (_REFUSE, _MARK),
    FindingCode.UNFINISHED: (_MARK, _REFUSE),
    FindingCode.DESCENDING: (_MARK, _REFUSE),
    FindingCode.DISORDER: (_REFUSE, _MARK),
    FindingCode.TIME_SHIFT: (_REFUSE, _WARN),
    FindingCode.DUPLICATE: (_MARK, _REFUSE),
    FindingCode.CONFLICT: (_REFUSE,),
    FindingCode.OUTLIER: (_REFUSE, _MARK, _WARN),
    FindingCode.PRICE_STEP: (_REFUSE, _WARN),
    FindingCode.VOLUME_STEP: (_REFUSE, _WARN),
    FindingCode.STUCK: (_REFUSE, _MARK, _WARN),
    FindingCode.INTERPOLATED: (_WARN, _MARK, _REFUSE),
    FindingCode.ZERO_VOLUME: (_WARN, _MARK, _REFUSE),
    FindingCode.GAP: (_WARN, _REFUSE),
    FindingCode.OUTAGE: (_WARN, _REFUSE),
    FindingCode.NO_TRADE: (_WARN, _REFUSE),
    FindingCode.MISSING: (_WARN, _REFUSE),
    FindingCode.STALE: (_REFUSE, _WARN),
    FindingCode.DEVIATION: (_WARN, _REFUSE),
    FindingCode.CONTRADICTION: (_REFUSE, _WARN),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something counts as found; the shipped settings say why each is what it is.

    ``outlier_spreads`` local deviations and a factor of ``outlier_ratio``; runs of
    ``stuck_candles`` unchanged, ``copied_candles`` copied or ``interpolated_candles`` straight
    candles; ``chance``, below which a span without trades is no chance; relative deviations of two
    sources; and how late the next candle may be before the newest is stale, in seconds and in
    shares of the timeframe (the longer counts).
    """

    outlier_spreads: float = 12.0
    outlier_ratio: float = 1.5
    stuck_candles: int = 12
    copied_candles: int = 3
    interpolated_candles: int = 3
    chance: float = 1e-6
    deviation_warning: float = 0.05
    deviation_refusal: float = 0.10
    grace_seconds: float = 30.0
    grace_fraction: float = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """A treatment for each kind of finding, kinds not named having their default, and the limits.

    UsageError for a treatment that a kind does not allow: a candle without a price cannot be kept
    as found, and of two candles that contradict each other none can be chosen.
    """

    treatments: Mapping[FindingCode, Treatment] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for code, treatment in self.treatments.items():
            allowed = _ALLOWED.get(code, ())
            if treatment not in allowed:
                raise UsageError(
                    f"treatment {treatment} for {code}",
                    " or ".join(allowed) if allowed else "no treatment: it is only reported",
                )

    def of(self, code: FindingCode) -> Treatment:
        """Return what is to be done with findings of this kind."""
        return self.treatments.get(code, _ALLOWED[code][0])


def treatable() -> Mapping[FindingCode, tuple[Treatment, ...]]:
    """Return the treatments each kind allows, the default first."""
    return _ALLOWED


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file: ``row`` counts data rows from 1 (None: the whole file)."""

    row: int | None
    time: Milliseconds | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Findings of one kind in one file.

    ``count`` is how often it occurs and ``candles`` how many candles it concerns (for holes: how
    many are missing); ``places`` are the first few, for holes the largest few. ``treatment`` is
    what was done, None where the file was only understood in a way worth knowing.
    """

    code: FindingCode
    severity: Severity
    treatment: Treatment | None
    count: int
    candles: int
    places: tuple[Place, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Spans:
    """All places of one finding, however many: three int64 arrays of shape (occurrences,).

    ``row`` counts data rows from 1; ``start`` and ``end`` are the first and last opening times
    concerned, in milliseconds. A hole begins with the candle before it.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def places(self, most: int) -> tuple[Place, ...]:
        """Return the first ``most`` occurrences as places: the row and its own opening time."""
        rows, starts = self.row[:most].tolist(), self.start[:most].tolist()
        return tuple(Place(row, time) for row, time in zip(rows, starts, strict=True))

    def joined(self, other: "Spans") -> "Spans":
        """Return these places and then those of ``other``."""
        return Spans(
            np.concatenate((self.row, other.row)),
            np.concatenate((self.start, other.start)),
            np.concatenate((self.end, other.end)),
        )


NOWHERE: Final = Spans(*(np.empty(0, dtype=np.int64) for _ in range(3)))
"""The places of what concerns a file as a whole."""


def finding(
    code: FindingCode,
    policy: Policy,
    spans: Spans,
    message: str,
    counts: tuple[int, int] | None = None,
) -> Finding:
    """Return a finding with the treatment and severity ``policy`` gives it.

    ``counts`` are occurrences and candles concerned; None: one candle at each of the ``spans``,
    of which the message then says the first.
    """
    treatment = policy.of(code)
    if counts is None:
        count = candles = len(spans.row)
        rows = "row" if count == 1 else f"{count} rows, first row"
        message = f"{message}: {rows} {spans.row[0]} ({describe_instant(int(spans.start[0]))})"
    else:
        count, candles = counts
    return Finding(
        code=code,
        severity=_SEVERITY[treatment],
        treatment=treatment,
        count=count,
        candles=candles,
        places=spans.places(PLACES),
        message=message,
    )
