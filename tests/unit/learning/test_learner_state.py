"""Every algorithm goes on from its arrays to the same bits as if it had never stopped."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Learning
from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.learning.algorithms import build_learner
from adan_core.learning.learner_state import (
    Arrays,
    deciding_weights,
    learner_arrays,
    restore_learner,
)
from adan_core.learning.networks import ALGORITHMS, CONTINUOUS, network_from

COPIES, STEPS_PER_COPY, EPISODE = 2, 8, 13
TOTAL = 10 * COPIES * STEPS_PER_COPY
LEVELS = (-1.0, 0.0, 1.0)


class _Table(gymnasium.Env[NDArray[np.float32], Any]):
    """Plays through a fixed table; where it stands is one number."""

    def __init__(self, seed: int, *, continuous: bool) -> None:
        self._rows = np.random.default_rng(seed).normal(size=(500, 4)).astype(np.float32)
        self.place = 0
        self.observation_space = gymnasium.spaces.Box(-9.0, 9.0, (4,), np.float32)
        self.action_space: gymnasium.Space[Any] = (
            gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
            if continuous
            else gymnasium.spaces.Discrete(len(LEVELS))
        )

    def reset(
        self,
        *,
        seed: int | None = None,  # noqa: ARG002 - gymnasium's signature
        options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return self._rows[self.place], {}

    def step(
        self, action: NDArray[Any]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        self.place += 1
        reward = float(np.ravel(action)[0]) * float(self._rows[self.place, 0])
        return self._rows[self.place], reward, False, self.place % EPISODE == 0, {}


def market(algorithm: str) -> DummyVecEnv:
    def make(seed: int) -> _Table:
        return _Table(seed, continuous=algorithm in CONTINUOUS)

    return DummyVecEnv([lambda: make(1), lambda: make(2)])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Learning:
    overrides = (
        f"learning.copies={COPIES}",
        f"learning.steps_per_copy={STEPS_PER_COPY}",
        f"learning.batch_size={COPIES * STEPS_PER_COPY // 2}",
        "learning.algorithm.hidden=[6, 6]",
        "learning.algorithm.recurrent_size=5",
        "learning.algorithm.replay.size=100",
        "learning.algorithm.replay.first_steps=20",
        "learning.algorithm.replay.updates=3",
    )
    home = locate(Path(tmp_path_factory.mktemp("home")), {})
    return load_settings(home, overrides, {}).settings.learning


def learner(algorithm: str, settings: Learning, environment: DummyVecEnv) -> BaseAlgorithm:
    named = settings.algorithm.model_copy(update={"name": algorithm})
    own = settings.model_copy(update={"algorithm": named})
    return build_learner(environment, own, seed=4)


class _Photographer(BaseCallback):
    """Keeps all there is at the sixth boundary, or puts it back at the first."""

    def __init__(self, kept: tuple[Arrays, list[int]] | None = None) -> None:
        super().__init__()
        self.kept = kept
        self._boundaries = 0
        self._restoring = kept is not None

    def _on_rollout_start(self) -> None:
        environment = self.training_env
        assert isinstance(environment, DummyVecEnv)
        if self._restoring and self.kept is not None:
            restore_learner(self.model, self.kept[0])
            for one, place in zip(environment.envs, self.kept[1], strict=True):
                one.unwrapped.place = place  # type: ignore[attr-defined]
            self._restoring = False
        elif self._boundaries == 5 and self.kept is None:
            places = [one.unwrapped.place for one in environment.envs]  # type: ignore[attr-defined]
            self.kept = (learner_arrays(self.model), places)
        self._boundaries += 1

    def _on_step(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_going_on_from_the_arrays_ends_in_the_same_bits(algorithm: str, settings: Learning) -> None:
    whole = learner(algorithm, settings, market(algorithm))
    photographer = _Photographer()
    whole.learn(TOTAL, callback=photographer, log_interval=None)  # type: ignore[arg-type]
    assert photographer.kept is not None
    # Another seed: nothing of it may be left once the arrays are back.
    resumed = learner(algorithm, settings, market(algorithm))
    resumed.set_random_seed(99)
    again = _Photographer(photographer.kept)
    resumed.learn(TOTAL, callback=again, log_interval=None)  # type: ignore[arg-type]
    assert _bytes(learner_arrays(resumed)) == _bytes(learner_arrays(whole))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_decides_is_what_the_network_reads(algorithm: str, settings: Learning) -> None:
    own = learner(algorithm, settings, market(algorithm))
    network = network_from(algorithm, deciding_weights(own), LEVELS)
    assert network.inputs == 4
    assert network.actions == len(LEVELS)


@pytest.mark.slow
def test_arrays_of_other_settings_are_refused(settings: Learning) -> None:
    ppo = learner("PPO", settings, market("PPO"))
    ppo.learn(COPIES * STEPS_PER_COPY, log_interval=None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="does not fit"):
        restore_learner(learner("RecurrentPPO", settings, market("PPO")), learner_arrays(ppo))


def test_an_algorithm_and_the_actions_must_fit_each_other(settings: Learning) -> None:
    with pytest.raises(ConfigurationError, match="SAC"):
        learner("SAC", settings, market("PPO"))
    with pytest.raises(ConfigurationError, match="PPO"):
        learner("PPO", settings, market("SAC"))


def _bytes(arrays: Arrays) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in arrays.items()}
