"""The live feed through real ccxt and the loopback exchange: REST, streams, and what goes wrong."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adan_core.data.exchange_client import SIMULATED_HEADER
from adan_core.data.live import ExchangeFeed, LiveLimits
from adan_core.data.live_check import Comparison
from adan_core.data.live_shelf import CandleShelf
from adan_core.data.live_venue import ExchangeVenue, VenueName
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Candle, ClosedCandles, Timeframe
from adan_core.domain.errors import ConfigurationError, DataError, UsageError
from adan_core.domain.time import MINUTE, SECOND, ManualClock, Milliseconds
from adan_core.sandbox.exchange import LoopbackExchange
from adan_core.sandbox.faults import Fault, FaultKind, Faults
from adan_core.sandbox.venue import MARK

pytestmark = pytest.mark.slow

TIMEFRAME = Timeframe.parse("1m")
BTC, ETH = "BTC/USDT", "ETH/USDT"
STANDS_AT = 600
LIMITS = LiveLimits(5 * SECOND, 30 * SECOND, 30 * SECOND, SECOND)
# What the feed's waiting really takes, so that what was sent arrives meanwhile.
MOMENT = 0.002
PATIENCE = 240.0  # seconds of the machine's clock: by then a test has failed


class AskedVenue(ExchangeVenue):
    """The exchange, and how many questions to it are unanswered: meanwhile time stands still."""

    asked = 0

    async def time(self) -> Milliseconds:
        with self._asking():
            return await super().time()

    async def candles(self, symbol: str, since: Milliseconds) -> Sequence[Candle]:
        with self._asking():
            return await super().candles(symbol, since)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self.asked += 1
        try:
            yield
        finally:
            self.asked -= 1


def markets(*symbols: str) -> tuple[CandleSeries, ...]:
    return tuple(
        replace(SimulatedMarket(symbol, TIMEFRAME, 3).candles(0, STANDS_AT + 200), synthetic=False)
        for symbol in symbols
    )


@dataclass
class Meeting:
    """A feed that follows the loopback exchange until ``enough`` says so.

    Time, the exchange's and the feed's alike, passes while the feed waits and nothing is asked.
    """

    exchange: LoopbackExchange
    series: Sequence[CandleSeries]
    clock: ManualClock
    store: CandleStore
    enough: Callable[["Meeting"], bool]
    name: VenueName
    after: dict[str, Milliseconds] = field(default_factory=dict)
    delivered: list[ClosedCandles] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    alarms: list[tuple[str, Severity, str]] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(each.symbol for each in self.series)

    async def follow(self) -> None:
        deadline = time.monotonic() + PATIENCE

        async def wait(seconds: float) -> bool:
            if seconds:
                await asyncio.to_thread(self.exchange.advance)
            await asyncio.sleep(MOMENT if seconds else 0.0)
            if not venue.asked:
                self.clock.advance(round(seconds * SECOND))
            self.paused.append(feed.stream.paused)
            assert time.monotonic() < deadline, f"not enough came: {self.alarms[-3:]}"
            return self.enough(self)

        venue = AskedVenue(self.name, self.symbols, TIMEFRAME, self.clock)
        feed = ExchangeFeed(
            venue,
            self.symbols,
            TIMEFRAME,
            CandleShelf(self.store, self.name, TIMEFRAME),
            LIMITS,
            300,
            self.after,
            wait,
            self.clock,
            lambda *alarm: self.alarms.append(alarm),
            self.compared.append,
        )
        try:
            assert await feed.prepare() or self.enough(self)
            async for closed in feed:
                self.delivered.append(closed)
        finally:
            await feed.close()

    def candles(self, symbol: str) -> list[Candle]:
        return [row for closed in self.delivered for name, row in closed.candles if name == symbol]


def meet(
    folder: Path,
    enough: Callable[[Meeting], bool],
    faults: tuple[Fault, ...] = (),
    symbols: tuple[str, ...] = (BTC, ETH),
    exchange: str = "binance",
    seconds_in: int = 40,
) -> Meeting:
    """Let a feed begin ``seconds_in`` seconds into a candle, and return what came of it."""
    series = markets(*symbols)
    clock = ManualClock(int(series[0].open_time[STANDS_AT]) + seconds_in * SECOND)
    with LoopbackExchange(series, clock.now, Faults(faults), weight_limit=10**9) as venue:
        name = VenueName(exchange, venue.url)
        meeting = Meeting(venue, series, clock, CandleStore(folder), enough, name)
        asyncio.run(meeting.follow())
    return meeting


def check_all(meeting: Meeting) -> None:
    """Every candle stored and delivered is the exchange's own, closed, in order, once."""
    for each in meeting.series:
        stored = meeting.store.read(meeting.name.dataset(each.symbol, TIMEFRAME))
        first = each.index_at(int(stored.open_time[0]))
        truth = each.slice(first, first + len(stored))
        assert stored.content_hash == replace(truth, synthetic=True).content_hash
        assert stored.close_time[-1] <= meeting.clock.now()
        got = meeting.candles(each.symbol)
        begin = each.index_at(got[0].open_time)
        assert got == [each.candle(begin + number) for number in range(len(got))]


