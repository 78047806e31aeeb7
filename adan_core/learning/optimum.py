"""What can be earned on a published process by a trader who sees prices alone, net of costs.

A filter turns prices into a belief about the hidden state, which is all that prices can tell about
the next one; the belief is itself a Markov chain, and ``data/best_action.py`` finds the best rule
on it. A mean-reverting part over a random walk is filtered by the steady-state Kalman filter
(Anderson and Moore, Optimal Filtering, 1979, chapter 4), a drift of two states by the forward
recursion of a hidden Markov model (Hamilton, Time Series Analysis, 1994, section 22.4).
"""

from dataclasses import dataclass
from math import exp, log, log1p
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.best_action import (
    BestRule,
    autoregressive_chain,
    best_rule,
    nearest_cells,
)
from adan_core.data.paths import decayed_sum
from adan_core.data.processes import MeanReverting, Process, RandomWalk, TwoStateDrift
from adan_core.data.series import CandleSeries
from adan_core.domain.market import Costs

Floats = NDArray[np.float64]

_LOG_ODDS_CELLS: Final = 401
_FILTER_TOLERANCE: Final = 1e-12


def cost_of_a_side(costs: Costs) -> float:
    """Return the log-return that one purchase or one sale costs, the mean of both."""
    bought = log1p(costs.fee_rate) + log1p(costs.slippage_rate)
    sold = -log1p(-costs.fee_rate) - log1p(-costs.slippage_rate)
    return 0.5 * (bought + sold)


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """The beliefs a filter can hold, as a Markov chain on an even ``grid`` (S,).

    ``expected`` (S,) is the mean log-return of the next candle under each, ``transitions`` (S, S).
    """

    grid: Floats
    expected: Floats
    transitions: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The best rule for who sees prices alone; ``gain`` is its mean net log-return per candle."""

    process: Process
    beliefs: Beliefs
    rule: BestRule

    @property
    def gain(self) -> float:
        """Mean net log-return per candle, as dynamic programming promises it."""
        return self.rule.gain

    def exposures(self, series: CandleSeries) -> Floats:
        """Return the best exposure (0 or 1) after each close of ``series``, shape (n,)."""
        log_return = np.diff(np.log(series.close), prepend=np.log(series.open[0]))
        belief = filtered(self.process, log_return)
        return self.rule.follow(nearest_cells(self.beliefs.grid, belief))


def attainable_optimum(process: Process, costs: Costs) -> Optimum:
    """Return the best that a filter and dynamic programming can do on ``process``."""
    beliefs = beliefs_of(process)
    rule = best_rule(beliefs.expected, beliefs.transitions, cost_of_a_side(costs))
    return Optimum(process, beliefs, rule)


def beliefs_of(process: Process) -> Beliefs:
    """Return what a filter of ``process`` can believe, and how beliefs follow each other."""
    match process:
        case MeanReverting():
            gain, surprise = _kalman(process)
            grid, transitions = autoregressive_chain(
                process.decay, gain * surprise / (1.0 - process.decay**2) ** 0.5
            )
            return Beliefs(grid, (process.decay - 1.0) * grid, transitions)
        case TwoStateDrift():
            return _drift_beliefs(process)
        case RandomWalk():
            return Beliefs(np.array([-1.0, 1.0]), np.zeros(2), np.full((2, 2), 0.5))


def filtered(process: Process, log_return: Floats) -> Floats:
    """Return the belief after each candle, shape (n,), from the log-returns up to it and no later.

    Mean-reverting: the expected log-deviation of the reverting part. Drift: the log-odds that it
    points up. Random walk: nothing can be believed, 0.
    """
    match process:
        case MeanReverting():
            gain, _ = _kalman(process)
            left = process.decay + gain * (1.0 - process.decay)
            return decayed_sum(gain * log_return, left)
        case TwoStateDrift():
            return _filtered_log_odds(process, log_return)
        case RandomWalk():
            return np.zeros_like(log_return)


def _kalman(process: MeanReverting) -> tuple[float, float]:
    """Return the steady state's gain, and the deviation of the moves it does not expect.

    The state is the reverting part, the observation the log-return, which adds the walk's step; what
    a candle adds to the reverting part drives both.
    """
    decay, added = process.decay, process.innovation**2
    uncertainty = process.deviation**2
    while True:
        surprise = (decay - 1.0) ** 2 * uncertainty + added + process.walk**2
        gain = (decay * (decay - 1.0) * uncertainty + added) / surprise
        former = uncertainty
        uncertainty = decay**2 * uncertainty + added - gain**2 * surprise
        if abs(uncertainty - former) <= _FILTER_TOLERANCE * process.deviation**2:
            return gain, surprise**0.5


def _evidence(process: TwoStateDrift) -> float:
    """Return by how much a log-return of 1 raises the log-odds that the drift points up."""
    return 2.0 * process.drift / process.volatility**2


def _drift_beliefs(process: TwoStateDrift) -> Beliefs:
    stay = process.stay
    spread = _evidence(process) * process.volatility
    limit = log(stay / (1.0 - stay)) + 6.0 * spread
    grid = np.linspace(-limit, limit, _LOG_ODDS_CELLS)
    odds = np.exp(grid)
    predicted = np.log((stay * odds + 1.0 - stay) / ((1.0 - stay) * odds + stay))
    up = 1.0 / (1.0 + np.exp(-predicted))
    shift = _evidence(process) * process.drift

    def density(mean: Floats) -> Floats:
        weights: Floats = np.exp(-0.5 * ((grid[None, :] - mean[:, None]) / spread) ** 2)
        return weights

    weights = up[:, None] * density(predicted + shift)
    weights += (1.0 - up)[:, None] * density(predicted - shift)
    expected = process.drift * (2.0 * up - 1.0)
    return Beliefs(grid, expected, weights / weights.sum(axis=1, keepdims=True))


def _filtered_log_odds(process: TwoStateDrift, log_return: Floats) -> Floats:
    stay, leave = process.stay, 1.0 - process.stay
    log_odds = np.empty_like(log_return)
    held = 0.0
    for place, seen in enumerate((_evidence(process) * log_return).tolist()):
        odds = exp(held)
        held = log((stay * odds + leave) / (leave * odds + stay)) + seen
        log_odds[place] = held
    return log_odds
