"""What a training job is given and what it gives back; knows neither torch nor the learner."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Learning
from adan_core.domain.training import TrainingState
from adan_core.learning.segments import Segment


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


@dataclass(frozen=True, slots=True, eq=False)
class TrainingOutcome:
    """How a job ended.

    ``weights`` are the best on the validation part so far, ``score`` their net log-return per 1000
    candles there and ``selected_at`` the steps after which they were found.
    """

    state: TrainingState
    steps: int
    weights: Mapping[str, NDArray[np.float32]]
    score: float
    selected_at: int
