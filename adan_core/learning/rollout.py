"""Rollouts of PPO and A2C: Stable-Baselines3's learners, fed by copies that play in compiled code."""

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.inference import stacked
from adan_core.learning.ppo_kernel import FIGURES, Rollout, Weights, ppo_loss
from adan_core.learning.rollout_kernel import Experience


class CompiledRollouts(OnPolicyAlgorithm):
    """Collects in one compiled call what SB3 collects step by step.

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
    """SB3's PPO with compiled rollouts, and its loss and that one's gradient in compiled code, too.

    The networks' own gradients, the clipping of them and the optimiser's steps are torch's.
    """

    def train(self) -> None:
        """Learn from the rollout collected, as SB3 does: the same minibatches, figures and steps."""
        if not self.compiled_rollouts:
            super().train()
            return
        policy, buffer = self.policy, self.rollout_buffer
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        clip = float(self.clip_range(self._current_progress_remaining))  # type: ignore[operator]
        observations = torch.from_numpy(_one_after_the_other(buffer.observations))
        rollout = Rollout(
            _one_after_the_other(buffer.actions)[:, 0],
            _one_after_the_other(buffer.log_probs),
            _one_after_the_other(buffer.advantages),
            _one_after_the_other(buffer.returns),
        )
        weights = Weights(clip, float(self.ent_coef), float(self.vf_coef))
        parameters = list(policy.parameters())
        noted: list[NDArray[np.float64]] = []
        for _ in range(self.n_epochs):
            order = np.random.permutation(len(rollout.actions))  # SB3's own generator
            for first in range(0, len(order), self.batch_size):
                places = order[first : first + self.batch_size]
                seen = observations[torch.from_numpy(places)]
                logits = policy.action_net(policy.mlp_extractor.policy_net(seen))
                values = policy.value_net(policy.mlp_extractor.value_net(seen))
                of_logits, of_values = torch.empty_like(logits), torch.empty_like(values)
                figures = np.empty(len(FIGURES), dtype=np.float64)
                ppo_loss(
                    logits.detach().numpy(),
                    values.detach().numpy(),
                    places,
                    rollout,
                    weights,
                    of_logits.numpy(),
                    of_values.numpy(),
                    figures,
                )
                noted.append(figures)
                policy.optimizer.zero_grad()
                torch.autograd.backward([logits, values], [of_logits, of_values])
                torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                policy.optimizer.step()
            self._n_updates += 1
        told = dict(zip(FIGURES, np.mean(noted, axis=0).tolist(), strict=True))
        # SB3 records these two of the last pass and the last minibatch alone.
        newest = np.array(noted[-(len(noted) // self.n_epochs) :])
        told["approx_kl"] = float(newest[:, FIGURES.index("approx_kl")].mean())
        told["loss"] = float(newest[-1, FIGURES.index("loss")])
        for name, figure in told.items():
            self.logger.record(f"train/{name}", figure)
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", explained)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip)


def _one_after_the_other(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (steps, copies, ...) as (copies x steps, ...), copy by copy, as SB3 flattens it."""
    return np.ascontiguousarray(array.swapaxes(0, 1)).reshape(-1, *array.shape[2:])


class CompiledA2C(CompiledRollouts, A2C):
    """SB3's A2C with compiled rollouts."""
