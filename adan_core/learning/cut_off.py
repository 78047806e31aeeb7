"""What a cut-off episode would still have earned, without a pass of the learner's tensors per copy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from adan_core.learning.inference import forward, stacked


class CutOffs:
    """Adds the discounted value of where an episode was cut off to its last reward.

    SB3 does so itself, one copy at a time; with hundreds of copies that took longer than stepping
    them. The value network's parameters are seen in place, so that each answer is of their newest.
    """

    def __init__(self, agent: OnPolicyAlgorithm) -> None:
        seen = {name: tensor.numpy() for name, tensor in agent.policy.state_dict().items()}
        self._layers = stacked(seen, "mlp_extractor.value_net", "value_net")
        self._gamma = agent.gamma

    @staticmethod
    def of(agent: BaseAlgorithm) -> "CutOffs | None":
        """Return it for an agent of plain networks in memory; None for others, whom SB3 serves."""
        if isinstance(agent, PPO | A2C) and agent.device.type == "cpu":
            return CutOffs(agent)
        return None

    def settle(
        self,
        rewards: NDArray[np.float32],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Change ``rewards`` (N,) in place, and leave nothing of it in ``infos`` for SB3 to do."""
        ended = np.flatnonzero(dones)
        cut = [copy for copy in ended if infos[copy].get("TimeLimit.truncated", False)]
        if cut:
            last = np.stack([infos[copy].pop("terminal_observation") for copy in cut])
            rewards[cut] += np.float32(self._gamma) * forward(self._layers, last)[:, 0]
