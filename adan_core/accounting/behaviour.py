"""How the circumstances move an agent's wish: size, stop-loss and take-profit, a few percent each.

One pure function, called by the environment, the backtest and the engine alike, so that what was
learnt, judged and traded is the same. It stands between the agent and the hard limits: it may move
the agent's own figures by ``LIMIT`` at most and never lifts one of them past a limit.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled

Floats = NDArray[np.float64]

FACTORS: Final = ("regime", "volatility", "win rate", "drawdown", "loss streak", "capital tier")
"""What moves the size, in the order of their factors behind ``MODE`` in ``out``."""
RISK_MODES: Final = ("defensive", "normal", "confident")

# Columns of ``out``; the factors follow.
TARGET: Final = 0
STOP_LOSS: Final = 1
TAKE_PROFIT: Final = 2
MODE: Final = 3  # place in RISK_MODES
FIRST_FACTOR: Final = 4
OUT: Final = 10

# Columns of ``settings``; one size and then one take-profit factor per regime follow.
LIMIT: Final = 0  # 0: no influence at all
VOLATILITY: Final = 1
WIN_RATE: Final = 2
USUAL_WIN_RATE: Final = 3
DRAWDOWN: Final = 4
HALF_DRAWDOWN: Final = 5
LOSS_STREAK: Final = 6
HALF_STREAK: Final = 7
CAPITAL_TIER: Final = 8
PROTECTION: Final = 9
DEFENSIVE_BELOW: Final = 10
CONFIDENT_ABOVE: Final = 11
REGIME_SIZE: Final = 12
REGIME_TAKE_PROFIT: Final = 17
SETTINGS: Final = 22

_DEFENSIVE, _NORMAL, _CONFIDENT = 0.0, 1.0, 2.0
_TREND_UP, _TREND_DOWN, _CRISIS = 0, 1, 4
_REGIMES: Final = 5
# The bounds of every protection, whoever asked for it.
_STOPS: Final = (0.005, 0.20)
_TAKE_PROFITS: Final = (0.01, 0.50)


@compiled
def _bounded(value: float, lowest: float, highest: float) -> float:
    return max(lowest, min(highest, value))


@compiled
def _excess_volatility(ratio: float) -> float:
    """Return tanh(ln(ratio)): 0 at the usual volatility or where it is unknown, +/-1 far from it."""
    if np.isnan(ratio):
        return 0.0
    return 1.0 - 2.0 / (1.0 + ratio * ratio)


@compiled
def _reduced(strength: float, half: float, figure: float) -> float:
    """Return 1 at a ``figure`` of 0 or unknown, falling towards 1 - ``strength``; half way at ``half``."""
    if not figure > 0.0:
        return 1.0
    return 1.0 - strength / (1.0 + half / figure)


@compiled
def modulate(
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
    out: Floats,
) -> None:
    """Write the moved ``target``, protection, risk mode and the factors of the size into ``out``.

    ``settings`` (``SETTINGS`` or empty: no influence), ``out`` (``OUT``). ``regime`` counts the
    members of ``Regime`` and ``tier`` the capital tiers from the smallest, -1 where unknown;
    ``volatility`` is the short over the long one, ``win_rate`` and ``drawdown`` are fractions,
    ``loss_streak`` the losses not made good yet; NaN is unknown, and what is unknown moves nothing.
    ``target`` is a share of the cap, negative for a short, NaN to stay; a protection of 0 is none.

    The size never grows with volatility, drawdown or losses. A stop that widens takes so much of
    the size that a stopped-out position loses no more than the agent's own would have.
    """
    out[TARGET] = target
    out[STOP_LOSS] = stop_loss
    out[TAKE_PROFIT] = take_profit
    out[MODE] = _NORMAL
    out[FIRST_FACTOR:OUT] = 1.0
    if settings.shape[0] == 0 or settings[LIMIT] <= 0.0:
        return
    lowest, highest = 1.0 - settings[LIMIT], 1.0 + settings[LIMIT]
    along_regime = 1.0
    if 0 <= regime < _REGIMES:
        # What a rising market is to a long, a falling one is to a short.
        sided = regime
        if target < 0.0 and regime <= _TREND_DOWN:
            sided = _TREND_DOWN if regime == _TREND_UP else _TREND_UP
        out[FIRST_FACTOR] = settings[REGIME_SIZE + sided]
        along_regime = settings[REGIME_TAKE_PROFIT + sided]
    excess = _excess_volatility(volatility)
    out[FIRST_FACTOR + 1] = 1.0 - settings[VOLATILITY] * excess
    if not np.isnan(win_rate):
        won = _bounded(win_rate, 0.0, 1.0) - settings[USUAL_WIN_RATE]
        out[FIRST_FACTOR + 2] = 1.0 + settings[WIN_RATE] * won
    out[FIRST_FACTOR + 3] = _reduced(settings[DRAWDOWN], settings[HALF_DRAWDOWN], drawdown)
    out[FIRST_FACTOR + 4] = _reduced(settings[LOSS_STREAK], settings[HALF_STREAK], loss_streak)
    if tier >= 0:
        out[FIRST_FACTOR + 5] = 1.0 - settings[CAPITAL_TIER] / (1.0 + tier)
    size = 1.0
    for factor in range(FIRST_FACTOR, OUT):
        size *= out[factor]
    width = _bounded(1.0 + settings[PROTECTION] * excess, lowest, highest)
    size = min(_bounded(size, lowest, highest), 1.0 / width)
    if regime == _CRISIS or size <= settings[DEFENSIVE_BELOW]:
        out[MODE] = _DEFENSIVE
    elif size >= settings[CONFIDENT_ABOVE]:
        out[MODE] = _CONFIDENT
    if not np.isnan(target):
        out[TARGET] = _bounded(target * size, -1.0, 1.0)
    if stop_loss > 0.0:
        out[STOP_LOSS] = _bounded(stop_loss * width, _STOPS[0], _STOPS[1])
    if take_profit > 0.0:
        further = _bounded(width * along_regime, lowest, highest)
        out[TAKE_PROFIT] = _bounded(take_profit * further, _TAKE_PROFITS[0], _TAKE_PROFITS[1])
