"""An exchange's past candles, page by page, trusting nothing but what comes back.

A page may be shorter than asked for, start later, repeat rows, skip some, and end with the candle
that is still forming. So progress is the newest candle that came, and only candles that had closed
when the exchange told its time, before the first page, are handed on: no clock of ours decides,
unless the two are further apart than any clock goes wrong.
"""

import difflib
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import numpy as np

from adan_core.data.exchange_client import (
    RateLimited,
    asks_the_exchange_itself,
    exchange_errors,
    is_simulated,
)
from adan_core.data.raw import RawCandles
from adan_core.data.series import check_symbol
from adan_core.data.sources import NewestOnly
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, RetryableError
from adan_core.domain.time import DAY, SECOND, Clock, Milliseconds, iso

if TYPE_CHECKING:
    import ccxt

ATTEMPTS: Final = 8
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
LONGEST_WISH: Final = 900.0
"""The longest Retry-After that is obeyed by waiting, in seconds; a longer one ends the download."""

LARGEST_SKEW: Final = DAY
"""How far an exchange's clock may be from this machine's; further, and one of them is broken."""

_USUAL_PAGE = 100  # candles, where a driver does not say how many an exchange gives
_COLUMNS = 6

Answer = TypeVar("Answer")


class ExchangeHistory:
    """Closed candles of one spot market at one exchange; a ``CandleSource``.

    ``wait`` sleeps so many seconds and ``chance`` draws from [0, 1): after a failure that may pass
    the same is asked again, up to ``ATTEMPTS`` times in all, after pauses that double from
    ``FIRST_PAUSE`` to ``LONGEST_PAUSE`` seconds, each shortened at random by up to a half so that
    clients do not come back all at once, and never before a Retry-After. A ban ends it at once.

    Making one asks the exchange for its markets and its time. DataError for a symbol or timeframe
    it does not have, and for a time more than ``LARGEST_SKEW`` from this machine's, which would
    take forming candles for closed ones (a test venue may live in any year); RetryableError or
    TradingError where it does not answer.
    """

    def __init__(
        self,
        client: "ccxt.Exchange",
        symbol: str,
        timeframe: Timeframe,
        clock: Clock,
        wait: Callable[[float], None],
        chance: Callable[[], float],
    ) -> None:
        self.symbol = check_symbol(symbol)
        self.timeframe = timeframe
        self._client = client
        self._wait = wait
        self._chance = chance
        if str(timeframe) not in client.timeframes:
            raise DataError(
                f"{client.id} has no candles of {timeframe}",
                f"one of {', '.join(client.timeframes)}",
            )
        markets = self._ask(client.load_markets)
        if symbol not in markets or not markets[symbol]["spot"]:
            close = difflib.get_close_matches(symbol, markets, n=3)
            raise DataError(
                f"{client.id} has no spot market {symbol}",
                f"one of its {len(markets)}",
                f"did you mean {' or '.join(close)}?" if close else "",
            )
        limit = client.feature_value(symbol, "fetchOHLCV", "limit")
        self._limit: int | None = limit
        self._span = (limit or _USUAL_PAGE) * timeframe.duration
        self.now = self._exchange_time(clock)
        """The exchange's own time when it was asked, in milliseconds."""
        self.skew = self.now - clock.now()
        """How far the exchange's clock is ahead of this machine's, in milliseconds."""
        own = asks_the_exchange_itself(client)
        self.synthetic = is_simulated(client) or not own
        self.description = (
            f"{client.id if own else f'test-{client.id}'} at {_host(client)}, history"
        )
        if abs(self.skew) > LARGEST_SKEW and not self.synthetic:
            raise DataError(
                f"{client.id} tells the time {iso(self.now)}",
                f"within a day of this machine's, which is {iso(clock.now())}",
                "set this machine's clock; if it is right, try again later or take another exchange",
            )

    def batches(
        self, since: Milliseconds | None, until: Milliseconds | None
    ) -> Iterator[RawCandles]:
        """Yield page after page; the protocol says which candles.

        Raises NewestOnly after the last page if the exchange serves only its newest candles,
        RetryableError (RateLimited) if it would not answer for long.
        """
        duration = self.timeframe.duration
        asked = cursor = -(-(since or 0) // duration) * duration
        end = self.now if until is None else min(until, self.now)
        given, newest_only = 0, None
        while cursor + duration <= end:
            page = _from(self._page(str(self.timeframe), cursor), cursor)
            if not len(page):
                cursor = self._after_silence(cursor)
                continue
            first = int(page.open_time.min())
            # One row dated far ahead must not take what comes between for asked.
            known = page.open_time[page.open_time < end]
            last = int((known if known.size else page.open_time).max())
            if not given and first > asked and self._keeps_only_newest(asked, first):
                newest_only = first
            page = page.take(page.open_time + duration <= end)
            given += len(page)
            if len(page):
                yield page
            cursor = (last // duration + 1) * duration
        if newest_only is not None:
            raise NewestOnly(
                f"{self._client.id} serves only its newest {self._kept(newest_only)} candles of "
                f"{self.timeframe}: asked from {iso(asked)}, its first opens at {iso(newest_only)}",
                "a venue that keeps candles as old as that",
                "take another exchange, or import a file, for what is older",
            )

    def _kept(self, first: Milliseconds) -> int:
        return (self.now - first) // self.timeframe.duration

    def _after_silence(self, cursor: Milliseconds) -> Milliseconds:
        """Return where to ask next after a page without candles at ``cursor``.

        That is a page further on, for some exchanges answer a window and its silence may end
        behind it; or the first day with candles, if that is later still, so that the years before
        a market opened or after it closed are not asked for page by page.
        """
        step = cursor + self._span
        if self.timeframe.duration >= DAY or "1d" not in self._client.timeframes:
            return step
        # From a day before: the days of some exchanges do not begin at midnight UTC.
        since = (cursor // DAY - 1) * DAY
        days = self._page("1d", max(0, since)).open_time
        days = days[days + DAY > cursor]
        return max(step, int(days.min()) if days.size else since + (self._limit or 1) * DAY)

    def _keeps_only_newest(self, asked: Milliseconds, first: Milliseconds) -> bool:
        """Return whether candles before ``first`` are lacking because the exchange keeps none.

        Slower candles reach further back where it keeps a number of each: if one of them closed
        in between, there was a market then. An outage is told apart by what came before it.
        """
        slower = self._slower()
        if slower is None:
            return False
        name, duration = slower
        between = _from(self._page(name, asked), asked).open_time + duration <= first
        if not between.any():
            return False
        before = self._page(str(self.timeframe), max(0, asked - self._span)).open_time < first
        return not before.any()

    def _slower(self) -> tuple[str, Milliseconds] | None:
        spans = {
            name: self._client.parse_timeframe(name) * SECOND for name in self._client.timeframes
        }
        longer = {name: span for name, span in spans.items() if span > self.timeframe.duration}
        return min(longer.items(), key=lambda each: each[1]) if longer else None

    def _page(self, timeframe: str, since: Milliseconds) -> RawCandles:
        return self._ask(
            lambda: _parse(self._client.fetch_ohlcv(self.symbol, timeframe, since, self._limit))
        )

    def _exchange_time(self, clock: Clock) -> Milliseconds:
        """Return the exchange's time: as it tells it, or as its last answer was dated, or ours."""
        if self._client.has.get("fetchTime"):
            return int(self._ask(self._client.fetch_time))
        try:
            dated = parsedate_to_datetime(str(self._client.last_response_headers["Date"]))
        except (LookupError, TypeError, ValueError):
            return clock.now()
        return _milliseconds(dated)

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        for attempt in range(ATTEMPTS):
            try:
                with exchange_errors(self._client):
                    return call()
            except RetryableError as error:
                pause = min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE)
                pause *= 1.0 - 0.5 * self._chance()
                if isinstance(error, RateLimited):
                    pause = max(pause, error.retry_after or 0.0)
                    if error.banned:
                        raise
                if attempt + 1 == ATTEMPTS or pause > LONGEST_WISH:
                    raise
            self._wait(pause)
        raise AssertionError("the last attempt returns or raises")


def _host(client: "ccxt.Exchange") -> str:
    """Return the host that was asked last, without its port, which changes with each test venue."""
    return urlsplit(client.last_request_url).hostname or ""


def _parse(rows: list[list[float | None]]) -> RawCandles:
    """Return ccxt's rows as raw candles, NaN where one lacks a price or a volume."""
    columns = [
        np.array([np.nan if row[place] is None else row[place] for row in rows], dtype=np.float64)
        for place in range(1, _COLUMNS)
    ]
    return RawCandles(
        np.arange(1, len(rows) + 1, dtype=np.int64),
        np.array([row[0] for row in rows], dtype=np.int64),
        *columns,
    )


def _from(page: RawCandles, since: Milliseconds) -> RawCandles:
    return page.take(page.open_time >= since)


def _milliseconds(instant: datetime) -> Milliseconds:
    return int(instant.timestamp()) * SECOND
