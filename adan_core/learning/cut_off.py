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
    them. The networks stay as they are within a rollout, so all its episodes are valued in one pass
    at its last step. The value network's parameters are seen in place: each pass is of their newest.
    """

    def __init__(self, agent: OnPolicyAlgorithm) -> None:
        seen = {name: tensor.numpy() for name, tensor in agent.policy.state_dict().items()}
        self._layers = stacked(seen, "mlp_extractor.value_net", "value_net")
        self._gamma = agent.gamma
        self._places: list[tuple[int, int]] = []
        self._last: list[NDArray[np.float32]] = []

    @staticmethod
    def of(agent: BaseAlgorithm) -> "CutOffs | None":
        """Return it for an agent of plain networks in memory; None for others, whom SB3 serves."""
        if isinstance(agent, PPO | A2C) and agent.device.type == "cpu":
            return CutOffs(agent)
        return None

    def note(self, step: int, dones: NDArray[np.bool_], infos: list[dict[str, Any]]) -> None:
        """Take note of what ended in a rollout's ``step``; leave nothing of it for SB3 to do."""
        for copy in np.flatnonzero(dones).tolist():
            if infos[copy].get("TimeLimit.truncated", False):
                self._places.append((step, copy))
                self._last.append(infos[copy].pop("terminal_observation"))

    def settle(self, rewards: NDArray[np.float32], newest: NDArray[np.float32]) -> None:
        """Change the rewards of a rollout, shape (steps, N), at its last step.

        Those of that step are still on their way there, as ``newest`` (N,). Both change in place.
        """
        if not self._places:
            return
        values = np.float32(self._gamma) * forward(self._layers, np.stack(self._last))[:, 0]
        for (step, copy), value in zip(self._places, values, strict=True):
            if step + 1 < len(rewards):
                rewards[step, copy] += value
            else:
                newest[copy] += value
        self._places.clear()
        self._last.clear()
