"""Downloads from the loopback exchange with unmodified ccxt: pages, faults, kills; SIMULATED."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from adan_core.data.download import Download, Downloaded
from adan_core.data.exchange_client import SIMULATED_HEADER, RateLimited, open_client
from adan_core.data.exchange_history import ATTEMPTS, ExchangeHistory
from adan_core.data.findings import Policy
from adan_core.data.series import CandleSeries, concatenate
from adan_core.data.sources import NewestOnly
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, RetryableError
from adan_core.domain.time import DAY, MINUTE, ManualClock, Milliseconds, iso
from adan_core.sandbox.exchange import LoopbackExchange
from adan_core.sandbox.faults import Fault, FaultKind, Faults
from adan_core.sandbox.requests import Request
from adan_core.sandbox.venue import MARK

_MINUTES = Timeframe(MINUTE)
_MARKET = SimulatedMarket("BTC/USDT", _MINUTES, 11).candles(0, 4321)
_START = int(_MARKET.open_time[0])
_NOW = int(_MARKET.open_time[-1]) + 20_000  # the last candle is forming
_CLOSED = _MARKET.slice(0, 4320)


class _Waits:
    """Pauses asked for, none of them slept."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@contextmanager
def _history(
    exchange: LoopbackExchange,
    waits: Callable[[float], None] = lambda _: None,
    name: str = "binance",
    timeframe: Timeframe = _MINUTES,
) -> Iterator[ExchangeHistory]:
    """Give a source at ``exchange``; this machine's clock is an hour slow."""
    with closing(open_client(name, exchange.url)) as client:
        client.enableRateLimit = False
        clock = ManualClock(_NOW - 60 * MINUTE)
        yield ExchangeHistory(client, "BTC/USDT", timeframe, clock, waits, lambda: 0.0)


def _download(
    folder: Path,
    exchange: LoopbackExchange,
    waits: Callable[[float], None] = lambda _: None,
    since: Milliseconds = _START,
    name: str = "binance",
) -> Downloaded:
    with _history(exchange, waits, name) as history:
        task = Download(history, CandleStore(folder), "data", since, history.now, Policy())
        return task.run(lambda _: None)


def _klines(requests: tuple[Request, ...]) -> list[Milliseconds]:
    """Return the opening times from which one-minute candles were asked for."""
    return [
        int(each.query["startTime"])
        for each in requests
        if each.path.endswith("klines") and each.query["interval"] == "1m"
    ]


def test_the_mark_of_the_sandbox_is_the_one_that_is_looked_for() -> None:
    assert SIMULATED_HEADER == MARK


def test_it_pages_and_stores_what_the_exchange_holds_save_the_forming_candle(
    tmp_path: Path,
) -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW) as exchange:
        done = _download(tmp_path, exchange)

        assert _klines(exchange.requests) == [_START + k * 1000 * MINUTE for k in range(5)]
    assert done.info.content_hash == _CLOSED.content_hash
    assert done.info.synthetic
    assert done.info.source == "test-binance at 127.0.0.1, history"
    assert CandleStore(tmp_path).read("data").content_hash == _CLOSED.content_hash


def test_the_exchange_s_clock_decides_what_has_closed(tmp_path: Path) -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW) as exchange, _history(exchange) as history:
        assert history.now == _NOW
        assert history.skew == 60 * MINUTE
        pages = list(history.batches(_NOW - 5 * MINUTE, _NOW + DAY))

    assert [int(time) for page in pages for time in page.open_time] == [
        int(time) for time in _CLOSED.open_time[-4:]
    ]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.UNAVAILABLE, first=2, every=3, count=None, where="klines"),
        Fault(FaultKind.DROPPED, first=2, every=2, count=None, where="klines"),
        Fault(FaultKind.CUT, first=2, every=3, count=None, where="klines"),
        Fault(FaultKind.TRUNCATED, first=1, every=2, count=None, where="klines"),
        Fault(FaultKind.HTML, first=1, every=2, count=None, where="klines"),
        Fault(FaultKind.EMPTY, first=1, every=2, count=None, where="klines"),
        Fault(FaultKind.DROPPED, where="exchangeInfo"),
        Fault(FaultKind.HTML, where="time"),
        Fault(FaultKind.REPEATED, count=None, amount=3.0),
        Fault(FaultKind.DISORDERED, count=None),
        Fault(FaultKind.SHORT, every=2, count=None, amount=7.0),
        Fault(FaultKind.SKIPPED, first=2, count=2, amount=40.0),
    ],
    ids=lambda fault: f"{fault.kind} {fault.where}".strip(),
)
def test_whatever_goes_wrong_the_result_is_the_same(tmp_path: Path, fault: Fault) -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange:
        done = _download(tmp_path, exchange)

    assert done.info.content_hash == _CLOSED.content_hash
    assert done.holes == ()


def test_rows_that_stay_missing_are_a_gap_and_asked_for_once_more(tmp_path: Path) -> None:
    outage = _MARKET.open_time[1500:3200]
    venue = concatenate([_MARKET.slice(0, 1500), _MARKET.slice(3200, 4321)])
    with LoopbackExchange([venue], lambda: _NOW) as exchange:
        done = _download(tmp_path, exchange)

        asked = _klines(exchange.requests)
    assert done.info.missing == outage.shape[0]
    assert [(hole.start, hole.candles) for hole in done.holes] == [(int(outage[0]), 1700)]
    assert asked.count(int(outage[0])) == 1


