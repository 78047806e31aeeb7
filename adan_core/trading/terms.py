"""The terms the engine trades on: how targets become quantities, and whether a kill was requested."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.market import Costs


class KillFact(Protocol):
    """What the engine must know of the kill switch before every order."""

    @property
    def engaged(self) -> bool:
        """Whether a kill was requested and not re-armed; true before the latch is on disk."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """How targets become quantities.

    ``lower_bounds`` and ``caps`` are the capital tiers (quote currency; share of equity per
    symbol); ``band`` is a share of the cap; stop and take-profit are fractions of the entry.
    """

    lower_bounds: NDArray[np.float64]
    caps: NDArray[np.float64]
    band: float
    stop_loss: float
    take_profit: float
    costs: Costs
