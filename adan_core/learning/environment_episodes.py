"""Where an episode begins, with what luck, and what a copy sees of the market and of itself."""

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    AVERAGE,
    CASH,
    EQUITY,
    OPENED,
    PEAK,
    PORTFOLIO_COLUMNS,
    QUANTITY,
    STOP,
    TAKE_PROFIT,
    open_account,
    portfolio_vector,
)
from adan_core.accounting.compiled import compiled
from adan_core.accounting.purse import CAP, FEE_RATE, SLIPPAGE, position_cap
from adan_core.learning.environment_options import Copies, World
from adan_core.learning.reward import open_reward

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Randoms = NDArray[np.uint64]
Flags = NDArray[np.bool_]

PORTFOLIO_SIZE = len(PORTFOLIO_COLUMNS)


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
def observe(
    accounts: Floats,
    place: Integers,
    figures: Floats,
    close: Floats,
    market: Singles,
    tiers: Floats,
    noise: float,
    random: Randoms,
    chosen: Flags,
    observations: Singles,
) -> None:
    """Write what each ``chosen`` copy sees at its newest close."""
    portfolio = np.empty(PORTFOLIO_SIZE)
    columns = market.shape[1]
    for copy in range(accounts.shape[0]):
        if not chosen[copy]:
            continue
        bar = place[copy, 0]
        cap = position_cap(accounts[copy, EQUITY], tiers, figures[copy, CAP])
        write_portfolio(accounts[copy], cap, close[bar], bar, portfolio)
        for column in range(columns):
            observations[copy, column] = market[bar, column]
        if noise > 0.0:
            _disturb(random, copy, noise, observations[copy, :columns])
        for column in range(PORTFOLIO_SIZE):
            observations[copy, columns + column] = np.float32(portfolio[column])


@compiled
def _next(random: Randoms, copy: int) -> np.uint64:
    """Return 53 bits of the copy's own splitmix64 sequence (Steele et al. 2014)."""
    random[copy] += np.uint64(0x9E3779B97F4A7C15)
    mixed = random[copy]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    drawn: np.uint64 = mixed >> np.uint64(11)
    return drawn


@compiled
def _draw(random: Randoms, copy: int, bound: int) -> int:
    """Return a number in [0, bound)."""
    return int(np.int64(_next(random, copy) % np.uint64(bound)))


@compiled
def _uniform(random: Randoms, copy: int) -> float:
    """Return a number in [0, 1)."""
    return float(_next(random, copy)) * 2.0**-53


@compiled
def _disturb(random: Randoms, copy: int, deviation: float, out: Singles) -> None:
    """Add Gaussian noise to every figure of ``out`` (Box and Muller 1958), two to a pair of draws."""
    for index in range(0, out.shape[0], 2):
        length = deviation * np.sqrt(-2.0 * np.log(1.0 - _uniform(random, copy)))
        angle = 2.0 * np.pi * _uniform(random, copy)
        out[index] += np.float32(length * np.cos(angle))
        if index + 1 < out.shape[0]:
            out[index + 1] += np.float32(length * np.sin(angle))


@compiled
def _enter(copy: int, segment: int, bar: int, stop: int, world: World, copies: Copies) -> None:
    """Open a copy's account at the close of candle ``bar``."""
    copies.place[copy, 0] = bar
    copies.place[copy, 1] = segment
    copies.place[copy, 2] = stop
    open_account(copies.accounts[copy], world.capital)
    open_reward(copies.reward_state[copy])
    figures = copies.figures[copy]
    figures[:] = world.economics[segment]
    if world.spread > 0.0:
        for column in (FEE_RATE, SLIPPAGE):
            figures[column] *= 1.0 + world.spread * (2.0 * _uniform(copies.random, copy) - 1.0)


@compiled
def begin(chosen: Flags, episode_length: int, stagger: bool, world: World, copies: Copies) -> None:
    """Start a new episode in the purses of the ``chosen`` copies, anywhere in the data."""
    starts = 0
    for group in range(world.spans.shape[0]):
        starts += world.spans[group, 2]
    for first in range(0, copies.accounts.shape[0], world.symbols):
        if not chosen[first]:
            continue
        pick = _draw(copies.random, first, starts)
        group = 0
        while pick >= world.spans[group, 2]:
            pick -= world.spans[group, 2]
            group += 1
        rows = world.spans[group, 1]
        length = min(episode_length, rows - 1 - pick)
        if stagger:
            length = 1 + _draw(copies.random, first, length)
        for symbol in range(world.symbols):
            bar = world.spans[group, 0] + symbol * rows + pick
            segment = group * world.symbols + symbol
            _enter(first + symbol, segment, bar, bar + length, world, copies)
    see(chosen, world, copies)


@compiled
def begin_in_order(everybody: Flags, world: World, copies: Copies) -> None:
    """Put copy ``i`` at the first row of segment ``i``, for the whole of it."""
    for copy in range(copies.accounts.shape[0]):
        group = copy // world.symbols
        rows = world.spans[group, 1]
        bar = world.spans[group, 0] + copy % world.symbols * rows
        _enter(copy, copy, bar, bar + rows - 1, world, copies)
    see(everybody, world, copies)


@compiled
def see(chosen: Flags, world: World, copies: Copies) -> None:
    """Write what the ``chosen`` copies see at their newest closes."""
    observe(
        copies.accounts,
        copies.place,
        copies.figures,
        world.tape.close,
        world.market,
        world.limits.tiers,
        world.noise,
        copies.random,
        chosen,
        copies.observations,
    )
