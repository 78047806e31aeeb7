"""Nothing after a candle changes what was known, measured or decided at it: shipped sets, real candles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.files import Reading, examine
from adan_core.data.series import CandleSeries
from adan_core.data.split import split_by_fractions
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import DataError
from adan_core.learning.leakcheck import LeakReport, check
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_instants import Instant, choose_instants
from adan_core.learning.leakcheck_planted import planted_leaks
from adan_core.learning.leakcheck_stages import Pipeline, program_pipeline
from adan_core.learning.market import ladder_of, prepare, segment
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.security.shipped_key import shipped_public_key
from tests.support import shared_data

pytestmark = pytest.mark.slow

CANDLES = 3_000
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*features*.yaml"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), (), {}).settings


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda path: path.stem)
def spec(request: pytest.FixtureRequest) -> FeatureSet:
    path: Path = request.param
    return FeatureSet.parse(path.read_text(encoding="utf-8"), path.name)


@pytest.fixture(scope="module")
def observed() -> FeatureSet:
    """Return what a core's agent sees; the set of the proof reads made markets alone."""
    path = SHIPPED[0]
    assert path.name == "features.yaml"
    return FeatureSet.parse(path.read_text(encoding="utf-8"), path.name)


@pytest.fixture(scope="module")
def configured(shipped: Settings, spec: FeatureSet) -> Settings:
    """Return the settings with as many timeframes as the feature set has windows."""
    seen = {base: ladder[: len(spec.windows)] for base, ladder in shipped.ladders.items()}
    return shipped.model_copy(update={"ladders": seen})


@pytest.fixture(scope="module")
def candles(shipped: Settings) -> CandleSeries:
    return SimulatedMarket("BTC/SIM", shipped.market.timeframe, 21).candles(0, CANDLES)


def checked(
    series: CandleSeries,
    configured: Settings,
    spec: FeatureSet,
    count: int,
    pipeline: Pipeline | None = None,
    bars: tuple[int, ...] = (),
) -> LeakReport:
    """Return what the checker finds in ``pipeline``, or in the program itself."""
    ladder = ladder_of(configured, series.timeframe)
    pipeline = pipeline or program_pipeline(configured, series.symbol, ladder, spec, None)
    history = History(series, {})
    split = split_by_fractions(series, 0.7, 0.1)
    instants = tuple(Instant(bar, "asked for") for bar in bars) or choose_instants(
        series, ladder, pipeline.state(history).ready, split, count, 4
    )
    return check(pipeline, history, ladder, split, instants, 4, lambda _share: None)


@settings(max_examples=12)
@given(bar=st.integers(0, CANDLES - 2))
def test_later_candles_change_nothing_before_them(
    configured: Settings, spec: FeatureSet, candles: CandleSeries, bar: int
) -> None:
    assert checked(candles, configured, spec, 0, bars=(bar,)).cause is None


def test_the_pipeline_is_not_blind(
    configured: Settings, spec: FeatureSet, candles: CandleSeries
) -> None:
    """What is compared moves: a policy that always answers the same would have nothing to leak."""
    ladder = ladder_of(configured, candles.timeframe)
    pipeline = program_pipeline(configured, candles.symbol, ladder, spec, None)
    history = History(candles, {})
    frame = pipeline.state(history)
    normaliser = pipeline.normaliser(history, frame, split_by_fractions(candles, 0.7, 0.1))
    part = segment(candles, frame, normaliser, pipeline.economics, 0, len(candles))
    played = pipeline.play(part)
    assert np.count_nonzero(np.diff(played.actions[:, 1])) > 50
    assert 0.1 < played.actions[:, 1].mean() < 0.9
    assert len(np.unique(played.rewards[:, 0])) > 500


REAL = (
    "binance-spot_BTCUSDT_1h_2017-08_2023-12",
    "kraken-spot_XBTUSD_1h_2013-10_2023-01",
    "binance-spot_ETHUSDT_5m_2020-12_2021-07",
    "binance-spot_BTCUSDT_1m_2021-04-20_2021-05-20",
)


@pytest.mark.parametrize("name", REAL)
def test_real_candles_with_their_gaps_are_clean(
    shipped: Settings, observed: FeatureSet, name: str
) -> None:
    series = examine(shared_data() / "candles" / f"{name}.parquet", Reading()).series()
    # A stretch with gaps in it, long enough for the slowest timeframe to be ready while it trains.
    gaps = np.flatnonzero(np.diff(series.open_time) > series.timeframe.duration)
    start = max(int(gaps[len(gaps) // 2]) - 6_000, 0)
    stretch = series.slice(start, start + 9_000)
    assert (np.diff(stretch.open_time) > series.timeframe.duration).any()
    report = checked(stretch, shipped, observed, 32)
    assert report.cause is None
    assert {"before a gap", "after a gap"} <= {each.why for each in report.instants}
    assert all(result.comparisons for result in report.stages)


def test_every_planted_leak_is_caught_where_it_is(
    shipped: Settings, observed: FeatureSet, candles: CandleSeries
) -> None:
    ladder = ladder_of(shipped, candles.timeframe)
    honest = program_pipeline(shipped, candles.symbol, ladder, observed, None)
    frame = honest.state(History(candles, {}))
    stop = split_by_fractions(candles, 0.7, 0.1).training.stop
    for leak in planted_leaks(honest, frame, ladder, stop):
        report = checked(candles, shipped, observed, 16, leak.pipeline)
        assert leak.judge(report).rightly, (leak.name, report.cause)


def test_the_shipped_model_decides_on_nothing_that_comes_later(
    shipped: Settings, candles: CandleSeries, tmp_path: Path
) -> None:
    registry = ModelRegistry(tmp_path, shipped_models(), {"shipped": shipped_public_key()})
    model = registry.load(registry.listing()[0].model_id)
    ladder = ladder_of(shipped, candles.timeframe)
    pipeline = program_pipeline(shipped, candles.symbol, ladder, model.features, model)
    assert checked(candles, shipped, model.features, 24, pipeline).cause is None


def test_too_few_candles_to_train_on_are_refused(
    shipped: Settings, observed: FeatureSet, candles: CandleSeries
) -> None:
    with pytest.raises(DataError, match="warm up"):
        prepare(candles.slice(0, 1_000), ladder_of(shipped, candles.timeframe), observed, shipped)
