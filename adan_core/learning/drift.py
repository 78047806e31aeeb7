"""How far the market has left the range a model was trained in, and the model its own habits."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.service_settings import Service
from adan_core.domain.service import DriftReading
from adan_core.learning.expectation import MIX_WINDOW, Expectation, entropy_of

_SAME: Final = 1e-6
"""Two exposures closer than this are one."""


class DriftMeter:
    """Exponential means over about the last ``MIX_WINDOW`` decisions of each symbol.

    The first so many are averaged plainly. Without an ``expectation`` only the range is known.
    """

    def __init__(self, expectation: Expectation | None, settings: Service, symbols: int) -> None:
        self.settings = settings
        self._expectation = expectation
        self._window = MIX_WINDOW * max(symbols, 1)
        exposures = () if expectation is None else expectation.mix
        self._exposures = np.array([exposure for exposure, _ in exposures], dtype=np.float64)
        self._judged = np.array([share for _, share in exposures] + [0.0], dtype=np.float64)
        # The last one counts exposures that the judgement never saw.
        self._mix = np.zeros(len(self._judged), dtype=np.float64)
        self._outside = 0.0
        self._count = 0
        self._last: dict[str, float] = {}

    def saw(self, symbol: str, observed: NDArray[np.float32], exposure: float) -> None:
        """Take in one decision: the normalised market state, and the exposure asked for (NaN: stay)."""
        limit, share = self.settings.outside_deviations, self.settings.outside_columns
        outside = float(np.mean(np.abs(observed) > limit) > share)
        held = self._last.get(symbol, 0.0) if math.isnan(exposure) else exposure
        self._last[symbol] = held
        near = np.flatnonzero(np.abs(self._exposures - held) < _SAME)
        place = int(near[0]) if len(near) else len(self._mix) - 1
        self._count += 1
        weight = 1.0 / min(self._count, self._window)
        self._outside += weight * (outside - self._outside)
        self._mix *= 1.0 - weight
        self._mix[place] += weight

    def reading(self) -> DriftReading:
        """Return the figures; None where too little was seen, or nothing is known to compare with."""
        expectation = self._expectation
        full = self._count >= self._window
        distance = limit = entropy = judged = None
        if expectation is not None:
            limit = max(self.settings.mix_distance, expectation.mix_distance)
            judged = expectation.entropy
            if full:
                distance = float(np.abs(self._mix - self._judged).sum() / 2.0)
                entropy = entropy_of(self._mix)
        return DriftReading(
            observations=self._count,
            outside=self._outside if full else None,
            outside_limit=self.settings.outside_share,
            mix_distance=distance,
            mix_limit=limit,
            entropy=entropy,
            judged_entropy=judged,
        )

    def memory(self) -> dict[str, NDArray[np.float64]]:
        """Return all that is carried from decision to decision."""
        return {
            "mix": self._mix.copy(),
            "range": np.array([self._outside, float(self._count)]),
            **{f"last:{symbol}": np.array([value]) for symbol, value in self._last.items()},
        }

    def restore(self, memory: dict[str, NDArray[np.float64]]) -> None:
        """Go on from where ``memory`` was taken; another judgement's mix begins anew."""
        if "mix" not in memory or memory["mix"].shape != self._mix.shape:
            return
        self._mix = memory["mix"].copy()
        self._outside, self._count = float(memory["range"][0]), int(memory["range"][1])
        self._last = {
            name.removeprefix("last:"): float(value[0])
            for name, value in memory.items()
            if name.startswith("last:")
        }
