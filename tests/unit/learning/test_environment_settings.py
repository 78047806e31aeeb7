"""Each key that says how the market is played reaches the copies that a training plays."""

from pathlib import Path

import numpy as np
import pytest

from adan_core.accounting.account import ASKED, CASH
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError
from adan_core.domain.time import HOUR
from adan_core.learning.environment import TradingVecEnv, training_environment
from adan_core.learning.lessons import new_lesson
from adan_core.learning.market import economics, environment_options, feature_text

SMALL = ("learning.copies=12", "learning.steps_per_copy=4", "learning.batch_size=48")


def settings_with(*overrides: str) -> Settings:
    return load_settings(locate(Path("unused"), {}), (*SMALL, *overrides)).settings


def environment(*overrides: str) -> TradingVecEnv:
    """Return the copies that a training under these settings plays, three symbols of the market."""
    settings = settings_with(*overrides)
    series = tuple(
        SimulatedMarket(symbol, Timeframe.parse("5m"), 3).candles(0, 2_500)
        for symbol in settings.market.symbols
    )
    features = feature_text(settings, locate(Path("unused"), {}))
    return training_environment(new_lesson(settings, features, series, None, 48, 1, 0).plan)


def test_a_shared_purse_plays_all_symbols_beside_each_other() -> None:
    own, shared = environment(), environment("learning.purse=shared")
    for copies in (own, shared):
        copies.reset()
        copies.step(np.ones(12, dtype=np.int64))
    assert shared.kernel.place[:, 1].tolist() == [0, 1, 2] * 4
    assert (shared.kernel.accounts[:3, CASH] == shared.kernel.accounts[0, CASH]).all()
    assert shared.kernel.place[:, 1].tolist() != own.kernel.place[:, 1].tolist()


def test_numbers_are_taken_where_they_are_asked_for() -> None:
    copies = environment(
        "learning.algorithm.name=SAC", "learning.action=continuous", "learning.dead_band=0.1"
    )
    copies.reset()
    copies.step(np.full((12, 1), 0.2, dtype=np.float32))
    asked = copies.kernel.accounts[:, ASKED]
    np.testing.assert_allclose(asked[~np.isnan(asked)], 0.6, atol=1e-6)
    copies.step(np.full((12, 1), -0.82, dtype=np.float32))  # within the dead band of flat
    # Copies whose episode has ended have asked for nothing yet.
    asked = copies.kernel.accounts[:, ASKED]
    np.testing.assert_array_equal(asked[~np.isnan(asked)], 0.0)
    assert (~np.isnan(asked)).sum() > 6


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("learning.observation_noise=0.3", "observation_noise", 0.3),
        ("learning.cost_randomisation=0.2", "cost_randomisation", 0.2),
        ("learning.purse=shared", "symbols", 3),
    ],
)
def test_an_option_is_handed_on(override: str, name: str, value: float) -> None:
    assert getattr(environment_options(settings_with(), 3), name) != value
    assert getattr(environment_options(settings_with(override), 3), name) == value


def test_sizing_by_tiers_and_what_holding_costs_are_handed_on() -> None:
    plain = economics(settings_with(), "BTC/SIM")
    assert plain.limits().tiers.shape == (0, 5)
    tiered = economics(settings_with("learning.sizing=tiers"), "BTC/SIM")
    assert tiered.limits().tiers.shape == (5, 5)
    margin = settings_with("account.short=true", "costs.funding_rate=0.0008")
    hourly = economics(margin, "BTC/SIM").on(Timeframe(HOUR))
    assert hourly.as_array()[-1] == pytest.approx(0.0001)
    assert hourly.short
    assert not plain.short


def test_a_dead_band_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="dead_band"):
        settings_with("learning.dead_band=0")
