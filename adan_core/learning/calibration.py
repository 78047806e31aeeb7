"""From a network's preference to a probability: how often a move that it prefers has paid."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MoveOdds:
    """Log-odds that a move pays: ``intercept`` where the network is undecided, more with its margin."""

    intercept: float
    slope: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one member's preferences were worth on the validation part of its candles.

    ``up`` and ``down`` are moves to more and to less exposure. ``accuracy`` is the share of its
    votes that earned more than the alternative within its horizon; ``falls`` the median worst fall
    of the price within the horizon after votes to hold something, by regime, None where too few
    were seen; ``samples`` how many independent ones stand behind all of it.
    """

    up: MoveOdds
    down: MoveOdds
    accuracy: float
    falls: tuple[float | None, ...]
    samples: float

    def paying(self, direction: float, margin: float) -> float:
        """Return the probability that a move pays: earns more, net, within the horizon than staying.

        ``direction`` is positive for a move to more exposure; ``margin`` the log-odds by which the
        network prefers the move to staying, negative where it would rather stay.
        """
        odds = self.up if direction > 0.0 else self.down
        return 1.0 / (1.0 + math.exp(-(odds.intercept + odds.slope * squashed(margin))))


def squashed(margin: float) -> float:
    """Return ``margin`` on the scale that odds are linear in: networks grow too sure of themselves."""
    return math.copysign(math.log1p(abs(margin)), margin)


def uncalibrated(regimes: int) -> Calibration:
    """Return what can be said of a network that was never tried: its preference, taken as it is."""
    plain = MoveOdds(0.0, 1.0)
    return Calibration(plain, plain, 0.5, (None,) * regimes, 0.0)
