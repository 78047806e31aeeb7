"""What a training job is given and what it gives back; knows neither torch nor the learner."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Learning
from adan_core.domain.training import TrainingState
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.segments import Segment


@dataclass(frozen=True, slots=True)
class ComputeChoice:
    """What the learner's tensors run on; its threads and batch size are in the learning settings.

    ``device`` is cpu or cuda, ``precision`` float32 or bfloat16 (of the networks' passes alone),
    ``compile`` whether torch.compile translates the networks.
    """

    device: str = "cpu"
    precision: str = "float32"
    compile: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPlan:
    """What to learn from and how; the market parts are already normalised."""

    run_id: str
    steps: int
    seed: int
    learning: Learning
    capital: float
    training: tuple[Segment, ...]
    validation: tuple[Segment, ...]
    compute: ComputeChoice = field(default_factory=ComputeChoice)
    profile: str = ""
    options: EnvironmentOptions = field(default_factory=EnvironmentOptions)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingOutcome:
    """How a job ended.

    ``weights`` are the best on the validation part so far, ``score`` their net log-return per 1000
    candles there and ``selected_at`` the steps after which they were found; ``reason`` says in
    words why it ended where it did.
    """

    state: TrainingState
    steps: int
    weights: Mapping[str, NDArray[np.float32]]
    score: float
    selected_at: int
    reason: str = ""

    @property
    def weights_hash(self) -> str:
        """The sha256 of the weights, names, shapes and types included; equal only for equal bits."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            values = np.ascontiguousarray(self.weights[name])
            digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()
