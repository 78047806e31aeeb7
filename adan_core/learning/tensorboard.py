"""Training curves for TensorBoard, for those who have it."""

import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

from adan_core.domain.errors import SystemFailure
from adan_core.domain.training import TrainingProgress

_FIGURES = (
    "steps_per_second",
    "reward",
    "validation_score",
    "policy_loss",
    "value_loss",
    "entropy",
    "kl_divergence",
    "clip_fraction",
    "explained_variance",
    "memory_bytes",
)


class TensorboardLog:
    """Writes every figure of each progress record, by its name, into event files in ``folder``.

    SystemFailure if TensorBoard is not installed: it is an optional extra.
    """

    def __init__(self, folder: Path) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # its protobuf's, not ours
                from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SystemFailure(
                f"TensorBoard is not installed here ({error})",
                "the optional extra tensorboard",
                "install it with `pip install 'adan[tensorboard]'`, or leave --tensorboard out",
            ) from error
        self._writer = SummaryWriter(str(folder))

    def write(self, record: TrainingProgress) -> None:
        """Add the record's figures at its step; those that are not known yet are left out."""
        for name in _FIGURES:
            value = getattr(record, name)
            if value is not None:
                self._writer.add_scalar(f"training/{name}", value, record.steps)
        for name, value in record.reward_terms.items():
            self._writer.add_scalar(f"reward terms/{name}", value, record.steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
