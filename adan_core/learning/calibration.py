"""From a network's preference to a probability: how often a move that it prefers has paid.

A move goes from what is held to another exposure. It pays if, within the member's horizon, it earns
more than staying, its own costs paid: for a move to more exposure, if the price's log-return exceeds
what a unit of exposure costs to change, whatever the size of the move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS: Final = 10

# How far from chance a member may be believed to lie before anything is seen, in log-odds: 0.35 is
# nine points of a hundred. More let luck on a random walk's validation part through, less made members
# of a market that can be read doubt themselves.
_PRIOR_DEVIATION: Final = 0.35
_ROUNDS: Final = 50
_CLOSE_ENOUGH: Final = 1e-10
_LARGEST_ODDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class MoveOdds:
    """Log-odds that a move pays: ``intercept`` where the network is undecided, more with its margin."""

    intercept: float
    slope: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one member's preferences were worth on the validation part of its candles.

    ``up`` and ``down`` are moves to more and to less exposure. ``chance`` is how often a move pays
    where nothing can be known; ``skill`` how much more often than by chance the member's votes were
    right. ``falls`` is the median worst fall of the price within the horizon after votes to hold
    something, by regime, None where too few were seen; ``samples`` how many independent votes stand
    behind all of it.
    """

    up: MoveOdds
    down: MoveOdds
    chance: float
    skill: float
    falls: tuple[float | None, ...]
    samples: float

    def paying(self, direction: float, margin: float) -> float:
        """Return the probability that a move pays.

        ``direction`` is positive for a move to more exposure; ``margin`` the log-odds by which the
        network prefers the move to staying, negative where it would rather stay.
        """
        odds = self.up if direction > 0.0 else self.down
        return _probability(odds.intercept + odds.slope * squashed(margin))

    def paying_each(self, directions: Floats, margins: Floats) -> Floats:
        """Return what ``paying`` says of each of many moves; all arrays have the same shape."""
        up = directions > 0.0
        intercepts = np.where(up, self.up.intercept, self.down.intercept)
        odds = intercepts + np.where(up, self.up.slope, self.down.slope) * _squashed_each(margins)
        likely: Floats = 1.0 / (1.0 + np.exp(-np.clip(odds, -_LARGEST_ODDS, _LARGEST_ODDS)))
        return likely


def pays(direction: float, log_return: float, cost_rate: float) -> bool:
    """Return whether a move paid: ``log_return`` is the price's over the horizon."""
    return (log_return if direction > 0.0 else -log_return) > cost_rate


def paying_moves(directions: Floats, log_returns: Floats, cost_rate: float) -> NDArray[np.bool_]:
    """Return what ``pays`` says of each of many moves; False where the return is NaN."""
    paid: NDArray[np.bool_] = np.where(directions > 0.0, 1.0, -1.0) * log_returns > cost_rate
    return paid


def squashed(margin: float) -> float:
    """Return ``margin`` on the scale that odds are linear in: networks grow too sure of themselves."""
    return math.copysign(math.log1p(abs(margin)), margin)


def _squashed_each(margins: Floats) -> Floats:
    return np.copysign(np.log1p(np.abs(margins)), margins)


def uncalibrated(regimes: int) -> Calibration:
    """Return what can be said of a network that was never tried: its preference, taken as it is."""
    plain = MoveOdds(0.0, 1.0)
    return Calibration(plain, plain, 0.5, 0.0, (None,) * regimes, 0.0)


def fit_odds(margins: Floats, paid: NDArray[np.bool_], chance: float, weight: float) -> MoveOdds:
    """Return the odds of moves in one direction, given how many of them paid.

    ``margins`` and ``paid`` have shape (n,); each counts as ``weight`` of an independent one, for
    overlapping horizons tell the same thing again. Logistic regression about the odds of ``chance``
    with a normal prior, its mode found by Newton's method; a larger margin never lowers the odds.
    """
    scaled = _squashed_each(margins)
    base = _log_odds(chance)
    both = np.stack((np.ones_like(scaled), scaled), axis=-1)
    found = _mode(both, paid, base, weight)
    if found[1] < 0.0:
        found = np.array([_mode(both[:, :1], paid, base, weight)[0], 0.0])
    return MoveOdds(base + float(found[0]), float(found[1]))


def _mode(inputs: Floats, paid: NDArray[np.bool_], base: float, weight: float) -> Floats:
    found: Floats = np.zeros(inputs.shape[1], dtype=np.float64)
    precision: Floats = np.eye(inputs.shape[1]) / _PRIOR_DEVIATION**2
    outcome = paid.astype(np.float64)
    for _ in range(_ROUNDS):
        odds = np.clip(base + inputs @ found, -_LARGEST_ODDS, _LARGEST_ODDS)
        expected = 1.0 / (1.0 + np.exp(-odds))
        slope: Floats = weight * (inputs.T @ (outcome - expected)) - precision @ found
        spread = expected * (1.0 - expected)
        curvature = weight * ((inputs * spread[:, None]).T @ inputs) + precision
        step = np.linalg.solve(curvature, slope).astype(np.float64)
        found = np.add(found, step)
        if float(np.abs(step).max()) < _CLOSE_ENOUGH:
            break
    return found


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Decisions of nearly one confidence; the means are None where there was none."""

    lower: float
    upper: float
    count: int
    confidence: float | None
    frequency: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often decisions were right, by how sure they were.

    ``expected_error`` is the mean over decisions of the distance between both, bin by bin (expected
    calibration error, Naeini et al. 2015); None where no decision could be scored.
    """

    expected_error: float | None
    decisions: int
    bins: tuple[ReliabilityBin, ...]


def reliability(confidence: Floats, right: Floats) -> Reliability:
    """Return the table of decisions (n,) by confidence; ``right`` (n,) is 1 or 0, or a share of 1."""
    places = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    bins = []
    error = 0.0
    for place in range(BINS):
        chosen = places == place
        count = int(np.count_nonzero(chosen))
        mean = float(confidence[chosen].mean()) if count else None
        frequency = float(right[chosen].mean()) if count else None
        bins.append(ReliabilityBin(place / BINS, (place + 1) / BINS, count, mean, frequency))
        if mean is not None and frequency is not None:
            error += count * abs(mean - frequency)
    decisions = len(confidence)
    return Reliability(error / decisions if decisions else None, decisions, tuple(bins))


def pooled(tables: Sequence[Reliability]) -> Reliability:
    """Return the decisions of all ``tables`` in one; errors that make up for each other do so there."""
    bins = []
    error = 0.0
    for place in range(BINS):
        own = [table.bins[place] for table in tables]
        count = sum(one.count for one in own)
        mean = _mean([(one.count, one.confidence) for one in own])
        frequency = _mean([(one.count, one.frequency) for one in own])
        bins.append(ReliabilityBin(place / BINS, (place + 1) / BINS, count, mean, frequency))
        if mean is not None and frequency is not None:
            error += count * abs(mean - frequency)
    decisions = sum(table.decisions for table in tables)
    return Reliability(error / decisions if decisions else None, decisions, tuple(bins))


def _mean(counted: list[tuple[int, float | None]]) -> float | None:
    known = [(count, value) for count, value in counted if value is not None]
    total = sum(count for count, _ in known)
    return sum(count * value for count, value in known) / total if total else None


def _probability(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(odds, -_LARGEST_ODDS), _LARGEST_ODDS)))


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(inside / (1.0 - inside))
