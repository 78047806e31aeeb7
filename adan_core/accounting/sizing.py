"""How much to trade: the exposure a tier allows, and the order that brings a position to its target."""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.accounting.rules import round_down

Floats = NDArray[np.float64]


@compiled
def exposure_cap(equity: float, lower_bounds: Floats, caps: Floats) -> float:
    """Return the largest share of ``equity`` one symbol may hold in the capital tier of ``equity``.

    ``lower_bounds`` ascend, in quote currency; tier ``k`` spans ``lower_bounds[k]`` (inclusive) to
    ``lower_bounds[k + 1]`` (exclusive). Below the lowest bound the cap is 0: ADAN does not trade.
    """
    cap = 0.0
    for tier in range(lower_bounds.shape[0]):
        if equity >= lower_bounds[tier]:
            cap = caps[tier]
    return cap


@compiled
def order_for_target(
    equity: float,
    quantity: float,
    close: float,
    target: float,
    cap: float,
    band: float,
    fee_rate: float,
    slippage: float,
    lot: float,
    minimum_quantity: float,
    minimum_notional: float,
) -> float:
    """Return the signed quantity (base currency) that moves the position towards its target; 0 for none.

    The target exposure is ``target * cap`` of ``equity``. A buy leaves room for slippage and fee.
    A change smaller than ``band``, a share of the largest position, is none, except that a target of
    0 always closes.
    An order below the venue's minimums is none; the whole remainder is sold when what a partial
    sale would leave could not be sold any more.
    """
    if equity <= 0.0 or close <= 0.0:
        return 0.0
    if target <= 0.0:
        wanted = 0.0
    else:
        wanted = target * cap * equity / (close * (1.0 + slippage) * (1.0 + fee_rate))
        if abs(wanted - quantity) * close < band * cap * equity:
            return 0.0
    if wanted >= quantity:
        buy = round_down(wanted - quantity, lot)
        if buy < minimum_quantity or buy * close < minimum_notional or buy <= 0.0:
            return 0.0
        return buy
    sell = quantity if wanted == 0.0 else round_down(quantity - wanted, lot)
    left = quantity - sell
    if left > 0.0 and (left < minimum_quantity or left * close < minimum_notional):
        sell = quantity
    if sell < minimum_quantity or sell * close < minimum_notional or sell <= 0.0:
        return 0.0
    return -sell
