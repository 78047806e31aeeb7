"""Pages as exchanges give them: windows, silence, missing clocks, rows that are none."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest

from adan_core.data.exchange_client import open_client
from adan_core.data.exchange_history import ATTEMPTS, LONGEST_PAUSE, ExchangeHistory
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, RetryableError
from adan_core.domain.time import DAY, HOUR, MINUTE, SECOND, ManualClock, Milliseconds
from tests.answering_server import Answer, AnsweringServer, Request, answering

_NOON = 1_700_049_600_000  # 2023-11-15T12:00:00Z
_NOW = _NOON + 30_000
_MARKETS = json.dumps(
    [
        {
            "name": "BTC/USD",
            "market_symbol": "btcusd",
            "base_currency": "BTC",
            "base_decimals": 8,
            "counter_currency": "USD",
            "counter_decimals": 0,
            "minimum_order_value": "10",
            "trading": "Enabled",
            "market_type": "SPOT",
            "description": "Bitcoin / U.S. dollar",
        }
    ]
).encode()


@dataclass
class _Bitstamp:
    """Candles that opened at ``opens``, answered by window as Bitstamp does; days of their own."""

    opens: list[Milliseconds]
    step: Milliseconds = MINUTE
    refuses: list[Answer] = field(default_factory=list)
    dated: bool = True

    def __call__(self, request: Request) -> Answer:
        if "/ohlc/" not in request.path:
            headers = {"Date": formatdate(_NOW / 1000, usegmt=True) if self.dated else "today"}
            return Answer(_MARKETS, headers=headers)
        if self.refuses:
            return self.refuses.pop(0)
        step = int(request.query["step"]) * SECOND
        window = (int(request.query["start"]) * SECOND, int(request.query["end"]) * SECOND)
        opened = sorted({each // step * step for each in self.opens})
        rows = [_row(each) for each in opened if window[0] <= each <= window[1]]
        limit = int(request.query["limit"])
        return Answer(json.dumps({"data": {"pair": "BTC/USD", "ohlc": rows[:limit]}}).encode())


def _row(opened: Milliseconds) -> dict[str, str]:
    prices = dict.fromkeys(("open", "high", "low", "close"), "37000.5")
    return {"timestamp": str(opened // SECOND), "volume": "0.25", **prices}


@contextmanager
def _asking(
    venue: Callable[[Request], Answer],
    wait: Callable[[float], None] = lambda _: None,
    timeframe: Timeframe = Timeframe(MINUTE),  # noqa: B008 -- frozen
    chance: float = 0.0,
) -> Iterator[tuple[ExchangeHistory, AnsweringServer]]:
    with answering(venue) as server, closing(open_client("bitstamp", server.url)) as client:
        client.enableRateLimit = False
        clock = ManualClock(_NOW + 5 * HOUR)
        yield ExchangeHistory(client, "BTC/USD", timeframe, clock, wait, lambda: chance), server


def _times(
    history: ExchangeHistory, since: Milliseconds, until: Milliseconds | None = None
) -> list[Milliseconds]:
    return [int(time) for page in history.batches(since, until) for time in page.open_time]


def _asked(server: AnsweringServer) -> list[tuple[str, Milliseconds]]:
    return [
        (each.query["step"], int(each.query["start"]) * SECOND)
        for each in server.requests
        if "/ohlc/" in each.path
    ]


def _minutes(start: Milliseconds, count: int) -> list[Milliseconds]:
    return [start + each * MINUTE for each in range(count)]


def test_an_exchange_that_tells_no_time_is_believed_by_the_date_of_its_answers() -> None:
    opens = _minutes(_NOON - 5 * MINUTE, 6)
    with _asking(_Bitstamp(opens)) as (history, _):
        assert history.now == _NOW
        assert history.skew == -5 * HOUR
        assert _times(history, opens[0]) == opens[:-1], "the candle of noon is forming"


def test_without_any_time_of_its_own_this_machine_s_clock_decides() -> None:
    opens = _minutes(_NOON - 5 * MINUTE, 6)
    with _asking(_Bitstamp(opens, dated=False)) as (history, _):
        assert history.skew == 0
        assert _times(history, opens[0]) == opens


def test_silence_longer_than_a_page_is_not_the_end() -> None:
    before, after = _minutes(_NOON - 3 * DAY, 700), _minutes(_NOON - 8 * HOUR, 480)
    with _asking(_Bitstamp(before + after)) as (history, server):
        assert _times(history, before[0]) == before + after

        # Day by day, not page by page: a page holds 1000 minutes.
        assert len(_asked(server)) <= 7


def test_an_outage_within_a_day_is_stepped_over_page_by_page() -> None:
    midnight = _NOON // DAY * DAY
    opens = [midnight - DAY + MINUTE, midnight - MINUTE, midnight + 11 * HOUR]
    with _asking(_Bitstamp(opens)) as (history, _):
        assert _times(history, opens[0]) == opens


def test_years_before_a_market_opened_are_crossed_in_a_few_requests() -> None:
    opens = _minutes(_NOON - 90 * MINUTE, 90)
    with _asking(_Bitstamp(opens)) as (history, server):
        assert _times(history, _NOON - 3000 * DAY) == opens

        assert len(_asked(server)) < 20


def test_a_market_that_closed_long_ago_ends_soon() -> None:
    opens = _minutes(_NOON - 2000 * DAY, 90)
    with _asking(_Bitstamp(opens)) as (history, server):
        assert _times(history, opens[0]) == opens

        assert len(_asked(server)) < 20


def test_silence_at_days_is_crossed_by_pages_of_days() -> None:
    first = _NOON // DAY * DAY
    opens = [first - 2500 * DAY, first - 3 * DAY, first - DAY]
    with _asking(_Bitstamp(opens), timeframe=Timeframe(DAY)) as (history, _):
        assert _times(history, opens[0]) == opens


def test_until_bounds_what_is_given_and_asked_for() -> None:
    opens = _minutes(_NOON - 5000 * MINUTE, 5000)
    with _asking(_Bitstamp(opens)) as (history, server):
        assert _times(history, opens[10] + 1, opens[20] + 1) == opens[11:20]

        assert len(_asked(server)) == 1


def test_a_row_dated_far_ahead_hides_nothing_before_it() -> None:
    opens = _minutes(_NOON - 2000 * MINUTE, 2000)
    venue = _Bitstamp(opens)

    def with_a_stray_row(request: Request) -> Answer:
        answer = venue(request)
        if request.query.get("step") != "60":
            return answer
        told = json.loads(answer.body)
        told["data"]["ohlc"][500:] = [_row(_NOON + 3650 * DAY)]
        return Answer(json.dumps(told).encode())

    with _asking(with_a_stray_row) as (history, _):
        assert _times(history, opens[0]) == opens


def test_a_beginning_in_the_future_asks_for_nothing() -> None:
    with _asking(_Bitstamp([])) as (history, server):
        assert _times(history, _NOW + DAY) == []
        assert _asked(server) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"ohlc": [{"open": "1"}]}}',
        b'{"data": {"ohlc": [{"timestamp": "soon", "open": "1"}]}}',
        b'{"data": {"ohlc": [null]}}',
        b'{"data": {"ohlc": [[1700000000, 1, 1, 1, 1, 1]]}}',
        b'{"data": {"ohlc": [{"timestamp": "1000000000000000000000000000", "open": "1"}]}}',
    ],
)
def test_rows_that_are_no_candles_are_asked_for_again(body: bytes) -> None:
    waits: list[float] = []
    opens = _minutes(_NOON - 5 * MINUTE, 5)
    with _asking(_Bitstamp(opens, refuses=[Answer(body)]), waits.append) as (history, _):
        assert _times(history, opens[0]) == opens

    assert waits == [1.0]


def test_a_price_that_is_missing_is_told_as_missing() -> None:
    row = {**_row(_NOON - MINUTE), "high": None}
    body = json.dumps({"data": {"ohlc": [row]}}).encode()
    with _asking(_Bitstamp([], refuses=[Answer(body)])) as (history, _):
        (page,) = history.batches(_NOON - MINUTE, None)

    assert page.high[0] != page.high[0]
    assert page.close[0] == 37000.5


def test_pauses_double_up_to_a_limit_and_chance_shortens_them() -> None:
    waits: list[float] = []
    failures = [Answer(b"", 503)] * ATTEMPTS
    with (
        _asking(_Bitstamp([], refuses=failures), waits.append, chance=0.5) as (history, _),
        pytest.raises(RetryableError),
    ):
        _times(history, _NOON - HOUR)

    assert waits == [0.75 * min(2.0**attempt, LONGEST_PAUSE) for attempt in range(ATTEMPTS - 1)]


@contextmanager
def _at_home(now: Milliseconds) -> Iterator[Callable[[Milliseconds], ExchangeHistory]]:
    """Give what asks Binance's own address, answered here, whose clock shows ``now``."""
    with closing(open_client("binance")) as client:
        client.load_markets = lambda: {"BTC/USDT": {"spot": True}}
        client.feature_value = lambda *_: 1000
        client.fetch_time = lambda: now
        client.last_request_url = "https://api.binance.com/api/v3/time"
        yield lambda ours: ExchangeHistory(
            client, "BTC/USDT", Timeframe(MINUTE), ManualClock(ours), lambda _: None, lambda: 0.0
        )


def test_an_exchange_of_another_day_is_not_believed() -> None:
    with _at_home(_NOW) as ask:
        for ours in (_NOW - 50 * 365 * DAY, _NOW - DAY - 1, _NOW + DAY + 1):
            with pytest.raises(
                DataError, match=r"binance tells the time 2023-11-15T12:00:30Z"
            ) as told:
                ask(ours)
            assert "within a day of this machine's" in str(told.value)
            assert "set this machine's clock" in str(told.value)
        for ours in (_NOW - DAY, _NOW + DAY):
            history = ask(ours)
            assert (history.now, history.synthetic) == (_NOW, False)
            assert history.description == "binance at api.binance.com, history"


def test_a_test_venue_lives_in_any_year_and_its_candles_are_synthetic() -> None:
    with answering(_Bitstamp([])) as server, closing(open_client("bitstamp", server.url)) as client:
        clock = ManualClock(_NOW - 50 * 365 * DAY)
        history = ExchangeHistory(
            client, "BTC/USD", Timeframe(MINUTE), clock, lambda _: None, lambda: 0.0
        )

    assert history.synthetic
    assert history.description == "test-bitstamp at 127.0.0.1, history"
