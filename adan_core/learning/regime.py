"""The one regime detector: causal, scale-free, the same candle by candle as over a whole history.

Each candle advances a handful of recurrences; fifteen figures relative to the market's own past go
through a multinomial logistic model whose weights were fitted on labelled simulated markets (other
seeds than any test) and frozen in ``regime_weights.json``. What is reported changes only when
another regime leads by a margin, so that a toss-up does not flicker; the probabilities are the
model's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import RegimeReading
from adan_core.indicators import recurrences as steps
from adan_core.indicators.windows import lag_step
from adan_core.learning.regime_model import FEATURES, REGIMES, RegimeModel, regime_model

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRIVERS: Final = ("ATR %", "RSI", "ADX", "volatility ratio")
WARM_UP: Final = 480
"""Candles before the first reading: half the span of the long volatility all else is relative to."""

_BASELINE = 960.0
_PERIOD = 14.0
_LAG = 48
# Another regime is reported once it is this much likelier than the one reported so far.
_MARGIN = 0.15

# The detector's state, one float64 vector.
_COUNT = 0
_PREVIOUS = 1
_VARIANCES = 2  # over 6, 24, 96, 288 and 960 candles
_TRENDS = 7  # over 6, 12, 48 and 144 candles
_LONG_MOVE = 11
_RANGE = 12
_STRENGTH = 17
_DIRECTION = 25
_MEMORY = 34
_STATE_SIZE = _MEMORY + 1 + _LAG


@compiled
def _running_mean(state: Floats, slot: int, count: float, period: float, value: float) -> float:
    """Exponential mean that begins as the plain mean of what there is."""
    state[slot] += (value - state[slot]) / min(count, period)
    return float(state[slot])


@compiled
def _features(  # noqa: PLR0915 - one statement per recurrence, in the order of the state
    state: Floats, high: float, low: float, close: float, out: Floats, drivers: Floats
) -> bool:
    """Advance the state by one closed candle; whether ``out`` and ``drivers`` are valid yet."""
    average_range = steps.average_true_range_step(
        state[_RANGE : _RANGE + 5], _PERIOD, high, low, close
    )
    strength = steps.relative_strength_step(state[_STRENGTH : _STRENGTH + 8], _PERIOD, close)
    index, direction = steps.directional_step(
        state[_DIRECTION : _DIRECTION + 9], _PERIOD, high, low, close
    )
    former = lag_step(state[_MEMORY:], float(_LAG), close)
    previous = state[_PREVIOUS]
    state[_PREVIOUS] = close
    if previous == 0.0:
        return False
    state[_COUNT] += 1.0
    count = state[_COUNT]
    move = np.log(close / previous)
    # The move is measured against the volatility before it, lest it hide behind itself.
    scale = np.sqrt(state[_VARIANCES + 1])
    shock = max(-6.0, min(6.0, move / scale)) if scale > 0.0 else 0.0
    squared = move * move
    very_short = _running_mean(state, _VARIANCES, count, 6.0, squared)
    short = _running_mean(state, _VARIANCES + 1, count, 24.0, squared)
    medium = _running_mean(state, _VARIANCES + 2, count, 96.0, squared)
    long = _running_mean(state, _VARIANCES + 3, count, 288.0, squared)
    baseline = _running_mean(state, _VARIANCES + 4, count, _BASELINE, squared)
    trend_6 = _running_mean(state, _TRENDS, count, 6.0, shock) * np.sqrt(6.0)
    trend_12 = _running_mean(state, _TRENDS + 1, count, 12.0, shock) * np.sqrt(12.0)
    trend_48 = _running_mean(state, _TRENDS + 2, count, 48.0, shock) * np.sqrt(48.0)
    trend_144 = _running_mean(state, _TRENDS + 3, count, 144.0, shock) * np.sqrt(144.0)
    if not np.isnan(former):
        long_move = np.log(close / former)
        _running_mean(state, _LONG_MOVE, count - _LAG + 1.0, 288.0, long_move * long_move)
    if count < WARM_UP:
        return False
    # A market that stood still has no volatility to compare: nothing is relative to it.
    if baseline <= 0.0 or very_short <= 0.0 or short <= 0.0 or medium <= 0.0 or long <= 0.0:
        out[:] = 0.0
        ratio = 1.0
    else:
        out[0] = 0.5 * np.log(very_short / baseline)
        out[1] = 0.5 * np.log(short / baseline)
        out[2] = 0.5 * np.log(medium / baseline)
        out[3] = trend_12
        out[4] = trend_48
        out[5] = trend_144
        out[6] = abs(trend_48)
        out[7] = abs(trend_144)
        out[8] = 0.5 * np.log(max(state[_LONG_MOVE], 1e-6 * long) / (_LAG * long))
        out[9] = strength / 50.0 - 1.0
        out[10] = direction / 100.0
        out[11] = index / 100.0
        out[12] = out[1] * out[1]
        out[13] = out[2] * out[2]
        out[14] = max(0.0, -trend_6)
        ratio = np.sqrt(short / baseline)
    drivers[0] = 100.0 * average_range / close
    drivers[1] = strength
    drivers[2] = index
    drivers[3] = ratio
    return True


@compiled
def _classify(features: Floats, weights: Floats, bias: Floats, out: Floats) -> None:
    """Write the probabilities of the regimes, which sum to 1, into ``out``."""
    highest = -np.inf
    for regime in range(out.shape[0]):
        score = bias[regime]
        for column in range(features.shape[0]):
            score += weights[regime, column] * features[column]
        out[regime] = score
        highest = max(highest, score)
    total = 0.0
    for regime in range(out.shape[0]):
        out[regime] = np.exp(out[regime] - highest)
        total += out[regime]
    for regime in range(out.shape[0]):
        out[regime] /= total


@compiled
def _settle(probabilities: Floats, reported: int) -> int:
    """Return the regime to report: the one so far unless another leads it by the margin."""
    likeliest = 0
    for regime in range(probabilities.shape[0]):
        if probabilities[regime] > probabilities[likeliest]:
            likeliest = regime
    if reported < 0 or probabilities[likeliest] > probabilities[reported] + _MARGIN:
        return likeliest
    return reported


@compiled
def _detect(
    state: Floats,
    reported: int,
    weights: Floats,
    bias: Floats,
    high: float,
    low: float,
    close: float,
    features: Floats,
    drivers: Floats,
    probabilities: Floats,
) -> int:
    """Advance by one candle and return the regime to report, -1 while warming."""
    if not _features(state, high, low, close, features, drivers):
        return -1
    _classify(features, weights, bias, probabilities)
    return _settle(probabilities, reported)


@compiled
def _detect_all(
    state: Floats,
    reported: int,
    weights: Floats,
    bias: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    features: Floats,
    drivers: Floats,
    probabilities: Floats,
    regimes: Integers,
) -> None:
    for row in range(closes.shape[0]):
        reported = _detect(
            state,
            reported,
            weights,
            bias,
            highs[row],
            lows[row],
            closes[row],
            features[row],
            drivers[row],
            probabilities[row],
        )
        regimes[row] = reported


@dataclass(frozen=True, slots=True, eq=False)
class RegimeHistory:
    """The detector's answer at every candle of a series.

    ``regimes`` (n,) indexes ``REGIMES``, -1 while warming; ``probabilities`` (n, regimes),
    ``features`` (n, features) and ``drivers`` (n, drivers) are NaN there.
    """

    regimes: Integers
    probabilities: Floats
    features: Floats
    drivers: Floats


class RegimeDetector:
    """The detector for one symbol, fed one closed candle at a time."""

    def __init__(self, timeframe: Timeframe) -> None:
        self._model = regime_model()
        self._timeframe = timeframe
        self._state = np.zeros(_STATE_SIZE, dtype=np.float64)
        self._features = np.zeros(len(FEATURES), dtype=np.float64)
        self._drivers = np.zeros(len(DRIVERS), dtype=np.float64)
        self._probabilities = np.zeros(len(REGIMES), dtype=np.float64)
        self._reported = -1
        self._since = 0
        self._newest = -1

    def push(self, candle: Candle) -> RegimeReading | None:
        """Return the regime at the close of ``candle``, None while warming.

        DataError if the candle is not newer than the last.
        """
        if candle.open_time <= self._newest:
            raise DataError(
                f"a candle of {candle.open_time} after one of {self._newest}", "ascending times"
            )
        self._newest = candle.open_time
        regime = _detect(
            self._state,
            self._reported,
            self._model.weights,
            self._model.bias,
            candle.high,
            candle.low,
            candle.close,
            self._features,
            self._drivers,
            self._probabilities,
        )
        if regime != self._reported:
            self._reported = regime
            self._since = candle.open_time + self._timeframe.duration
        return self._reading()

    def push_series(self, series: CandleSeries) -> RegimeReading | None:
        """Take in candles at once, to the same state and answer as one by one; None while warming.

        DataError if they begin before the last candle seen.
        """
        rows = len(series)
        if not rows:
            return self._reading()
        if series.open_time[0] <= self._newest:
            raise DataError("candles that begin before the last one seen", "ascending times")
        self._newest = int(series.open_time[-1])
        features = np.empty((rows, len(FEATURES)), dtype=np.float64)
        drivers = np.empty((rows, len(DRIVERS)), dtype=np.float64)
        probabilities = np.empty((rows, len(REGIMES)), dtype=np.float64)
        regimes = np.empty(rows, dtype=np.int64)
        _detect_all(
            self._state,
            self._reported,
            self._model.weights,
            self._model.bias,
            series.high,
            series.low,
            series.close,
            features,
            drivers,
            probabilities,
            regimes,
        )
        changed = np.flatnonzero(np.diff(regimes, prepend=self._reported))
        if len(changed):
            self._since = int(series.open_time[changed[-1]]) + self._timeframe.duration
        self._reported = int(regimes[-1])
        self._features[:] = features[-1]
        self._drivers[:] = drivers[-1]
        self._probabilities[:] = probabilities[-1]
        return self._reading()

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is carried from candle to candle; ``restore`` takes them back."""
        marks = np.array([self._reported, self._since, self._newest], dtype=np.int64)
        return {"state": self._state.copy(), "marks": marks}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; the next candle brings the next answer."""
        self._state[:] = memory["state"]
        self._reported, self._since, self._newest = memory["marks"].tolist()

    def _reading(self) -> RegimeReading | None:
        if self._reported < 0:
            return None
        return RegimeReading(
            regime=REGIMES[self._reported],
            probabilities=tuple(self._probabilities.tolist()),
            drivers=tuple(zip(DRIVERS, self._drivers.tolist(), strict=True)),
            since=self._since,
        )


def detect_regimes(series: CandleSeries, model: RegimeModel | None = None) -> RegimeHistory:
    """Return the regime at the close of every candle: the loop over what ``push`` does once."""
    chosen = regime_model() if model is None else model
    rows = len(series)
    features = np.full((rows, len(FEATURES)), np.nan, dtype=np.float64)
    drivers = np.full((rows, len(DRIVERS)), np.nan, dtype=np.float64)
    probabilities = np.full((rows, len(REGIMES)), np.nan, dtype=np.float64)
    regimes = np.empty(rows, dtype=np.int64)
    _detect_all(
        np.zeros(_STATE_SIZE, dtype=np.float64),
        -1,
        chosen.weights,
        chosen.bias,
        series.high,
        series.low,
        series.close,
        features,
        drivers,
        probabilities,
        regimes,
    )
    return RegimeHistory(regimes, probabilities, features, drivers)
