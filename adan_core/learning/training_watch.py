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
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.learner_state import deciding_weights, learner_arrays, restore_learner
from adan_core.learning.networks import network_from
from adan_core.learning.rollout import CompiledRollouts
from adan_core.learning.selection import Selection, Validator
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
        self._timeout = TimeoutManager(job.deadline, job.clock)
        self._selection = Selection(validator)
        self._arrays: dict[str, NDArray[Any]] = {}
        self._steps = -1  # of the newest rollout boundary; -1 before the first
        self._written = -1
        self._rollouts = 0
        self._rollouts_then = 0  # at the newest boundary
        self._taken = 0
        self._ending: Ending | None = None
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
        weights = {
            name.removeprefix(_BEST): values
            for name, values in checkpoint.arrays.items()
            if name.startswith(_BEST)
        }
        self._selection.restore(weights, checkpoint.state)
        self._rollouts = self._rollouts_then = int(checkpoint.state["rollouts"])
        self._steps = self._written = checkpoint.steps
        self._end_early()

    @property
    def ended(self) -> bool:
        """Whether the run this watch was restored to had already finished early."""
        return self._ending is not None

    def outcome(self) -> TrainingOutcome:
        """Return how it ended; the weights are the untrained ones if no rollout was completed."""
        ending = self._ending or Ending(TrainingState.FINISHED, "finished")
        best = self._selection
        return TrainingOutcome(
            ending.state,
            max(self._steps, 0),
            best.weights,
            best.score,
            best.selected_at,
            ending.reason,
        )

    def finish(self, agent: BaseAlgorithm) -> None:
        """Settle a run that has no step left to take: the weights it ended with are judged, too."""
        self.model = agent
        self._at_boundary(last=True)
        self._selection.close()

    # -- what the learner calls ---------------------------------------------------------------

    def _on_training_start(self) -> None:
        clock = self._job.clock
        self._started = (clock.monotonic(), self.model.num_timesteps)
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
        self._unwatched_since = self._job.clock.monotonic()
        return self._ending is None

    def _on_training_end(self) -> None:
        # A rollout that was broken off is forgotten: its boundary is what the checkpoint holds.
        if self._ending is None:
            self._at_boundary(last=True)
        else:
            self._save()
            self._publish(self._ending.state, self._ending.reason)
        self._selection.close()

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
        best = self._selection
        # A judgement counts from the boundary after its own, whether it was known there or not.
        if limit is not None and best.without_better >= limit and self._steps > best.judged_at:
            self._ending = Ending(
                TrainingState.FINISHED,
                f"finished early: no better validation score {best.without_better} times in a row",
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
        self._steps, self._rollouts_then = self.model.num_timesteps, self._rollouts
        self._selection.settle()
        if not last:
            self._end_early()
        if self._ending is None and (last or self._rollouts % ROLLOUTS_PER_VALIDATION == 0):
            self._judge()
        # A learner that is asked between steps may be told to end in the middle of a rollout, when
        # this boundary has gone by; one that is asked before a rollout is still where it was.
        self._arrays = {} if _asked_at_boundaries(self.model) else self._moving_arrays()
        now = self._job.clock.monotonic()
        if last or now >= self._checkpoint_due:
            self._save()
            self._checkpoint_due = now + self._job.plan.learning.checkpoint_seconds
        if last:
            ending = self._ending or Ending(TrainingState.FINISHED, "finished")
            self._publish(ending.state, ending.reason)
            return
        if self._ending is None:
            self._watch_memory()
        if self._ending is None and now >= self._report_due:
            self._publish(TrainingState.RUNNING, "learning")
            self._report_due = now + _REPORT_SECONDS

    def _judge(self) -> None:
        if self._steps == self._selection.judged_at:  # a run that goes on where it was judged
            return
        weights = deciding_weights(self.model)
        learning = self._job.plan.learning
        network = network_from(
            learning.algorithm.name, weights, levels_of(learning.exposures, learning.action)
        )
        self._selection.judge(self._steps, weights, network)

    def _moving_arrays(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything that the next step changes."""
        arrays: dict[str, NDArray[Any]] = learner_arrays(self.model)
        for name, array in self._environment.arrays.items():
            arrays[_ENVIRONMENT + name] = array.copy()
        return arrays

    def _save(self) -> None:
        self._selection.settle()
        if self._steps == self._written:
            return
        arrays = dict(self._arrays or self._moving_arrays())
        for name, values in self._selection.weights.items():
            arrays[_BEST + name] = values
        state = {"rollouts": self._rollouts_then, **self._selection.state()}
        with self._timeout.saving():
            save_checkpoint(self._job.folder.checkpoints, Checkpoint(self._steps, arrays, state))
        self._written = self._steps

    # -- records ------------------------------------------------------------------------------

    def _publish(self, state: TrainingState, message: str) -> None:
        self._job.publish(self._record(state, message))

    def _record(self, state: TrainingState, message: str) -> TrainingProgress:
        job = self._job
        began, first = self._started
        elapsed = job.clock.monotonic() - began
        done, best = max(self._steps, 0), self._selection
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
            validation_score=_finite(best.score),
            selected_at=best.selected_at if np.isfinite(best.score) else None,
            reserve=None if self._timeout.remaining() is None else self._timeout.reserve,
            seed=job.plan.seed,
            profile=job.plan.profile,
        )


def _asked_at_boundaries(learner: BaseAlgorithm) -> bool:
    return isinstance(learner, CompiledRollouts) and learner.compiled_rollouts


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
