"""What validation can find in candles, and what is to be done about each kind of finding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adan_core.domain.alerts import Severity
from adan_core.domain.errors import UsageError
from adan_core.domain.time import Milliseconds


class FindingCode(StrEnum):
    """Every kind of finding."""

    COLUMNS = "columns"
    TIME_ZONE = "time_zone"
    CLOSE_STAMPS = "close_stamps"
    PREAMBLE = "preamble"
    VOLUME_UNITS = "volume_units"
    NOT_A_PRICE = "not_a_price"
    OHLC = "ohlc"
    BAD_VOLUME = "bad_volume"
    OFF_GRID = "off_grid"
    DESCENDING = "descending"
    DISORDER = "disorder"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    GAP = "gap"
    ZERO_VOLUME = "zero_volume"
    OUTLIER = "outlier"


class Treatment(StrEnum):
    """What happens to what was found.

    REFUSE: nothing is stored. MARK: it is repaired (rows left out or put in order, never
    invented) and the mark stays with the data. WARN: it is kept as found and reported.
    """

    REFUSE = "refuse"
    MARK = "mark"
    WARN = "warn"


_ALLOWED: dict[FindingCode, tuple[Treatment, ...]] = {
    # the first is the default
    FindingCode.VOLUME_UNITS: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.NOT_A_PRICE: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.OHLC: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.BAD_VOLUME: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.OFF_GRID: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.DESCENDING: (Treatment.MARK, Treatment.REFUSE),
    FindingCode.DISORDER: (Treatment.REFUSE, Treatment.MARK),
    FindingCode.DUPLICATE: (Treatment.MARK, Treatment.REFUSE),
    FindingCode.CONFLICT: (Treatment.REFUSE,),
    FindingCode.GAP: (Treatment.WARN, Treatment.REFUSE),
    FindingCode.ZERO_VOLUME: (Treatment.WARN, Treatment.MARK, Treatment.REFUSE),
    FindingCode.OUTLIER: (Treatment.REFUSE, Treatment.MARK, Treatment.WARN),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A treatment for each kind of finding; kinds not named have their default.

    UsageError for a treatment that a kind does not allow: a candle without a price cannot be kept
    as found, and of two candles that contradict each other none can be chosen.
    """

    treatments: Mapping[FindingCode, Treatment] = field(default_factory=dict)

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

    ``count`` is how often it occurs and ``candles`` how many candles it concerns (for gaps: how
    many are missing); ``places`` are the first few, for gaps the largest few. ``treatment`` is
    what was done, None where the file was only understood in a way worth knowing.
    """

    code: FindingCode
    severity: Severity
    treatment: Treatment | None
    count: int
    candles: int
    places: tuple[Place, ...]
    message: str
