"""How much to trade: the exposure a tier allows, and the order that brings a position to its target."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.accounting.rules import round_down

Floats = NDArray[np.float64]

# Why what was asked for could not be ordered, or not be filled.
NOT_DENIED: Final = 0
BELOW_MINIMUM: Final = 1
NO_CASH: Final = 2
BELOW_TIERS: Final = 3
TOO_MANY_POSITIONS: Final = 4
TOTAL_EXPOSURE: Final = 5
RISK_PER_TRADE: Final = 6
BELOW_BAND: Final = 7
DENIALS: Final = (
    "",
    "below the venue's minimum",
    "no cash left",
    "below the capital tiers",
    "as many positions as the tier allows",
    "total exposure of the tier",
    "risk per trade of the tier",
    "an entry smaller than the rebalancing band",
)


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
def tier_index(equity: float, lower_bounds: Floats) -> int:
    """Return which capital tier ``equity`` lies in, -1 below the lowest; bounds as in ``exposure_cap``."""
    found = -1
    for tier in range(lower_bounds.shape[0]):
        if equity >= lower_bounds[tier]:
            found = tier
    return found


@compiled
def sized_order(
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
) -> tuple[float, int]:
    """Return the signed quantity (base currency) that moves the position towards its target, 0 for none.

    With it comes a code of ``DENIALS``: why nothing is ordered although something was asked for.

    The target exposure is ``target * cap`` of ``equity``; NaN leaves the position as it is. A buy
    leaves room for slippage and fee. A change smaller than ``band``, a share of the largest
    position, is none, except that a target of 0 always closes.
    An order below the venue's minimums is none; the whole remainder is sold when what a partial
    sale would leave could not be sold any more. An order never crosses zero: a position is closed
    before its opposite is opened.
    """
    if np.isnan(target) or close <= 0.0:
        return 0.0, NOT_DENIED
    # A short is a long seen in a mirror.
    side = -1.0 if quantity < 0.0 or (quantity == 0.0 and target < 0.0) else 1.0
    if equity <= 0.0:
        # Nothing is left to owe with.
        return (-quantity if quantity < 0.0 else 0.0), NOT_DENIED
    order, denied = _sized(
        equity,
        side * quantity,
        close,
        side * target,
        cap,
        band,
        fee_rate,
        slippage,
        lot,
        minimum_quantity,
        minimum_notional,
    )
    return side * order, denied


@compiled
def _sized(
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
) -> tuple[float, int]:
    if target <= 0.0:
        wanted = 0.0
    else:
        wanted = target * cap * equity / (close * (1.0 + slippage) * (1.0 + fee_rate))
        if abs(wanted - quantity) * close < band * cap * equity:
            return 0.0, BELOW_BAND if quantity == 0.0 else NOT_DENIED
    if wanted >= quantity:
        buy = round_down(wanted - quantity, lot)
        if buy < minimum_quantity or buy * close < minimum_notional or buy <= 0.0:
            if target > 0.0 and cap <= 0.0:
                return 0.0, BELOW_TIERS
            return 0.0, BELOW_MINIMUM if wanted > quantity else NOT_DENIED
        return buy, NOT_DENIED
    sell = quantity if wanted == 0.0 else round_down(quantity - wanted, lot)
    left = quantity - sell
    if left > 0.0 and (left < minimum_quantity or left * close < minimum_notional):
        sell = quantity
    if sell < minimum_quantity or sell * close < minimum_notional or sell <= 0.0:
        return 0.0, BELOW_MINIMUM
    return -sell, NOT_DENIED
