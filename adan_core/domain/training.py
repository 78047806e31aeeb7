"""What a training job reports while it runs, and how jobs wait for their turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adan_core.domain.time import Milliseconds


class TrainingState(StrEnum):
    """Where a job stands; every end but FAILED leaves a valid checkpoint."""

    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What the operator asks to be trained.

    ``dataset`` names a stored data set (None: the built-in simulated market); ``timeout`` is in
    seconds (None: none); ``resume`` names a run to go on with; ``profile`` the member to train,
    ``all`` for the four of them, empty for an agent without one.
    """

    dataset: str | None
    steps: int
    seed: int
    timeout: float | None
    resume: str | None = None
    profile: str = ""


@dataclass(frozen=True, slots=True)
class QueuedTraining:
    """A job that waits for its turn, or (``running``) has it."""

    job_id: int
    request: TrainingRequest
    queued_at: Milliseconds
    running: bool = False


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One record of a running job; figures the learner has not produced yet are None.

    ``remaining`` is the estimated time to the end, ``deadline_in`` the time left before the deadline
    and ``reserve`` what of it is kept back for the last checkpoint, all in seconds; ``reward`` is the
    mean episode reward, ``reward_terms`` its terms' means per step, unscaled. ``denied`` counts the
    actions that could not be followed so far, by reason. ``validation_score`` is
    the best net log-return per 1000 candles so far, found after ``selected_at`` steps.
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
    clip_fraction: float | None = None
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    validation_score: float | None = None
    selected_at: int | None = None
    denied: Mapping[str, int] = field(default_factory=dict)
    reserve: float | None = None
    seed: int | None = None
    profile: str = ""
