"""A training job: one code path for the command line and for the screen's child process."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Clock, Milliseconds
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.agent import build_agent
from adan_core.learning.checkpoint import newest_valid
from adan_core.learning.environment import training_environment
from adan_core.learning.memory_need import memory_needed
from adan_core.learning.runs import RunFolder
from adan_core.learning.selection import Validator
from adan_core.learning.training_plan import TrainingOutcome, TrainingPlan
from adan_core.learning.training_watch import TrainingWatch
from adan_core.resilience.deadline import Deadline
from adan_core.resilience.memory import MemoryManager, process_memory


class TrainingJob:
    """One run from its first step or its last valid checkpoint to its end.

    ``stop``, ``pause``, the deadline and the memory budget (bytes) are looked at between steps;
    however it ends, a checkpoint of the last rollout boundary is on disk when ``run`` returns.
    Resumed there, the run ends in the same weights, to the bit, as if it had never stopped.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        folder: RunFolder,
        clock: Clock,
        deadline: Deadline,
        stop: threading.Event,
        report: Callable[[TrainingProgress], None],
        *,
        pause: Callable[[], bool] = lambda: False,
        memory_budget: int | None = None,
        memory_used: Callable[[], int] = process_memory,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """``pause`` says whether to hold between two steps; ``wait`` lets seconds pass meanwhile."""
        self.plan = plan
        self.folder = folder
        self.clock = clock
        self.deadline = deadline
        self.report = report
        self.pause_asked = pause
        self.wait = wait
        self.memory = (
            None
            if memory_budget is None
            else MemoryManager(memory_budget, self.say, used=memory_used)
        )
        self._stop = stop
        self._newest: TrainingProgress | None = None

    def run(self, *, resume: bool = False) -> TrainingOutcome:
        """Learn until the steps are done, or there is a reason to end before.

        ModelError if ``resume`` is asked for and no checkpoint is valid; SystemFailure if the plan
        cannot fit into the memory budget.
        """
        plan = self.plan
        self._check_memory()
        environment = training_environment(plan)
        agent = build_agent(environment, plan.learning, plan.seed, plan.compute)
        validator = Validator(
            plan.validation, plan.learning.exposures, plan.capital, plan.options.symbols
        )
        watch = TrainingWatch(self, environment, validator)
        if resume:
            watch.restore(agent, newest_valid(self.folder.checkpoints, self.say))
        remaining = plan.steps - agent.num_timesteps
        if remaining > 0 and not watch.ended:
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
    def stop_asked(self) -> bool:
        """Whether somebody wants the job to end."""
        return self._stop.is_set()

    def _check_memory(self) -> None:
        refusal = "" if self.memory is None else self.memory.refuses(memory_needed(self.plan))
        if refusal:
            raise SystemFailure(
                f"this training cannot fit: {refusal}",
                "a plan within compute.memory_budget_gigabytes",
                "fewer candles, smaller learning.copies x learning.steps_per_copy, or a larger budget",
            )

    def publish(self, progress: TrainingProgress) -> None:
        """Write a record to the run's log and hand it to whoever watches."""
        self._newest = progress
        self.folder.log(progress)
        self.report(progress)

    def say(self, message: str) -> None:
        """Publish words about what happens around the learning, with the newest figures."""
        now = self.clock.now()
        newest = self._newest or self._before_the_first(now)
        self.publish(replace(newest, message=message, updated_at=now))

    def _before_the_first(self, now: Milliseconds) -> TrainingProgress:
        return TrainingProgress(
            run_id=self.plan.run_id,
            state=TrainingState.PREPARING,
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
            memory_bytes=process_memory(),
            message="",
            updated_at=now,
            seed=self.plan.seed,
            profile=self.plan.profile,
        )
