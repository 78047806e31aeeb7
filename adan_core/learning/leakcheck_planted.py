"""Leaks planted on purpose, so that "clean" means something: each must be caught where it is.

They are the mistakes that trading programs make. Each replaces one stage of the pipeline; the
checker is not told which.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.data.state import StateFrame
from adan_core.domain.candles import Timeframe
from adan_core.learning.leakcheck import Leak, LeakReport
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.leakcheck_stages import (
    ACTION_COLUMNS,
    REGIME_COLUMNS,
    REWARD_COLUMNS,
    Pipeline,
    Played,
    Stage,
)
from adan_core.learning.regime import RegimeHistory
from adan_core.learning.segments import Segment

Floats = NDArray[np.float64]
Values = Callable[[CandleSeries, Floats], Floats]

_HALF: Final = 2  # candles on either side of a centred window


@dataclass(frozen=True, slots=True)
class Caught:
    """What a check made of a planted leak; ``rightly``: found in its stage, column and place."""

    name: str
    stage: Stage
    column: str
    found_in: Stage | None
    leak: Leak | None
    ahead: int
    rightly: bool


@dataclass(frozen=True, slots=True)
class PlantedLeak:
    """A pipeline with one leak, and where it must be found first.

    It reads ``ahead`` candles ahead; None where it reads to the end, so that ``first_bar`` is the
    first that differs.
    """

    name: str
    pipeline: Pipeline
    stage: Stage
    column: str
    ahead: int | None = None
    first_bar: int | None = None

    def judge(self, report: LeakReport) -> Caught:
        """Return what a check of the pipeline, ``report``, made of the leak."""
        cause = report.cause
        leak = cause.leak if cause else None
        if cause is None or leak is None:
            return Caught(self.name, self.stage, self.column, None, None, 0, rightly=False)
        rightly = (
            (cause.stage, leak.column) == (self.stage, self.column)
            and self.ahead in {None, cause.ahead}
            and self.first_bar in {None, leak.bar}
        )
        return Caught(self.name, self.stage, self.column, cause.stage, leak, cause.ahead, rightly)


def planted_leaks(
    pipeline: Pipeline, frame: StateFrame, ladder: tuple[Timeframe, ...], training_stop: int
) -> Iterator[PlantedLeak]:
    """Yield ``pipeline`` with each leak in turn.

    ``frame`` is its honest state, of a series with complete higher candles; ``training_stop`` the
    first row after the training part.
    """
    first_values = _first_values(frame)
    column, since = frame.columns[0], int(first_values[0])

    def in_state(
        name: str,
        place: int,
        values: Values,
        ahead: int | None = None,
        first_bar: int | None = None,
    ) -> PlantedLeak:
        planted = _in_state(pipeline, place, values)
        return PlantedLeak(name, planted, Stage.STATE, frame.columns[place], ahead, first_bar)

    yield in_state("negative shift", 0, _shifted, ahead=1)
    yield in_state("whole-column statistics", 0, _standardised, first_bar=since)
    yield in_state("centred window", 0, _centred, ahead=_HALF)
    latest = int(np.argmax(first_values))
    yield in_state("filled backwards", latest, _filled_backwards, first_bar=0)
    if len(ladder) > 1:
        higher = ladder[1]
        place = next(
            index for index, name in enumerate(frame.columns) if name.startswith(f"{higher}:")
        )
        per_candle = higher.duration // ladder[0].duration
        yield in_state(
            f"a {higher} candle from its opening",
            place,
            lambda series, values: values[_closing_rows(series, higher)],
            ahead=per_candle - 1,
        )
        yield in_state(
            f"a {higher} candle before its close",
            place,
            lambda series, values: _one_early(series, values, higher),
            ahead=1,
        )
        yield in_state(
            f"a {higher} candle while it forms",
            place,
            lambda series, values: _running(series, values, higher),
            ahead=0,
        )
    yield PlantedLeak(
        "scaler fitted on everything",
        replace(pipeline, normaliser=_fitted_on_everything),
        Stage.NORMALISER,
        f"{column} mean",
        first_bar=training_stop - 1,
    )
    yield PlantedLeak(
        "regime smoothed both ways",
        replace(pipeline, regime=lambda series: _smoothed(pipeline.regime(series))),
        Stage.REGIME,
        REGIME_COLUMNS[1],
        ahead=_HALF,
    )
    yield PlantedLeak(
        "an action on the next observation",
        replace(pipeline, play=lambda segment: pipeline.play(_next_observations(segment))),
        Stage.ACTION,
        ACTION_COLUMNS[0],
        ahead=1,
    )
    yield PlantedLeak(
        "a reward one step ahead",
        replace(pipeline, play=lambda segment: _peeking(segment, pipeline.play(segment))),
        Stage.REWARD,
        REWARD_COLUMNS[0],
        ahead=1,
    )


def _first_values(frame: StateFrame) -> NDArray[np.int64]:
    """Return per column the first row that has a value."""
    first: NDArray[np.int64] = np.argmax(~np.isnan(frame.market), axis=0)
    return first


def _in_state(pipeline: Pipeline, place: int, values: Values) -> Pipeline:
    """Return ``pipeline`` with what ``values`` makes of one column of the state."""

    def state(history: History) -> StateFrame:
        frame = pipeline.state(history)
        market = frame.market.copy()
        market[:, place] = values(history.series, market[:, place])
        return replace(frame, market=market)

    return replace(pipeline, state=state)


def _shifted(_series: CandleSeries, values: Floats) -> Floats:
    """Row ``t`` holds what is known one candle later: a shift by -1."""
    return np.append(values[1:], np.nan)


def _standardised(_series: CandleSeries, values: Floats) -> Floats:
    """Mean and deviation of the whole column, its future included."""
    known = values[~np.isnan(values)]
    return (values - known.mean()) / known.std() if known.size else values


def _centred(_series: CandleSeries, values: Floats) -> Floats:
    """A moving average that reaches as far forward as backward."""
    return _mean_around(values)


def _mean_around(values: Floats) -> Floats:
    padded = np.pad(values, ((_HALF, _HALF), *[(0, 0)] * (values.ndim - 1)), mode="edge")
    shifted = [padded[start : start + len(values)] for start in range(2 * _HALF + 1)]
    mean: Floats = np.sum(shifted, axis=0) / len(shifted)
    return mean


def _filled_backwards(_series: CandleSeries, values: Floats) -> Floats:
    """The warm-up filled with the first value that there will be."""
    known = np.flatnonzero(~np.isnan(values))
    return np.where(np.isnan(values), values[known[0]], values) if known.size else values


def _closing_rows(series: CandleSeries, higher: Timeframe) -> NDArray[np.int64]:
    """Return, per row, the last row of the higher candle it lies in."""
    candle = series.open_time // higher.duration
    return np.searchsorted(candle, candle, side="right") - 1


def _one_early(series: CandleSeries, values: Floats, higher: Timeframe) -> Floats:
    """The higher candle shown at the close of the last trading candle but one inside it."""
    closes = series.close_time % higher.duration == 0
    before = np.append(closes[1:], np.False_)
    shown: Floats = np.where(before, np.append(values[1:], np.nan), values)
    return shown


def _running(series: CandleSeries, values: Floats, higher: Timeframe) -> Floats:
    """The higher candle so far: no future in it, but a figure that is not yet what it will be."""
    candle = series.open_time // higher.duration
    opened = series.open[np.searchsorted(candle, candle, side="left")]
    closed = series.close_time % higher.duration == 0
    shown: Floats = np.where(closed | np.isnan(values), values, np.log(series.close / opened))
    return shown


def _fitted_on_everything(history: History, frame: StateFrame, _split: Split) -> Normaliser:
    return Normaliser.fit(frame, 0, len(history.series), history.series.content_hash)


def _smoothed(regimes: RegimeHistory) -> RegimeHistory:
    """Probabilities averaged over the candles before and after."""
    return replace(regimes, probabilities=_mean_around(regimes.probabilities))


def _next_observations(segment: Segment) -> Segment:
    """Each row shows the market as it will be one candle later."""
    return replace(segment, market=np.concatenate([segment.market[1:], segment.market[-1:]]))


def _peeking(segment: Segment, played: Played) -> Played:
    """The reward of a step holds the return of the step after it."""
    rewards = played.rewards.copy()
    rewards[:-1, 0] += np.log(segment.close[2:] / segment.close[1:-1])
    return replace(played, rewards=rewards)
