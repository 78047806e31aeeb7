"""What a watch over the model in service is made of: sides, what it is told, and whom it may ask."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.data.normaliser import Normaliser
from adan_core.domain.candles import Candle
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.service import ModelStanding
from adan_core.domain.time import Milliseconds
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.expectation import Expectation
from adan_core.learning.shadow import Shadow
from adan_core.runtime.watch_record import ShadowRecord, arrays_of, stored
from adan_core.trading.policy import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A model and what its judgement lets one expect of it; ``note`` says why nothing, if so."""

    model: ServiceModel
    digest: str
    expectation: Expectation | None
    note: str


class Succession(Protocol):
    """Who decides next; writes down who left service, and why."""

    def left(self) -> str:
        """Return why the model has left service by another hand; empty while it has not."""
        ...

    def demote(self, why: str) -> Judged | None:
        """Take the model out of service and return who follows; None: nobody."""
        ...

    def follower(self) -> Judged | None:
        """Return who is in service now."""
        ...


class Engine(Protocol):
    """What is asked of the engine."""

    @property
    def flat(self) -> bool:
        """Whether nothing is held and no order is unsettled."""
        ...

    def serve(self, policy: Policy, normaliser: Normaliser | None) -> None:
        """Let another policy decide from now on; None keeps the normaliser."""
        ...


@dataclass(slots=True)
class Side:
    """A model's own accounts, since when, and the log-return it is compared from."""

    judged: Judged
    shadow: Shadow
    since: Milliseconds = 0
    base: float = 0.0

    def standing(self) -> ModelStanding:
        """Return how it stands, frozen."""
        shadow = self.shadow
        return ModelStanding(
            self.judged.model.model_id,
            self.since,
            shadow.candles,
            shadow.equity,
            shadow.log_return,
            shadow.drawdown,
        )

    def record(self) -> ShadowRecord:
        """Return what a restart goes on from."""
        return ShadowRecord(self.judged.digest, self.since, self.base, stored(self.shadow.memory()))

    def take_up(self, kept: ShadowRecord | None) -> None:
        """Go on from where this very model was left, if it was."""
        if kept is not None and kept.digest == self.judged.digest:
            self.shadow.restore(arrays_of(kept.arrays))
            self.since, self.base = kept.since, kept.base


@dataclass(frozen=True, slots=True)
class Passed:
    """A candle that was settled, and what was known at its close."""

    symbol: str
    candle: Candle
    close_time: Milliseconds
    regime: int
    volatility: float


@dataclass(frozen=True, slots=True)
class Decided:
    """What the model in service decided, on which state (not normalised)."""

    symbol: str
    market: NDArray[np.float64]
    regime: int
    output: PolicyOutput
