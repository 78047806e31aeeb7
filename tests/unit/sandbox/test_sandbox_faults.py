"""Which request, row or update a scripted fault hits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.time import MINUTE, ManualClock
from adan_core.sandbox.faults import (
    CANDLE_FAULTS,
    DESCRIPTIONS,
    PAGE_FAULTS,
    REQUEST_FAULTS,
    UPDATE_FAULTS,
    Fault,
    FaultKind,
    Faults,
    FaultScript,
    deviate,
    spoil_page,
)
from adan_core.sandbox.limits import WeightLimiter
from adan_core.sandbox.market import Kline, MarketData
from tests.sandbox_market import START, minutes


def page(count: int) -> list[Kline]:
    series = minutes(count)
    market = MarketData([series], ManualClock(START + count * MINUTE).now)
    return market.klines("BTC/USDT", series.timeframe, 0, None, count)


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 5) | st.none())
def test_a_fault_hits_its_first_and_each_every_th_after_it(
    first: int, every: int, count: int | None
) -> None:
    fault = Fault(FaultKind.CUT, first, every, count)
    hit = [number for number in range(1, 100) if fault.hits(number)]
    assert hit == list(range(first, 100, every))[:count]


def test_each_fault_counts_only_what_it_looks_at() -> None:
    cut = Fault(FaultKind.CUT, first=2, where="klines")
    late = Fault(FaultKind.DELAYED, first=2, count=None)
    silent = Fault(FaultKind.SILENT)
    script = FaultScript(Faults((cut, late, silent)))
    met = [
        script.next(REQUEST_FAULTS, path) for path in ("time", "klines?a", "klines?b", "klines?c")
    ]
    assert met == [(), (late,), (cut, late), (late,)]
    assert script.next(UPDATE_FAULTS, "BTC/USDT 1m") == (silent,)


def test_every_kind_is_described_and_belongs_to_one_family() -> None:
    families = [REQUEST_FAULTS, PAGE_FAULTS, CANDLE_FAULTS, UPDATE_FAULTS]
    assert set(DESCRIPTIONS) == set(FaultKind)
    assert sum(map(len, families)) == len(FaultKind)


@pytest.mark.parametrize("bad", [{"first": 0}, {"every": 0}, {"count": 0}, {"amount": 0.0}])
def test_numbers_that_cannot_be_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|positive"):
        Fault(FaultKind.CUT, **bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.REPEATED, [0, 1, 2, 3, 3, 3, 4, 5]),
        (FaultKind.SKIPPED, [0, 1, 2, 5]),
        (FaultKind.DISORDERED, [3, 4, 5, 0, 1, 2]),
        (FaultKind.SHORT, [0, 1]),
    ],
)
def test_a_page_is_spoilt_as_its_fault_says(kind: FaultKind, expected: list[int]) -> None:
    spoilt = spoil_page(page(6), (Fault(kind, amount=2),))
    assert [(kline.candle.open_time - START) // MINUTE for kline in spoilt] == expected


@given(st.sampled_from(list(PAGE_FAULTS)), st.integers(0, 4), st.integers(1, 9))
def test_spoiling_invents_no_row(kind: FaultKind, count: int, amount: int) -> None:
    rows = page(count) if count else []
    assert all(kline in rows for kline in spoil_page(rows, (Fault(kind, amount=amount),)))


def test_a_deviating_candle_keeps_its_time_and_volume() -> None:
    kline = page(1)[0]
    other = deviate(kline, 1.5).candle
    assert (other.open_time, other.volume) == (START, 1.0)
    assert (other.open, other.high, other.low, other.close) == (150.0, 153.0, 149.625, 151.5)


def test_weight_beyond_the_limit_is_refused_until_the_minute_ends() -> None:
    limiter = WeightLimiter(10)
    assert limiter.spend(10, 15_000).wait is None
    refused = limiter.spend(1, 15_000)
    assert (refused.used, refused.wait, refused.banned_until) == (11, 45, None)
    assert limiter.spend(1, 60_000).wait is None


def test_who_goes_on_is_banned_and_asking_does_not_shorten_it() -> None:
    limiter = WeightLimiter(10)
    verdicts = [limiter.spend(11, 0) for _ in range(6)]
    assert [verdict.banned_until for verdict in verdicts] == [None] * 5 + [2 * MINUTE]
    assert limiter.spend(1, MINUTE + 1).wait == 60
    assert limiter.spend(1, 2 * MINUTE).wait is None
