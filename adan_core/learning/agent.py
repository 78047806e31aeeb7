"""The learner: SB3's PPO built from settings, and its whole state as plain arrays and back."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.learning.training_plan import ComputeChoice

if TYPE_CHECKING:
    from adan_core.config.settings import Learning

ALGORITHM = "PPO"
HIDDEN = (64, 64)

_AS_EVER = ComputeChoice()
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def build_agent(
    environment: VecEnv,
    settings: "Learning",
    seed: int,
    compute: ComputeChoice = _AS_EVER,
) -> PPO:
    """Return an untrained PPO: two separate 64x64 tanh networks, seeded, computed as ``compute`` says.

    Torch's threads are set for the process: with one, the same seed gives the same bits.
    ConfigurationError if there is no such device.
    """
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "compute.device cuda, and torch finds no CUDA device here",
            "cpu, or a machine with a GPU and torch built for it",
        )
    torch.set_num_threads(settings.threads)
    agent = PPO(
        "MlpPolicy",
        environment,
        learning_rate=settings.learning_rate,
        n_steps=settings.steps_per_copy,
        batch_size=settings.batch_size,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        ent_coef=settings.entropy,
        policy_kwargs={"net_arch": list(HIDDEN), "activation_fn": torch.nn.Tanh},
        seed=seed,
        device=compute.device,
        verbose=0,
    )
    agent.set_logger(Logger(None, []))
    _compute_as(agent, compute)
    return agent


def _compute_as(agent: OnPolicyAlgorithm, compute: ComputeChoice) -> None:
    """Let the networks' passes run as ``compute`` says; parameters and their names stay as they are.

    Only the stacks of layers are wrapped: what is computed from their answers (probabilities,
    losses, advantages) stays in float32.
    """
    for stack in [one for one in agent.policy.modules() if isinstance(one, torch.nn.Sequential)]:
        passed = _through(list(stack))
        if compute.compile:
            # Not Module.compile: torch leaves its own frames, hence a Sequential's, uncompiled.
            passed = torch.compile(passed)
        if compute.precision == "bfloat16":
            passed = _in_bfloat16(passed, compute.device)
        if compute.compile or compute.precision != "float32":
            stack.forward = passed  # type: ignore[method-assign]


Pass = Callable[[torch.Tensor], torch.Tensor]


def _through(layers: list[torch.nn.Module]) -> Pass:
    def passed(inputs: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            inputs = layer(inputs)
        return inputs

    return passed


def _in_bfloat16(forward: Pass, device: str) -> Pass:
    def passed(inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return forward(inputs).float()

    return passed


def weights_of(agent: OnPolicyAlgorithm) -> dict[str, NDArray[np.float32]]:
    """Return a copy of the networks' parameters, by SB3's names."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in agent.policy.state_dict().items()
    }


def agent_arrays(agent: OnPolicyAlgorithm) -> dict[str, NDArray[Any]]:
    """Return copies of everything the next update depends on, but for the environment.

    Networks, Adam's moments, the generators of torch and numpy, what the copies last saw.
    """
    arrays: dict[str, NDArray[Any]] = {
        f"policy.{name}": values for name, values in weights_of(agent).items()
    }
    for index, moments in agent.policy.optimizer.state_dict()["state"].items():
        for name in _MOMENTS:
            arrays[f"adam.{index}.{name}"] = moments[name].detach().cpu().numpy().copy()
    arrays["torch_generator"] = torch.get_rng_state().numpy().copy()
    if agent.device.type == "cuda":
        arrays["cuda_generator"] = torch.cuda.get_rng_state().numpy().copy()
    _, keys, position, has_gauss, gauss = _numpy_state()
    arrays["numpy_generator"] = keys.copy()
    arrays["numpy_position"] = np.array([position, has_gauss], dtype=np.int64)
    arrays["numpy_gauss"] = np.array([gauss], dtype=np.float64)
    last_seen, starts = _last_seen(agent)
    arrays["last_observations"] = last_seen.copy()
    arrays["last_starts"] = starts.astype(np.bool_)
    arrays["counters"] = np.array([agent.num_timesteps, agent._n_updates], dtype=np.int64)
    return arrays


def restore_agent(agent: OnPolicyAlgorithm, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put ``agent`` back where ``agent_arrays`` found it; ModelError if the arrays do not fit."""
    try:
        agent.policy.load_state_dict(
            {
                name.removeprefix("policy."): torch.from_numpy(values.copy())
                for name, values in arrays.items()
                if name.startswith("policy.")
            }
        )
        optimiser = agent.policy.optimizer.state_dict()
        optimiser["state"] = {
            index: {
                name: torch.from_numpy(arrays[f"adam.{index}.{name}"].copy()) for name in _MOMENTS
            }
            for index in optimiser["param_groups"][0]["params"]
            if f"adam.{index}.step" in arrays
        }
        agent.policy.optimizer.load_state_dict(optimiser)
        torch.set_rng_state(torch.from_numpy(arrays["torch_generator"].copy()))
        if agent.device.type == "cuda":
            torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda_generator"].copy()))
        position, has_gauss = arrays["numpy_position"].tolist()
        # SB3 shuffles its batches with numpy's global generator; there is no other handle on it.
        np.random.set_state(
            ("MT19937", arrays["numpy_generator"], position, has_gauss, arrays["numpy_gauss"][0])
        )
        agent._last_obs = arrays["last_observations"].copy()
        agent._last_episode_starts = arrays["last_starts"].copy()
        agent.num_timesteps, agent._n_updates = arrays["counters"].tolist()
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"a checkpoint that does not fit this agent: {error}", "one of the same settings"
        ) from error


def learner_figures(agent: OnPolicyAlgorithm) -> dict[str, float]:
    """Return what the learner recorded in its last update, by SB3's names; empty before the first."""
    return {name: float(value) for name, value in agent.logger.name_to_value.items()}


def _numpy_state() -> tuple[str, NDArray[np.uint32], int, int, float]:
    state = np.random.get_state(legacy=True)
    if isinstance(state, dict):
        raise ModelError("numpy's generator in a form nobody asked for", "its legacy tuple")
    return state


def _last_seen(agent: OnPolicyAlgorithm) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    observations, starts = agent._last_obs, agent._last_episode_starts
    if not isinstance(observations, np.ndarray) or starts is None:
        raise ModelError(
            "an agent that has not seen its environment", "one that has begun to learn"
        )
    return observations, starts
