"""`gymnasium.make` gives the environment that `adan-core train` would learn in."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.processes import MeanReverting
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.learning.environment import TradingEnvironment
from adan_core.learning.gymnasium_environment import _shared_cache

NAME = "adan_core.learning.gymnasium_environment:adan/Trading-v0"


@pytest.fixture
def dataset(home: Path) -> str:
    series = MeanReverting().path("OU/SIM", Timeframe.parse("5m"), 7, 6_000).series
    CandleStore(locate(home, {}).datasets).write("practice", series, "made here", replace=False)
    return "practice"


def test_the_registered_name_plays_a_stored_data_set_to_the_end_of_an_episode(
    home: Path, dataset: str
) -> None:
    settings = load_settings(locate(home, {})).settings
    environment = gymnasium.make(NAME, dataset=dataset, seed=3)
    assert isinstance(environment.unwrapped, TradingEnvironment)
    assert environment.action_space == gymnasium.spaces.Discrete(len(settings.learning.exposures))
    observation, info = environment.reset(seed=5)
    assert environment.observation_space.contains(observation)
    assert info["equity"] == settings.account.starting_capital
    steps, ended = 0, False
    while not ended:
        observation, _, terminated, truncated, info = environment.step(np.int64(0))
        steps += 1
        ended = terminated or truncated
    assert steps == settings.learning.episode_length
    assert info["equity"] == settings.account.starting_capital  # it never bought


def test_environments_made_side_by_side_read_one_state(home: Path, dataset: str) -> None:
    first, second = (gymnasium.make(NAME, dataset=dataset, seed=3) for _ in range(2))
    one, _ = first.reset(seed=5)
    other, _ = second.reset(seed=5)
    assert one.tobytes() == other.tobytes()
    locations = locate(home, {})
    limits = load_settings(locations).settings.cache
    shared = _shared_cache(locations.data_cache, limits.memory_bytes, limits.disk_bytes)
    # The state and the regimes; the latter are read for the training and for the validation part.
    assert (shared.statistics.misses, shared.statistics.hits) == (2, 4)
    assert shared.statistics.disk_entries == 2


def test_a_data_set_that_is_not_there_is_said(home: Path) -> None:
    with pytest.raises(DataError, match="practice"):
        gymnasium.make(NAME, dataset="practice", home=str(home))
