"""The one reward: net log-return, term by term; scaling and bounding come after the terms."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.learning.inference import REWARD_SCALE

Floats = NDArray[np.float64]

MARKET_TERM: Final = 0
COST_TERM: Final = 1
REWARD_TERMS: Final = ("market", "costs")

# One candle that moves equity by more than a fifth teaches no more than one that moves it by that.
REWARD_BOUND: Final = 0.2 * REWARD_SCALE


@compiled
def reward_terms(before: float, after: float, fees: float, out: Floats) -> None:
    """Write the terms of one step into ``out`` (``len(REWARD_TERMS)``); together: ln(after / before).

    ``before`` and ``after`` are equity at successive closes, ``fees`` what was paid in between, all
    in quote currency. The cost term is the log-return the fees took, the market term what the
    prices, slippage included, gave. An equity of nothing ends the account: -inf is never written.
    """
    floor = before * 1e-12
    net = max(after, floor)
    gross = max(after + fees, floor)
    out[MARKET_TERM] = np.log(gross / before)
    out[COST_TERM] = np.log(net / gross) if fees > 0.0 else 0.0


@compiled
def learner_reward(terms: Floats) -> float:
    """Return what the learner is given for one step: the sum of the terms, scaled, then bounded."""
    total = 0.0
    for term in range(terms.shape[0]):
        total += terms[term]
    return max(-REWARD_BOUND, min(REWARD_BOUND, REWARD_SCALE * total))
