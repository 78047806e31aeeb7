"""When an exchange's candle counts: closed by its own account, in order, once, aligned over symbols.

Nothing here asks or waits: answers and instants are passed in, all on the exchange's own clock.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from adan_core.domain.candles import Candle, ClosedCandles
from adan_core.domain.time import SECOND, Milliseconds

CLOCK_ERROR: Milliseconds = 5 * SECOND
"""By as much may the exchange's clock, as it is known here, be behind what it lists."""

# A row that one answer left out and the next one lists was slow; one that two leave out is not there.
_ANSWERS_FOR_A_HOLE = 2


class Tape:
    """One symbol's closed candles: each released once, in order, whatever order answers list them in.

    ``last`` is the opening of the newest candle released (None: the first one listed begins the
    tape), ``grace()`` how long after its close a candle counts although no later one is listed.
    """

    def __init__(
        self,
        duration: Milliseconds,
        grace: Callable[[], Milliseconds],
        last: Milliseconds | None = None,
    ) -> None:
        self._duration = duration
        self._grace = grace
        self.last = last
        self._held: dict[Milliseconds, Candle] = {}
        self._holes: Counter[tuple[Milliseconds, Milliseconds]] = Counter()

    @property
    def blocked(self) -> bool:
        """Whether closed candles are held back by one before them that was not listed."""
        return bool(self._held)

    def due(self, now: Milliseconds, begun: Milliseconds | None) -> bool:
        """Whether the next candle should be listed as closed by ``now``.

        ``begun`` is the newest opening that the stream has shown.
        """
        if self.last is None:
            return True
        close = self.last + 2 * self._duration
        return now >= close + self._grace() or (begun is not None and begun >= close)

    def read(
        self,
        rows: Iterable[Candle],
        asked_at: Milliseconds,
        begun: Milliseconds | None,
        missing_after: Milliseconds,
    ) -> tuple[Candle, ...]:
        """Take in an answer that lists what follows ``last``, and return what it releases.

        ``asked_at`` is the exchange's time just before it was asked, and ``begun`` the newest
        opening its stream had shown by then: a candle counts once a later one has begun or its
        close and the grace have passed. A candle that is not listed between others is waited for
        until ``missing_after`` has passed since its close and two answers have left it out.
        """
        listed = {row.open_time: row for row in rows if row.open_time <= asked_at + CLOCK_ERROR}
        newest = max([*listed, *([] if begun is None else [begun])], default=0)
        closed = sorted(
            opened
            for opened in listed
            if opened + self._duration <= newest
            or opened + self._duration + self._grace() <= asked_at
        )
        if not closed:
            return ()
        if self.last is None:
            self.last = closed[0] - self._duration
        new = [opened for opened in closed if opened > self.last]
        self._held.update((opened, listed[opened]) for opened in new)
        self._holes.update(
            (before, after)
            for before, after in zip([self.last, *new], new, strict=False)
            if after - before > self._duration
        )
        return self._release(asked_at - missing_after)

    def _release(self, settled: Milliseconds) -> tuple[Candle, ...]:
        """Release what is held, over holes whose last candle closed by ``settled``."""
        released: list[Candle] = []
        for opened in sorted(self._held):
            hole = (self.last or 0, opened)
            gone = opened <= settled and self._holes[hole] >= _ANSWERS_FOR_A_HOLE
            if opened != hole[0] + self._duration and not gone:
                break
            released.append(self._held.pop(opened))
            self._holes.pop(hole, None)
            self.last = opened
        if not self._held:
            self._holes.clear()
        return tuple(released)


class Alignment:
    """Puts the candles of several symbols together by their close, and waits for none beyond its limit.

    ``limit`` gives, for a close, the instant from which a candle is late. One that comes later than
    that has an instant of its own: it is settled, not decided upon.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        duration: Milliseconds,
        limit: Callable[[Milliseconds], Milliseconds],
    ) -> None:
        self._duration = duration
        self._limit = limit
        self._waiting: dict[str, deque[tuple[Candle, Milliseconds]]] = {
            symbol: deque() for symbol in symbols
        }
        self._through: dict[str, Milliseconds] = {}

    def begin(self, symbol: str, close_time: Milliseconds) -> None:
        """Say up to which close candles of ``symbol`` are known already."""
        self._through[symbol] = close_time

    def add(self, symbol: str, candle: Candle, known_at: Milliseconds) -> None:
        """Line up one closed candle, known since ``known_at``; each symbol's in their order."""
        self._waiting[symbol].append((candle, known_at))
        self._through[symbol] = candle.open_time + self._duration

    def missing(self, close_time: Milliseconds) -> tuple[str, ...]:
        """Return the symbols of which nothing is known for ``close_time`` or later."""
        return tuple(s for s in self._waiting if self._through.get(s, 0) < close_time)

    def ready(self, now: Milliseconds, settle_only: bool) -> Iterable[ClosedCandles]:
        """Yield the instants that no symbol has to be waited for any more, oldest first.

        ``settle_only``: nothing is to be decided on any of them.
        """
        while heads := [queue[0][0].open_time for queue in self._waiting.values() if queue]:
            close_time = min(heads) + self._duration
            if self.missing(close_time) and now < self._limit(close_time):
                return
            groups: dict[bool, list[tuple[str, Candle]]] = {False: [], True: []}
            for symbol, queue in self._waiting.items():
                if queue and queue[0][0].open_time + self._duration == close_time:
                    candle, known_at = queue.popleft()
                    groups[known_at > self._limit(close_time)].append((symbol, candle))
            for late, candles in groups.items():
                if candles:
                    yield ClosedCandles(
                        close_time,
                        tuple(candles),
                        age=max(now - close_time, 0),
                        settle_only=late or settle_only,
                    )
