"""The trading environment without its wrappers: many accounts stepped by one compiled loop.

Copies share read-only market arrays and differ in account, place and luck. Time: the decision for
a copy at row ``t`` is taken at the close of candle ``t`` and carried out by ``step_purse`` within
candle ``t + 1``. Nothing here knows gymnasium or the learner.
"""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    DENIED,
    EQUITY,
    GAIN,
    LAST_DRAWDOWN,
    LAST_EQUITY,
    LAST_HIT_QUANTITY,
    PAID,
    PEAK,
    QUANTITY,
    TRADED,
)
from adan_core.accounting.compiled import compiled
from adan_core.accounting.purse import CAP, FIGURES, position_cap, step_purses
from adan_core.accounting.sizing import DENIALS
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.learning.environment_episodes import PORTFOLIO_SIZE, begin, begin_in_order, see
from adan_core.learning.environment_options import (
    Batch,
    Copies,
    EnvironmentOptions,
    Episodes,
    Outcome,
    World,
)
from adan_core.learning.reward import (
    COST_TERM,
    MARKET_TERM,
    REWARD_STATE,
    REWARD_TERMS,
    adaptive_reward,
)
from adan_core.learning.segments import Segment, joined

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# An account that has lost nine tenths of its capital is over: the episode terminates.
RUIN: Final = 0.1
# A log-return below this is written as this: an equity of nothing never gives -inf.
_NOTHING: Final = 1e-12


@compiled
def step_all(
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
    everybody: Flags,
    world: World,
    copies: Copies,
    outcome: Outcome,
) -> None:
    """Carry every copy over one candle and write what it was worth and what is seen after it."""
    step_purses(
        copies.accounts,
        copies.place,
        copies.figures,
        world.tape,
        world.limits,
        targets,
        stop_losses,
        take_profits,
        world.symbols,
    )
    _reward(
        copies.accounts,
        copies.place,
        copies.figures,
        copies.reward_state,
        copies.denials,
        world.tape.close,
        world.tape.regime,
        world.tape.volatility,
        world.reward,
        world.limits.tiers,
        RUIN * world.capital,
        world.symbols,
        outcome.terms,
        outcome.rewards,
        outcome.terminated,
        outcome.truncated,
    )
    see(everybody, world, copies)


@compiled
def _reward(
    accounts: Floats,
    place: Integers,
    figures: Floats,
    states: Floats,
    denials: Integers,
    closes: Floats,
    regimes: NDArray[np.int8],
    volatilities: Floats,
    settings: Floats,
    tiers: Floats,
    ruin: float,
    symbols: int,
    terms: Floats,
    rewards: Singles,
    terminated: Flags,
    truncated: Flags,
) -> None:
    """Move every copy to its next candle and say what the step was worth; see ``Outcome``."""
    for first in range(0, accounts.shape[0], symbols):
        gained = 0.0
        for copy in range(first, first + symbols):
            gained += accounts[copy, GAIN]
        for copy in range(first, first + symbols):
            bar = place[copy, 0]
            place[copy, 0] = bar + 1
            start, end = accounts[copy, LAST_EQUITY], accounts[copy, EQUITY]
            # What was stopped out within the candle was held in it, too.
            held = abs(accounts[copy, QUANTITY]) + abs(accounts[copy, LAST_HIT_QUANTITY])
            room = position_cap(start, tiers, figures[copy, CAP]) * max(end, _NOTHING * start)
            rewards[copy] = np.float32(
                adaptive_reward(
                    states[copy],
                    settings,
                    start,
                    end if symbols == 1 else _share(start, accounts[copy, GAIN], gained),
                    max(accounts[copy, PAID], 0.0),
                    accounts[copy, TRADED],
                    accounts[copy, LAST_DRAWDOWN],
                    1.0 - end / accounts[copy, PEAK],
                    held * closes[bar + 1] / room if room > 0.0 else 1.0,
                    int(regimes[bar]),
                    volatilities[bar],
                    terms[copy],
                )
            )
            terminated[copy] = end <= ruin
            truncated[copy] = bar + 1 >= place[copy, 2] and end > ruin
            denials[int(accounts[copy, DENIED])] += 1


