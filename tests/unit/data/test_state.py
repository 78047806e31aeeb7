"""The state: batch equals streaming to the bit, and the future changes nothing."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data import features as features_module
from adan_core.data.external import ExternalColumn
from adan_core.data.features import Feature, FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries, concatenate
from adan_core.data.state import StateFrame, StateStream, build_frame
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import ConfigurationError, DataError

LADDER = tuple(Timeframe.parse(text) for text in ("5m", "15m", "1h"))
STEP = LADDER[0].duration
SPEC = FeatureSet(
    2,
    "small",
    (2, 1, 2),
    (
        Feature("close", "exponential_mean", (1,), (0, 1, 2)),
        Feature("top", "average_true_range", (1,), (1,)),
        Feature("return", "log_return", (2,), (0, 2)),
        Feature("strength", "strength_balance", (3,), (0, 1)),
    ),
)


def market(seed: int, count: int, keep: float = 1.0, start: int = 0) -> CandleSeries:
    """A random walk of five-minute candles, of which the share ``keep`` is there."""
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.standard_normal(count) * 0.01))
    open_price = np.concatenate([[100.0], close[:-1]])
    spread = 1.0 + np.abs(random.standard_normal((2, count))) * 0.01
    present = random.random(count) < keep
    return CandleSeries(
        symbol="BTC/SIM",
        timeframe=LADDER[0],
        open_time=((start + np.arange(count)) * STEP)[present],
        open=open_price[present],
        high=(np.maximum(open_price, close) * spread[0])[present],
        low=(np.minimum(open_price, close) / spread[1])[present],
        close=close[present],
        volume=random.lognormal(0.0, 1.0, count)[present],
        synthetic=True,
    )


@given(
    st.integers(0, 10_000),
    st.integers(1, 150),
    st.sampled_from([1.0, 0.9, 0.4]),
    st.integers(0, 11),
)
def test_streaming_is_bit_equal_to_batch(seed: int, count: int, keep: float, start: int) -> None:
    series = market(seed, count, keep, start)
    frame = build_frame(series, LADDER, SPEC)
    stream = StateStream(LADDER[0], LADDER, SPEC)
    for index in range(len(series)):
        row = stream.push(series.candle(index))
        expected = frame.market[index]
        if row is None:
            assert np.isnan(expected).any()
        else:
            assert row.tobytes() == expected.tobytes()


@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 700), max_size=6),
    st.sampled_from([1.0, 0.6]),
)
def test_batches_of_any_size_carry_on_where_the_last_one_ended(
    seed: int, cuts: list[int], keep: float
) -> None:
    series = market(seed, 1400, keep)  # longer than one block of the compiled loop
    edges = [0, *sorted(min(2 * cut, len(series)) for cut in cuts), len(series)]
    stream = StateStream(LADDER[0], LADDER, SPEC)
    parts = [stream.push_series(series.slice(*edge)) for edge in pairwise(edges)]
    whole = build_frame(series, LADDER, SPEC).market
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("names", [("5m",), ("5m", "1h"), ("5m", "10m", "30m", "1h", "1d")])
def test_there_may_be_any_number_of_timeframes(names: tuple[str, ...]) -> None:
    ladder = tuple(Timeframe.parse(name) for name in names)
    rungs = tuple(range(len(ladder)))
    spec = FeatureSet(
        2, "free", (1,) * len(ladder), (Feature("c", "exponential_mean", (1,), rungs),)
    )
    series = market(3, 600)
    frame = build_frame(series, ladder, spec)
    assert frame.columns == tuple(f"{name}:c" for name in names)
    for rung, timeframe in enumerate(ladder):
        # 600 candles from midnight: the newest whole candle of each timeframe closed here.
        whole = 600 * STEP // timeframe.duration * timeframe.duration // STEP
        assert frame.market[-1, rung] == series.close[whole - 1]


@given(st.integers(0, 10_000), st.integers(0, 149), st.sampled_from([1.0, 0.8]))
def test_what_comes_later_changes_nothing(seed: int, cut: int, keep: float) -> None:
    series = market(seed, 150, keep)
    known = series.open_time <= cut * STEP
    factor = np.where(known, 1.0, 1.37)
    altered = dataclasses.replace(
        series,
        open=series.open * factor,
        high=series.high * factor,
        low=series.low * factor,
        close=series.close * factor,
        volume=series.volume * factor,
    )
    before = build_frame(series, LADDER, SPEC).market[known]
    after = build_frame(altered, LADDER, SPEC).market[known]
    assert before.tobytes() == after.tobytes()


def test_a_higher_candle_is_seen_from_its_close_on_and_never_before() -> None:
    series = market(5, 36)
    frame = build_frame(series, LADDER, SPEC)
    column = frame.columns.index("1h:close")
    for index in range(len(series)):
        closed = (index + 1) // 12  # whole hours of twelve candles
        seen = frame.market[index, column]
        if closed == 0:
            assert np.isnan(seen)
        else:
            assert seen == series.close[closed * 12 - 1]


def test_after_a_gap_the_unfinished_higher_candle_counts_as_closed() -> None:
    whole = market(5, 30)
    series = concatenate([whole.slice(0, 10), whole.slice(12, 30)])
    frame = build_frame(series, LADDER, SPEC)
    column = frame.columns.index("1h:close")
    assert np.isnan(frame.market[9, column])
    assert frame.market[10, column] == series.close[9]


def test_a_history_that_begins_inside_a_higher_candle_does_not_use_it() -> None:
    series = market(5, 30, start=6)
    frame = build_frame(series, LADDER, SPEC)
    column = frame.columns.index("1h:close")
    assert np.isnan(frame.market[: 6 + 12 - 1, column]).all()
    assert frame.market[6 + 12 - 1, column] == series.close[6 + 12 - 1]


def test_windows_show_the_last_closed_candles_oldest_first() -> None:
    series = market(5, 40)
    frame = build_frame(series, LADDER, SPEC)
    assert frame.columns[:2] == ("5m:close[-1]", "5m:return[-1]")
    assert frame.market[20, 0] == series.close[19]
    hours = [frame.columns.index(name) for name in ("1h:close[-1]", "1h:close")]
    assert frame.market[35, hours].tolist() == [series.close[23], series.close[35]]


def test_a_stream_refuses_what_is_not_newer() -> None:
    stream = StateStream(LADDER[0], LADDER, SPEC)
    candle = Candle(STEP, 1.0, 1.0, 1.0, 1.0, 1.0)
    stream.push(candle)
    with pytest.raises(DataError):
        stream.push(candle)


@given(st.integers(0, 10_000), st.integers(52, 140))
def test_the_normaliser_knows_only_its_period(seed: int, stop: int) -> None:
    series = market(seed, 150)
    frame = build_frame(series, LADDER, SPEC)
    later = frame.market.copy()
    later[stop:] *= 3.0
    altered = dataclasses.replace(frame, market=later)
    fitted = Normaliser.fit(frame, 0, stop, "h")
    again = Normaliser.fit(altered, 0, stop, "h")
    assert fitted.mean.tobytes() == again.mean.tobytes()
    assert fitted.deviation.tobytes() == again.deviation.tobytes()
    assert fitted.stop_time == series.open_time[stop - 1] + STEP + 1
    scaled = fitted.apply(frame.market[frame.ready : stop])
    assert np.abs(scaled).max() <= 10.0
    assert scaled[3].tobytes() == fitted.apply(frame.market[frame.ready + 3]).tobytes()


@given(st.floats(1e-20, 1e20), st.integers(0, 100))
def test_a_column_is_constant_whatever_its_level_and_none_for_being_small(
    level: float, seed: int
) -> None:
    moves = np.random.default_rng(seed).standard_normal(200)
    market = np.column_stack([np.full(200, level), level * moves])
    frame = StateFrame(market, 0, STEP * np.arange(200), ("still", "moving"), "h")
    scaled = Normaliser.fit(frame, 0, 200, "d").apply(market)
    assert np.abs(scaled[:, 0]).max() < 1e-3
    assert scaled[:, 1].std() == pytest.approx(1.0, rel=1e-4)


def test_the_normalisers_period_holds_every_close_it_was_fitted_on() -> None:
    times = STEP * np.concatenate([np.arange(50, 60), np.arange(10)])
    frame = StateFrame(np.arange(40.0).reshape(20, 2), 0, times, ("a", "b"), "h")
    fitted = Normaliser.fit(frame, 0, 20, "d")
    assert (fitted.start_time, fitted.stop_time) == (0, 59 * STEP + 1)


def test_too_short_a_training_part_is_refused() -> None:
    frame = build_frame(market(1, 60), LADDER, SPEC)
    with pytest.raises(DataError, match="usable rows"):
        Normaliser.fit(frame, 0, frame.ready + 1, "h")


def test_the_schema_hash_tells_ladders_windows_and_parameters_apart() -> None:
    other = tuple(Timeframe.parse(text) for text in ("5m", "1h", "4h"))
    hashes = {
        SPEC.schema_hash(LADDER),
        SPEC.schema_hash(other),
        dataclasses.replace(SPEC, windows=(1, 1, 1)).schema_hash(LADDER),
        dataclasses.replace(SPEC, features=SPEC.features[:2]).schema_hash(LADDER),
    }
    assert len(hashes) == 4


def test_the_schema_hash_knows_whatever_else_an_observation_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes = [
        dataclasses.replace(SPEC, external=(ExternalColumn("mood", age),)).schema_hash(LADDER)
        for age in (1, 2)
    ]
    with monkeypatch.context() as patched:
        patched.setattr(features_module, "PORTFOLIO_COLUMNS", ("cash",))
        hashes.append(SPEC.schema_hash(LADDER))
    with monkeypatch.context() as patched:
        patched.setattr(features_module, "_RECURRENCES_VERSION", 0)
        hashes.append(SPEC.schema_hash(LADDER))
    assert len({*hashes, SPEC.schema_hash(LADDER)}) == 5
    # What a set is called changes nothing of what is seen.
    assert dataclasses.replace(SPEC, name="other").schema_hash(LADDER) == SPEC.schema_hash(LADDER)


def test_a_ladder_that_does_not_fit_the_windows_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="2 timeframes"):
        SPEC.columns(LADDER[:2])


def test_whole_numbers_are_one_schema_however_they_are_written() -> None:
    text = SHIPPED.read_text()
    spelt = text.replace("parameters: [12, 26, 9]", "parameters: [12.0, 26, 9.0]")
    assert spelt != text
    one, other = (FeatureSet.parse(each, "features.yaml") for each in (text, spelt))
    assert one.schema_hash(LADDER) == other.schema_hash(LADDER)


def test_rungs_are_one_schema_in_whatever_order_they_are_written() -> None:
    text = SHIPPED.read_text()
    spelt = text.replace("timeframes: [0, 1, 2]", "timeframes: [2, 0, 1, 0]")
    assert spelt != text
    one, other = (FeatureSet.parse(each, "features.yaml") for each in (text, spelt))
    assert one.columns(LADDER) == other.columns(LADDER)
    assert one.schema_hash(LADDER) == other.schema_hash(LADDER)


def test_a_feature_file_of_the_first_form_is_told_what_has_changed() -> None:
    with pytest.raises(ConfigurationError, match="version 1 said indicator and frames"):
        FeatureSet.parse(
            "schema_version: 1\nname: old\nwindows: [1, 1, 1]\nfeatures:\n"
            "  - {name: r, indicator: log_return, parameters: [1], frames: [0, 1, 2]}\n",
            "features.yaml",
        )


SHIPPED = Path(__file__).parents[3] / "configs" / "features.yaml"


def test_the_shipped_feature_set_loads() -> None:
    spec = FeatureSet.parse(SHIPPED.read_text(), "features.yaml")
    assert len(spec.columns(LADDER)) == 27


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema_version: 2", "schema_version: 1"),
        ("schema_version: 2", "schema_version: 3"),
        ("windows: [1, 1, 1]", "windows: [1, 0, 1]"),
        ("name: default", "name: default\nnote: x"),
        ("function: candle_body", "function: candle_bodies"),
        ("timeframes: [0, 1, 2]", "timeframes: [0, 1, 3]"),
        ("name: return_4", "name: return_1"),
        ("parameters: [], timeframes", "parameters: [], lags: 3, timeframes"),
        ("features:", "features"),
        ("parameters: [4]", "parameters: [.nan]"),
        ("parameters: [4]", "parameters: [.inf]"),
        ("windows: [1, 1, 1]", "windows: [1000000000000, 1, 1]"),
        ("windows: [1, 1, 1]", "windows: [100000000000000000000000, 1, 1]"),
        ("name: default", "name: 2024-99-99"),
        pytest.param("name: default", "name: " + 2000 * "[", id="nested without end"),
        ("name: return_4", "name: ''"),
        ("name: return_4", "name: 'return:4'"),
        ("name: return_4", r'name: "return\n4"'),
        ("features:", "external: [{name: '5m:return_1', max_age: 1h}]\nfeatures:"),
        ("features:", "external: [{name: time, max_age: 1h}]\nfeatures:"),
        ("features:", "external: [{name: ready, max_age: 1h}]\nfeatures:"),
    ],
)
def test_a_feature_file_with_a_mistake_is_refused(old: str, new: str) -> None:
    text = SHIPPED.read_text().replace(old, new, 1)
    with pytest.raises(ConfigurationError):
        FeatureSet.parse(text, "features.yaml")


@pytest.mark.parametrize(
    "ladder", [("5m", "1h"), ("5m", "5m", "1h"), ("5m", "7m", "1h"), ("1h", "5m", "4h")]
)
def test_a_ladder_ascends_in_multiples(ladder: tuple[str, ...]) -> None:
    steps = tuple(Timeframe.parse(text) for text in ladder)
    with pytest.raises(DataError):
        StateStream(steps[0], steps, SPEC)
