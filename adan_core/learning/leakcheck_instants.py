"""The instants at which the leak checker looks: the awkward ones first, the rest at every position.

A leak that every row has is seen at any instant: the row of the instant itself reads what was
changed. A leak that only some rows have, because of where they lie inside a higher candle, is seen
at an instant in the same position; so the instants that are left over after the awkward ones go
round all positions inside the slowest candle.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.domain.candles import Timeframe

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Instant:
    """The close of candle ``bar``, and why it was chosen; what follows it is changed."""

    bar: int
    why: str


def choose_instants(
    series: CandleSeries,
    ladder: tuple[Timeframe, ...],
    ready: int,
    split: Split,
    count: int,
    seed: int,
) -> tuple[Instant, ...]:
    """Return ``count`` instants, in order, or as many as there are awkward ones if those are more.

    Every instant has a candle after it. ``ready`` is the first row that has every column.
    """
    rng = np.random.default_rng([seed, len(series)])
    chosen: dict[int, str] = {}
    for bar, why in _awkward(series, ladder, ready, split, rng):
        if 0 <= bar < len(series) - 1:
            chosen.setdefault(bar, why)
    for bar in _at_every_position(series, ladder[-1], rng):
        if len(chosen) >= count:
            break
        chosen.setdefault(bar, "anywhere")
    return tuple(Instant(bar, chosen[bar]) for bar in sorted(chosen))


def _awkward(
    series: CandleSeries,
    ladder: tuple[Timeframe, ...],
    ready: int,
    split: Split,
    rng: np.random.Generator,
) -> Iterator[tuple[int, str]]:
    yield int(rng.integers(max(ready, 1))), "warming up"
    yield ready - 1, "before the first ready candle"
    yield ready, "the first ready candle"
    for name, bar in (("training", split.training.stop), ("validation", split.validation.stop)):
        yield bar - 1, f"the last candle of the {name} part"
        yield bar, f"after the {name} part"
    for higher in ladder[1:]:
        closing = _whole_candles(series, higher)
        closing = closing[closing > ready] if (closing > ready).any() else closing
        if closing.size:
            bar = int(rng.choice(closing))
            yield bar - 1, f"before a {higher} candle closes"
            yield bar, f"a {higher} candle closes"
            yield bar + 1, f"after a {higher} candle closed"
    gaps = np.flatnonzero(np.diff(series.open_time) > series.timeframe.duration)
    if gaps.size:
        largest = int(gaps[np.argmax(np.diff(series.open_time)[gaps])])
        for bar in (largest, int(rng.choice(gaps))):
            yield bar, "before a gap"
            yield bar + 1, "after a gap"
    yield len(series) - 2, "the last candle but one"


def _whole_candles(series: CandleSeries, higher: Timeframe) -> Integers:
    """Return the rows at which a higher candle closes of which no part is missing."""
    per_candle = higher.duration // series.timeframe.duration
    closing = np.flatnonzero(series.close_time % higher.duration == 0)
    closing = closing[closing >= per_candle - 1]
    first = series.open_time[closing - per_candle + 1]
    whole: Integers = closing[first == series.close_time[closing] - higher.duration]
    return whole


def _at_every_position(
    series: CandleSeries, slowest: Timeframe, rng: np.random.Generator
) -> Iterator[int]:
    """Yield random rows, one after the other at each position inside the slowest candle."""
    position = (series.open_time % slowest.duration) // series.timeframe.duration
    positions = rng.permutation(np.unique(position[:-1]))
    rows = [rng.permutation(np.flatnonzero(position[:-1] == each)) for each in positions]
    for turn in range(max((len(each) for each in rows), default=0)):
        for each in rows:
            if turn < len(each):
                yield int(each[turn])
