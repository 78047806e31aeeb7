"""An exchange's clock as it is known here: ours and how far the two are apart."""

from typing import Final

from adan_core.domain.time import SECOND, Clock, Milliseconds

_ASK_SECONDS: Final = 60.0
# What half a round trip may be wrong by; a clock that drifts further runs at another pace, as a
# sandbox's may, and is asked so often that it is known to a second.
_NOISE: Milliseconds = 300


class ExchangeClock:
    """Tells the exchange's time from ours; ``due`` says when the exchange is to be asked again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: Milliseconds = 0
        self._told_at: float | None = None
        self._ask_at = 0.0

    def now(self) -> Milliseconds:
        """Return the exchange's time; ours before it was asked."""
        return self._clock.now() + self._offset

    @property
    def due(self) -> bool:
        """Whether what is known may be wrong by more than a second."""
        return self._clock.monotonic() >= self._ask_at

    def told(self, instant: Milliseconds, asked_at: Milliseconds) -> None:
        """Take in the exchange's answer to a question put at our ``asked_at``: half a round trip ago."""
        offset = instant - (asked_at + self._clock.now()) // 2
        now = self._clock.monotonic()
        self.ask_later(_ASK_SECONDS)
        if self._told_at is not None:
            drift = max(abs(offset - self._offset) - _NOISE, 1)
            self.ask_later(min((now - self._told_at) * SECOND / drift, _ASK_SECONDS))
        self._offset, self._told_at = offset, now

    def ask_later(self, seconds: float) -> None:
        """Leave the exchange alone for so long, as after a failure."""
        self._ask_at = self._clock.monotonic() + seconds
