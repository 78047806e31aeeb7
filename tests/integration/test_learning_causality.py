"""Nothing after a candle changes what was known, measured or decided at it; planted leaks are caught."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import split_by_fractions
from adan_core.data.state import StateFrame, build_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import DataError
from adan_core.learning.backtest import run_policy
from adan_core.learning.inference import Layer, Network, NumpyPolicy
from adan_core.learning.market import (
    Prepared,
    economics,
    feature_text,
    fit_normaliser,
    segment,
)
from adan_core.learning.regime import detect_regimes

CANDLES = 3_000
TRAINED = 2_100  # 70 %


@dataclass(frozen=True, eq=False)
class Known:
    """What was there at each close: state, normaliser, regime, decision and its outcome."""

    market: NDArray[np.float64]
    normaliser: Normaliser
    regimes: NDArray[np.int64]
    targets: NDArray[np.float64]
    equity: NDArray[np.float64]
    first: int


Build = Callable[[CandleSeries, Settings, FeatureSet], Known]


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), (), {}).settings


@pytest.fixture(scope="module")
def spec(configured: Settings, tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    home = locate(Path(tmp_path_factory.mktemp("home")), {})
    return FeatureSet.parse(feature_text(configured, home), "shipped")


@pytest.fixture(scope="module")
def candles(configured: Settings) -> CandleSeries:
    return SimulatedMarket("BTC/SIM", configured.market.timeframe, 21).candles(0, CANDLES)


def policy_for(inputs: int) -> NumpyPolicy:
    """Return a policy that looks at everything and often changes its mind."""
    rng = np.random.default_rng(7)

    def layer(outputs: int, width: int) -> Layer:
        weight = rng.normal(0.0, 1.0, (outputs, width)).astype(np.float32)
        return Layer(weight, np.zeros(outputs, dtype=np.float32))

    policy = (layer(16, inputs), layer(2, 16))
    return NumpyPolicy("test", Network(policy, (layer(16, inputs), layer(1, 16))), (0.0, 1.0))


def normaliser_of(series: CandleSeries, frame: StateFrame) -> Normaliser:
    # The split is fixed in time here: what is changed is candles, not how many there are.
    return fit_normaliser((Prepared(series, frame, split_by_fractions(series, 0.7, 0.1)),))


def honest(series: CandleSeries, configured: Settings, spec: FeatureSet) -> Known:
    frame = build_frame(series, configured.ladders[configured.market.timeframe], spec)
    return carried(series, configured, frame, normaliser_of(series, frame))


def carried(
    series: CandleSeries, configured: Settings, frame: StateFrame, normaliser: Normaliser
) -> Known:
    costs = economics(configured, series.symbol)
    part = segment(series, frame, normaliser, costs, frame.ready, len(series))
    usable = series.slice(frame.ready, len(series))
    played = run_policy(usable, part, policy_for(part.market.shape[1] + 6), 10_000.0)
    regimes = detect_regimes(series).regimes
    return Known(frame.market, normaliser, regimes, played.targets, played.equity, frame.ready)


def leaks(
    build: Build, whole: CandleSeries, cut: int, seed: int, configured: Settings, spec: FeatureSet
) -> list[str]:
    """Change every candle after ``cut`` and name what that changed at or before it."""
    other = SimulatedMarket(whole.symbol, whole.timeframe, 50_000 + seed).candles(0, len(whole))
    after = cut + 1

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(whole, name)[:after], getattr(other, name)[after:]])

    changed = dataclasses.replace(
        whole,
        open=joined("open"),
        high=joined("high"),
        low=joined("low"),
        close=joined("close"),
        volume=joined("volume"),
    )
    before, then = build(whole, configured, spec), build(changed, configured, spec)
    found = []
    if not np.array_equal(before.market[:after], then.market[:after], equal_nan=True):
        found.append("state")
    if not np.array_equal(before.regimes[:after], then.regimes[:after]):
        found.append("regime")
    if not np.array_equal(before.normaliser.mean, then.normaliser.mean) or not np.array_equal(
        before.normaliser.deviation, then.normaliser.deviation
    ):
        found.append("normaliser")
    decided = after - before.first
    if not np.array_equal(before.targets[:decided], then.targets[:decided]):
        found.append("decision")
    if not np.array_equal(before.equity[:decided], then.equity[:decided]):
        found.append("equity")
    return found


@settings(max_examples=12)
@given(cut=st.integers(TRAINED, CANDLES - 2), seed=st.integers(0, 10_000))
def test_later_candles_change_nothing_before_them(
    configured: Settings, spec: FeatureSet, candles: CandleSeries, cut: int, seed: int
) -> None:
    assert leaks(honest, candles, cut, seed, configured, spec) == []


def test_the_pipeline_is_not_blind(
    configured: Settings, spec: FeatureSet, candles: CandleSeries
) -> None:
    known = honest(candles, configured, spec)
    changes = np.count_nonzero(np.diff(known.targets))
    assert changes > 50
    assert 0.1 < known.targets.mean() < 0.9


def one_bar_ahead(series: CandleSeries, configured: Settings, spec: FeatureSet) -> Known:
    """Plant the first prototype's leak: a row holds what is known one candle later."""
    frame = build_frame(series, configured.ladders[configured.market.timeframe], spec)
    ahead = np.concatenate([frame.market[1:], frame.market[-1:]])
    leaking = dataclasses.replace(frame, market=ahead)
    return carried(series, configured, leaking, normaliser_of(series, leaking))


def fitted_on_everything(series: CandleSeries, configured: Settings, spec: FeatureSet) -> Known:
    """Plant a normaliser that has seen the test part."""
    frame = build_frame(series, configured.ladders[configured.market.timeframe], spec)
    return carried(series, configured, frame, Normaliser.fit(frame, 0, len(series), "all"))


@pytest.mark.parametrize(
    ("build", "caught"),
    [(one_bar_ahead, {"state"}), (fitted_on_everything, {"normaliser"})],
)
def test_planted_leaks_are_caught(
    configured: Settings, spec: FeatureSet, candles: CandleSeries, build: Build, caught: set[str]
) -> None:
    found = leaks(build, candles, 2_400, 1, configured, spec)
    assert caught <= set(found)


def test_too_few_candles_to_train_on_are_refused(
    configured: Settings, spec: FeatureSet, candles: CandleSeries
) -> None:
    from adan_core.learning.market import prepare

    with pytest.raises(DataError, match="warm up"):
        prepare(
            candles.slice(0, 1_000),
            configured.ladders[configured.market.timeframe],
            spec,
            configured,
        )
