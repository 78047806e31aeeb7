"""From a network's preference to a probability: how often a move that it prefers has paid.

A move goes from what is held to another exposure. It pays if, within the member's horizon, it earns
more than staying, its own costs paid: for a move to more exposure, if the price's log-return exceeds
what a unit of exposure costs to change, whatever the size of the move.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS: Final = 10

# Votes that chance has cast before anything is seen. More made members of a market that can be read
# doubt themselves, fewer let luck on a random walk's validation part through.
_CHANCE_VOTES: Final = 30.0
_MOST_CELLS: Final = 10
_LEAST_VOTES: Final = 12.0
_LARGEST_ODDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class MoveOdds:
    """How often a move pays, by the margin with which the network prefers it to staying.

    At each of ``margins``, ascending, it is ``likely``; between two the probability lies on the line,
    beyond the ends it stays. Where they are empty, as in models of before, the log-odds are
    ``intercept`` and ``slope`` times the squashed margin.
    """

    intercept: float
    slope: float
    margins: tuple[float, ...] = ()
    likely: tuple[float, ...] = ()

    def paying(self, margin: float) -> float:
        """Return the probability that a move of ``margin`` pays."""
        if not self.margins:
            squashed = math.copysign(math.log1p(abs(margin)), margin)
            odds = min(max(self.intercept + self.slope * squashed, -_LARGEST_ODDS), _LARGEST_ODDS)
            return 1.0 / (1.0 + math.exp(-odds))
        above = bisect_right(self.margins, margin)
        if above in (0, len(self.margins)):
            return self.likely[0 if above == 0 else -1]
        below = above - 1
        share = (margin - self.margins[below]) / (self.margins[above] - self.margins[below])
        return self.likely[below] + share * (self.likely[above] - self.likely[below])

    def paying_each(self, margins: Floats) -> Floats:
        """Return what ``paying`` says of each of many margins, of any shape."""
        if self.margins:
            found: Floats = np.interp(margins, self.margins, self.likely)
            return found
        squashed: Floats = np.copysign(np.log1p(np.abs(margins)), margins)
        odds = np.clip(self.intercept + self.slope * squashed, -_LARGEST_ODDS, _LARGEST_ODDS)
        logistic: Floats = 1.0 / (1.0 + np.exp(-odds))
        return logistic


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
        return (self.up if direction > 0.0 else self.down).paying(margin)

    def paying_each(self, directions: Floats, margins: Floats) -> Floats:
        """Return what ``paying`` says of each of many moves; all arrays have the same shape."""
        up, down = self.up.paying_each(margins), self.down.paying_each(margins)
        return np.where(directions > 0.0, up, down)


def pays(direction: float, log_return: float, cost_rate: float) -> bool:
    """Return whether a move paid: ``log_return`` is the price's over the horizon."""
    return (log_return if direction > 0.0 else -log_return) > cost_rate


def paying_moves(directions: Floats, log_returns: Floats, cost_rate: float) -> NDArray[np.bool_]:
    """Return what ``pays`` says of each of many moves; False where the return is NaN."""
    paid: NDArray[np.bool_] = np.where(directions > 0.0, 1.0, -1.0) * log_returns > cost_rate
    return paid


def uncalibrated(regimes: int) -> Calibration:
    """Return what can be said of a network that was never tried: its preference, taken as it is."""
    plain = MoveOdds(0.0, 1.0)
    return Calibration(plain, plain, 0.5, 0.0, (None,) * regimes, 0.0)


def fit_odds(margins: Floats, paid: NDArray[np.bool_], chance: float, weight: float) -> MoveOdds:
    """Return the odds of moves in one direction, given how many of them paid.

    ``margins`` and ``paid`` have shape (n,); each counts as ``weight`` of an independent one, for
    overlapping horizons tell the same thing again. Isotonic regression (Zadrozny and Elkan, 2002) on
    cells of equally many votes, each mixed with its share of what ``chance`` has cast: a larger margin
    never lowers the odds, and whoever has seen little says little but ``chance``.
    """
    count = len(margins)
    odds = _log_odds(chance)
    if not count:
        return MoveOdds(odds, 0.0)
    cells = int(min(max(weight * count / _LEAST_VOTES, 1.0), _MOST_CELLS))
    order = np.argsort(margins, kind="stable")
    ascending = margins[order]
    # Equal margins lie in one cell, so that the middles of all cells differ.
    edges = ascending[np.arange(cells) * count // cells]
    starts = np.unique(np.searchsorted(ascending, edges))
    stops = np.append(starts[1:], count)
    middles = ascending[(starts + stops - 1) // 2]
    votes: Floats = weight * (stops - starts).astype(np.float64)
    paying = weight * np.add.reduceat(paid[order].astype(np.float64), starts)
    by_chance = _CHANCE_VOTES / len(votes)
    likely = _never_falling((paying + by_chance * chance) / (votes + by_chance), votes + by_chance)
    return MoveOdds(odds, 0.0, tuple(middles.tolist()), tuple(likely))


def _never_falling(values: Floats, weights: Floats) -> list[float]:
    """Return the nearest values that never fall: neighbours that do are pooled (Ayer et al., 1955)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            below, own, more = pools.pop()
            mean = (below * own + mean * total) / (own + total)
            total, count = total + own, count + more
        pools.append((mean, total, count))
    return [mean for mean, _, count in pools for _ in range(count)]


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


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(inside / (1.0 - inside))
