"""The environment for anybody who speaks gymnasium, by its name in gymnasium's own registry.

    environment = gymnasium.make("adan_core.learning.gymnasium_environment:adan/Trading-v0")

The part before the colon is this module, which gymnasium imports: that registers the name.
"""

import functools
import os
import warnings
from pathlib import Path
from typing import cast

import gymnasium
from gymnasium.envs.registration import EnvCreator

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.cache import DataCache
from adan_core.data.store import CandleStore
from adan_core.domain.time import SystemClock
from adan_core.learning.environment import TradingEnvironment, dead_band_of
from adan_core.learning.lessons import new_lesson, training_series
from adan_core.learning.market import feature_text

NAME = "adan/Trading-v0"


def trading_environment(
    dataset: str | None = None, seed: int = 0, home: str | None = None
) -> TradingEnvironment:
    """Return the environment that ``adan-core train`` with the same words would learn in.

    ``dataset`` names a stored data set, None the simulated market; only the training part is
    played. ``home`` is as ``--home``; settings, costs, limits and features are the operator's.
    """
    locations = locate(None if home is None else Path(home), os.environ)
    settings = load_settings(locations, (), os.environ).settings
    series = training_series(dataset, settings, seed, CandleStore(locations.datasets))
    plan = new_lesson(
        settings,
        feature_text(settings, locations),
        series,
        dataset,
        settings.learning.steps,
        seed,
        SystemClock().now(),
        _shared_cache(locations.data_cache, settings.cache.memory_bytes, settings.cache.disk_bytes),
    ).plan
    return TradingEnvironment(
        plan.training,
        plan.learning.exposures,
        plan.capital,
        plan.learning.episode_length,
        seed,
        plan.options,
        dead_band_of(plan),
    )


@functools.cache
def _shared_cache(folder: Path, memory_bytes: int, disk_bytes: int) -> DataCache:
    """Return the one cache of this process: many environments made side by side read one state."""
    return DataCache(folder, memory_bytes, disk_bytes, warnings.warn)


# Any creator takes any words, says gymnasium's type; this one takes its own.
gymnasium.register(NAME, entry_point=cast(EnvCreator, trading_environment))
