"""Time as ADAN counts it: whole milliseconds since 1970-01-01 UTC, and a clock that is passed in."""

import time
from datetime import UTC, datetime
from typing import Protocol

Milliseconds = int
"""Whole milliseconds: an instant (since the Unix epoch, UTC) or a duration."""

SECOND: Milliseconds = 1_000
MINUTE: Milliseconds = 60 * SECOND
HOUR: Milliseconds = 60 * MINUTE
DAY: Milliseconds = 24 * HOUR


class Clock(Protocol):
    """What tells the time; core code never asks the operating system itself."""

    def now(self) -> Milliseconds:
        """Return the wall-clock time in milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; for durations and deadlines."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Milliseconds:
        """Return the wall-clock time in milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds on the machine's monotonic clock."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to: replayed markets and tests."""

    def __init__(self, now: Milliseconds = 0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> Milliseconds:
        """Return the instant last set, in milliseconds since the Unix epoch, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which the clock was advanced so far."""
        return self._monotonic

    def advance(self, duration: Milliseconds) -> None:
        """Move both clocks forward by ``duration`` milliseconds; ValueError if it is negative."""
        if duration < 0:
            raise ValueError(f"a clock only moves forward; got {duration} ms")
        self._now += duration
        self._monotonic += duration / SECOND

    def set(self, now: Milliseconds) -> None:
        """Set the wall clock to ``now``, in either direction; the monotonic clock never goes back."""
        self._monotonic += max(now - self._now, 0) / SECOND
        self._now = now


def iso(instant: Milliseconds) -> str:
    """Return ``instant`` as ISO 8601 in UTC, to the second: ``2026-01-31T09:30:00Z``."""
    return datetime.fromtimestamp(instant / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