def test_the_wait_an_exchange_asks_for_is_kept(tmp_path: Path) -> None:
    waits = _Waits()
    fault = Fault(FaultKind.RATE_LIMITED, first=2, count=2, where="klines", amount=37.0)
    with LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange:
        done = _download(tmp_path, exchange, waits)

    assert waits.seconds == [37.0, 37.0]
    assert done.info.content_hash == _CLOSED.content_hash


def test_a_spent_weight_is_waited_for_as_the_exchange_says(tmp_path: Path) -> None:
    now = [_NOW]

    def wait(seconds: float) -> None:
        now[0] += round(seconds * 1000)

    with LoopbackExchange([_MARKET], lambda: now[0], weight_limit=25) as exchange:
        done = _download(tmp_path, exchange, wait)

    assert done.info.content_hash == _CLOSED.content_hash
    assert now[0] > _NOW


def test_pauses_double_until_the_exchange_answers() -> None:
    waits = _Waits()
    fault = Fault(FaultKind.UNAVAILABLE, count=3, where="klines")
    with (
        LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange,
        _history(exchange, waits) as history,
    ):
        next(history.batches(_START, None))

    assert waits.seconds == [1.0, 2.0, 4.0]


def test_an_exchange_that_stays_away_ends_it_and_what_came_is_kept(tmp_path: Path) -> None:
    waits = _Waits()
    fault = Fault(FaultKind.DROPPED, first=3, count=None, where="klines")
    with LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange:
        with pytest.raises(RetryableError):
            _download(tmp_path, exchange, waits)
        assert len(waits.seconds) == ATTEMPTS - 1
        exchange.inject(Faults())

        asked = len(exchange.requests)
        done = _download(tmp_path, exchange, waits)

        assert min(_klines(exchange.requests[asked:])) == _START + 2000 * MINUTE
    assert done.info.content_hash == _CLOSED.content_hash


def test_a_ban_stops_all_traffic(tmp_path: Path) -> None:
    waits = _Waits()
    fault = Fault(FaultKind.BANNED, first=2, where="klines", amount=120.0)
    with LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange:
        with pytest.raises(RateLimited) as caught:
            _download(tmp_path, exchange, waits)

        assert len(_klines(exchange.requests)) == 2
    assert (caught.value.banned, caught.value.retry_after) == (True, 120.0)
    assert waits.seconds == []
    assert CandleStore(tmp_path).info("data").rows == 1000


def test_a_wish_to_be_left_alone_for_long_ends_it(tmp_path: Path) -> None:
    waits = _Waits()
    fault = Fault(FaultKind.RATE_LIMITED, where="klines", amount=3600.0)
    with (
        LoopbackExchange([_MARKET], lambda: _NOW, Faults((fault,))) as exchange,
        pytest.raises(RateLimited, match="3600 s"),
    ):
        _download(tmp_path, exchange, waits)

    assert waits.seconds == []


@pytest.mark.parametrize("name", ["binance", "kraken"])
def test_a_venue_that_keeps_only_its_newest_candles_is_told_and_they_are_stored(
    tmp_path: Path, name: str
) -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW, newest_only=720) as exchange:
        done = _download(tmp_path, exchange, name=name)

    assert done.info.content_hash == _MARKET.slice(3600, 4320).content_hash
    assert isinstance(done.shortfall, NewestOnly)
    said = str(done.shortfall)
    assert f"{name} serves only its newest 720 candles of 1m" in said
    assert f"asked from {iso(_START)}" in said
    assert "take another exchange, or import a file" in said


def test_a_market_that_opened_later_is_not_taken_for_one_that_forgets(tmp_path: Path) -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW) as exchange:
        done = _download(tmp_path, exchange, since=_START - 400 * DAY)

    assert done.shortfall is None
    assert done.info.content_hash == _CLOSED.content_hash


def test_an_outage_at_the_beginning_is_not_taken_for_one_that_forgets(tmp_path: Path) -> None:
    # One-minute candles are missing where slower ones are not, as in Binance's incidents.
    minutes = concatenate([_MARKET.slice(0, 1000), _MARKET.slice(1284, 4321)])
    three = _slower(_MARKET, 3)
    with LoopbackExchange([minutes, three], lambda: _NOW) as exchange:
        done = _download(tmp_path, exchange, since=_START + 1000 * MINUTE)

    assert done.shortfall is None
    assert done.info.start == _START + 1284 * MINUTE


def test_candles_it_does_not_have_are_refused_before_any_is_asked_for() -> None:
    with LoopbackExchange([_MARKET], lambda: _NOW) as exchange:
        with (
            pytest.raises(DataError, match="no candles of 7m"),
            _history(exchange, timeframe=Timeframe(7 * MINUTE)),
        ):
            pass
        with closing(open_client("binance", exchange.url)) as client:
            client.enableRateLimit = False
            with pytest.raises(DataError, match="did you mean BTC/USDT"):
                ExchangeHistory(
                    client, "BTC/USDC", _MINUTES, ManualClock(_NOW), lambda _: None, lambda: 0.0
                )
        assert _klines(exchange.requests) == []


def _slower(series: CandleSeries, ratio: int) -> CandleSeries:
    """Return candles ``ratio`` times as long, of whole ones only."""
    count = len(series) // ratio
    rows = slice(0, count * ratio)

    def blocks(column: np.ndarray) -> np.ndarray:
        return column[rows].reshape(count, ratio)

    return CandleSeries(
        series.symbol,
        Timeframe(series.timeframe.duration * ratio),
        blocks(series.open_time)[:, 0],
        blocks(series.open)[:, 0],
        blocks(series.high).max(axis=1),
        blocks(series.low).min(axis=1),
        blocks(series.close)[:, -1],
        blocks(series.volume).sum(axis=1),
        series.synthetic,
    )
