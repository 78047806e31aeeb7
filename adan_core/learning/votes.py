"""How votes become one decision: shares by side, weights by skill, abstention on disagreement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VotingRules:
    """How members decide together.

    Where the winning side holds less than the share ``agreement`` of the votes, they abstain.
    ``adaptation`` is what one scored vote moves a member's skill by, ``sharpness`` how much skill
    moves weights (their ratio is e to the difference times it), ``cost_rate`` what a unit
    of exposure costs to change, a fraction of its notional.
    """

    agreement: float
    adaptation: float
    sharpness: float
    cost_rate: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What the votes come to: the exposure to hold (None: they abstain), and the winner's share."""

    exposure: float | None
    side: int
    share: float


def side_of(exposure: float) -> int:
    """Return 1 for a long exposure, -1 for a short one, 0 for none."""
    return (exposure > 0.0) - (exposure < 0.0)


def tally(exposures: Sequence[float], weights: Sequence[float], agreement: float) -> Tally:
    """Return what voters who want ``exposures`` decide.

    The side with most weight wins, and of the exposures wanted on it the median by weight: always
    one that somebody asked for, so that shifting weights alone trade nothing.
    """
    shares = [0.0, 0.0, 0.0]
    for exposure, weight in zip(exposures, weights, strict=True):
        shares[side_of(exposure)] += weight
    side = max((0, 1, -1), key=shares.__getitem__)
    share = shares[side]
    if share < agreement:
        return Tally(None, side, share)
    wanted = sorted(
        (exposure, weight)
        for exposure, weight in zip(exposures, weights, strict=True)
        if side_of(exposure) == side
    )
    below = 0.0
    for exposure, weight in wanted:
        below += weight
        if below >= share / 2.0:
            return Tally(exposure, side, share)
    return Tally(wanted[-1][0], side, share)


def bounded_weights(
    skills: Sequence[float],
    lowest: Sequence[float],
    highest: Sequence[float],
    sharpness: float,
) -> tuple[float, ...]:
    """Return each voter's weight: more for the more skilled, within bounds, 1 in all.

    Where fewer voters than the bounds were made for could not reach 1, the even share is allowed too.
    """
    count = len(skills)
    low = [min(bound, 1.0 / count) for bound in lowest]
    high = [max(bound, 1.0 / count) for bound in highest]
    best = max(skills)
    raw = [math.exp(sharpness * (skill - best)) for skill in skills]
    total = sum(raw)
    wished = [one / total for one in raw]

    def shifted(shift: float) -> list[float]:
        return [
            min(max(wish + shift, floor), ceiling)
            for wish, floor, ceiling in zip(wished, low, high, strict=True)
        ]

    # The nearest weights within the bounds: all wishes shifted alike, then cut. Their sum is linear
    # between the shifts at which one of them reaches a bound (Duchi et al. 2008).
    ends = sorted(
        bound - wish for bounds in (low, high) for bound, wish in zip(bounds, wished, strict=True)
    )
    below = above = ends[0]
    for end in ends:
        above = end
        if sum(shifted(end)) >= 1.0:
            break
        below = end
    least, most = sum(shifted(below)), sum(shifted(above))
    share = (1.0 - least) / (most - least) if most > least else 0.0
    return tuple(shifted(below + share * (above - below)))
