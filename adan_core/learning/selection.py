"""Which weights of a run to keep: those that earn most on the validation part, which none trained on."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import DataError
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.inference import Network
from adan_core.learning.network_kernel import chained, scratch
from adan_core.learning.networks import DecisionNetwork
from adan_core.learning.rollout_kernel import tour
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
        (self._batch,) = self._kernel.batches(1, 1)

    @property
    def bars(self) -> int:
        """How many candles one scoring plays, over all windows."""
        return self._steps * self._kernel.copies

    def score(self, network: DecisionNetwork) -> float:
        """Return the net log-return per 1000 candles, mean over all windows, after every cost."""
        kernel = self._kernel
        kernel.begin_in_order()
        if isinstance(network, Network):
            chain = chained(network.policy)
            room, batch = scratch(chain), self._batch
            total = tour(chain, room, self._exposures, self._steps, kernel.world, batch)
            return 1000.0 * total / self.bars
        total = 0.0
        memory = np.zeros((len(kernel.observations), network.memory_size), dtype=np.float32)
        for _ in range(self._steps):
            logits, memory = network.act(kernel.observations, memory)
            kernel.step(self._exposures[np.argmax(logits, axis=-1)])
            total += float(kernel.log_returns.sum())
        return 1000.0 * total / self.bars


class Selection:
    """The best weights of a run so far; each is judged in a thread, while the learner goes on.

    ``score`` is the best one's net log-return per 1000 candles, -inf before the first;
    ``selected_at`` the steps after which they were found, ``judged_at`` those of the newest
    judgement, -1 before the first, ``without_better`` how many in a row since found nothing better.
    What a judgement says is known after ``settle`` and depends on when in no way.
    """

    def __init__(self, validator: Validator) -> None:
        self._validator = validator
        self._thread = ThreadPoolExecutor(1, "judge")
        self._verdict: Future[float] | None = None
        self._candidate: Mapping[str, NDArray[np.float32]] = {}
        self.weights: Mapping[str, NDArray[np.float32]] = {}
        self.score = -np.inf
        self.selected_at = 0
        self.judged_at = -1
        self.without_better = 0

    def judge(
        self, steps: int, weights: Mapping[str, NDArray[np.float32]], network: DecisionNetwork
    ) -> None:
        """Begin to judge what was learnt in ``steps``; ``network`` is made of these ``weights``."""
        self.settle()
        self.judged_at, self._candidate = steps, weights
        self._verdict = self._thread.submit(self._validator.score, network)

    def settle(self) -> None:
        """Wait for the judgement under way, if one is, and keep its weights if they are the best."""
        if self._verdict is None:
            return
        score = self._verdict.result()
        self._verdict = None
        self.without_better += 1
        if score > self.score:
            self.weights, self.score = self._candidate, score
            self.selected_at, self.without_better = self.judged_at, 0

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` needs besides the weights."""
        return {
            "score": self.score if np.isfinite(self.score) else None,
            "selected_at": self.selected_at,
            "judged_at": self.judged_at,
            "without_better": self.without_better,
        }

    def restore(self, weights: Mapping[str, NDArray[np.float32]], state: Mapping[str, Any]) -> None:
        """Take up where ``weights`` and ``state`` were noted."""
        self.weights = weights
        self.score = -np.inf if state["score"] is None else float(state["score"])
        self.selected_at = int(state["selected_at"])
        self.judged_at = int(state["judged_at"])
        self.without_better = int(state["without_better"])

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown()
