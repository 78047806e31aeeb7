"""The normaliser: mean and deviation of each state column over the training period, and no other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds

if TYPE_CHECKING:
    from adan_core.data.state import StateFrame

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_CLIP = 10.0
# A column that deviates less, as a share of its level, is constant: dividing by what rounding leaves
# would only magnify that.
_CONSTANT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Normaliser:
    """Statistics that travel with a model.

    ``mean`` and ``deviation`` have one float64 per state column; ``start_time`` and ``stop_time``
    bound the closes it was fitted on (the second exclusive), ``data_hash`` names the candles.
    """

    mean: Floats
    deviation: Floats
    start_time: Milliseconds
    stop_time: Milliseconds
    data_hash: str
    schema_hash: str

    @classmethod
    def fit(cls, frame: "StateFrame", start: int, stop: int, data_hash: str) -> "Normaliser":
        """Fit on rows ``start`` to ``stop`` (exclusive) of ``frame``; DataError if none is ready."""
        begin = max(start, frame.ready)
        if stop - begin < 2:
            raise DataError(
                f"{max(stop - begin, 0)} usable rows to fit the normaliser on",
                f"more candles than the {frame.ready} the indicators need to warm up",
            )
        rows = frame.market[begin:stop]
        times = frame.close_time[begin:stop]  # of several symbols, one after the other
        mean = rows.mean(axis=0)
        deviation = rows.std(axis=0)
        level = np.maximum(np.abs(mean), deviation)
        return cls(
            mean,
            np.where(deviation <= _CONSTANT * level, np.maximum(level, 1.0), deviation),
            int(times.min()),
            int(times.max()) + 1,
            data_hash,
            frame.schema_hash,
        )

    def check(self, schema_hash: str) -> None:
        """Refuse (DataError) a state that the statistics were not taken of."""
        if schema_hash != self.schema_hash:
            raise DataError(
                f"a normaliser fitted on state {self.schema_hash}",
                f"one fitted on {schema_hash}, the state at hand",
                "train a model for these features and timeframes",
            )

    def apply(self, rows: Floats) -> Singles:
        """Return ``rows`` (one, or a matrix of them) in deviations from the mean, within +/-10."""
        return np.clip((rows - self.mean) / self.deviation, -_CLIP, _CLIP).astype(np.float32)
