"""An exchange as the live feed sees it: its clock, its candles as they stand, and a stream of hints.

The protocol is ours; ``ExchangeVenue`` fills it by ccxt.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from adan_core.data.exchange_client import SIMULATED_HEADER, exchange_errors, open_stream_client
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.domain.time import Clock, Milliseconds

if TYPE_CHECKING:
    import ccxt.pro

# Where a driver does not say how many candles one answer may hold.
_USUAL_PAGE: Final = 500

Update = tuple[str, Candle]
"""A symbol and one of its candles as it stands: forming, or just closed."""


@dataclass(frozen=True, slots=True)
class VenueName:
    """Which exchange is asked, and where: ``base_url`` None is its own address."""

    exchange: str
    base_url: str | None

    @property
    def simulated(self) -> bool:
        """Whether the address is another than the exchange's own: a test venue's."""
        return self.base_url is not None

    @property
    def label(self) -> str:
        """What its data sets and books are called by; a test venue's never like the exchange's."""
        return f"test-{self.exchange}" if self.simulated else self.exchange

    @property
    def shown(self) -> str:
        """What a screen calls it: the exchange's name, or a test venue's address."""
        return self.exchange if self.base_url is None else urlsplit(self.base_url).netloc

    def dataset(self, symbol: str, timeframe: Timeframe) -> str:
        """Return the name of the data set of its candles, e.g. ``binance-BTC-USDT-5m``."""
        return f"{self.label}-{symbol.replace('/', '-')}-{timeframe}"


class LiveVenue(Protocol):
    """What a live feed asks of an exchange; whatever fails in passing is a TradingError."""

    @property
    def name(self) -> VenueName:
        """Which exchange this is."""
        ...

    @property
    def host(self) -> str:
        """The host that answered last; empty before the first answer."""
        ...

    @property
    def page(self) -> int:
        """How many candles one answer holds at most."""
        ...

    async def prepare(self) -> None:
        """Learn the exchange's markets; DataError if it does not trade a symbol."""
        ...

    async def time(self) -> Milliseconds:
        """Return the exchange's clock."""
        ...

    async def candles(self, symbol: str, since: Milliseconds) -> Sequence[Candle]:
        """Return a page of candles that open at or after ``since``, a forming one among them."""
        ...

    async def updates(self) -> Sequence[Update]:
        """Wait for the stream's next news, opening it if it is not open, and return them."""
        ...

    async def disconnect(self) -> None:
        """Close the stream; ``updates`` opens it again."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class ExchangeVenue:
    """An exchange by ccxt, for the event loop that first asks it.

    UsageError if ccxt does not know it or it streams no candles; ConfigurationError if it has no
    candles of ``timeframe``.
    """

    def __init__(
        self, name: VenueName, symbols: Sequence[str], timeframe: Timeframe, clock: Clock
    ) -> None:
        self.name = name
        self.host = ""
        self._symbols = tuple(symbols)
        self._timeframe = str(timeframe)
        self._clock = clock
        self._client: ccxt.pro.Exchange = open_stream_client(name.exchange, name.base_url)
        self._watches: dict[str, asyncio.Task[list[Update]]] = {}
        offered = self._client.timeframes or {}
        if self._timeframe not in offered:
            raise ConfigurationError(
                f"market.timeframe {timeframe}: {name.exchange} has no such candles",
                f"one of {', '.join(offered)}",
            )

    @property
    def page(self) -> int:
        """How many candles one answer holds at most, by the driver's own account."""
        spot = (self._client.features or {}).get("spot") or {}
        limit = (spot.get("fetchOHLCV") or {}).get("limit")
        return limit if isinstance(limit, int) else _USUAL_PAGE

    async def prepare(self) -> None:
        """Load the exchange's markets; DataError for a symbol that is not traded there."""
        markets = await self._asked(self._client.load_markets())
        missing = [symbol for symbol in self._symbols if symbol not in markets]
        if missing:
            raise DataError(
                f"{self.name.exchange} does not trade {', '.join(missing)}",
                "symbols it trades",
                "change market.symbols",
            )

    async def time(self) -> Milliseconds:
        """Return the exchange's clock; where it does not tell, the machine's own."""
        if not self._client.has.get("fetchTime"):
            return self._clock.now()
        return int(await self._asked(self._client.fetch_time()))

    async def candles(self, symbol: str, since: Milliseconds) -> Sequence[Candle]:
        """Return a page of candles that open at or after ``since``, a forming one among them."""
        rows = await self._asked(
            self._client.fetch_ohlcv(symbol, self._timeframe, since, self.page)
        )
        return [_candle(row) for row in rows if _whole(row)]

    async def updates(self) -> Sequence[Update]:
        """Wait for the stream's next news and return them."""
        for subject in self._subjects():
            if subject not in self._watches:
                self._watches[subject] = asyncio.ensure_future(self._watch(subject))
        done, _ = await asyncio.wait(self._watches.values(), return_when=asyncio.FIRST_COMPLETED)
        self._watches = {name: watch for name, watch in self._watches.items() if watch not in done}
        failures = [error for watch in done if (error := watch.exception()) is not None]
        if failures:
            raise failures[0]
        return [update for watch in done for update in watch.result()]

    async def disconnect(self) -> None:
        """Close the stream; what waits for it is ended first."""
        watches = tuple(self._watches.values())
        self._watches.clear()
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await self._client.close_ws_clients()

    async def close(self) -> None:
        """Close every connection."""
        await self.disconnect()
        await self._client.close()

    def _subjects(self) -> tuple[str, ...]:
        """Return what is watched one by one: each symbol, or, where one stream tells all, "all"."""
        together = self._client.has.get("watchOHLCVForSymbols")
        return ("all",) if together else self._symbols

    async def _watch(self, subject: str) -> list[Update]:
        with exchange_errors(self._client):
            if subject == "all":
                pairs = [[symbol, self._timeframe] for symbol in self._symbols]
                news = await self._client.watch_ohlcv_for_symbols(pairs)
            else:
                rows = await self._client.watch_ohlcv(subject, self._timeframe)
                news = {subject: {self._timeframe: rows}}
            return [
                (symbol, _candle(row))
                for symbol, frames in news.items()
                for row in frames.get(self._timeframe, ())
                if _whole(row)
            ]

    async def _asked(self, answer: Awaitable[Any]) -> Any:  # noqa: ANN401 (ccxt's)
        with exchange_errors(self._client):
            result = await answer
        self.host = urlsplit(self._client.last_request_url or "").netloc
        headers = self._client.last_response_headers or {}
        marked = any(name.lower() == SIMULATED_HEADER.lower() for name in headers)
        if marked and not self.name.simulated:
            raise ConfigurationError(
                f"{self.host} answers as a sandbox: its candles are simulated",
                f"the exchange {self.name.exchange} itself",
                "name the sandbox in exchange.base_url",
            )
        return result


def _whole(row: Sequence[Any]) -> bool:
    return len(row) >= 6 and all(isinstance(value, int | float) for value in row[:6])


def _candle(row: Sequence[Any]) -> Candle:
    return Candle(int(row[0]), *(float(value) for value in row[1:6]))