def delivered(count: int) -> Callable[[Meeting], bool]:
    return lambda meeting: len(meeting.delivered) >= count


def check_history_and_comparisons(meeting: Meeting) -> None:
    check_all(meeting)
    name = meeting.name.dataset(meeting.symbols[0], TIMEFRAME)
    stored = meeting.store.read(name)
    assert len(stored) >= 300 + len(meeting.delivered)
    assert meeting.store.info(name).synthetic  # a test venue's never look like an exchange's
    assert len(meeting.delivered[-1].candles) == 2
    assert not meeting.delivered[-1].settle_only
    own = [one for one in meeting.compared if one.against == "its own stream"]
    assert own
    assert all(one.deviation == 0.0 for one in own)


def test_an_empty_store_is_filled_then_candles_come_as_they_close(tmp_path: Path) -> None:
    check_history_and_comparisons(meet(tmp_path, delivered(4)))


def test_an_exchange_with_a_stream_per_symbol_is_followed_alike(tmp_path: Path) -> None:
    symbols = ("BTC/USD", "ETH/USD")

    def enough(meeting: Meeting) -> bool:
        return any(one.against == "its own stream" for one in meeting.compared)

    meeting = meet(tmp_path, enough, (), symbols, "kraken", seconds_in=15)
    check_history_and_comparisons(meeting)


def test_a_connection_that_is_cut_again_and_again_loses_nothing(tmp_path: Path) -> None:
    cut = Fault(FaultKind.DISCONNECTED, first=4, every=9, count=None)
    meeting = meet(tmp_path, delivered(6), (cut,))
    check_all(meeting)
    dials = [one for one in meeting.exchange.requests if one.method == "SUBSCRIBE"]
    assert len(dials) >= 3


def test_a_connection_that_falls_silent_pauses_and_is_opened_again(tmp_path: Path) -> None:
    silent = Fault(FaultKind.HALF_OPEN, first=3)

    def enough(meeting: Meeting) -> bool:
        return len(meeting.delivered) >= 5 and not meeting.delivered[-1].settle_only

    meeting = meet(tmp_path, enough, (silent,), seconds_in=5)
    check_all(meeting)
    assert any(code == "stream" for code, _, _ in meeting.alarms)
    assert any("silent" in why for why in meeting.paused)


def test_rest_that_fails_limits_skips_and_repeats_loses_nothing(tmp_path: Path) -> None:
    kinds = [
        Fault(FaultKind.RATE_LIMITED, first=3, every=11, count=None, where="klines", amount=1.0),
        Fault(FaultKind.CUT, first=5, every=11, count=None, where="klines"),
        Fault(FaultKind.EMPTY, first=6, every=11, count=None, where="klines"),
        Fault(FaultKind.UNAVAILABLE, first=8, every=11, count=None, where="klines"),
        Fault(FaultKind.SKIPPED, first=2, every=3, count=None, where="klines", amount=2.0),
        Fault(FaultKind.REPEATED, first=3, every=4, count=None, where="klines", amount=1.0),
        Fault(FaultKind.DISORDERED, first=4, every=5, count=None, where="klines"),
    ]
    meeting = meet(tmp_path, delivered(6), tuple(kinds))
    check_all(meeting)
    assert any(code == "exchange" for code, _, _ in meeting.alarms)


