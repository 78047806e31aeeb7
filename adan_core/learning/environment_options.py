"""How an environment differs from the plainest one, and the arrays its compiled loops share."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.purse import Limits, Tape

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Randoms = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EnvironmentOptions:
    """What may be added to a copy that plays one symbol with its own purse on candles as they are.

    ``symbols`` segments in a row share one purse and are aligned in time. ``reward`` are the
    reward's settings, none: market and costs alone. ``observation_noise`` is the standard deviation
    of what is added to each normalised market column, ``cost_randomisation`` how far, relative to
    them, fee and slippage of an episode may lie from the configured ones.
    """

    reward: tuple[float, ...] = ()
    symbols: int = 1
    observation_noise: float = 0.0
    cost_randomisation: float = 0.0


class World(NamedTuple):
    """What all copies share and none changes.

    ``tape`` and ``market`` (n, D) are all segments, one after the other. ``spans`` (groups, 3): first
    row of a group's first segment, rows of each, episode starts they offer. ``economics`` (segments,
    ``FIGURES``).
    """

    tape: Tape
    market: Singles
    spans: Integers
    economics: Floats
    limits: Limits
    reward: Floats
    capital: float
    symbols: int
    noise: float
    spread: float


class Copies(NamedTuple):
    """What changes as N copies run; one row each. Copies of one purse are neighbours.

    ``place`` (N, 3): row of the newest close, segment, row at which the episode ends. ``figures``
    (N, ``FIGURES``) what trading costs this copy, ``random`` (N,) its luck. ``denials`` (reasons,)
    counts all copies' wishes by what denied them, those that nothing did first.
    """

    accounts: Floats
    place: Integers
    figures: Floats
    random: Randoms
    reward_state: Floats
    observations: Singles
    denials: Integers


class Outcome(NamedTuple):
    """What the newest step gave: ``terms`` (N, terms) unscaled, the others (N,)."""

    terms: Floats
    rewards: Singles
    terminated: Flags
    truncated: Flags


class Episodes(NamedTuple):
    """What a batch remembers of its episodes, N copies.

    ``running`` (N,) is the reward so far of those under way, ``ended`` (newest ones,) a ring of those
    that ended, ``number`` (1,) how many did. ``terms`` (terms,) sums each reward term over copies and
    steps. ``last`` (N, D) is what the copies that ended in the newest step saw at their end.
    """

    running: Floats
    ended: Floats
    number: Integers
    terms: Floats
    last: Singles


class Batch(NamedTuple):
    """Copies that are stepped one after the other, while another thread may step another batch.

    ``targets`` (N,) are what the next step is asked for, ``done`` (N,) which copies ended in the
    newest one. ``unsaid`` (N,) is NaN, ``everybody`` (N,) true.
    """

    copies: Copies
    outcome: Outcome
    episodes: Episodes
    targets: Floats
    done: Flags
    unsaid: Floats
    everybody: Flags
