"""A spot account refuses what it cannot do, in words, before anything is opened."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.learning.bundle import ServiceModel
from adan_core.runtime.spot import refuse_what_spot_cannot
from tests.engine_bench import EngineBench


def model(*exposures: float) -> ServiceModel:
    member = SimpleNamespace(card=SimpleNamespace(exposures=exposures))
    return cast("ServiceModel", SimpleNamespace(model_id="m", members=(member,)))


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load_settings(locate(Path("unused"), {})).settings


def test_a_model_that_goes_short_is_refused(shipped: Settings) -> None:
    refuse_what_spot_cannot(shipped, model(0.0, 0.5, 1.0))
    with pytest.raises(ModelError, match=r"goes short, down to an exposure of -1.*spot market"):
        refuse_what_spot_cannot(shipped, model(-1.0, 0.0, 1.0))


def test_the_core_refuses_a_funding_rate(tmp_path: Path) -> None:
    series = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 7).candles(0, 3_000)
    settings = "account: {short: true}\ncosts: {funding_rate: 0.0001}\n"
    with pytest.raises(ConfigurationError, match="spot market, where holding costs nothing"):
        EngineBench.build(tmp_path, series, lambda _: 0.0, settings)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("learning.exposures=[-1.0, 0.0, 1.0]", "account.short must be true"),
        ("costs.funding_rate=0.0001", "account.short must be true"),
        ("learning.exposures=[-2.0, 0.0, 1.0]", "shorts go down to -1.0"),
    ],
)
def test_shorts_and_funding_need_a_word(overrides: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_settings(locate(Path("unused"), {}), (overrides,))