@compiled
def _share(before: float, gain: float, gained: float) -> float:
    """Return the equity that one symbol's ``gain`` alone would have made of ``before``.

    Its logarithm is the symbol's exact share of the purse's, gain / gained x ln(1 + gained / before),
    so that the shares of all symbols sum to the whole.
    """
    change = max(gained / before, _NOTHING - 1.0)
    factor = 1.0 / before if gained == 0.0 else np.log1p(change) / gained
    return float(before * np.exp(gain * factor))


@compiled
def advance(episode_length: int, world: World, batch: Batch) -> int:
    """Step all copies of ``batch`` towards their targets, begin anew those that ended; return how many.

    One call does all of it, since each costs about as much as twenty copies do.
    """
    copies, outcome, episodes, done = batch.copies, batch.outcome, batch.episodes, batch.done
    step_all(batch.targets, batch.unsaid, batch.unsaid, batch.everybody, world, copies, outcome)
    ended = 0
    for copy in range(done.shape[0]):
        episodes.running[copy] += outcome.rewards[copy]
        for term in range(episodes.terms.shape[0]):
            episodes.terms[term] += outcome.terms[copy, term]
        done[copy] = outcome.terminated[copy] or outcome.truncated[copy]
        if done[copy]:
            episodes.ended[episodes.number[0] % episodes.ended.shape[0]] = episodes.running[copy]
            episodes.number[0] += 1
            episodes.running[copy] = 0.0
            episodes.last[copy] = copies.observations[copy]
            ended += 1
    if ended > 0:
        begin(done, episode_length, False, world, copies)  # noqa: FBT003 - numba takes no names
    return ended


