"""Candles no market made: a feed that froze, candles copied, straight lines drawn over a hole.

A market leaves traces that fillers do not think of. Where something is traded, its price does not
stand still much longer than it has elsewhere in the same market; no two candles in which something
was traded are equal in all five numbers, but for a rare coincidence; and open, high, low and close
do not all move on by the same amount again and again.
"""

import numpy as np
from numpy.typing import NDArray

from adan_core.data.runs import Mask, Rows, covered, longest_by_chance, runs

_EVEN = 0.01  # steps that differ by this part of the largest price's are equal but for rounding
_EXACT = 1e-9  # what is left of a number's digits when a program has computed a straight line
_BLOCK = 65_536

Floats = NDArray[np.float64]


def stuck(
    prices: tuple[Floats, Floats, Floats, Floats],
    volume: Floats,
    adjoining: Mask,
    least: int,
    least_copied: int,
    chance: float,
) -> tuple[Rows, Rows]:
    """Return the runs (starts, lengths) of candles that repeat the one before them.

    ``prices`` are open, high, low and close, ``adjoining`` says whether candle i + 1 opens where
    candle i closed, shape (n - 1,). Spans in which nothing is traded at one price are a market's
    own and not meant; candles with a range must have been traded, whatever their volume says.
    """
    again = _repeats(prices) & adjoining
    _, high, low, _ = prices
    traded = (volume > 0.0) | (high > low)
    copied = again & traded[1:] & (volume[1:] == volume[:-1])
    frozen = again & traded[1:]
    long = np.zeros_like(again)
    for trait, enough in ((frozen, least), (copied, least_copied)):
        _, lengths = runs(trait)
        long |= _long_runs(trait, longest_by_chance(lengths, len(volume), enough, chance))
    starts, lengths = runs(long)
    return starts + 1, lengths


def interpolated(
    prices: tuple[Floats, Floats, Floats, Floats], volume: Floats, adjoining: Mask, least: int
) -> tuple[Rows, Rows]:
    """Return the runs (starts, lengths) of candles on a straight line between their neighbours.

    All four prices must go on by equal steps, of which one is not zero. ``least`` candles are enough
    where the volume is constant or a straight line as well, twice as many where it is not.
    """
    straight = adjoining[:-1] & adjoining[1:]
    with_volume = np.zeros_like(straight)
    for start in range(0, straight.shape[0], _BLOCK):
        part, rows = slice(start, start + _BLOCK), slice(start, start + _BLOCK + 2)
        largest = np.zeros(straight[part].shape[0])
        for price in prices:
            np.maximum(largest, np.abs(np.diff(price[rows])[:-1]), out=largest)
        straight[part] &= largest > 0.0
        for price in prices:
            straight[part] &= _even(price[rows], _EVEN * largest)
        traded = volume[rows]
        slack = _EVEN * np.abs(np.diff(traded)[:-1])
        with_volume[part] = straight[part] & _even(traded, slack)
    starts, lengths = runs(_long_runs(straight, 2 * least) | _long_runs(with_volume, least))
    return starts + 1, lengths


def _long_runs(trait: Mask, least: float) -> Mask:
    """Return ``trait`` without its runs shorter than ``least``."""
    starts, lengths = runs(trait)
    return covered(starts[lengths >= least], lengths[lengths >= least], trait.shape[0])


def _repeats(prices: tuple[Floats, Floats, Floats, Floats]) -> Mask:
    """Return whether candle i + 1 has all four prices of candle i, shape (n - 1,)."""
    again: Mask = prices[3][1:] == prices[3][:-1]
    for price in prices[:3]:
        again &= price[1:] == price[:-1]
    return again


def _even(values: Floats, slack: Floats) -> Mask:
    """Return whether the steps to and from each inner value differ by ``slack`` at most."""
    with np.errstate(over="ignore"):  # the step between two steps may be more than a float holds
        unequal = np.abs(np.diff(values, n=2))
    even: Mask = unequal <= np.maximum(slack, _EXACT * np.abs(values[1:-1]))
    return even
