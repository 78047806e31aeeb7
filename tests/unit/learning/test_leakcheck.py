"""The leak checker finds every leak, names its place, and finds none where there is none."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.external import ExternalData
from adan_core.data.features import Feature, FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.data.state import StateFrame
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import HOUR
from adan_core.learning.leakcheck import StageResult, check
from adan_core.learning.leakcheck_changes import Change, History, changed
from adan_core.learning.leakcheck_instants import choose_instants
from adan_core.learning.leakcheck_planted import planted_leaks
from adan_core.learning.leakcheck_stages import Pipeline, Stage, program_pipeline
from adan_core.learning.leakcheck_warm_up import measure_warm_up
from adan_core.learning.regime import RegimeHistory
from adan_core.learning.regime_features import WARM_UP
from tests.leaking_market import (
    LADDER,
    SPEC,
    STEP,
    checked,
    in_column,
    market,
    small_pipeline,
    split_of,
)

Floats = NDArray[np.float64]
COLUMNS = SPEC.columns(LADDER)
# Without external columns, and without those of the candle before: they may read one ahead.
NEWEST = [place for place, name in enumerate(COLUMNS) if ":" in name and "[" not in name][:-1]
PRICES = ("open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), (), {}).settings


@pytest.fixture(scope="module")
def honest(configured: Settings) -> Pipeline:
    return small_pipeline(configured)


@pytest.fixture(scope="module")
def history() -> History:
    return market(3, 1_200)


@given(st.sampled_from(Change), st.integers(1, 399), st.integers(0, 1_000))
def test_a_change_keeps_what_is_known_and_touches_what_comes_next(
    change: Change, kept: int, seed: int
) -> None:
    before = market(seed, 420)
    kept = min(kept, len(before.series) - 1)
    after = changed(before, kept, change, 60, seed)
    old, new = before.series, after.series
    for name in ("open_time", *PRICES):
        assert getattr(old, name)[:kept].tobytes() == getattr(new, name)[:kept].tobytes()
    assert len(new) <= kept + 60
    if len(new) > kept:
        assert any(getattr(old, name)[kept] != getattr(new, name)[kept] for name in PRICES)
    else:
        assert change in {Change.END, Change.GAP}
    last = int(old.close_time[kept - 1])
    was, now = before.external["mood"], after.external["mood"]
    known = int(np.searchsorted(was.known_at, last, side="right"))
    assert was.value[:known].tobytes() == now.value[:known].tobytes()
    assert (now.known_at[known:] > last).all()
    assert was.content_hash != now.content_hash or known == len(was.value)


def test_instants_are_the_awkward_ones_and_every_position_in_the_slowest_candle(
    history: History,
) -> None:
    series, split = history.series, split_of(history)
    chosen = choose_instants(series, LADDER, 40, split, 40, 5)
    bars = [each.bar for each in chosen]
    assert len(chosen) == 40
    assert bars == sorted(set(bars))
    assert all(0 <= bar < len(series) - 1 for bar in bars)
    assert {39, 40, split.training.stop - 1, split.training.stop, len(series) - 2} <= set(bars)
    assert {split.validation.stop - 1, split.validation.stop} <= set(bars)
    gaps = np.flatnonzero(np.diff(series.open_time) > STEP)
    widest = int(gaps[np.argmax(np.diff(series.open_time)[gaps])])
    assert {widest, widest + 1} <= set(bars)
    for higher in LADDER[1:]:
        said = {each.why: each.bar for each in chosen}
        closing = said[f"a {higher} candle closes"]
        assert series.close_time[closing] % higher.duration == 0
        assert said[f"before a {higher} candle closes"] == closing - 1
        assert said[f"after a {higher} candle closed"] == closing + 1
    assert {int(each) for each in series.open_time[bars] % LADDER[-1].duration // STEP} == set(
        range(12)
    )
    assert chosen == choose_instants(series, LADDER, 40, split, 40, 5)
    assert chosen != choose_instants(series, LADDER, 40, split, 40, 6)


def ahead(function: Callable[..., Floats], reach: int) -> Callable[[CandleSeries, Floats], Floats]:
    """Return a leak that makes row ``t`` of rows ``t - reach`` to ``t + reach``, or of the last alone."""

    def leak(_series: CandleSeries, values: Floats) -> Floats:
        padded = np.concatenate([np.full(reach, values[0]), values, np.full(reach, values[-1])])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
        result: Floats = function(windows, axis=1)
        return result

    return leak


def last_of(windows: Floats, axis: int) -> Floats:
    last: Floats = np.take(windows, -1, axis=axis)
    return last


@pytest.mark.slow
@given(
    function=st.sampled_from([last_of, np.mean, np.max, np.min, np.median, np.std, np.sum]),
    place=st.sampled_from(NEWEST),
    reach=st.sampled_from([1, 2, 3, 5, 12, 50, 250]),
    where=st.floats(0.0, 1.0),
)
def test_one_instant_is_enough_for_a_leak_of_any_reach_through_any_window(
    honest: Pipeline,
    history: History,
    function: Callable[..., Floats],
    place: int,
    reach: int,
    where: float,
) -> None:
    """Whatever the leak reads ahead, the row of the instant itself reads it; it shows through."""
    higher = not COLUMNS[place].startswith("5m:")
    # Of a column that stands still the median of a window is mostly the value that stands.
    assume(not (higher and function is np.median))
    # Between its closes a higher column stands still: one candle ahead of such a row there is
    # nothing to see, at the last row before a close there is.
    series = history.series
    anywhere = np.arange(300, len(series) - 2)
    before_close = (series.close_time[anywhere] + STEP) % LADDER[-1].duration == 0
    no_gap = np.diff(series.open_time)[anywhere] == STEP
    bars = anywhere[before_close & no_gap if higher else no_gap]
    bar = int(bars[int(where * (len(bars) - 1))])
    report = checked(in_column(honest, place, ahead(function, reach)), history, bar)
    cause = report.cause
    assert cause is not None
    assert cause.leak is not None
    assert cause.stage is Stage.STATE
    assert cause.leaking == (COLUMNS[place],)
    assert bar + 1 - reach <= cause.leak.bar <= bar
    assert cause.leak.time == history.series.close_time[cause.leak.bar]
    assert cause.leak.expected != cause.leak.found
    assert cause.ahead <= reach
    if function is last_of and not higher:
        assert cause.ahead == reach


@pytest.mark.slow
@settings(max_examples=6)
@given(st.integers(0, 11))
def test_a_leak_at_one_position_in_the_hour_is_found(
    honest: Pipeline, history: History, position: int
) -> None:
    def only_there(series: CandleSeries, values: Floats) -> Floats:
        there = series.open_time % LADDER[-1].duration == position * STEP
        return np.where(there, np.append(values[1:], values[-1]), values)

    split = split_of(history)
    instants = choose_instants(history.series, LADDER, 60, split, 40, position)
    report = checked(in_column(honest, 2, only_there), history, *(each.bar for each in instants))
    assert report.cause is not None
    assert report.cause.ahead == 1
    assert report.cause.leaking == (COLUMNS[2],)


@pytest.mark.slow
def test_the_program_does_not_leak(honest: Pipeline, history: History) -> None:
    ready = honest.state(history).ready
    instants = choose_instants(history.series, LADDER, ready, split_of(history), 40, 1)
    report = checked(honest, history, *(each.bar for each in instants))
    assert report.cause is None
    assert [result.stage for result in report.stages] == list(Stage)
    assert all(result.comparisons > 50 for result in report.stages)
    assert not any(result.leaking or result.ahead for result in report.stages)


@pytest.mark.parametrize("rungs", [1, 2, 4])
def test_any_number_of_timeframes_can_be_checked(configured: Settings, rungs: int) -> None:
    ladder = tuple(Timeframe.parse(text) for text in ("5m", "15m", "1h", "4h"))[:rungs]
    spec = FeatureSet(
        2, "free", (1,) * rungs, (Feature("return", "log_return", (1,), tuple(range(rungs))),)
    )
    history = dataclasses.replace(market(8, 900), external={})
    pipeline = program_pipeline(configured, "BTC/SIM", ladder, spec, None)
    split, frame = split_of(history), pipeline.state(history)
    instants = choose_instants(history.series, ladder, frame.ready, split, 16, 0)
    report = check(pipeline, history, ladder, split, instants, 0, lambda _share: None)
    assert report.cause is None
    names = {leak.name for leak in planted_leaks(pipeline, frame, ladder, split.training.stop)}
    assert ("a 15m candle from its opening" in names) == (rungs > 1)


@pytest.mark.slow
def test_each_planted_leak_is_caught_in_its_stage_column_and_place(
    honest: Pipeline, history: History
) -> None:
    frame, split = honest.state(history), split_of(history)
    instants = choose_instants(history.series, LADDER, frame.ready, split, 24, 2)
    planted = list(planted_leaks(honest, frame, LADDER, split.training.stop))
    caught: dict[str, StageResult] = {}
    for leak in planted:
        report = checked(leak.pipeline, history, *(each.bar for each in instants))
        assert leak.judge(report).rightly, (leak.name, report.cause)
        assert report.cause is not None
        caught[leak.name] = report.cause
    assert {each.stage for each in caught.values()} == set(Stage)
    assert caught["whole-column statistics"].leak is not None
    assert caught["whole-column statistics"].leak.bar == 2  # of 5m:return[-1], the first value
    assert caught["scaler fitted on everything"].leak is not None
    assert caught["scaler fitted on everything"].leak.bar == split.training.stop - 1
    opening = caught["a 15m candle from its opening"]
    assert opening.leak is not None
    assert (opening.ahead, opening.leak.column) == (2, "15m:return")
    forming = caught["a 15m candle while it forms"]
    assert forming.leak is not None
    assert forming.leak.change == "a forming 15m candle"
    # None of them is known to a checker that is given the honest program: no verdict is "caught".
    clean = checked(honest, history, *(each.bar for each in instants))
    assert not any(leak.judge(clean).rightly for leak in planted)


def test_a_value_from_outside_seen_before_it_was_known_is_found(
    honest: Pipeline, history: History
) -> None:
    """The classic join by date: a value of the coming hours, as if it had been known."""

    def early(given: History) -> History:
        mood = given.external["mood"]
        return History(
            given.series, {"mood": ExternalData("mood", mood.known_at - 2 * HOUR, mood.value)}
        )

    leaking = dataclasses.replace(honest, state=lambda given: honest.state(early(given)))
    report = checked(leaking, history, 500, 700)
    assert report.cause is not None
    assert report.cause.leak is not None
    assert report.cause.stage is Stage.STATE
    assert report.cause.leaking[0] == "mood"
    assert 0 < report.cause.ahead <= 2 * HOUR // STEP + 1


def test_a_normaliser_fitted_on_one_candle_too_many_is_found(
    honest: Pipeline, history: History
) -> None:
    def one_more(given: History, frame: StateFrame, split: Split) -> Normaliser:
        return Normaliser.fit(frame, 0, min(split.training.stop + 1, len(given.series)), "h")

    split = split_of(history)
    instants = choose_instants(history.series, LADDER, 60, split, 8, 0)
    leaking = dataclasses.replace(honest, normaliser=one_more)
    report = checked(leaking, history, *(each.bar for each in instants))
    assert report.cause is not None
    assert report.cause.stage is Stage.NORMALISER
    assert report.cause.ahead == 1


def test_a_change_before_the_instant_is_none_of_its_business(
    honest: Pipeline, history: History
) -> None:
    """Columns may depend on all that came before: a lag is no leak."""
    lagged = in_column(honest, 0, lambda _series, values: np.append([np.nan] * 7, values[:-7]))
    assert checked(lagged, history, 100, 600, 1_000).cause is None


@pytest.mark.parametrize("dropped", [1, 5])
def test_a_row_that_is_dropped_for_what_follows_is_a_leak(
    honest: Pipeline, history: History, dropped: int
) -> None:
    """The last rows are dropped where the series ends before it used to: all rows left are equal."""
    whole = len(history.series)

    def state(given: History) -> StateFrame:
        frame = honest.state(given)
        kept = len(given.series) if len(given.series) == whole else len(given.series) - dropped
        return dataclasses.replace(
            frame, market=frame.market[:kept], close_time=frame.close_time[:kept]
        )

    bar = 700
    report = checked(dataclasses.replace(honest, state=state), history, bar)
    cause = report.cause
    assert cause is not None
    assert cause.leak is not None
    assert (cause.stage, cause.leak.bar, cause.leak.found) == (
        Stage.STATE,
        bar + 1 - dropped,
        "no row",
    )
    assert (cause.leak.change, cause.ahead) == (Change.END, dropped)
    assert cause.leaking == COLUMNS


def test_a_regime_that_is_dropped_for_what_follows_is_a_leak(
    honest: Pipeline, history: History
) -> None:
    def regime(series: CandleSeries) -> RegimeHistory:
        known = honest.regime(series)
        kept = len(series) if len(series) == len(history.series) else 650
        return dataclasses.replace(
            known, regimes=known.regimes[:kept], probabilities=known.probabilities[:kept]
        )

    report = checked(dataclasses.replace(honest, regime=regime), history, 700)

    assert report.cause is not None
    assert report.cause.leak is not None
    assert (report.cause.stage, report.cause.leak.bar) == (Stage.REGIME, 650)
    assert report.cause.leak.found == "no row"


def test_too_short_a_history_is_refused(honest: Pipeline) -> None:
    with pytest.raises(DataError, match="warm up"):
        checked(honest, market(1, 40, 0), 20)


def test_a_leak_is_placed_by_time_and_told_with_both_values(
    honest: Pipeline, history: History
) -> None:
    shifted = in_column(honest, 1, lambda _series, values: np.append(values[3:], [np.nan] * 3))
    report = checked(shifted, history, 600)
    assert report.cause is not None
    leak = report.cause.leak
    assert leak is not None
    assert (leak.bar, leak.instant, report.cause.ahead) == (598, 600, 3)
    assert leak.time == history.series.close_time[598]
    assert leak.instant_time == history.series.close_time[600]
    plain = honest.state(history).market
    assert leak.expected == repr(float(plain[601, 1]))


class TestWarmUp:
    """How many candles until a column forgets where the history began."""

    def test_windows_forget_at_once_and_recursive_means_fade(self, configured: Settings) -> None:
        ladder = LADDER[:1]
        spec = FeatureSet(
            2,
            "warming",
            (1,),
            (
                Feature("return", "log_return", (5,), (0,)),
                Feature("range", "range_position", (30,), (0,)),
                Feature("fading", "mean_distance", (20,), (0,)),
            ),
        )
        history = History(market(4, 4_000, 0).series, {})
        pipeline = program_pipeline(configured, "BTC/SIM", ladder, spec, None)
        report = measure_warm_up(pipeline, history, 0, lambda _share: None)
        found = {each.column: each for each in report.columns}
        window = found["5m:return"]
        assert (window.first_value, window.agrees, window.bit_equal) == (6, 6, 6)
        window = found["5m:range"]
        assert (window.first_value, window.agrees, window.bit_equal) == (30, 30, 30)
        fading = found["5m:fading"]
        # An exponential mean over n candles keeps (1 - 2 / (n + 1)) ** k of where it began.
        expected = 20 + np.log(1e-9) / np.log(1.0 - 2.0 / 21.0)
        assert fading.first_value == 20
        assert fading.agrees == pytest.approx(expected, rel=0.2)
        assert fading.bit_equal is not None
        assert fading.bit_equal > (fading.agrees or 0)
        assert found["trend up"].first_value == WARM_UP + 1
        assert found["trend up"].agrees is None or found["trend up"].agrees > WARM_UP
        assert [each.column for each in report.later_than(100)] == ["5m:fading"]
        assert report.later_than(4_000) == ()

    def test_what_never_forgets_is_said_to_never_forget(self, honest: Pipeline) -> None:
        history = market(4, 2_000, 0)
        total = in_column(honest, 2, lambda _series, values: np.nancumsum(values))
        report = measure_warm_up(total, history, 0, lambda _share: None)
        assert report.columns[2].agrees is None
        assert report.columns[2].bit_equal is None
        assert report.columns[2] in report.later_than(1_000_000)
