"""A deadline that is kept: the time its last checkpoint takes is measured and held back."""

from collections.abc import Iterator
from contextlib import contextmanager

from adan_core.domain.time import Clock
from adan_core.resilience.deadline import Deadline

_LEAST_RESERVE = 0.25
_MARGIN = 2.0


class TimeoutManager:
    """Tells work when to save and end, early enough that the checkpoint is whole by the deadline.

    What is held back is twice the slowest save so far, and the longest stretch in which the work
    could not look at the clock; before anything was measured, a quarter of a second.
    """

    def __init__(self, deadline: Deadline, clock: Clock) -> None:
        self._deadline = deadline
        self._clock = clock
        self._slowest_save = 0.0
        self._longest_stretch = 0.0

    def remaining(self) -> float | None:
        """Return the seconds to the deadline, 0 once it has passed, None if there is none."""
        return self._deadline.remaining()

    @property
    def reserve(self) -> float:
        """The seconds held back before the deadline."""
        return max(_LEAST_RESERVE, _MARGIN * self._slowest_save + self._longest_stretch)

    @property
    def due(self) -> bool:
        """Whether it is time to save and end."""
        remaining = self.remaining()
        return remaining is not None and remaining <= self.reserve

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure a save, which is what happens inside the context."""
        began = self._clock.monotonic()
        yield
        self._slowest_save = max(self._slowest_save, self._clock.monotonic() - began)

    def could_not_look(self, seconds: float) -> None:
        """Take note of a stretch of work that nothing could interrupt."""
        self._longest_stretch = max(self._longest_stretch, seconds)
