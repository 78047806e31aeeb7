"""Which weights of a run to keep: those that earn most on the validation part, which none trained on."""

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import DataError
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.networks import DecisionNetwork
from adan_core.learning.segments import Segment

Floats = NDArray[np.float64]

WINDOW = 500
"""Candles a validation account lives; the parts are cut into windows run side by side."""


def validation_windows(parts: tuple[Segment, ...], symbols: int = 1) -> tuple[Segment, ...]:
    """Cut ``parts`` into windows of about ``WINDOW`` candles, all of one length.

    So many ``symbols`` in a row share a purse; their windows stay beside each other. One common
    length keeps every account in step; up to a window's worth of each part is left out.
    """
    length = min(WINDOW, *(len(part) for part in parts))
    if length < 2:
        raise DataError("a validation part without two usable candles", "two at least")
    return tuple(
        part.part(start, start + length)
        for first in range(0, len(parts), symbols)
        for start in range(0, len(parts[first]) - length + 1, length)
        for part in parts[first : first + symbols]
    )


class Validator:
    """Plays the most probable action over fixed windows; no chance enters, so it disturbs none."""

    def __init__(
        self,
        parts: tuple[Segment, ...],
        exposures: tuple[float, ...],
        capital: float,
        symbols: int = 1,
    ) -> None:
        windows = validation_windows(parts, symbols)
        options = EnvironmentOptions(symbols=symbols)
        self._steps = len(windows[0]) - 1
        self._exposures = np.array(exposures, dtype=np.float64)
        self._kernel = EnvironmentKernel(
            windows, len(windows), capital, self._steps, seed=0, options=options
        )

    @property
    def bars(self) -> int:
        """How many candles one scoring plays, over all windows."""
        return self._steps * self._kernel.copies

    def score(self, network: DecisionNetwork) -> float:
        """Return the net log-return per 1000 candles, mean over all windows, after every cost."""
        kernel = self._kernel
        kernel.begin_in_order()
        total = 0.0
        memory = np.zeros((len(kernel.observations), network.memory_size), dtype=np.float32)
        for _ in range(self._steps):
            logits, memory = network.act(kernel.observations, memory)
            kernel.step(self._exposures[np.argmax(logits, axis=-1)])
            total += float(kernel.log_returns.sum())
        return 1000.0 * total / self.bars
