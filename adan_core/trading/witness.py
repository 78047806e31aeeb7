"""Whoever looks on while the engine trades, and the policy that trades nothing."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.candles import Candle
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.market import RegimeReading
from adan_core.domain.time import Milliseconds


class Witness(Protocol):
    """Looks on; never raises, and does its work when the engine's own is done."""

    def candle(
        self, symbol: str, candle: Candle, close_time: Milliseconds, reading: RegimeReading | None
    ) -> None:
        """A candle was settled; ``reading`` is the regime at its close."""
        ...

    def decided(
        self, symbol: str, market: NDArray[np.float64], regime: int, output: PolicyOutput
    ) -> None:
        """The engine decided at the newest close; ``market`` is the symbol's state, not normalised."""
        ...

    def finish(self) -> None:
        """The instant is over, all orders are out."""
        ...

    def save(self) -> None:
        """Keep what a restart needs; called within the commit of the engine's own checkpoint."""
        ...


class FlatPolicy:
    """Wants nothing held: what stands in for a model that is out of service.

    Its name is another than the model's: what a checkpoint keeps of it is not the model's memory.
    """

    def __init__(self, model_id: str) -> None:
        self.model_id = f"{model_id} (out of service)"

    def decide(
        self,
        symbol: str,  # noqa: ARG002 whoever decides is asked so
        close_time: Milliseconds,  # noqa: ARG002
        close: float,  # noqa: ARG002
        observation: NDArray[np.float32],  # noqa: ARG002
        regime: int,  # noqa: ARG002
    ) -> PolicyOutput:
        """Return that nothing is to be held, whatever is seen."""
        return PolicyOutput(0.0, 1.0, (Vote("out of service", 0.0, 1.0),), None)

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return that nothing is remembered."""
        return {}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Remember nothing."""
