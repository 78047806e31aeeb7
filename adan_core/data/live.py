"""A feed of an exchange's candles as they close: announced by its stream, told by its REST interface.

The stream is a hint that something closed; what counts is what REST then lists, for a stream may
break, fall silent or leave candles out. Each candle is stored before anybody decides on it, so that
a restart is warmed from the very same ones.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adan_core.data.agreement import deviation
from adan_core.data.feed import Wait, check_alike
from adan_core.data.live_check import Comparison, CrossCheck
from adan_core.data.live_clock import ExchangeClock
from adan_core.data.live_second import SecondOpinion
from adan_core.data.live_shelf import CandleShelf
from adan_core.data.live_stream import StreamWatch
from adan_core.data.live_tape import CLOCK_ERROR, Alignment, Tape
from adan_core.data.live_venue import LiveVenue, Update
from adan_core.data.live_waiting import Backoff, Stopped, Waiting
from adan_core.data.series import CandleSeries
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.candles import Candle, ClosedCandles, Timeframe
from adan_core.domain.errors import AdanError, DataError, SystemFailure
from adan_core.domain.market import MarketSource, StreamStatus
from adan_core.domain.time import SECOND, Clock, Milliseconds, iso

_TICK_SECONDS: Final = 0.25
_ASK_AGAIN_SECONDS: Final = 2.0
_ASK_LATE_SECONDS: Final = 15.0
_OWN_STREAM: Final = "its own stream"
_EARLIER: Final = "what it told before"


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """From when on live data are not to be trusted, all in milliseconds.

    A stream silent for ``silent_after`` is said to be stale, for ``reconnect_after`` it is opened
    anew and decisions pause; a candle is late ``late_after`` after its close, and counts without a
    later one ``close_grace`` after it.
    """

    silent_after: Milliseconds
    reconnect_after: Milliseconds
    late_after: Milliseconds
    close_grace: Milliseconds


class ExchangeFeed:
    """Closed candles of an exchange, from the close after which each symbol was last settled.

    ``after`` holds those closes (a symbol it lacks begins with the next candle that closes),
    ``first_candles`` is how many are fetched for a symbol of which none is stored. ``compared``
    hears, on the event loop, how far each candle's sources are apart. ``limits`` may be replaced
    while running.
    """

    def __init__(
        self,
        venue: LiveVenue,
        symbols: Sequence[str],
        timeframe: Timeframe,
        shelf: CandleShelf,
        limits: LiveLimits,
        first_candles: int,
        after: Mapping[str, Milliseconds],
        wait: Wait,
        clock: Clock,
        alarm: Alarm,
        compared: Callable[[Comparison], None],
        second: LiveVenue | None = None,
    ) -> None:
        check_alike([(symbol, timeframe) for symbol in symbols])
        self.source = MarketSource.TEST_VENUE if venue.name.simulated else MarketSource.EXCHANGE
        self.symbols = tuple(symbols)
        self.timeframe = timeframe
        self.seconds_per_candle = timeframe.duration / SECOND
        self.limits = limits
        self._venue = venue
        self._shelf = shelf
        self._first_candles = first_candles
        self._after = dict(after)
        self._wait = wait
        self._waiting = Waiting(wait, self._failed)
        self._clock = clock
        self._alarm = alarm
        self._compared = compared
        self._duration = timeframe.duration
        self._tapes: dict[str, Tape] = {}
        self._newest: dict[str, Candle] = {}
        self._open_since: tuple[int, Milliseconds] = (0, 0)
        self._looked_back: dict[str, Milliseconds] = {}
        self._begun: dict[str, Milliseconds] = {}
        self._ask_at: dict[str, float] = {}
        self._alignment = Alignment(symbols, self._duration, self._limit)
        self._check = CrossCheck(self._duration)
        self._watch = StreamWatch(venue, clock, self._heard)
        self._second = (
            None if second is None else SecondOpinion(second, wait, alarm, self._second_told)
        )
        self._second_name = "" if second is None else second.name.label
        self._backoff = Backoff()
        self._time = ExchangeClock(clock)
        self._round: asyncio.Task[None] | None = None
        self._asked_for = self._up_to_date_for = 0
        self._failing = False
        self._silent = False
        self._paused = "fetching past candles"
        self._storing = False

    # -- what others see ------------------------------------------------------------------------

    @property
    def stream(self) -> StreamStatus:
        """How the stream is, and why nothing is decided, if nothing is."""
        began_at = self._watch.began_at if self._watch.opened else self._clock.now()
        return StreamStatus(began_at, self._watch.heard_at, self.limits.silent_after, self._paused)

    async def prepare(self) -> bool:
        """Fetch what is missing up to now; False if told to stop first.

        An exchange that does not answer is asked again; DataError if it does not trade a symbol.
        """
        try:
            await self._waiting.insist(lambda: self._waiting.unless_stopped(self._venue.prepare()))
            await self._waiting.insist(self._synchronise)
            for symbol in self.symbols:
                last = await asyncio.to_thread(self._shelf.last, symbol)
                self._tapes[symbol] = Tape(self._duration, lambda: self.limits.close_grace, last)
                await self._line_up_stored(symbol)
                await self._waiting.insist(lambda symbol=symbol: self._catch_up(symbol))  # type: ignore[misc]
                tape = self._tapes[symbol]
                if tape.last is None:
                    raise DataError(
                        f"{self._venue.name.exchange} lists no {self.timeframe} candle of {symbol}",
                        "a market that trades",
                        "change market.symbols",
                    )
                self._after.setdefault(symbol, tape.last + self._duration)
                self._alignment.begin(symbol, tape.last + self._duration)
            await self._waiting.insist(self._synchronise)
        except Stopped:
            return False
        self._paused = "past candles are being read, then the stream is opened"
        return True

    def history(self, count: int) -> tuple[CandleSeries, ...]:
        """Return each symbol's last ``count`` candles before the feed's first, from the store."""
        found = []
        for symbol in self.symbols:
            series = self._shelf.read(symbol, end=self._after[symbol] - self._duration + 1)
            found.append(series.slice(max(0, len(series) - count), len(series)))
        return tuple(found)

    async def __aiter__(self) -> AsyncIterator[ClosedCandles]:
        """Yield the instants at which candles closed, the missed ones first, until told to stop."""
        self._paused = "waiting for the stream's first news"
        try:
            while not await self._wait(_TICK_SECONDS):
                await self._watch.tend(self.limits.reconnect_after / SECOND)
                self._judge_silence()
                self._ask()
                for closed in self._alignment.ready(self._time.now(), bool(self._paused)):
                    self._tell_missing(closed)
                    yield closed
                    if await self._wait(0.0):  # many may be missed: others run in between
                        return
        except Stopped:
            return

    async def close(self) -> None:
        """End what runs beside the feed and close every connection."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        await self._watch.close()
        if self._second is not None:
            await self._second.close()
        await self._venue.close()

    def _limit(self, close_time: Milliseconds) -> Milliseconds:
        return close_time + self.limits.late_after

    # -- the stream -----------------------------------------------------------------------------

    def _heard(self, news: Sequence[Update]) -> None:
        now = self._time.now()
        if self._open_since[0] != self._watch.opened:
            self._open_since = (self._watch.opened, now)
            self._check.forget(_OWN_STREAM)
        for symbol, candle in news:
            if symbol in self._tapes and candle.open_time <= now + CLOCK_ERROR:
                self._begun[symbol] = max(self._begun.get(symbol, 0), candle.open_time)
                for comparison in self._check.streamed(
                    symbol, _OWN_STREAM, candle, self._open_since[1]
                ):
                    self._compared(comparison)

    def _second_told(self, symbol: str, candle: Candle) -> None:
        for comparison in self._check.other(symbol, self._second_name, candle):
            self._compared(comparison)

    # -- REST -----------------------------------------------------------------------------------

    def _judge_silence(self) -> None:
        """Pause decisions while the stream is silent, and until REST has told what it missed."""
        watch = self._watch
        silent = watch.silent_for * SECOND >= self.limits.reconnect_after
        if silent:
            why = f" ({watch.failure})" if watch.failure else ""
            self._paused = f"the stream is silent{why}; opening it again"
        elif 0 < watch.opened == watch.heard_from == self._up_to_date_for and not self._storing:
            self._paused = ""  # a stream that speaks is no news of a disk that refuses
        if silent and not self._silent:
            self._alarm(
                "stream",
                Severity.CRITICAL,
                f"the stream of {self._venue.name.label} has been silent for "
                f"{watch.silent_for:.0f} s: it is opened again, and nothing is decided until "
                "it speaks and REST has told what was missed",
            )
        self._silent = silent

    def _ask(self) -> None:
        """Ask REST, beside the loop, where something is due or the stream was opened anew."""
        if self._round is not None:
            if not self._round.done():
                return
            task, self._round = self._round, None
            task.result()
        live, clock = self._watch.heard_from, self._clock.monotonic()
        if live not in {self._up_to_date_for, self._asked_for}:
            self._asked_for = live
            self._ask_at.clear()
        due = [
            symbol
            for symbol, tape in self._tapes.items()
            if tape.due(self._time.now(), self._begun.get(symbol))
            and clock >= self._ask_at.get(symbol, 0.0)
        ]
        anew = live != self._up_to_date_for and not self._failing
        if due or anew or self._time.due:
            self._round = asyncio.create_task(self._ask_for(due, live))

    async def _ask_for(self, due: Sequence[str], live: int) -> None:
        try:
            if self._time.due:
                await self._synchronise()
            for symbol in due:
                await self._catch_up(symbol)
                self._ask_at[symbol] = self._clock.monotonic() + self._patience(symbol)
        except SystemFailure:
            raise
        except AdanError as error:
            self._alarm("exchange", Severity.WARNING, str(error))
            pause = self._backoff.after(error)
            self._ask_at.update(dict.fromkeys(self.symbols, self._clock.monotonic() + pause))
            self._time.ask_later(pause)
            self._failing = True
            return
        if due:
            self._backoff.reset()
            self._failing = False
        if not self._failing:
            self._up_to_date_for = live

    async def _synchronise(self) -> None:
        asked_at = self._clock.now()
        self._time.told(await self._waiting.unless_stopped(self._venue.time()), asked_at)

    def _patience(self, symbol: str) -> float:
        """Return the seconds until a symbol is asked for again, if its candle is still due then."""
        tape = self._tapes[symbol]
        close = (tape.last or 0) + 2 * self._duration
        return _ASK_AGAIN_SECONDS if self._time.now() < self._limit(close) else _ASK_LATE_SECONDS

    async def _catch_up(self, symbol: str) -> None:
        """Fetch, store and line up what closed since the newest candle known, page by page."""
        tape = self._tapes[symbol]
        span = self._venue.page * self._duration
        began = (self._time.now() // self._duration - self._first_candles) * self._duration
        since = began if tape.last is None else tape.last
        again = True
        while tape.due(self._time.now(), self._begun.get(symbol)):
            asked_at, begun = self._time.now(), self._begun.get(symbol)
            rows = self._sound(
                symbol, await self._waiting.unless_stopped(self._venue.candles(symbol, since))
            )
            self._look_back(symbol, rows)
            released = tape.read(rows, asked_at, begun, self.limits.late_after)
            if released:
                await self._take(symbol, released)
                since, again = released[-1].open_time, True
            elif again and (tape.blocked or since + span <= asked_at):
                again = False  # what one answer leaves out may have been slow
            elif not tape.blocked and since + span <= asked_at:
                since, again = since + span, True
            else:
                return

    async def _take(self, symbol: str, candles: Sequence[Candle]) -> None:
        self._storing = True
        await self._waiting.insist(
            lambda: asyncio.to_thread(self._shelf.append, symbol, candles, self._venue.host),
            "candles cannot be stored",
            DataError,
        )
        self._storing = False
        known_at = self._time.now()  # nobody may decide on it before it is stored
        self._newest[symbol] = candles[-1]
        settled = self._after.get(symbol)
        for candle in candles:
            if settled is None or candle.open_time < settled:
                continue  # what has closed before the account begins is history
            self._alignment.add(symbol, candle, known_at)
            for comparison in self._check.confirmed(symbol, _OWN_STREAM, candle):
                self._compared(comparison)
            if self._second is not None and known_at <= self._limit(
                candle.open_time + self._duration
            ):
                for comparison in self._check.confirmed(symbol, self._second_name, candle):
                    self._compared(comparison)
                self._second.ask(symbol, candle.open_time)

    async def _line_up_stored(self, symbol: str) -> None:
        """Line up what was stored and not settled before the core ended."""
        settled, tape = self._after.get(symbol), self._tapes[symbol]
        if tape.last is None:
            return
        start = tape.last if settled is None else min(settled, tape.last)
        stored = await asyncio.to_thread(self._shelf.read, symbol, start)
        for row in range(len(stored)):
            candle = stored.candle(row)
            if settled is not None and candle.open_time >= settled:
                self._alignment.add(symbol, candle, self._time.now())
        self._newest[symbol] = stored.candle(-1)

    def _look_back(self, symbol: str, rows: Sequence[Candle]) -> None:
        """Compare the newest candle that counts with what is listed for it now."""
        newest = self._newest.get(symbol)
        for row in rows:
            if newest is None or row.open_time != newest.open_time:
                continue
            if row == newest and self._looked_back.get(symbol) == row.open_time:
                continue
            self._newest[symbol] = row
            self._looked_back[symbol] = row.open_time
            off = deviation(newest, row)
            close_time = row.open_time + self._duration
            if off > 0.0:
                self._alarm(
                    f"revised {symbol}",
                    Severity.WARNING,
                    f"{self._venue.name.label} changed the closed candle of {symbol} at "
                    f"{iso(close_time)} by {off:.3%}; the first version stays",
                )
            self._compared(Comparison(symbol, _EARLIER, close_time, off))

    def _sound(self, symbol: str, rows: Sequence[Candle]) -> tuple[Candle, ...]:
        good, wrong = self._shelf.sound(symbol, rows)
        for why in wrong:
            self._alarm(
                f"candle {symbol}",
                Severity.WARNING,
                f"{self._venue.name.label} lists a candle that cannot be, left out: {why}",
            )
        return good

    # -- telling --------------------------------------------------------------------------------

    def _tell_missing(self, closed: ClosedCandles) -> None:
        for symbol in self._alignment.missing(closed.close_time):
            self._alarm(
                f"late {symbol}",
                Severity.WARNING,
                f"no candle of {symbol} for {iso(closed.close_time)} in time: nothing is decided on "
                "it; if it comes, it is settled",
            )

    def _failed(self, why: str) -> None:
        self._alarm("exchange", Severity.WARNING, why)
        self._paused = why
