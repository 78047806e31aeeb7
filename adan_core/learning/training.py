"""A training job: one code path for the command line and for the screen's child process."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from adan_core.domain.time import Clock
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.agent import (
    agent_arrays,
    build_agent,
    learner_figures,
    restore_agent,
    weights_of,
)
from adan_core.learning.checkpoint import Checkpoint, newest_valid, save_checkpoint
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.inference import Network
from adan_core.learning.runs import RunFolder
from adan_core.learning.selection import Validator
from adan_core.learning.training_plan import TrainingOutcome, TrainingPlan
from adan_core.resilience.deadline import Deadline

ROLLOUTS_PER_VALIDATION = 5
_REPORT_SECONDS = 0.5
_BEST = "best."
_ENVIRONMENT = "environment."


class TrainingJob:
    """One PPO run from its first step or its last valid checkpoint to its end.

    ``stop`` and ``deadline`` are looked at before each step; either way a checkpoint of the last
    rollout boundary is on disk when ``run`` returns. Resumed there, the run ends in the same
    weights, to the bit, as if it had never stopped.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        folder: RunFolder,
        clock: Clock,
        deadline: Deadline,
        stop: threading.Event,
        report: Callable[[TrainingProgress], None],
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.clock = clock
        self.deadline = deadline
        self._stop = stop
        self._report = report

    def run(self, *, resume: bool = False) -> TrainingOutcome:
        """Learn until the steps are done, the stop event is set or the deadline has passed.

        ModelError if ``resume`` is asked for and no checkpoint is valid.
        """
        plan = self.plan
        kernel = EnvironmentKernel(
            plan.training,
            plan.learning.copies,
            plan.capital,
            plan.learning.episode_length,
            plan.seed,
        )
        environment = TradingVecEnv(kernel, plan.learning.exposures)
        agent = build_agent(environment, plan.learning, plan.seed)
        validator = Validator(plan.validation, plan.learning.exposures, plan.capital)
        watch = _Watch(self, environment, validator)
        if resume:
            watch.restore(agent, newest_valid(self.folder.checkpoints, self._say))
        remaining = plan.steps - agent.num_timesteps
        if remaining > 0:
            agent.learn(
                remaining,
                callback=watch,
                log_interval=None,  # type: ignore[arg-type]  # SB3's own way to say never
                reset_num_timesteps=not resume,
            )
        else:
            watch.finish(agent)
        return watch.outcome()

    @property
    def interrupted(self) -> TrainingState | None:
        """Why no further step may be taken; None while it may."""
        if self._stop.is_set():
            return TrainingState.STOPPED
        if self.deadline.expired:
            return TrainingState.TIMED_OUT
        return None

    def _say(self, message: str) -> None:
        self.publish(self._blank(TrainingState.PREPARING, message))

    def publish(self, progress: TrainingProgress) -> None:
        """Write a record to the run's log and hand it to whoever watches."""
        self.folder.log(progress)
        self._report(progress)

    def _blank(self, state: TrainingState, message: str) -> TrainingProgress:
        return TrainingProgress(
            run_id=self.plan.run_id,
            state=state,
            steps=0,
            total_steps=self.plan.steps,
            steps_per_second=None,
            remaining=None,
            deadline_in=self.deadline.remaining(),
            reward=None,
            policy_loss=None,
            value_loss=None,
            entropy=None,
            kl_divergence=None,
            explained_variance=None,
            memory_bytes=None,
            message=message,
            updated_at=self.clock.now(),
        )


