"""A deadline on the monotonic clock: work asks it between two steps whether there is time left."""

from adan_core.domain.time import Clock


class Deadline:
    """Runs out ``seconds`` after it was made; None never does."""

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        if seconds is not None and not seconds >= 0.0:
            raise ValueError(f"a deadline lies ahead; got {seconds} s")
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    def remaining(self) -> float | None:
        """Return the seconds left, 0 once it has run out, None if there is no deadline."""
        if self._end is None:
            return None
        return max(0.0, self._end - self._clock.monotonic())
