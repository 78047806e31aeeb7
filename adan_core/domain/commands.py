"""What a client may ask of a core, and the answer."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.training import TrainingRequest


class CommandKind(StrEnum):
    """Every request a core understands."""

    HALT = "halt"
    FLATTEN = "flatten"
    REARM = "rearm"
    START_TRAINING = "start training"
    QUEUE_TRAINING = "queue training"
    PAUSE_TRAINING = "pause training"
    RESUME_TRAINING = "resume training"
    STOP_TRAINING = "stop training"
    CANCEL_TRAINING = "cancel training"
    ACKNOWLEDGE_ALERT = "acknowledge alert"


FLATTEN_WORD = "FLATTEN"
REARM_WORD = "REARM"


@dataclass(frozen=True, slots=True)
class Command:
    """One request; ``word`` is what the operator typed where a command asks for a typed word.

    ``job_id`` says which waiting training is cancelled.
    """

    kind: CommandKind
    reason: str = ""
    word: str = ""
    training: TrainingRequest | None = None
    alert_id: int | None = None
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Whether the core took the request on; what becomes of it is seen in the snapshots."""

    accepted: bool
    message: str