class EnvironmentKernel:
    """N accounts over shared segments; ``step`` never resets, ``begin`` and ``advance`` do.

    ``observations`` (N, D + portfolio) float32, ``rewards`` (N,) float32, ``terms`` (N, terms)
    float64, ``terminated`` and ``truncated`` (N,) are overwritten by each step. Everything that
    changes is in ``arrays``, so that a checkpoint of those resumes the same luck. DataError if a
    segment is too short to hold one step or those of a purse differ in length, ConfigurationError
    if the copies do not fill whole purses.
    """

    def __init__(
        self,
        segments: tuple[Segment, ...],
        copies: int,
        capital: float,
        episode_length: int,
        seed: int,
        options: EnvironmentOptions = EnvironmentOptions(),  # noqa: B008 - frozen
    ) -> None:
        if copies % options.symbols:
            raise ConfigurationError(
                f"{copies} copies of {options.symbols} symbols with one purse",
                f"a multiple of {options.symbols}",
                "set learning.copies, or learning.purse to own",
            )
        tape, market = joined(segments)
        self.copies = copies
        self.economics = segments[0].economics
        self.capital = capital
        self.episode_length = episode_length
        self.world = World(
            tape,
            market,
            _spans(segments, episode_length, options.symbols),
            np.stack([segment.economics.as_array() for segment in segments]),
            self.economics.limits(),
            np.array(options.reward, dtype=np.float64),
            capital,
            options.symbols,
            options.observation_noise,
            options.cost_randomisation,
        )
        self.observations = np.zeros((copies, market.shape[1] + PORTFOLIO_SIZE), dtype=np.float32)
        self.rewards = np.zeros(copies, dtype=np.float32)
        self.terms = np.zeros((copies, len(REWARD_TERMS)), dtype=np.float64)
        self.terminated = np.zeros(copies, dtype=np.bool_)
        self.truncated = np.zeros(copies, dtype=np.bool_)
        self.accounts = np.zeros((copies, ACCOUNT_COLUMNS), dtype=np.float64)
        self.place = np.zeros((copies, 3), dtype=np.int64)
        self._copies = Copies(
            self.accounts,
            self.place,
            np.zeros((copies, FIGURES), dtype=np.float64),
            np.zeros(copies, dtype=np.uint64),
            np.zeros((copies, REWARD_STATE), dtype=np.float64),
            self.observations,
            np.zeros(len(DENIALS), dtype=np.int64),
        )
        self.denials = self._copies.denials
        self._outcome = Outcome(self.terms, self.rewards, self.terminated, self.truncated)
        self._everybody = np.ones(copies, dtype=np.bool_)
        self._unsaid = np.full(copies, np.nan, dtype=np.float64)
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Give every copy its own luck, derived from ``seed`` alone."""
        self._copies.random[:] = np.random.SeedSequence(seed).generate_state(self.copies, np.uint64)

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every array that changes as the copies run, by name; not copies."""
        return dict(self._copies._asdict())

    @property
    def log_returns(self) -> Floats:
        """Each copy's change of log equity in the newest step, costs paid, shape (N,)."""
        summed: Floats = self.terms[:, MARKET_TERM] + self.terms[:, COST_TERM]
        return summed

    @property
    def denied(self) -> Integers:
        """Why each copy's wish was not followed in the newest step: codes of ``sizing.DENIALS``."""
        codes: Integers = self.accounts[:, DENIED].astype(np.int64)
        return codes

    def equity(self, copy: int) -> float:
        """Return what one copy's purse was worth at its newest close."""
        return float(self.accounts[copy, EQUITY])

    def begin(self, chosen: Flags, stagger: bool = False) -> None:
        """Start a new episode in each ``chosen`` copy; staggered ones end at different times."""
        begin(chosen, self.episode_length, stagger, self.world, self._copies)

    def begin_in_order(self) -> None:
        """Start copy ``i`` at the first row of segment ``i``: a fixed tour, as validation needs."""
        segments = len(self.world.economics)
        if self.copies > segments:
            raise DataError(f"{self.copies} copies", f"one per segment, {segments}")
        begin_in_order(self._everybody, self.world, self._copies)

    def step(self, targets: Floats) -> None:
        """Carry every copy over one candle towards its target exposure (fraction of the cap)."""
        step_all(
            targets,
            self._unsaid,
            self._unsaid,
            self._everybody,
            self.world,
            self._copies,
            self._outcome,
        )

    def batches(self, most: int, remembered: int) -> tuple[Batch, ...]:
        """Return the copies as up to ``most`` batches of whole purses, seen in place.

        Together they remember the newest ``remembered`` episodes. Each counts its own denials.
        """
        purses = self.copies // self.world.symbols
        bounds = np.linspace(0, purses, min(most, purses) + 1).astype(int) * self.world.symbols
        return tuple(
            self._batch(slice(first, last), remembered // (len(bounds) - 1))
            for first, last in pairwise(bounds.tolist())
        )

    def _batch(self, place: slice, remembered: int) -> Batch:
        copies = Copies._make(array[place] for array in self._copies)
        size = len(copies.accounts)
        return Batch(
            copies._replace(denials=np.zeros_like(self.denials)),
            Outcome._make(array[place] for array in self._outcome),
            Episodes(
                np.zeros(size, dtype=np.float64),
                np.full(remembered, np.nan, dtype=np.float64),
                np.zeros(1, dtype=np.int64),
                np.zeros(len(REWARD_TERMS), dtype=np.float64),
                np.zeros_like(copies.observations),
            ),
            np.zeros(size, dtype=np.float64),
            np.zeros(size, dtype=np.bool_),
            np.full(size, np.nan, dtype=np.float64),
            np.ones(size, dtype=np.bool_),
        )

    def advance(self, batch: Batch) -> int:
        """Step a batch of this kernel's to its targets, begin anew what ended; return how many did."""
        return advance(self.episode_length, self.world, batch)


def _spans(segments: tuple[Segment, ...], episode_length: int, symbols: int) -> Integers:
    """Return, per group of segments, its first row, the rows of each, and how many starts it offers.

    A start leaves room for a whole episode where the segment is long enough, so that episodes
    reach from the first row to the last.
    """
    if len(segments) % symbols:
        raise DataError(f"{len(segments)} segments", f"{symbols} for each purse")
    groups = [segments[first : first + symbols] for first in range(0, len(segments), symbols)]
    spans = np.zeros((len(groups), 3), dtype=np.int64)
    first = 0
    for index, group in enumerate(groups):
        rows = len(group[0])
        if any(len(segment) != rows for segment in group):
            raise DataError(
                f"segments of {[len(segment) for segment in group]} rows in one purse",
                "as many rows of each symbol, at the same times",
            )
        spans[index] = (first, rows, max(rows - episode_length, 1))
        first += rows * symbols
    return spans