def test_a_stream_that_leaves_candles_out_or_never_closes_them_is_only_a_hint(
    tmp_path: Path,
) -> None:
    gap = Fault(FaultKind.GAP, first=1, every=2, count=None)
    open_ended = Fault(FaultKind.NEVER_CLOSED, first=2, every=2, count=None)
    late = Fault(FaultKind.LATE, first=5, every=7, count=None)
    twice = Fault(FaultKind.DUPLICATED, first=3, every=4, count=None)
    meeting = meet(tmp_path, delivered(5), (gap, open_ended, late, twice))
    check_all(meeting)


def test_a_stream_that_tells_other_prices_than_rest_is_found(tmp_path: Path) -> None:
    odd = Fault(FaultKind.DEVIATING, first=2, count=1, where=BTC, amount=1.2)

    def enough(meeting: Meeting) -> bool:
        return any(one.deviation > 0.1 for one in meeting.compared)

    meeting = meet(tmp_path, enough, (odd,))
    check_all(meeting)
    (found,) = [one for one in meeting.compared if one.deviation > 0.1]
    assert found.symbol == BTC
    assert found.deviation == pytest.approx(0.2, abs=1e-3)


def test_a_restart_takes_up_where_the_last_one_was_settled(tmp_path: Path) -> None:
    series = markets(BTC, ETH)
    clock = ManualClock(int(series[0].open_time[STANDS_AT]) + 40 * SECOND)
    with LoopbackExchange(series, clock.now, weight_limit=10**9) as venue:
        name = VenueName("binance", venue.url)
        first = Meeting(venue, series, clock, CandleStore(tmp_path), delivered(2), name)
        asyncio.run(first.follow())
        settled = first.delivered[0].close_time  # the second was stored, then the core died
        again = Meeting(
            venue,
            series,
            clock,
            CandleStore(tmp_path),
            delivered(4),
            name,
            after={BTC: settled, ETH: settled},
        )
        asyncio.run(again.follow())
    check_all(again)
    assert again.candles(BTC)[0] == first.candles(BTC)[1]
    assert again.delivered[0].close_time == settled + MINUTE


def test_a_symbol_that_is_not_traded_is_refused_with_a_remedy(tmp_path: Path) -> None:
    series = markets(BTC)
    clock = ManualClock(int(series[0].open_time[STANDS_AT]))
    other = markets("DOGE/USDT")
    with LoopbackExchange(series, clock.now, weight_limit=10**9) as venue:
        name = VenueName("binance", venue.url)
        meeting = Meeting(venue, other, clock, CandleStore(tmp_path), delivered(1), name)
        with pytest.raises(DataError, match="binance does not trade DOGE/USDT"):
            asyncio.run(meeting.follow())


def test_a_sandbox_in_an_exchanges_place_is_refused() -> None:
    """Whoever answers with the sandbox's header is not the exchange, whatever the address says."""
    series = markets(BTC)
    clock = ManualClock(int(series[0].open_time[STANDS_AT]))

    async def ask(url: str) -> None:
        venue = ExchangeVenue(VenueName("binance", url), (BTC,), TIMEFRAME, clock)
        venue.name = VenueName("binance", None)
        try:
            await venue.time()
        finally:
            await venue.close()

    with (
        LoopbackExchange(series, clock.now) as exchange,
        pytest.raises(ConfigurationError, match="answers as a sandbox"),
    ):
        asyncio.run(ask(exchange.url))
    assert SIMULATED_HEADER == MARK


def test_what_an_exchange_cannot_do_is_refused_before_it_is_asked() -> None:
    clock = ManualClock(0)
    with pytest.raises(ConfigurationError, match=r"market.timeframe 7m: binance has no such"):
        ExchangeVenue(VenueName("binance", None), (BTC,), Timeframe.parse("7m"), clock)
    with pytest.raises(UsageError, match="did you mean binance"):
        ExchangeVenue(VenueName("binanc", None), (BTC,), TIMEFRAME, clock)
