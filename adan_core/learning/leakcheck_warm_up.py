"""How many candles until a feature does not depend any more on where the history begins.

A mean over a window forgets what leaves the window; a recursive one (Wilder's, exponential) never
forgets entirely, it only fades. So the pipeline is run from several beginnings and compared, row
by row, with the run from the first candle: to a tolerance, and to the bit if they ever agree so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_stages import REGIME_COLUMNS, Pipeline, Stage

Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-9
_BEGINNINGS = 8


@dataclass(frozen=True, slots=True)
class ColumnWarmUp:
    """One column of a stage; counts are candles since the history's beginning, None: never within it.

    ``first_value`` is the latest first value of all beginnings, ``agrees`` the smallest count from
    which on all of them agree with the run from the first candle to the tolerance, ``bit_equal``
    the same to the bit.
    """

    stage: Stage
    column: str
    first_value: int | None
    agrees: int | None
    bit_equal: int | None


@dataclass(frozen=True, slots=True)
class WarmUpReport:
    """All columns; ``within`` is how many candles the shortest run had, ``beginnings`` its starts.

    Two values agree if they differ by less than ``tolerance`` times the larger of the value and
    the column's standard deviation.
    """

    tolerance: float
    within: int
    beginnings: tuple[int, ...]
    columns: tuple[ColumnWarmUp, ...]

    def later_than(self, candles: int) -> tuple[ColumnWarmUp, ...]:
        """Return the state's columns that still depend on the beginning after ``candles`` candles."""
        return tuple(
            each
            for each in self.columns
            if each.stage is Stage.STATE and (each.agrees is None or each.agrees > candles)
        )


def measure_warm_up(
    pipeline: Pipeline, history: History, seed: int, progress: Callable[[float], None]
) -> WarmUpReport:
    """Run state and regime of ``history`` from several beginnings in its first half, and compare."""
    series = history.series
    rng = np.random.default_rng([seed, len(series)])
    drawn = rng.integers(1, max(len(series) // 2, 2), _BEGINNINGS)
    beginnings = tuple(sorted({int(start) for start in drawn}))
    names, whole = _run(pipeline, history)
    spread = np.nanstd(whole, axis=0)
    counts = np.zeros((3, len(names)), dtype=np.int64)
    for number, start in enumerate(beginnings):
        progress(number / len(beginnings))
        _, rows = _run(pipeline, History(series.slice(start, len(series)), history.external))
        reference = whole[start:]
        both = ~np.isnan(rows)
        scale = np.maximum(np.maximum(np.abs(rows), np.abs(reference)), spread)
        close = both & (np.abs(rows - reference) <= TOLERANCE * scale)
        for place, holds in enumerate((both, close, both & (rows == reference))):
            counts[place] = np.maximum(counts[place], _since(holds))
    progress(1.0)
    within = len(series) - beginnings[-1]
    never = counts > within
    return WarmUpReport(
        TOLERANCE,
        within,
        beginnings,
        tuple(
            ColumnWarmUp(
                stage,
                name,
                *(None if never[row, place] else int(counts[row, place]) for row in range(3)),
            )
            for place, (stage, name) in enumerate(names)
        ),
    )


def _run(pipeline: Pipeline, history: History) -> tuple[list[tuple[Stage, str]], Floats]:
    frame = pipeline.state(history)
    regimes = pipeline.regime(history.series)
    names = [(Stage.STATE, name) for name in frame.columns]
    names += [(Stage.REGIME, name) for name in REGIME_COLUMNS[1:]]
    return names, np.concatenate([frame.market, regimes.probabilities], axis=1)


def _since(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, per column, the smallest count of rows from which on ``holds`` to the last row."""
    fails = ~holds[::-1]
    trailing = np.where(fails.any(axis=0), np.argmax(fails, axis=0), len(holds))
    # As many rows hold at the end: the first of them is this one, counted from 1.
    return (len(holds) - trailing + 1).astype(np.int64)
