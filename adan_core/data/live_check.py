"""The same candle from two sources: what the stream said of it, what REST says, what another venue says."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from adan_core.data.agreement import deviation
from adan_core.domain.candles import Candle
from adan_core.domain.time import Milliseconds

# Candles that wait for their counterpart: more than this many, and it will not come.
_WAITING: Final = 50


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far the candle of ``symbol`` that closed at ``close_time`` is from ``against``'s.

    ``deviation`` is relative: 0.05 is 5 %.
    """

    symbol: str
    against: str
    close_time: Milliseconds
    deviation: float


@dataclass(slots=True)
class _Pair:
    """One symbol at one other source, candles by their opening time."""

    confirmed: dict[Milliseconds, Candle] = field(default_factory=dict)
    other: dict[Milliseconds, Candle] = field(default_factory=dict)


class CrossCheck:
    """Compares each candle that counts with the other sources' once both are known to be final.

    A stream's is final once the stream shows a later one; it counts only if the stream was open
    from the candle's beginning, for some streams tell only what they have seen themselves.
    """

    def __init__(self, duration: Milliseconds) -> None:
        self._duration = duration
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._forming: dict[tuple[str, str], Candle] = {}

    def forget(self, against: str) -> None:
        """Drop what a stream that is opened anew has said of candles not yet final."""
        for key in [key for key in self._forming if key[1] == against]:
            del self._forming[key]

    def streamed(
        self, symbol: str, against: str, candle: Candle, open_since: Milliseconds
    ) -> Iterator[Comparison]:
        """Take in a stream's news of a candle; it was opened at ``open_since``."""
        before = self._forming.get((symbol, against))
        if candle.open_time < (open_since if before is None else before.open_time):
            return
        self._forming[symbol, against] = candle
        if before is not None and candle.open_time > before.open_time:
            yield from self.other(symbol, against, before)

    def other(self, symbol: str, against: str, candle: Candle) -> Iterator[Comparison]:
        """Take in another source's final word on a candle."""
        pair = self._pairs.setdefault((symbol, against), _Pair())
        _keep(pair.other, candle)
        yield from self._compared(symbol, against, pair, candle.open_time)

    def confirmed(self, symbol: str, against: str, candle: Candle) -> Iterator[Comparison]:
        """Take in a candle that counts, to be compared with ``against``'s."""
        pair = self._pairs.setdefault((symbol, against), _Pair())
        _keep(pair.confirmed, candle)
        yield from self._compared(symbol, against, pair, candle.open_time)

    def _compared(
        self, symbol: str, against: str, pair: _Pair, opened: Milliseconds
    ) -> Iterator[Comparison]:
        ours, theirs = pair.confirmed.get(opened), pair.other.get(opened)
        if ours is None or theirs is None:
            return
        del pair.confirmed[opened], pair.other[opened]
        yield Comparison(symbol, against, opened + self._duration, deviation(ours, theirs))


def _keep(candles: dict[Milliseconds, Candle], candle: Candle) -> None:
    candles[candle.open_time] = candle
    if len(candles) > _WAITING:
        del candles[min(candles)]
