"""What the engine asks of whatever decides, so that trading knows nothing of learning."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.market import RegimeReading
from adan_core.domain.time import Milliseconds


class Policy(Protocol):
    """A model in service: asked once per symbol and candle, in the order of time.

    What it carries from one answer to the next is its memory; the answer follows from the memory
    and the arguments alone.
    """

    @property
    def model_id(self) -> str:
        """The id stored with every decision."""
        ...

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        """Return the answer at one candle's ``close``, at ``close_time``.

        ``observation`` is one-dimensional and normalised; ``regime`` counts the members of
        ``domain.market.Regime``, -1 where it is unknown.
        """
        ...

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is carried from answer to answer."""
        ...

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; ModelError if another model's."""
        ...


class RegimeReader(Protocol):
    """A causal regime detector for one symbol."""

    def push(self, candle: Candle) -> RegimeReading | None:
        """Take in one closed candle and return the regime at its close; None while warming."""
        ...

    def push_series(self, series: CandleSeries) -> RegimeReading | None:
        """Take in many candles at once, to the same state and answer as one by one."""
        ...

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is carried from candle to candle."""
        ...

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken."""
        ...