class _Watch(BaseCallback):
    """Sees every step and every rollout boundary of a job; all of its own state is checkpointed."""

    def __init__(self, job: TrainingJob, environment: TradingVecEnv, validator: Validator) -> None:
        super().__init__()
        self._job = job
        self._environment = environment
        self._validator = validator
        self._boundary: Checkpoint | None = None
        self._written = -1
        self._rollouts = 0
        self._best: dict[str, NDArray[np.float32]] = {}
        self._score = -np.inf
        self._selected_at = 0
        self._broken_off = False
        self._started = (0.0, 0)
        self._checkpoint_due = 0.0
        self._report_due = 0.0

    def restore(self, agent: PPO, checkpoint: Checkpoint) -> None:
        """Put agent, environment and this watch back where ``checkpoint`` was taken."""
        restore_agent(agent, checkpoint.arrays)
        for name, array in self._environment.arrays.items():
            array[...] = checkpoint.arrays[_ENVIRONMENT + name]
        self._best = {
            name.removeprefix(_BEST): values
            for name, values in checkpoint.arrays.items()
            if name.startswith(_BEST)
        }
        self._rollouts = int(checkpoint.state["rollouts"])
        score = checkpoint.state["score"]
        self._score = -np.inf if score is None else float(score)
        self._selected_at = int(checkpoint.state["selected_at"])
        self._boundary = checkpoint
        self._written = checkpoint.steps

    def outcome(self) -> TrainingOutcome:
        """Return how it ended; the weights are the untrained ones if no rollout was completed."""
        steps = self._boundary.steps if self._boundary is not None else 0
        state = TrainingState.FINISHED
        if steps < self._job.plan.steps:
            state = self._job.interrupted or TrainingState.STOPPED
        return TrainingOutcome(state, steps, self._best, self._score, self._selected_at)

    def finish(self, agent: PPO) -> None:
        """Settle a run that has no step left to take: the weights it ended with are judged, too."""
        self.model = agent
        self._at_boundary(last=True)

    def _on_training_start(self) -> None:
        clock = self._job.clock
        self._started = (clock.monotonic(), self.model.num_timesteps)
        self._checkpoint_due = clock.monotonic() + self._job.plan.learning.checkpoint_seconds

    def _on_rollout_start(self) -> None:
        self._at_boundary(last=False)
        self._rollouts += 1

    def _on_step(self) -> bool:
        self._broken_off = self._job.interrupted is not None
        return not self._broken_off

    def _on_training_end(self) -> None:
        # A rollout that was broken off is forgotten: its boundary is what the checkpoint holds.
        if self._broken_off:
            self._save()
            self._publish(self._job.interrupted or TrainingState.STOPPED, "checkpoint saved")
        else:
            self._at_boundary(last=True)

    def _at_boundary(self, *, last: bool) -> None:
        """Between an update and the next rollout: judge, remember, and save if it is time."""
        if last or self._rollouts % ROLLOUTS_PER_VALIDATION == 0:
            self._judge()
        self._remember()
        now = self._job.clock.monotonic()
        if last or now >= self._checkpoint_due:
            self._save()
            self._checkpoint_due = now + self._job.plan.learning.checkpoint_seconds
        if last:
            self._publish(TrainingState.FINISHED, "finished")
        elif now >= self._report_due:
            self._publish(TrainingState.RUNNING, "learning")
            self._report_due = now + _REPORT_SECONDS

    def _judge(self) -> None:
        weights = weights_of(self._agent)
        score = self._validator.score(Network.from_weights(weights))
        if score > self._score:
            self._score = score
            self._best = weights
            self._selected_at = self.model.num_timesteps

    def _remember(self) -> None:
        arrays: dict[str, NDArray[Any]] = agent_arrays(self._agent)
        for name, array in self._environment.arrays.items():
            arrays[_ENVIRONMENT + name] = array.copy()
        for name, values in self._best.items():
            arrays[_BEST + name] = values
        state = {
            "rollouts": self._rollouts,
            "score": self._score if np.isfinite(self._score) else None,
            "selected_at": self._selected_at,
        }
        self._boundary = Checkpoint(self.model.num_timesteps, arrays, state)

    def _save(self) -> None:
        if self._boundary is not None and self._boundary.steps != self._written:
            save_checkpoint(self._job.folder.checkpoints, self._boundary)
            self._written = self._boundary.steps

    @property
    def _agent(self) -> PPO:
        assert isinstance(self.model, PPO)  # noqa: S101 - what `run` built
        return self.model

    def _publish(self, state: TrainingState, message: str) -> None:
        job = self._job
        began, first = self._started
        elapsed = job.clock.monotonic() - began
        done = self._boundary.steps if self._boundary is not None else 0
        rate = (done - first) / elapsed if elapsed > 0.0 and done > first else None
        left = max(job.plan.steps - done, 0)
        figures = learner_figures(self._agent)
        entropy_loss = figures.get("train/entropy_loss")
        job.publish(
            TrainingProgress(
                run_id=job.plan.run_id,
                state=state,
                steps=done,
                total_steps=job.plan.steps,
                steps_per_second=rate,
                remaining=left / rate if rate else None,
                deadline_in=job.deadline.remaining(),
                reward=self._environment.mean_reward,
                policy_loss=figures.get("train/policy_gradient_loss"),
                value_loss=figures.get("train/value_loss"),
                entropy=None if entropy_loss is None else -entropy_loss,
                kl_divergence=figures.get("train/approx_kl"),
                explained_variance=_finite(figures.get("train/explained_variance")),
                memory_bytes=int(psutil.Process().memory_info().rss),
                message=message,
                updated_at=job.clock.now(),
            )
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
