"""Every planted defect is found under its own name, in its place, and treated as the policy says."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.data.agreement import compare
from adan_core.data.findings import Finding, FindingCode, Policy, Treatment, treatable
from adan_core.data.outliers import outlying
from adan_core.data.raw import RawCandles, Report
from adan_core.data.synthetic import SimulatedMarket
from adan_core.data.validation import validate
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError, UsageError

NAMES = ("open", "high", "low", "close")
FIVE = Timeframe.parse("5m")
GOOD = RawCandles.of(SimulatedMarket("BTC/SIM", FIVE, 1).candles(0, 300))
MARK_ALL = Policy(
    {code: Treatment.MARK for code, allowed in treatable().items() if Treatment.MARK in allowed}
)


def changed(**columns: dict[int, float]) -> RawCandles:
    """Return the good candles with single values replaced: column={row index: value}."""
    copies = {
        name: np.array(getattr(GOOD, name))
        for name in ("row", "open_time", "open", "high", "low", "close", "volume")
    }
    for name, values in columns.items():
        for index, value in values.items():
            copies[name][index] = value
    return RawCandles(**copies)


def only(report: Report) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]


def test_good_candles_have_no_findings() -> None:
    report = validate(GOOD, FIVE, Policy())
    assert report.findings == ()
    assert len(report.series("BTC/SIM", FIVE, synthetic=True)) == 300


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (changed(open={50: float("nan")}), FindingCode.NOT_A_PRICE),
        (changed(close={50: 0.0}), FindingCode.NOT_A_PRICE),
        (changed(low={50: -5.0}), FindingCode.NOT_A_PRICE),
        (changed(high={50: float("inf")}), FindingCode.NOT_A_PRICE),
        (changed(high={50: float(GOOD.low[50]) - 1.0}), FindingCode.OHLC),
        (changed(low={50: float(GOOD.high[50]) + 1.0}), FindingCode.OHLC),
        (changed(volume={50: -1.0}), FindingCode.BAD_VOLUME),
        (changed(volume={50: float("nan")}), FindingCode.BAD_VOLUME),
        (changed(open_time={50: int(GOOD.open_time[50]) + 14_789}), FindingCode.OFF_GRID),
        (changed(high={50: 3.0 * float(GOOD.high[50])}), FindingCode.OUTLIER),
        (changed(low={50: 0.2 * float(GOOD.low[50])}), FindingCode.OUTLIER),
    ],
)
def test_a_bad_candle_is_refused_or_left_out_with_a_mark(
    raw: RawCandles, code: FindingCode
) -> None:
    report = validate(raw, FIVE, Policy())
    found = report.findings[0]
    assert (found.code, found.count, found.places[0].row) == (code, 1, 51)
    with pytest.raises(DataError, match=f"{code}.*row 51"):
        report.series("BTC/SIM", FIVE, synthetic=True)
    marked = validate(raw, FIVE, MARK_ALL)
    # What is left out is missing from then on, and that is said, too.
    assert [each.code for each in marked.findings[:2]] == [code, FindingCode.GAP]
    assert len(marked.series("BTC/SIM", FIVE, synthetic=True)) == 299


def test_an_outlier_can_be_kept_as_found() -> None:
    raw = changed(high={50: 3.0 * float(GOOD.high[50])})
    report = validate(raw, FIVE, Policy({FindingCode.OUTLIER: Treatment.WARN}))
    assert only(report).code is FindingCode.OUTLIER
    assert len(report.series("BTC/SIM", FIVE, synthetic=True)) == 300


def test_a_level_that_stays_is_no_outlier() -> None:
    columns = {
        name: np.concatenate((getattr(GOOD, name)[:150], 1.8 * getattr(GOOD, name)[150:]))
        for name in ("open", "high", "low", "close")
    }
    raw = RawCandles(GOOD.row, GOOD.open_time, volume=GOOD.volume, **columns)
    assert validate(raw, FIVE, Policy()).findings == ()


@given(st.sets(st.integers(1, 298), min_size=1, max_size=60))
def test_gaps_are_counted_placed_and_their_candles_summed(dropped: set[int]) -> None:
    kept = np.array([i for i in range(300) if i not in dropped])
    finding = validate(GOOD.take(kept), FIVE, Policy()).findings[0]
    runs = [i for i in sorted(dropped) if i - 1 not in dropped]
    assert finding.code is FindingCode.GAP
    assert (finding.count, finding.candles) == (len(runs), len(dropped))
    assert {each.row for each in finding.places} <= set(runs)  # the row before, counted from 1


@given(st.lists(st.integers(0, 299), min_size=1, max_size=40, unique=True))
def test_repeated_candles_are_dropped_with_a_mark_and_contradictions_refused(
    repeated: list[int],
) -> None:
    indices = np.sort(np.concatenate((np.arange(300), np.array(repeated))))
    report = validate(GOOD.take(indices), FIVE, Policy())
    finding = only(report)
    assert (finding.code, finding.count) == (FindingCode.DUPLICATE, len(repeated))
    assert finding.treatment is Treatment.MARK
    left = report.series("BTC/SIM", FIVE, synthetic=True)
    assert np.array_equal(left.open_time, GOOD.open_time)
    raw = GOOD.take(indices)
    second = int(np.flatnonzero(np.diff(raw.open_time) == 0)[0]) + 1
    raw.volume[second] += 1.0
    conflicting = validate(raw, FIVE, Policy())
    assert [each.code for each in conflicting.refusals] == [FindingCode.CONFLICT]
    assert conflicting.refusals[0].places[0].row == indices[second] + 1


@given(st.permutations(range(300)))
def test_shuffled_candles_are_refused_or_put_in_order(order: list[int]) -> None:
    shuffled = GOOD.take(np.array(order))
    out_of_order = sum(each < max(order[:place]) for place, each in enumerate(order) if place)
    report = validate(shuffled, FIVE, Policy())
    if out_of_order == 0:
        assert report.findings == ()
        return
    assert [each.code for each in report.refusals] == [FindingCode.DISORDER]
    assert report.findings[-1].count == out_of_order
    mended = validate(shuffled, FIVE, MARK_ALL).series("BTC/SIM", FIVE, synthetic=True)
    assert np.array_equal(mended.close, GOOD.close)


def test_newest_first_is_turned_round_and_says_so() -> None:
    backwards = GOOD.take(np.arange(299, -1, -1))
    report = validate(backwards, FIVE, Policy())
    assert only(report).code is FindingCode.DESCENDING
    assert np.array_equal(report.series("BTC/SIM", FIVE, synthetic=True).close, GOOD.close)
    refused = validate(backwards, FIVE, Policy({FindingCode.DESCENDING: Treatment.REFUSE}))
    with pytest.raises(DataError, match="descending"):
        refused.series("BTC/SIM", FIVE, synthetic=True)


def test_idle_candles_are_counted_and_kept() -> None:
    report = validate(changed(volume={3: 0.0, 7: 0.0}), FIVE, Policy())
    finding = only(report)
    assert (finding.code, finding.count) == (FindingCode.ZERO_VOLUME, 2)
    assert [each.row for each in finding.places] == [4, 8]
    assert len(report.candles) == 300


def test_a_policy_that_would_invent_candles_is_refused() -> None:
    for code in (FindingCode.NOT_A_PRICE, FindingCode.OFF_GRID, FindingCode.CONFLICT):
        with pytest.raises(UsageError):
            Policy({code: Treatment.WARN})
    with pytest.raises(UsageError):
        Policy({FindingCode.CONFLICT: Treatment.MARK})
    with pytest.raises(UsageError):
        Policy({FindingCode.COLUMNS: Treatment.MARK})


def still_market(seed: int, restless: float, count: int = 20_000) -> RawCandles:
    """Return minutes of two stable coins: one tick is more than the price moves in hours.

    Days are busy, nights idle; ``restless`` is the deviation of a step in busy ticks.
    """
    generator = np.random.default_rng(seed)
    busy = np.exp(1.5 * np.sin(np.arange(count) / 1440 * 2 * np.pi))
    steps = generator.normal(size=count) * restless * np.sqrt(busy)
    away = np.empty(count)
    level = 0.0
    for place, step in enumerate(steps.tolist()):
        level = 0.999 * level + step
        away[place] = level
    close = np.round(1.0 + np.round(away) * 1e-4, 4)
    opening = np.concatenate((close[:1], close[:-1]))
    trades = generator.poisson(1.5 * busy)
    return RawCandles(
        np.arange(1, count + 1),
        1_600_000_020_000 + np.arange(count) * 60_000,
        opening,
        np.maximum(opening, close),
        np.minimum(opening, close),
        close,
        trades.astype(np.float64) * np.exp(generator.normal(size=count)),
    )


@pytest.mark.parametrize("restless", [0.01, 0.03, 0.1, 1.0])
@given(seed=st.integers(0, 1000))
@settings(max_examples=5)
def test_a_market_that_stands_still_by_itself_is_no_frozen_feed(seed: int, restless: float) -> None:
    report = validate(still_market(seed, restless), Timeframe.parse("1m"), Policy())
    assert {each.code for each in report.findings} <= {FindingCode.ZERO_VOLUME, FindingCode.OUTAGE}
    assert not report.refusals


@given(at=st.integers(1, 200), length=st.integers(40, 95))
def test_a_feed_that_froze_for_a_third_of_a_file_is_no_habit(at: int, length: int) -> None:
    last = float(GOOD.close[at - 1])
    frozen = dict.fromkeys(range(at, at + length), last)
    report = validate(changed(open=frozen, high=frozen, low=frozen, close=frozen), FIVE, Policy())
    assert [each.code for each in report.refusals] == [FindingCode.STUCK]
    assert report.refusals[0].candles == length - 1


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_rows_lost_from_a_busy_market_are_not_taken_for_thin_trading(seed: int) -> None:
    whole = RawCandles.of(SimulatedMarket("BTC/SIM", FIVE, seed).candles(0, 1_000))
    kept = np.random.default_rng(seed).random(1_000) > 0.1
    found = {each.code for each in validate(whole.take(kept), FIVE, Policy()).findings}
    assert FindingCode.NO_TRADE not in found
    assert FindingCode.MISSING in found


@pytest.mark.parametrize("writes_idle_candles", [False, True])
def test_a_venue_that_writes_idle_candles_leaves_none_out(writes_idle_candles: bool) -> None:
    whole = RawCandles.of(SimulatedMarket("BTC/SIM", FIVE, 6).candles(0, 1_000))
    around = np.convolve(whole.volume, np.ones(5), mode="same")
    quiet = around < np.quantile(around, 0.4)
    lot = np.random.default_rng(6).random(1_000)
    gone, idle = quiet & (lot < 0.3), quiet & (lot > 0.6)
    gone[[0, -1]] = False
    if writes_idle_candles:
        whole = replace(whole, volume=np.where(idle, 0.0, whole.volume))
    found = {each.code for each in validate(whole.take(~gone), FIVE, Policy()).findings}
    assert (FindingCode.NO_TRADE in found) is not writes_idle_candles


@given(at=st.integers(30, 270), factor=st.sampled_from([10.0, 100.0]))
def test_a_single_misprint_by_a_power_of_ten_is_an_outlier_and_no_other_unit(
    at: int, factor: float
) -> None:
    prices = {name: {at: float(getattr(GOOD, name)[at]) * factor} for name in NAMES}
    for treatment in (Treatment.REFUSE, Treatment.MARK, Treatment.WARN):
        report = validate(changed(**prices), FIVE, Policy({FindingCode.OUTLIER: treatment}))
        codes = {each.code for each in report.findings}
        assert FindingCode.OUTLIER in codes
        assert FindingCode.PRICE_STEP not in codes


@given(
    jumps=st.lists(st.tuples(st.integers(0, 79), st.floats(-2.0, 2.0)), max_size=8),
    spikes=st.lists(st.tuples(st.integers(0, 79), st.floats(-2.0, 2.0)), max_size=8),
    count=st.integers(1, 80),
)
def test_outliers_are_those_of_the_definition(
    jumps: list[tuple[int, float]], spikes: list[tuple[int, float]], count: int
) -> None:
    """No shortcut changes what is found: medians worked out one candle at a time say the same."""
    steps = np.random.default_rng(0).normal(size=80) * 0.01
    for at, size in jumps:
        steps[at] += size
    level = np.cumsum(steps)[:count]
    high, low = np.exp(level), np.exp(level)
    for at, size in spikes:
        if at < count:
            high[at] *= np.exp(max(size, 0.0))
            low[at] *= np.exp(min(size, 0.0))
    found = outlying(high, low, np.exp(level), 12.0, 1.5)
    expected = np.zeros(count, dtype=np.bool_)
    reach = min(12, (count - 1) // 2)
    moves = np.abs(np.diff(level, prepend=level[0]))
    for at in range(count if count >= 5 else 0):
        first = min(max(at - reach, 0), count - 2 * reach - 1)
        around = slice(first, first + 2 * reach + 1)
        middle = np.median(level[around])
        spread = 1.4826 * np.median(moves[around]) * np.sqrt(reach)
        away = max(np.log(high[at]) - middle, middle - np.log(low[at]))
        expected[at] = away > max(12.0 * spread, np.log(1.5))
    assert np.array_equal(found, expected)


NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0.0, 100.0),
    st.sampled_from([10.0, 11.0, 0.0]),
    st.sampled_from([5e-324, 2.3e-308, 1e-200, 1e200, 1.7e308]),
)
TIMES = st.one_of(
    st.integers(0, 40).map(lambda slot: slot * FIVE.duration),
    st.integers(330_000, 340_000).map(lambda slot: slot * FIVE.duration * 17),
    st.integers(-(2**63), 2**63 - 1),
)
POLICIES = st.fixed_dictionaries(
    {code: st.sampled_from(allowed) for code, allowed in treatable().items()}
).map(Policy)


@given(
    rows=st.lists(st.tuples(TIMES, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=40),
    policy=POLICIES,
    timeframe=st.sampled_from(["1m", "5m", "1h", "1d"]).map(Timeframe.parse),
    now=st.none() | st.integers(0, 4_102_444_800_000),
    repeated=st.integers(1, 20),
    consistent=st.booleans(),
)
def test_whatever_the_candles_validation_ends_in_a_sound_series_or_a_data_error(
    rows: list[tuple[int, float, float, float, float, float]],
    policy: Policy,
    timeframe: Timeframe,
    now: int | None,
    repeated: int,
    consistent: bool,
) -> None:
    if consistent:  # the lowest price is the low, the highest the high: more candles get further
        rows = [
            (row[0], p[1], p[3], p[0], p[2], row[5]) for row in rows for p in [sorted(row[1:5])]
        ]
        rows = [(each * FIVE.duration * 12 * 24, *row[1:]) for each, row in enumerate(rows)]
    rows = rows * repeated
    times, *numbers = list(zip(*rows, strict=True)) or [()] * 6
    raw = RawCandles(
        np.arange(1, len(rows) + 1),
        np.array(times, dtype=np.int64),
        *(np.array(column, dtype=np.float64) for column in numbers),
    )
    report = validate(raw, timeframe, policy, now, fresh=True)
    for each in report.findings:
        assert each.count > 0
        assert each.message
    try:
        series = report.series("BTC/USDT", timeframe, synthetic=False)
    except DataError:
        assert report.refusals or not len(report.candles)
    else:
        assert 0 < len(series) <= len(rows)
        assert compare(report.candles, report.candles, timeframe, policy).findings == ()
        factor = np.where(report.candles.row % 2 == 0, 1.0, 1e-150)
        prices = {name: getattr(report.candles, name) * factor for name in NAMES}
        if all((price > 0.0).all() for price in prices.values()):
            compare(report.candles, replace(report.candles, **prices), timeframe, policy)
