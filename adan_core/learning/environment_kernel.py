"""The trading environment without its wrappers: many accounts stepped by one compiled loop.

Copies share read-only market arrays and differ in account, place and luck. Time: the decision for
a copy at row ``t`` is taken at the close of candle ``t`` and carried out by ``step_account`` within
candle ``t + 1``. Nothing here knows gymnasium or the learner.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    AVERAGE,
    CASH,
    EQUITY,
    FEES,
    OPENED,
    PEAK,
    PORTFOLIO_COLUMNS,
    QUANTITY,
    STOP,
    TAKE_PROFIT,
    open_account,
    portfolio_vector,
    step_account,
)
from adan_core.accounting.compiled import compiled
from adan_core.domain.errors import DataError
from adan_core.learning.reward import REWARD_TERMS, learner_reward, reward_terms
from adan_core.learning.segments import Segment

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Randoms = NDArray[np.uint64]
Flags = NDArray[np.bool_]

PORTFOLIO_SIZE: Final = len(PORTFOLIO_COLUMNS)
# An account that has lost nine tenths of its capital is over: the episode terminates.
RUIN: Final = 0.1


@compiled
def step_one(
    row: Floats,
    economics: Floats,
    target: float,
    close: float,
    next_open: float,
    next_high: float,
    next_low: float,
    next_close: float,
    next_bar: int,
) -> float:
    """Carry one account over one candle towards ``target`` and return its equity."""
    return step_account(
        row,
        close,
        next_open,
        next_high,
        next_low,
        next_close,
        next_bar,
        target,
        economics[0],
        economics[1],
        economics[2],
        economics[3],
        economics[4],
        economics[5],
        economics[6],
        economics[7],
        economics[8],
        economics[9],
    )


@compiled
def write_portfolio(row: Floats, cap: float, close: float, bar: int, out: Floats) -> None:
    """Write the agent's view of the account at the close of candle ``bar`` into ``out``."""
    portfolio_vector(
        row[CASH],
        row[QUANTITY],
        row[AVERAGE],
        row[STOP],
        row[TAKE_PROFIT],
        row[EQUITY],
        row[PEAK],
        cap,
        close,
        bar - row[OPENED],
        out,
    )


@compiled
def _observe(
    row: Floats,
    cap: float,
    close: float,
    market: Singles,
    bar: int,
    portfolio: Floats,
    out: Singles,
) -> None:
    write_portfolio(row, cap, close, bar, portfolio)
    columns = market.shape[0]
    out[:columns] = market
    for index in range(portfolio.shape[0]):
        out[columns + index] = np.float32(portfolio[index])


@compiled
def _draw(random: Randoms, copy: int, bound: int) -> int:
    """Return a number in [0, bound) from the copy's own splitmix64 sequence (Steele et al. 2014)."""
    random[copy] += np.uint64(0x9E3779B97F4A7C15)
    mixed = random[copy]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return int(np.int64((mixed >> np.uint64(11)) % np.uint64(bound)))


@compiled
def _begin(
    chosen: Flags,
    spans: Integers,
    economics: Floats,
    close: Floats,
    market: Singles,
    capital: float,
    episode_length: int,
    stagger: bool,
    accounts: Floats,
    place: Integers,
    random: Randoms,
    observations: Singles,
) -> None:
    """Start a new episode in each ``chosen`` copy, anywhere in the data."""
    starts = 0
    for span in range(spans.shape[0]):
        starts += spans[span, 2]
    portfolio = np.empty(PORTFOLIO_SIZE)
    for copy in range(accounts.shape[0]):
        if not chosen[copy]:
            continue
        pick = _draw(random, copy, starts)
        span = 0
        while pick >= spans[span, 2]:
            pick -= spans[span, 2]
            span += 1
        bar = spans[span, 0] + pick
        length = min(episode_length, spans[span, 1] - 1 - bar)
        if stagger:
            length = 1 + _draw(random, copy, length)
        place[copy, 0] = bar
        place[copy, 1] = span
        place[copy, 2] = bar + length
        open_account(accounts[copy], capital)
        _observe(
            accounts[copy],
            economics[span, 0],
            close[bar],
            market[bar],
            bar,
            portfolio,
            observations[copy],
        )


@compiled
def _begin_in_order(
    spans: Integers,
    economics: Floats,
    close: Floats,
    market: Singles,
    capital: float,
    accounts: Floats,
    place: Integers,
    observations: Singles,
) -> None:
    """Put copy ``i`` at the first row of segment ``i``, for the whole of it."""
    portfolio = np.empty(PORTFOLIO_SIZE)
    for copy in range(accounts.shape[0]):
        bar = spans[copy, 0]
        place[copy, 0] = bar
        place[copy, 1] = copy
        place[copy, 2] = spans[copy, 1] - 1
        open_account(accounts[copy], capital)
        _observe(
            accounts[copy],
            economics[copy, 0],
            close[bar],
            market[bar],
            bar,
            portfolio,
            observations[copy],
        )


