"""Request weights as Binance counts them: so many a minute, then 429, then a ban for the deaf.

Minutes are those of the market's own clock, so a test that sets the clock decides when they pass.
"""

from dataclasses import dataclass
from typing import Final

from adan_core.domain.time import MINUTE, SECOND, Milliseconds

WEIGHT_LIMIT: Final = 6000  # a minute and client, as on Binance spot
_PATIENCE: Final = 5  # refused requests before the client is banned
_BAN: Final = 2 * MINUTE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request: ``wait`` seconds before the next if it is refused, else None."""

    used: int
    wait: int | None = None
    banned_until: Milliseconds | None = None


class WeightLimiter:
    """The weight spent in this minute by whoever asks from this machine."""

    def __init__(self, limit: int = WEIGHT_LIMIT) -> None:
        self.limit = limit
        self._minute = 0
        self._used = 0
        self._refused = 0
        self._banned_until: Milliseconds = 0

    def spend(self, weight: int, now: Milliseconds) -> Verdict:
        """Count a request of ``weight`` at ``now``; refused ones count as well."""
        if now < self._banned_until:
            return Verdict(self._used, _seconds(self._banned_until - now), self._banned_until)
        minute = now // MINUTE
        if minute != self._minute:
            self._minute, self._used, self._refused = minute, 0, 0
        self._used += weight
        if self._used <= self.limit:
            return Verdict(self._used)
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until = now + _BAN
            return Verdict(self._used, _seconds(_BAN), self._banned_until)
        return Verdict(self._used, _seconds((minute + 1) * MINUTE - now))


def _seconds(duration: Milliseconds) -> int:
    return max(1, -(-duration // SECOND))
