"""What a training job reports while it runs."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.time import Milliseconds


class TrainingState(StrEnum):
    """Where a job stands; every end but FAILED leaves a valid checkpoint."""

    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What the operator asks to be trained.

    ``dataset`` names a stored data set (None: the built-in simulated market); ``timeout`` is in
    seconds (None: none).
    """

    dataset: str | None
    steps: int
    seed: int
    timeout: float | None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One record of a running job; figures the learner has not produced yet are None.

    ``remaining`` is the estimated time to the end and ``deadline_in`` the time left before the
    deadline, both in seconds; ``reward`` is the mean episode reward.
    """

    run_id: str
    state: TrainingState
    steps: int
    total_steps: int
    steps_per_second: float | None
    remaining: float | None
    deadline_in: float | None
    reward: float | None
    policy_loss: float | None
    value_loss: float | None
    entropy: float | None
    kl_divergence: float | None
    explained_variance: float | None
    memory_bytes: int | None
    message: str
    updated_at: Milliseconds
