"""Chance plays what the model plays: its spells, its costs, its stops."""

from pathlib import Path

import numpy as np

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.series import CandleSeries
from adan_core.learning.backtest import run_targets
from adan_core.learning.baselines import Chance, Protection, random_spells
from adan_core.learning.market import economics


def test_spells_in_random_order_are_stopped_where_the_model_is(
    tmp_path: Path, simulated: CandleSeries
) -> None:
    settings = load_settings(locate(tmp_path, {}), ("judgement.random_draws=20",), {}).settings
    spells = np.repeat(np.arange(40) % 2, 50)[: len(simulated) - 1].astype(np.float64)
    usual = run_targets(simulated, spells, economics(settings, simulated.symbol), 10_000.0)

    def chance(protection: Protection | None) -> Chance:
        return random_spells(simulated, usual, settings, 0.0, protection)

    own = Protection(settings.risk.stop_loss, settings.risk.take_profit)
    assert chance(None) == chance(own)  # a run without a profile is protected as the settings say
    # Out at a loss of half a percent, never at a gain: another account altogether.
    assert abs(chance(Protection(0.005, 0.5)).median - chance(own).median) > 0.005
