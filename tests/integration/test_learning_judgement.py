"""Out-of-sample judgement with the shipped model: the test part only, honest about regimes and mix."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.data.split import split_by_fractions
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.errors import ModelError
from adan_core.learning.baselines import BUY_AND_HOLD, FLAT
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.evaluation import (
    MODEL,
    evaluate,
    judge_saturation,
    judging_period,
    seen_candles,
)
from adan_core.learning.market import simulated_training_series
from adan_core.learning.registry import ModelRegistry, shipped_models
from adan_core.learning.runs import Span
from adan_core.security.shipped_key import shipped_public_key


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {}), (), {}).settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServiceModel:
    registry = ModelRegistry(
        tmp_path_factory.mktemp("none"), shipped_models(), {"shipped": shipped_public_key()}
    )
    return registry.load(registry.listing()[0].model_id)


@pytest.fixture(scope="module")
def fresh(settings: Settings) -> CandleSeries:
    return SimulatedMarket("BTC/SIM", settings.market.timeframe, 31_337).candles(0, 20_000)


def test_the_shipped_model_beats_flat_on_fresh_paths(
    settings: Settings, model: ServiceModel
) -> None:
    margins = []
    for symbol in settings.market.symbols:
        path = SimulatedMarket(symbol, settings.market.timeframe, 31_337).candles(0, 60_000)
        judged = evaluate(model, path, settings, "fresh")
        assert not judged.saturation.saturated
        margins.append(judged.excess[FLAT] or 0.0)
    assert sum(margins) > 0.5, margins
    assert sum(margin > 0.0 for margin in margins) >= 2, margins


def test_only_the_test_part_is_judged(
    settings: Settings, model: ServiceModel, fresh: CandleSeries
) -> None:
    judged = evaluate(model, fresh, settings, "fresh")
    assert judged.synthetic
    assert judged.candles == len(split_by_fractions(fresh, 0.7, 0.1).test)
    assert judged.test_start == fresh.close_time[16_000]
    assert {result.strategy for result in judged.results} == {
        MODEL, FLAT, BUY_AND_HOLD, "sma cross",
    }  # fmt: skip


def test_the_regimes_parts_are_the_whole(
    settings: Settings, model: ServiceModel, fresh: CandleSeries
) -> None:
    for result in evaluate(model, fresh, settings, "fresh").results:
        parts = [part.log_return for part in result.by_regime if part.log_return is not None]
        assert result.metrics.log_return == pytest.approx(sum(parts), abs=1e-12)
        assert sum(part.candles for part in result.by_regime) == result.metrics.bars
        assert all((part.log_return is None) == (part.candles == 0) for part in result.by_regime)


def test_later_candles_change_no_earlier_decision(
    settings: Settings, model: ServiceModel, fresh: CandleSeries
) -> None:
    whole = evaluate(model, fresh, settings, "fresh")
    changed = dataclasses.replace(
        fresh,
        open=_last_tripled(fresh.open),
        high=_last_tripled(fresh.high),
        low=_last_tripled(fresh.low),
        close=_last_tripled(fresh.close),
    )
    other = evaluate(model, changed, settings, "changed")
    assert whole.saturation == other.saturation  # every decision but the (absent) last is the same


def _last_tripled(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([column[:-1], column[-1:] * 3.0])


def test_candles_it_learnt_from_are_refused(settings: Settings, model: ServiceModel) -> None:
    own = simulated_training_series(settings, model.card.members[0].seed)[0]
    judging_period(own, settings, model)  # the split's own test part may judge it
    longer_training = dataclasses.replace(
        model.card.data[0],
        validation=Span(model.card.data[0].validation.start_time, int(own.open_time[-1]), 1),
    )
    informed = dataclasses.replace(
        model, card=dataclasses.replace(model.card, data=(longer_training,))
    )
    with pytest.raises(ModelError, match="learnt from BTC/SIM"):
        judging_period(own, settings, informed)
    assert seen_candles(own, own, model) == round(0.8 * len(own))


def test_real_markets_overlap_whatever_the_symbol(
    settings: Settings, model: ServiceModel, fresh: CandleSeries
) -> None:
    real = dataclasses.replace(fresh, synthetic=False)
    span = Span(int(real.open_time[0]), int(real.open_time[-1]), 1)
    record = dataclasses.replace(
        model.card.data[0],
        symbol="ETH/USDT",
        synthetic=False,
        training=span,
        validation=span,
    )
    informed = dataclasses.replace(model, card=dataclasses.replace(model.card, data=(record,)))
    with pytest.raises(ModelError, match="learnt from ETH/USDT"):
        evaluate(informed, real, settings, "real")


def test_another_timeframe_is_refused(settings: Settings, model: ServiceModel) -> None:
    hourly = SimulatedMarket("BTC/SIM", model.card.timeframes[1], 1).candles(0, 5_000)
    with pytest.raises(ModelError, match="for candles of 5m"):
        evaluate(model, hourly, settings, "hourly")


def test_a_policy_that_always_says_the_same_is_saturated() -> None:
    always = judge_saturation(np.ones(245), np.zeros(245))
    assert always.saturated
    assert always.share == 1.0
    assert "SATURATED" in always.verdict
    mixed = judge_saturation(np.tile([0.0, 1.0], 100), np.full(200, 0.01))
    assert not mixed.saturated
    assert mixed.mix_entropy == pytest.approx(np.log(2.0))
    assert mixed.decision_entropy == pytest.approx(0.01)


def test_the_evaluation_is_json(
    settings: Settings, model: ServiceModel, fresh: CandleSeries, tmp_path: Path
) -> None:
    import msgspec

    judged = evaluate(model, fresh, settings, "fresh")
    text = msgspec.json.encode(judged)
    assert msgspec.json.decode(text)["schema_version"] == 1
    assert b"NaN" not in text
