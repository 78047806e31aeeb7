"""What was asked for and what was given: the answer to a wish holds as long as the wish does."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.behaviour import OUT, STOP_LOSS, TAKE_PROFIT, TARGET, modulate
from adan_core.accounting.compiled import compiled

Floats = NDArray[np.float64]

HELD: Final = 4
"""Figures that are kept of a wish: asked for, given, and the stop and take-profit given with it."""


@compiled
def follow_wish(
    held: Floats,
    settings: Floats,
    regime: int,
    volatility: float,
    win_rate: float,
    drawdown: float,
    loss_streak: float,
    tier: int,
    target: float,
    stop_loss: float,
    take_profit: float,
    quantity: float,
) -> None:
    """Write into ``held`` (``HELD``; NaN before the first) what is given where ``target`` is asked for.

    While the ``quantity`` held is not 0 the behaviour engine answers when the wish changes and is
    not asked again before it does, so that a factor that moves never trades by itself. Arguments
    are those of ``modulate``; without ``settings`` what is asked for is given.
    """
    if quantity != 0.0 and target == held[0]:
        return
    held[0] = target
    held[1] = target
    held[2] = stop_loss
    held[3] = take_profit
    if settings.shape[0] == 0 or target == 0.0:
        # To be flat is to be flat, whatever the circumstances.
        return
    out = np.empty(OUT)
    modulate(
        settings,
        regime,
        volatility,
        win_rate,
        drawdown,
        loss_streak,
        tier,
        target,
        stop_loss,
        take_profit,
        out,
    )
    held[1] = out[TARGET]
    held[2] = out[STOP_LOSS]
    held[3] = out[TAKE_PROFIT]
