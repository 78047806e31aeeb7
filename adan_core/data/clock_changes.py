"""Local time passed off as UTC, told by the two Sundays on which clocks change.

Clocks that go forward skip an hour, clocks that go back show one twice. A table stamped in such
local time and read as UTC lacks exactly that hour in spring and has it double in autumn, year after
year. UTC knows no such hours: by chance a hole of one hour falls on a given one hardly ever.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from adan_core.data.stamps import EARLIEST, LATEST
from adan_core.domain.time import HOUR, Milliseconds

# One zone for each wall-clock hour at which clocks change somewhere; the whole of North America
# changes at its own 02:00 on the same Sundays, so that one zone speaks for all of it.
_ZONES = (
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Athens",
    "Australia/Sydney",
    "Pacific/Auckland",
)
_FEWEST = 2  # one hole on one Sunday may be an exchange's maintenance
_CHANCE = 1e-3

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A zone whose clock changes show: which of them, as wall-clock instants in milliseconds."""

    zone: str
    skipped: tuple[Milliseconds, ...]
    doubled: tuple[Milliseconds, ...]


def local_time(times: Times, duration: int) -> LocalTime | None:
    """Return the zone whose clock the stamps ``times`` (ascending, repeats included) followed.

    None if the stamps behave as UTC, or if candles are too long to tell (an hour must be a whole
    number of them). At least two changes must show, most of those that could (a table may have
    dropped what it had double), and more than its own holes and repeats make likely.
    """
    if times.shape[0] < 2 or HOUR % duration or not EARLIEST <= times[0] <= times[-1] < LATEST:
        return None
    steps = np.diff(times)
    hours = max((int(times[-1]) - int(times[0])) // HOUR, 1)
    usual_hole = (int((steps == HOUR + duration).sum()) + 1) / hours
    usual_double = (int((steps == 0).sum()) * duration / HOUR + 1) / hours
    best: LocalTime | None = None
    for zone in _ZONES:
        told = _told_by(zone, times, duration)
        if told is None:
            continue
        found, possible = told
        seen = len(found.skipped) + len(found.doubled)
        chance = _at_least(len(found.skipped), possible[0], usual_hole) * _at_least(
            len(found.doubled), possible[1], usual_double
        )
        mostly = 2 * len(found.skipped) >= possible[0] and (
            not found.doubled or 2 * len(found.doubled) >= possible[1]
        )
        if not mostly or seen < _FEWEST or chance * len(_ZONES) >= _CHANCE:
            continue
        if best is None or seen > len(best.skipped) + len(best.doubled):
            best = found
    return best


def _at_least(seen: int, possible: int, rate: float) -> float:
    """Return an upper bound for the probability of ``seen`` or more of ``possible`` events."""
    return min(1.0, (possible * rate) ** seen) if seen else 1.0


def _told_by(zone: str, times: Times, duration: int) -> tuple[LocalTime, tuple[int, int]] | None:
    """Return what the changes of ``zone`` show, and how many of each kind could have shown it."""
    skipped, doubled = [], []
    springs = autumns = 0
    for wall, length in _changes(zone, int(times[0]), int(times[-1])):
        before, after = wall - duration, wall + abs(length)
        if abs(length) != HOUR or not (_count(times, before) and _count(times, after)):
            continue
        inside = _between(times, wall, after)
        if length > 0:
            springs += 1
            if inside == 0:
                skipped.append(wall)
        else:
            autumns += 1
            if inside == 2 * (HOUR // duration) and _count(times, before) == 1:
                doubled.append(wall)
    if not springs + autumns:
        return None
    return LocalTime(zone, tuple(skipped), tuple(doubled)), (springs, autumns)


def _between(times: Times, start: int, stop: int) -> int:
    return int(np.searchsorted(times, stop) - np.searchsorted(times, start))


def _count(times: Times, instant: int) -> int:
    return _between(times, instant, instant + 1)


def _changes(zone: str, first: int, last: int) -> list[tuple[Milliseconds, int]]:
    """Return the changes of ``zone``'s clock: the wall-clock start of the hour, and by how much.

    The hour is the one skipped (positive) or shown twice (negative), read as if it were UTC.
    """
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, OSError):
        return []

    def offset(instant: datetime) -> timedelta:
        return instant.astimezone(clock).utcoffset() or timedelta()

    found = []
    day = timedelta(days=1)
    now = _instant(first) - day
    end = _instant(last) + day
    before = offset(now)
    while now < end:
        later = now + 7 * day
        after = offset(later)
        if after != before:
            low, high = now, later
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            change = high.replace(microsecond=0)
            wall = change.replace(tzinfo=None) + min(before, after)
            milliseconds = round(wall.replace(tzinfo=UTC).timestamp()) * 1000
            found.append((milliseconds, round((after - before).total_seconds()) * 1000))
        now, before = later, after
    return found


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC)
