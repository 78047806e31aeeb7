"""The one reward: net log-return and what shapes it, term by term; scaling and bounding come after.

The first two terms are money and always whole: together they are the change of log equity. The
others are small, may only take, and nothing but what an account does brings them about: an account
that stays flat and has earned nothing is given 0. How much each of them weighs follows the regime,
the volatility and how the account has done lately, one hundredth of the way per candle.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.learning.inference import REWARD_SCALE

Floats = NDArray[np.float64]

REWARD_TERMS: Final = ("market", "costs", "drawdown", "turnover", "inaction", "consistency")
MARKET_TERM: Final = 0
COST_TERM: Final = 1
_DRAWDOWN, _TURNOVER, _INACTION, _CONSISTENCY = 2, 3, 4, 5
_SHAPED: Final = 4

# One candle that moves equity by more than a fifth teaches no more than one that moves it by that.
REWARD_BOUND: Final = 0.2 * REWARD_SCALE

# Columns of a copy's adaptive state.
_EARNED: Final = 0  # exponential mean of the log-return per candle
_SQUARED: Final = 1  # and of its square
_DEEPEST: Final = 2  # deepest drawdown of the episode so far
_WEIGHTS: Final = 3  # what multiplies each shaped term's weight, as it has adapted
REWARD_STATE: Final = _WEIGHTS + _SHAPED

# Columns of the settings; the shaped terms' multipliers follow, regime by regime.
_BOUND: Final = 0
_RATE: Final = 1
_BASE: Final = 2
_BY_VOLATILITY: Final = 6
_BY_PERFORMANCE: Final = 7
_LOWEST: Final = 8
_HIGHEST: Final = 9
_BY_REGIME: Final = 10
_REGIMES: Final = 5

# Which way each shaped term's weight goes as volatility rises, and as the account does well: losses,
# unsteadiness and haste are taken harder in wild markets and after losses, idleness in calm ones and
# after gains.
_WITH_VOLATILITY: Final = (1.0, 1.0, -1.0, 1.0)
_WITH_PERFORMANCE: Final = (-1.0, -1.0, 1.0, -1.0)


@compiled
def open_reward(state: Floats) -> None:
    """Make ``state`` (``REWARD_STATE``) that of an episode that begins: nothing known, weights as set."""
    state[:] = 0.0
    state[_WEIGHTS:] = 1.0


@compiled
def _adapt(state: Floats, settings: Floats, performance: float, regime: int, ratio: float) -> None:
    """Move each shaped term's multiplier towards what regime, volatility and performance ask for."""
    excess = 0.0 if np.isnan(ratio) else 1.0 - 2.0 / (1.0 + ratio * ratio)
    for term in range(_SHAPED):
        wanted = 1.0
        if 0 <= regime < _REGIMES:
            wanted = settings[_BY_REGIME + regime * _SHAPED + term]
        wanted *= 1.0 + settings[_BY_VOLATILITY] * _WITH_VOLATILITY[term] * excess
        wanted *= 1.0 + settings[_BY_PERFORMANCE] * _WITH_PERFORMANCE[term] * performance
        wanted = max(settings[_LOWEST], min(settings[_HIGHEST], wanted))
        state[_WEIGHTS + term] += settings[_RATE] * (wanted - state[_WEIGHTS + term])


@compiled
def _money(before: float, after: float, fees: float, out: Floats) -> None:
    """Write the market and the cost term; together: ln(after / before).

    The cost term is the log-return the fees took, the market term what the prices, slippage
    included, gave. An equity of nothing ends the account: -inf is never written.
    """
    floor = before * 1e-12
    net = max(after, floor)
    gross = max(after + fees, floor)
    out[MARKET_TERM] = np.log(gross / before)
    out[COST_TERM] = np.log(net / gross) if fees > 0.0 else 0.0


@compiled
def adaptive_reward(
    state: Floats,
    settings: Floats,
    before: float,
    after: float,
    fees: float,
    traded: float,
    drawdown_before: float,
    drawdown_after: float,
    exposure: float,
    regime: int,
    volatility: float,
    terms_out: Floats,
) -> float:
    """Return what the learner is given for one candle, and write its terms into ``terms_out``.

    ``state`` (``REWARD_STATE``) is the copy's own and moves; ``settings`` (``Reward.as_tuple()``, or
    empty: nothing is shaped). ``before`` and ``after`` are equity at successive closes, ``fees``
    and ``traded`` what was paid and traded in between, in quote currency; drawdowns are fractions of
    the peak; ``exposure`` is the share of its cap held within the candle, ``regime`` and
    ``volatility`` (short over long) were known when it was decided, -1 and NaN where they were not.

    Terms, in log-return: *market* and *costs* (see ``_money``); *drawdown*, the fall below the
    deepest of the episode so far, so that an episode pays for its maximum drawdown once; *turnover*,
    what was traded over equity; *inaction*, the share not held of what the account earned per
    candle lately beyond what luck explains, nothing where it earned nothing; *consistency*, the
    squared shortfall of the return below its recent mean. The reward is their sum, scaled and bounded.
    """
    _money(before, after, fees, terms_out)
    terms_out[_DRAWDOWN:] = 0.0
    earned = terms_out[MARKET_TERM] + terms_out[COST_TERM]
    bound = REWARD_BOUND
    if settings.shape[0] > 0:
        bound = settings[_BOUND] * REWARD_SCALE
        rate = settings[_RATE]
        spread = np.sqrt(max(state[_SQUARED] - state[_EARNED] * state[_EARNED], 0.0))
        # The standard error of an exponential mean of independent returns.
        luck = spread * np.sqrt(rate / (2.0 - rate))
        performance = state[_EARNED] / luck if luck > 0.0 else 0.0
        performance = max(-1.0, min(1.0, performance))
        _adapt(state, settings, performance, regime, volatility)
        idle = 1.0 - min(abs(exposure), 1.0)
        short = min(earned - state[_EARNED], 0.0)
        terms_out[_DRAWDOWN] = -max(drawdown_after - max(state[_DEEPEST], drawdown_before), 0.0)
        terms_out[_TURNOVER] = -traded / before
        terms_out[_INACTION] = -idle * max(state[_EARNED] - luck, 0.0)
        terms_out[_CONSISTENCY] = -short * short
        for term in range(_SHAPED):
            terms_out[_DRAWDOWN + term] *= settings[_BASE + term] * state[_WEIGHTS + term]
        state[_DEEPEST] = max(state[_DEEPEST], drawdown_after)
        state[_EARNED] += rate * (earned - state[_EARNED])
        state[_SQUARED] += rate * (earned * earned - state[_SQUARED])
    total = 0.0
    for term in range(terms_out.shape[0]):
        total += terms_out[term]
    return max(-bound, min(bound, REWARD_SCALE * total))
