"""A training job: one code path for the command line and for the screen's child process."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from adan_core.domain.time import Clock, Milliseconds
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.agent import build_agent
from adan_core.learning.checkpoint import newest_valid
from adan_core.learning.environment import TradingVecEnv
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.runs import RunFolder
from adan_core.learning.selection import Validator
from adan_core.learning.training_plan import TrainingOutcome, TrainingPlan
from adan_core.learning.training_watch import TrainingWatch
from adan_core.resilience.deadline import Deadline
from adan_core.resilience.memory import MemoryManager, process_memory


class TrainingJob:
    """One run from its first step or its last valid checkpoint to its end.

    ``stop``, ``pause``, ``deadline`` and ``memory`` are looked at between steps; however it ends, a
    checkpoint of the last rollout boundary is on disk when ``run`` returns. Resumed there, the run
    ends in the same weights, to the bit, as if it had never stopped.
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
        pause: threading.Event | None = None,
        memory: MemoryManager | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """``wait`` is how a paused job lets seconds pass."""
        self.plan = plan
        self.folder = folder
        self.clock = clock
        self.deadline = deadline
        self.report = report
        self.memory = memory
        self.wait = wait
        self._stop = stop
        self._pause = pause
        self._newest: TrainingProgress | None = None

    def run(self, *, resume: bool = False) -> TrainingOutcome:
        """Learn until the steps are done, or there is a reason to end before.

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
        agent = build_agent(environment, plan.learning, plan.seed, plan.compute)
        validator = Validator(plan.validation, plan.learning.exposures, plan.capital)
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

    @property
    def pause_asked(self) -> bool:
        """Whether somebody wants the job to hold between two steps."""
        return self._pause is not None and self._pause.is_set()

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
