"""Rollouts of PPO and A2C: Stable-Baselines3's learners, fed by copies that play in compiled code."""

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.inference import stacked
from adan_core.learning.rollout_kernel import Experience


class CompiledRollouts(OnPolicyAlgorithm):
    """Collects in one compiled call what SB3 collects step by step; the updates stay SB3's own.

    Where networks are not plain float32 in the processor's memory (``compiled_rollouts`` false), or
    the environment is another one, SB3's own loop collects. A callback is asked once, before the
    rollout: where it says no, learner and environment are as the last update left them.
    """

    compiled_rollouts = True

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill ``rollout_buffer``; return False if the callback wants the learning to end.

        Chance comes from torch's generator, so that a checkpoint of it resumes the same actions.
        """
        if not (self.compiled_rollouts and isinstance(env, TradingVecEnv)):
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        rollout_buffer.reset()
        callback.on_rollout_start()
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        weights = {name: tensor.numpy() for name, tensor in self.policy.state_dict().items()}
        final = env.roll(
            stacked(weights, "mlp_extractor.policy_net", "action_net"),
            stacked(weights, "mlp_extractor.value_net", "value_net"),
            self.gamma,
            torch.rand(n_rollout_steps, env.num_envs).numpy(),
            Experience._make(getattr(rollout_buffer, name) for name in Experience._fields),
        )
        rollout_buffer.pos, rollout_buffer.full = n_rollout_steps, True
        self.num_timesteps += n_rollout_steps * env.num_envs
        self._last_obs = env.kernel.observations.copy()
        self._last_episode_starts = env.done
        rollout_buffer.compute_returns_and_advantage(torch.from_numpy(final), env.done)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True


class CompiledPPO(CompiledRollouts, PPO):
    """SB3's PPO with compiled rollouts."""


class CompiledA2C(CompiledRollouts, A2C):
    """SB3's A2C with compiled rollouts."""