@compiled
def _step(
    targets: Floats,
    economics: Floats,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    close: Floats,
    market: Singles,
    capital: float,
    accounts: Floats,
    place: Integers,
    observations: Singles,
    terms: Floats,
    rewards: Singles,
    terminated: Flags,
    truncated: Flags,
) -> None:
    portfolio = np.empty(PORTFOLIO_SIZE)
    for copy in range(accounts.shape[0]):
        row = accounts[copy]
        bar = place[copy, 0]
        span = place[copy, 1]
        before = row[EQUITY]
        fees = row[FEES]
        after = step_one(
            row,
            economics[span],
            targets[copy],
            close[bar],
            opens[bar + 1],
            highs[bar + 1],
            lows[bar + 1],
            close[bar + 1],
            bar + 1,
        )
        bar += 1
        place[copy, 0] = bar
        reward_terms(before, after, row[FEES] - fees, terms[copy])
        rewards[copy] = np.float32(learner_reward(terms[copy]))
        terminated[copy] = after <= RUIN * capital
        truncated[copy] = bar >= place[copy, 2] and not terminated[copy]
        _observe(
            row, economics[span, 0], close[bar], market[bar], bar, portfolio, observations[copy]
        )


class EnvironmentKernel:
    """N accounts over shared segments; ``step`` never resets, ``begin`` does, so wrappers choose.

    ``observations`` (N, D + portfolio) float32, ``rewards`` (N,) float32, ``terms`` (N, terms)
    float64, ``terminated`` and ``truncated`` (N,) are overwritten by each step. Everything that
    changes is in ``arrays``, so that a checkpoint of those resumes the same luck. DataError if a
    segment is too short to hold one step.
    """

    def __init__(
        self,
        segments: tuple[Segment, ...],
        copies: int,
        capital: float,
        episode_length: int,
        seed: int,
    ) -> None:
        if not segments or any(len(segment) < 2 for segment in segments):
            raise DataError("a market without two candles to step between", "at least two")
        self.copies = copies
        self.capital = capital
        self.episode_length = episode_length
        self._open = np.concatenate([segment.open for segment in segments])
        self._high = np.concatenate([segment.high for segment in segments])
        self._low = np.concatenate([segment.low for segment in segments])
        self._close = np.concatenate([segment.close for segment in segments])
        self._market = np.concatenate([segment.market for segment in segments])
        self._economics = np.stack([segment.economics.as_array() for segment in segments])
        self._spans = _spans(segments, episode_length)
        size = self._market.shape[1] + PORTFOLIO_SIZE
        self.observations = np.zeros((copies, size), dtype=np.float32)
        self.rewards = np.zeros(copies, dtype=np.float32)
        self.terms = np.zeros((copies, len(REWARD_TERMS)), dtype=np.float64)
        self.terminated = np.zeros(copies, dtype=np.bool_)
        self.truncated = np.zeros(copies, dtype=np.bool_)
        self.accounts = np.zeros((copies, ACCOUNT_COLUMNS), dtype=np.float64)
        # Row of the newest close, segment, row at which the episode ends.
        self.place = np.zeros((copies, 3), dtype=np.int64)
        self._random = np.zeros(copies, dtype=np.uint64)
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Give every copy its own luck, derived from ``seed`` alone."""
        self._random[:] = np.random.SeedSequence(seed).generate_state(self.copies, np.uint64)

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every array that changes as the copies run, by name; not copies."""
        return {
            "accounts": self.accounts,
            "place": self.place,
            "random": self._random,
            "observations": self.observations,
        }

    def equity(self, copy: int) -> float:
        """Return what one copy's account was worth at its newest close."""
        return float(self.accounts[copy, EQUITY])

    def begin(self, chosen: Flags, stagger: bool = False) -> None:
        """Start a new episode in each ``chosen`` copy; staggered ones end at different times."""
        _begin(
            chosen,
            self._spans,
            self._economics,
            self._close,
            self._market,
            self.capital,
            self.episode_length,
            stagger,
            self.accounts,
            self.place,
            self._random,
            self.observations,
        )

    def begin_in_order(self) -> None:
        """Start copy ``i`` at the first row of segment ``i``: a fixed tour, as validation needs."""
        if self.copies > len(self._spans):
            raise DataError(f"{self.copies} copies", f"one per segment, {len(self._spans)}")
        _begin_in_order(
            self._spans,
            self._economics,
            self._close,
            self._market,
            self.capital,
            self.accounts,
            self.place,
            self.observations,
        )

    def step(self, targets: Floats) -> None:
        """Carry every copy over one candle towards its target exposure (fraction of the cap)."""
        _step(
            targets,
            self._economics,
            self._open,
            self._high,
            self._low,
            self._close,
            self._market,
            self.capital,
            self.accounts,
            self.place,
            self.observations,
            self.terms,
            self.rewards,
            self.terminated,
            self.truncated,
        )


def _spans(segments: tuple[Segment, ...], episode_length: int) -> Integers:
    """Return, per segment, its first row, the row after its last, and how many starts it offers.

    A start leaves room for a whole episode where the segment is long enough, so that episodes
    reach from the first row to the last.
    """
    spans = np.zeros((len(segments), 3), dtype=np.int64)
    first = 0
    for index, segment in enumerate(segments):
        spans[index] = (first, first + len(segment), max(len(segment) - episode_length, 1))
        first += len(segment)
    return spans
