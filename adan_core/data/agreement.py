"""How far two sources of the same candles are apart: in price, and in what they call the time.

A difference is taken relative to the smaller of the two prices, so that it does not matter which
source is called the first, and so that a price ten times too high is 900 % off, not 90 %.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.findings import Finding, FindingCode, Policy, Spans, finding
from adan_core.data.raw import RawCandles
from adan_core.data.runs import Rows
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import HOUR, MINUTE, Milliseconds

_FARTHEST = 26 * HOUR  # the world's clocks lie between UTC-12 and UTC+14
_STEP = 15 * MINUTE  # and differ by whole quarters of an hour
_RELATED = 0.3  # the correlation of returns below which two sources show different markets
_ENOUGH = 4_000_000  # slots of the newest candles: more would tell nothing new
_SURE = 5.0  # standard errors by which a shifted correlation must beat the one as stamped

Floats = NDArray[np.float64]


def deviation(one: Candle, other: Candle) -> float:
    """Return the largest relative difference between the prices of two candles, 0 or more.

    Infinite if a price of either is no positive finite number; opening times and volumes are not
    compared.
    """
    pairs = (
        (one.open, other.open),
        (one.high, other.high),
        (one.low, other.low),
        (one.close, other.close),
    )
    if not all(math.isfinite(price) and price > 0.0 for pair in pairs for price in pair):
        return math.inf
    return max(abs(first - second) / min(first, second) for first, second in pairs)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What comparing candles with another source's told.

    ``common`` counts the opening times both have and ``largest`` is the largest deviation there.
    ``shift`` is what must be added to the first source's stamps, in milliseconds, for returns to
    agree best; ``correlation`` is how well they agree then and ``as_stamped`` how well without.
    """

    common: int
    largest: float
    shift: Milliseconds
    correlation: float
    as_stamped: float
    findings: tuple[tuple[Finding, Spans], ...]


def compare(one: RawCandles, other: RawCandles, timeframe: Timeframe, policy: Policy) -> Agreement:
    """Compare sound candles of one market and timeframe, in order, from two sources.

    DataError if they have no opening time in common.
    """
    mine, theirs = _common(one.open_time, other.open_time)
    if not mine.size:
        raise DataError("the two sources have no candle in common", "an overlap in time")
    apart = np.zeros(mine.shape[0])
    for own, foreign in (
        (one.open, other.open),
        (one.high, other.high),
        (one.low, other.low),
        (one.close, other.close),
    ):
        first, second = own[mine], foreign[theirs]
        with np.errstate(over="ignore"):  # further apart than a float can say is infinitely far
            np.maximum(apart, np.abs(first - second) / np.minimum(first, second), out=apart)
    limits = policy.limits
    found = []
    against = apart > limits.deviation_refusal
    beyond = (apart > limits.deviation_warning) & ~against
    for code, where, limit in (
        (FindingCode.CONTRADICTION, against, limits.deviation_refusal),
        (FindingCode.DEVIATION, beyond, limits.deviation_warning),
    ):
        rows = mine[where]
        if rows.size:
            times = one.open_time[rows]
            spans = Spans(one.row[rows], times, times)
            message = (
                f"prices more than {limit:.0%} off the other source's, "
                f"at most {float(apart[where].max()):.1%}"
            )
            found.append((finding(code, policy, spans, message), spans))
    shift, correlation, as_stamped = _best_shift(one, other, timeframe)
    if shift:
        spans = Spans(one.row[:1], one.open_time[:1], one.open_time[-1:])
        message = (
            f"returns agree best with the other source's (correlation {correlation:.2f}, as stamped "
            f"{as_stamped:.2f}) when {_length(shift)} is added to each stamp"
        )
        counts = (1, len(one))
        found.insert(0, (finding(FindingCode.TIME_SHIFT, policy, spans, message, counts), spans))
    return Agreement(
        int(mine.size), float(apart.max()), shift, correlation, as_stamped, tuple(found)
    )


def _common(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Rows, Rows]:
    """Return the indices of the times both have; both ascend."""
    place = np.searchsorted(other, one)
    place[place == other.shape[0]] = 0
    same = other[place] == one if other.size else np.zeros(one.shape, dtype=np.bool_)
    mine = np.flatnonzero(same).astype(np.int64)
    return mine, place[mine]


def _best_shift(
    one: RawCandles, other: RawCandles, timeframe: Timeframe
) -> tuple[Milliseconds, float, float]:
    """Return the shift at which returns agree best (0 unless surely so), its correlation, and 0's."""
    duration = timeframe.duration
    first = max(int(one.open_time[0]), int(other.open_time[0])) - _FARTHEST // duration * duration
    last = min(int(one.open_time[-1]), int(other.open_time[-1])) + _FARTHEST
    slots = (last - first) // duration + 1
    if slots > _ENOUGH:
        first += (slots - _ENOUGH) * duration
        slots = _ENOUGH
    mine, theirs = (_returns(each, first, slots, duration) for each in (one, other))
    size = float(np.sqrt(np.dot(mine, mine) * np.dot(theirs, theirs)))
    if not size > 0.0:
        return 0, 0.0, 0.0
    quarters = range(-_FARTHEST, _FARTHEST + 1, _STEP)
    shifts = {0, duration, -duration, *(shift for shift in quarters if shift % duration == 0)}
    agreed = {
        shift: _overlap(mine, theirs, shift // duration) / size for shift in sorted(shifts, key=abs)
    }
    best = max(agreed, key=lambda shift: agreed[shift])
    told = int(min(np.count_nonzero(mine), np.count_nonzero(theirs)))
    if best and agreed[best] > max(_RELATED, agreed[0] + _SURE / told**0.5):
        return best, agreed[best], agreed[0]
    return 0, agreed[0], agreed[0]


def _returns(candles: RawCandles, first: int, slots: int, duration: int) -> Floats:
    """Return log-returns by slots of the grid that begins at ``first``; 0 where there is none.

    Returns are bounded at ten times their median size, so that no single crash decides.
    """
    moves = np.diff(np.log(candles.close))
    place = (candles.open_time[1:] - first) // duration
    usable = (np.diff(candles.open_time) == duration) & (place >= 0) & (place < slots)
    moves = moves[usable]
    bound = 10.0 * float(np.median(np.abs(moves))) if moves.size else 0.0
    returns = np.zeros(slots)
    returns[place[usable]] = np.clip(moves, -bound, bound)
    return returns


def _overlap(mine: Floats, theirs: Floats, later: int) -> float:
    """Return the sum of products when the first is moved ``later`` by so many slots."""
    if later < 0:
        return _overlap(theirs, mine, -later)
    return float(np.dot(mine[: mine.shape[0] - later], theirs[later:]))


def _length(shift: Milliseconds) -> str:
    sign = "-" if shift < 0 else "+"
    return f"{sign}{Timeframe(abs(shift))}"
