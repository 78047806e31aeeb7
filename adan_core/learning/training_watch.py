"""What sees every step of a training: checkpoints, validation, pauses, and why it ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.actions import levels_of
from adan_core.learning.agent import learner_figures
from adan_core.learning.checkpoint import Checkpoint, save_checkpoint
from adan_core.learning.cut_off import CutOffs
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.learner_state import deciding_weights, learner_arrays, restore_learner
from adan_core.learning.networks import network_from
from adan_core.learning.selection import Validator
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.resilience.memory import MemoryLevel, process_memory
from adan_core.resilience.timeout import TimeoutManager

if TYPE_CHECKING:
    from adan_core.learning.training import TrainingJob

# Scoring a thousand validation candles costs about as much as learning from them, so more often
# than this it would take the learner's time, and less often miss good weights.
ROLLOUTS_PER_VALIDATION: Final = 10
_REPORT_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.2
_PAUSED_REPORT_SECONDS: Final = 1.0
_BEST: Final = "best."
_ENVIRONMENT: Final = "environment."


@dataclass(frozen=True, slots=True)
class Ending:
    """Why no further step is taken."""

    state: TrainingState
    reason: str


class TrainingWatch(BaseCallback):
    """Sees every step and every rollout boundary of a job; what it must not forget is checkpointed."""

    def __init__(
        self, job: "TrainingJob", environment: TradingVecEnv, validator: Validator
    ) -> None:
        super().__init__()
        self._job = job
        self._environment = environment
        self._validator = validator
        self._timeout = TimeoutManager(job.deadline, job.clock)
        self._boundary: Checkpoint | None = None
        self._written = -1
        self._rollouts = 0
        self._taken = 0
        self._best: dict[str, NDArray[np.float32]] = {}
        self._score = -np.inf
        self._selected_at = 0
        self._judged_at = -1
        self._without_better = 0
        self._ending: Ending | None = None
        self._cut_offs: CutOffs | None = None
        self._started = (0.0, 0)
        self._unwatched_since: float | None = None
        self._checkpoint_due = 0.0
        self._report_due = 0.0

    # -- from outside -------------------------------------------------------------------------

    def restore(self, agent: BaseAlgorithm, checkpoint: Checkpoint) -> None:
        """Put agent, environment and this watch back where ``checkpoint`` was taken."""
        restore_learner(agent, checkpoint.arrays)
        for name, array in self._environment.arrays.items():
            array[...] = checkpoint.arrays[_ENVIRONMENT + name]
        self._best = {
            name.removeprefix(_BEST): values
            for name, values in checkpoint.arrays.items()
            if name.startswith(_BEST)
        }
        state = checkpoint.state
        self._rollouts = int(state["rollouts"])
        self._score = -np.inf if state["score"] is None else float(state["score"])
        self._selected_at = int(state["selected_at"])
        self._judged_at = int(state["judged_at"])
        self._without_better = int(state["without_better"])
        self._boundary = checkpoint
        self._written = checkpoint.steps
        self._end_early()

    @property
    def ended(self) -> bool:
        """Whether the run this watch was restored to had already finished early."""
        return self._ending is not None

    def outcome(self) -> TrainingOutcome:
        """Return how it ended; the weights are the untrained ones if no rollout was completed."""
        steps = self._boundary.steps if self._boundary is not None else 0
        ending = self._ending or Ending(TrainingState.FINISHED, "finished")
        return TrainingOutcome(
            ending.state, steps, self._best, self._score, self._selected_at, ending.reason
        )

    def finish(self, agent: BaseAlgorithm) -> None:
        """Settle a run that has no step left to take: the weights it ended with are judged, too."""
        self.model = agent
        self._at_boundary(last=True)

    # -- what the learner calls ---------------------------------------------------------------

    def _on_training_start(self) -> None:
        clock = self._job.clock
        self._started = (clock.monotonic(), self.model.num_timesteps)
        self._cut_offs = CutOffs.of(self.model)
        self._checkpoint_due = clock.monotonic() + self._job.plan.learning.checkpoint_seconds

    def _on_rollout_start(self) -> None:
        self._at_boundary(last=False)
        self._rollouts += 1
        self._taken += 1
        if self._taken == 2:  # the first one may have paid for compiling: it says nothing of speed
            self._started = (self._job.clock.monotonic(), self.model.num_timesteps)

    def _on_step(self) -> bool:
        if self._unwatched_since is not None:
            self._timeout.could_not_look(self._job.clock.monotonic() - self._unwatched_since)
            self._unwatched_since = None
        if self._job.pause_asked():
            self._hold()
        if self._ending is None:
            self._ending = self._reason_to_end()
        if self._cut_offs is not None:
            seen = self.locals
            if self._environment.ended:
                self._cut_offs.note(seen["n_steps"], seen["dones"], seen["infos"])
            if seen["n_steps"] + 1 == seen["n_rollout_steps"]:
                self._cut_offs.settle(seen["rollout_buffer"].rewards, seen["rewards"])
        return self._ending is None

    def _on_rollout_end(self) -> None:
        self._unwatched_since = self._job.clock.monotonic()

    def _on_training_end(self) -> None:
        # A rollout that was broken off is forgotten: its boundary is what the checkpoint holds.
        if self._ending is None:
            self._at_boundary(last=True)
            return
        self._save()
        self._publish(self._ending.state, self._ending.reason)

    # -- pauses and ends ----------------------------------------------------------------------

    def _reason_to_end(self) -> Ending | None:
        if self._job.stop_asked:
            return Ending(TrainingState.STOPPED, "stopped; checkpoint saved")
        if self._timeout.due:
            return Ending(TrainingState.TIMED_OUT, "the time is up; checkpoint saved")
        return None

    def _hold(self) -> None:
        """Take no step until the pause ends, or the job does; the checkpoint is on disk meanwhile."""
        job, began = self._job, self._job.clock.monotonic()
        self._save()
        said = "paused; checkpoint saved, the processor is free"
        self._publish(TrainingState.PAUSED, said)
        report_due = began + _PAUSED_REPORT_SECONDS
        while job.pause_asked() and self._reason_to_end() is None:
            job.wait(_LOOK_SECONDS)
            if job.clock.monotonic() >= report_due:
                # Told, so that whoever watches sees it live, but not kept: it says nothing new.
                job.report(self._record(TrainingState.PAUSED, said))
                report_due = job.clock.monotonic() + _PAUSED_REPORT_SECONDS
        passed = job.clock.monotonic() - began
        self._started = (self._started[0] + passed, self._started[1])
        self._checkpoint_due += passed
        if self._reason_to_end() is None:
            self._publish(TrainingState.RUNNING, "learning again")

    def _end_early(self) -> None:
        limit = self._job.plan.learning.early_stop_validations
        if limit is not None and self._without_better >= limit:
            self._ending = Ending(
                TrainingState.FINISHED,
                f"finished early: no better validation score {self._without_better} times in a row",
            )

    def _watch_memory(self) -> None:
        memory = self._job.memory
        if memory is not None and memory.look() is MemoryLevel.EXCEEDED:
            self._ending = Ending(
                TrainingState.FAILED,
                f"out of memory: {memory.described}; checkpoint saved. Smaller copies x "
                "steps_per_copy or fewer candles need less",
            )

    # -- boundaries ---------------------------------------------------------------------------

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
            ending = self._ending or Ending(TrainingState.FINISHED, "finished")
            self._publish(ending.state, ending.reason)
            return
        self._end_early()
        if self._ending is None:
            self._watch_memory()
        if self._ending is None and now >= self._report_due:
            self._publish(TrainingState.RUNNING, "learning")
            self._report_due = now + _REPORT_SECONDS

    def _judge(self) -> None:
        steps = self.model.num_timesteps
        if steps == self._judged_at:  # a run that goes on where it was judged
            return
        weights = deciding_weights(self.model)
        learning = self._job.plan.learning
        network = network_from(
            learning.algorithm.name, weights, levels_of(learning.exposures, learning.action)
        )
        score = self._validator.score(network)
        self._judged_at = steps
        self._without_better += 1
        if score > self._score:
            self._score = score
            self._best = weights
            self._selected_at = steps
            self._without_better = 0

    def _remember(self) -> None:
        arrays: dict[str, NDArray[Any]] = learner_arrays(self.model)
        for name, array in self._environment.arrays.items():
            arrays[_ENVIRONMENT + name] = array.copy()
        for name, values in self._best.items():
            arrays[_BEST + name] = values
        state = {
            "rollouts": self._rollouts,
            "score": self._score if np.isfinite(self._score) else None,
            "selected_at": self._selected_at,
            "judged_at": self._judged_at,
            "without_better": self._without_better,
        }
        self._boundary = Checkpoint(self.model.num_timesteps, arrays, state)

    def _save(self) -> None:
        if self._boundary is not None and self._boundary.steps != self._written:
            with self._timeout.saving():
                save_checkpoint(self._job.folder.checkpoints, self._boundary)
            self._written = self._boundary.steps

    # -- records ------------------------------------------------------------------------------

    def _publish(self, state: TrainingState, message: str) -> None:
        self._job.publish(self._record(state, message))

    def _record(self, state: TrainingState, message: str) -> TrainingProgress:
        job = self._job
        began, first = self._started
        elapsed = job.clock.monotonic() - began
        done = self._boundary.steps if self._boundary is not None else 0
        rate = (done - first) / elapsed if elapsed > 0.0 and done > first else None
        left = max(job.plan.steps - done, 0)
        figures = learner_figures(self.model)
        entropy_loss = figures.get("train/entropy_loss")
        return TrainingProgress(
            run_id=job.plan.run_id,
            state=state,
            steps=done,
            total_steps=job.plan.steps,
            steps_per_second=rate,
            remaining=left / rate if rate else None,
            deadline_in=self._timeout.remaining(),
            reward=self._environment.mean_reward,
            policy_loss=figures.get("train/policy_gradient_loss"),
            value_loss=figures.get("train/value_loss"),
            entropy=None if entropy_loss is None else -entropy_loss,
            kl_divergence=figures.get("train/approx_kl"),
            explained_variance=_finite(figures.get("train/explained_variance")),
            memory_bytes=process_memory(),
            message=message,
            updated_at=job.clock.now(),
            clip_fraction=figures.get("train/clip_fraction"),
            reward_terms=self._environment.reward_terms,
            denied=self._environment.denied,
            validation_score=_finite(self._score),
            selected_at=self._selected_at if np.isfinite(self._score) else None,
            reserve=None if self._timeout.remaining() is None else self._timeout.reserve,
            seed=job.plan.seed,
            profile=job.plan.profile,
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
