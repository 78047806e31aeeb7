"""What the leak checker does to everything after an instant: other candles, absurd ones, fewer, more.

Each change touches the very first candle after the instant. Together they drive price and volume
far beyond what was, both ways, so that it shows through any window, also through one that looks
only for the highest or the lowest: whatever a row reads, one candle ahead or a thousand, comes out
with other bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.external import ExternalData
from adan_core.data.series import CandleSeries, concatenate
from adan_core.domain.time import Milliseconds

Floats = NDArray[np.float64]

# A price level and a swing that no market reaches; float64 has room for them many times over.
_FAR = 1e3
_ABSURD = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What a pipeline runs on: candles, and per external column what was known of it, and when."""

    series: CandleSeries
    external: Mapping[str, ExternalData]


class Change(StrEnum):
    """One way to change all that follows."""

    PATH = "another path"
    RISE = "a leap up"
    FALL = "a leap down"
    STORM = "absurd candles"
    GAP = "candles missing"
    FILL = "candles added"
    END = "nothing follows"


def changed(history: History, kept: int, change: Change, length: int, seed: int) -> History:
    """Return the first ``kept`` (>= 1) candles of ``history`` and at most ``length`` changed ones.

    External values known after the close of the last candle kept are changed, too.
    """
    series = history.series
    rng = np.random.default_rng([seed, kept, list(Change).index(change)])
    following = _CHANGES[change](series, kept, length, rng)
    last = int(series.close_time[kept - 1])
    external = {
        name: _external(data, last, change, length, series.timeframe.duration, rng)
        for name, data in history.external.items()
    }
    return History(concatenate([series.slice(0, kept), following]), external)


def _path(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    """Other candles at the same times, as a market might well have made them."""
    return _walk(series, kept, series.open_time[kept : kept + length], rng)


def _rise(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    return _leap(series, slice(kept, kept + length), _FAR, rng)


def _fall(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    return _leap(series, slice(kept, kept + length), 1.0 / _FAR, rng)


def _leap(
    series: CandleSeries, rows: slice, factor: float, rng: np.random.Generator
) -> CandleSeries:
    """The same moves on another level of prices, with far more volume."""
    volume = series.volume[rows]
    return CandleSeries(
        series.symbol,
        series.timeframe,
        series.open_time[rows],
        series.open[rows] * factor,
        series.high[rows] * factor,
        series.low[rows] * factor,
        series.close[rows] * factor,
        (volume + rng.uniform(0.1, 1.0, len(volume)) * max(series.volume.mean(), 1.0)) * _FAR,
        series.synthetic,
    )


def _storm(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    """Prices that leap down and up by orders of magnitude, volumes of nothing and of far too much."""
    open_time = series.open_time[kept : kept + length]
    turns = -((-1.0) ** np.arange(len(open_time)))
    level = series.close[kept - 1] * rng.uniform(0.9, 1.1, len(open_time))
    return CandleSeries(
        series.symbol,
        series.timeframe,
        open_time,
        level * _FAR ** (-turns),
        level * _ABSURD,
        level / _ABSURD,
        level * _FAR**turns,
        np.where(turns > 0.0, _ABSURD * (1.0 + series.volume[:kept].max()), 0.0),
        series.synthetic,
    )


def _gap(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    """An outage right after the instant; then the market goes on as it did."""
    missing = 1 + int(rng.integers(max(length // 2, 1)))
    return series.slice(min(kept + missing, len(series)), min(kept + length, len(series)))


def _fill(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:
    """A candle at every time there can be one, beyond the end of the series, too."""
    duration = series.timeframe.duration
    open_time = series.open_time[kept - 1] + duration * np.arange(1, length + 1)
    return _walk(series, kept, open_time, rng)


def _end(series: CandleSeries, kept: int, length: int, rng: np.random.Generator) -> CandleSeries:  # noqa: ARG001
    """No candle any more."""
    return series.slice(kept, kept)


_CHANGES: Final[
    Mapping[Change, Callable[[CandleSeries, int, int, np.random.Generator], CandleSeries]]
] = {
    Change.PATH: _path,
    Change.RISE: _rise,
    Change.FALL: _fall,
    Change.STORM: _storm,
    Change.GAP: _gap,
    Change.FILL: _fill,
    Change.END: _end,
}


def _walk(
    series: CandleSeries, kept: int, open_time: NDArray[np.int64], rng: np.random.Generator
) -> CandleSeries:
    """Return a random walk from the last close kept, as lively as the candles before it."""
    count = len(open_time)
    moves = np.diff(np.log(series.close[max(kept - 500, 0) : kept]))
    deviation = max(float(moves.std()) if len(moves) else 0.0, 1e-4)
    close = series.close[kept - 1] * np.exp(np.cumsum(deviation * rng.standard_normal(count)))
    open_price = np.concatenate([series.close[kept - 1 : kept], close[:-1]])[:count]
    reach = np.exp(deviation * np.abs(rng.standard_normal((2, count))))
    usual = float(series.volume[max(kept - 500, 0) : kept].mean())
    return CandleSeries(
        series.symbol,
        series.timeframe,
        open_time,
        open_price,
        np.maximum(open_price, close) * reach[0],
        np.minimum(open_price, close) / reach[1],
        close,
        max(usual, 1e-3) * rng.lognormal(0.0, 0.5, count),
        series.synthetic,
    )


def _external(
    data: ExternalData,
    last: Milliseconds,
    change: Change,
    length: int,
    step: Milliseconds,
    rng: np.random.Generator,
) -> ExternalData:
    """Return ``data`` as known by ``last``, and other values from the next millisecond on."""
    kept = int(np.searchsorted(data.known_at, last, side="right"))
    known_at, value = data.known_at[:kept], data.value[:kept]
    if change is Change.GAP:
        later = data.known_at > last + (length // 2) * step
        known_at = np.concatenate([known_at, data.known_at[later]])
        value = np.concatenate([value, data.value[later]])
    elif change is not Change.END:
        known_at = np.concatenate([known_at, last + 1 + step * np.arange(length)])
        extent = 1.0 if change in {Change.PATH, Change.FILL} else _ABSURD
        drawn = extent * (1.0 + np.abs(data.value).max(initial=1.0)) * rng.standard_normal(length)
        value = np.concatenate([value, drawn])
    return ExternalData(data.name, known_at, value)
