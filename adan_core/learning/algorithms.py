"""The learners by name, each built from the same settings by the libraries that keep them.

PPO, A2C and SAC are Stable-Baselines3's, RecurrentPPO and QRDQN its contrib package's; the first two
are fed by compiled rollouts. All get the same tanh networks, so that one forward pass in numpy
(``networks``) serves them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import torch
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from adan_core.domain.errors import ConfigurationError
from adan_core.learning.networks import CONTINUOUS
from adan_core.learning.rollout import CompiledA2C, CompiledPPO

if TYPE_CHECKING:
    from adan_core.config.settings import Learning


def build_learner(
    environment: VecEnv, settings: "Learning", seed: int, device: str = "cpu"
) -> BaseAlgorithm:
    """Return an untrained, seeded learner of the algorithm in the settings.

    Torch's threads are set for the process: with one, the same seed gives the same bits.
    ConfigurationError if the environment offers another kind of action than the algorithm takes.
    """
    torch.set_num_threads(settings.threads)
    name = settings.algorithm.name
    continuous = not hasattr(environment.action_space, "n")
    if continuous != (name in CONTINUOUS):
        raise ConfigurationError(
            f"learning.algorithm.name {name} with learning.action "
            + ("continuous" if continuous else "discrete"),
            "SAC with continuous actions, every other algorithm with discrete ones",
            "set both",
        )
    # The libraries write into what they are given.
    networks: dict[str, Any] = {
        "net_arch": list(settings.algorithm.hidden),
        "activation_fn": torch.nn.Tanh,
    }
    learner = _BUILDERS[name](environment, settings, networks, {"seed": seed, "device": device})
    learner.set_logger(Logger(None, []))
    return learner


def _on_policy(settings: "Learning") -> dict[str, Any]:
    return {
        "learning_rate": settings.learning_rate,
        "n_steps": settings.steps_per_copy,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_lambda,
        "ent_coef": settings.entropy,
    }


def _ppo(
    environment: VecEnv,
    settings: "Learning",
    networks: dict[str, Any],
    common: dict[str, Any],
) -> BaseAlgorithm:
    return CompiledPPO(
        "MlpPolicy",
        environment,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        policy_kwargs=networks,
        **_on_policy(settings),
        **common,
    )


def _recurrent_ppo(
    environment: VecEnv,
    settings: "Learning",
    networks: dict[str, Any],
    common: dict[str, Any],
) -> BaseAlgorithm:
    networks["lstm_hidden_size"] = settings.algorithm.recurrent_size
    return RecurrentPPO(
        "MlpLstmPolicy",
        environment,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        policy_kwargs=networks,
        **_on_policy(settings),
        **common,
    )


def _a2c(
    environment: VecEnv,
    settings: "Learning",
    networks: dict[str, Any],
    common: dict[str, Any],
) -> BaseAlgorithm:
    return CompiledA2C(
        "MlpPolicy", environment, policy_kwargs=networks, **_on_policy(settings), **common
    )


def _off_policy(settings: "Learning") -> dict[str, Any]:
    replay = settings.algorithm.replay
    return {
        "learning_rate": settings.learning_rate,
        "buffer_size": replay.size,
        "learning_starts": replay.first_steps,
        "batch_size": settings.batch_size,
        "gamma": settings.gamma,
        "train_freq": settings.steps_per_copy,
        "gradient_steps": replay.updates,
        "tau": replay.target_update,
    }


def _qrdqn(
    environment: VecEnv,
    settings: "Learning",
    networks: dict[str, Any],
    common: dict[str, Any],
) -> BaseAlgorithm:
    replay = settings.algorithm.replay
    networks["n_quantiles"] = replay.quantiles
    return QRDQN(
        "MlpPolicy",
        environment,
        policy_kwargs=networks,
        target_update_interval=environment.num_envs,  # a little at each step, by ``tau``, as SAC does
        exploration_fraction=replay.exploration_share,
        exploration_final_eps=replay.exploration_end,
        **_off_policy(settings),
        **common,
    )


def _sac(
    environment: VecEnv,
    settings: "Learning",
    networks: dict[str, Any],
    common: dict[str, Any],
) -> BaseAlgorithm:
    return SAC("MlpPolicy", environment, policy_kwargs=networks, **_off_policy(settings), **common)


_Builder = Callable[[VecEnv, "Learning", dict[str, Any], dict[str, Any]], BaseAlgorithm]
_BUILDERS: Final[dict[str, _Builder]] = {
    "PPO": _ppo,
    "RecurrentPPO": _recurrent_ppo,
    "A2C": _a2c,
    "QRDQN": _qrdqn,
    "SAC": _sac,
}
