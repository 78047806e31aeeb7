"""The learner of a run: its algorithm from the settings, computed as was chosen for this machine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from adan_core.domain.errors import ConfigurationError
from adan_core.learning.algorithms import build_learner
from adan_core.learning.rollout import CompiledRollouts
from adan_core.learning.training_plan import ComputeChoice

if TYPE_CHECKING:
    from adan_core.config.settings import Learning

_AS_EVER = ComputeChoice()


def build_agent(
    environment: VecEnv,
    settings: "Learning",
    seed: int,
    compute: ComputeChoice = _AS_EVER,
) -> BaseAlgorithm:
    """Return an untrained learner, seeded, whose networks are computed as ``compute`` says.

    ConfigurationError if there is no such device, or the algorithm takes other actions.
    """
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "compute.device cuda, and torch finds no CUDA device here",
            "cpu, or a machine with a GPU and torch built for it",
        )
    agent = build_learner(environment, settings, seed, compute.device)
    if isinstance(agent, CompiledRollouts):
        # What collects must compute as what learns does.
        agent.compiled_rollouts = compute.device == "cpu" and compute.precision == "float32"
    _compute_as(agent, compute)
    return agent


def _compute_as(agent: BaseAlgorithm, compute: ComputeChoice) -> None:
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


def learner_figures(agent: BaseAlgorithm) -> dict[str, float]:
    """Return what the learner recorded in its last update, by SB3's names; empty before the first."""
    return {name: float(value) for name, value in agent.logger.name_to_value.items()}
