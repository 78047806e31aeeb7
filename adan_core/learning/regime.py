"""The one regime detector: causal, scale-free, the same candle by candle as over a whole history.

Each candle advances a handful of recurrences; figures relative to the market's own past go through
a small network, whose answer is one candle's evidence for each regime. A hidden Markov filter turns
evidence into probabilities: how long regimes last and what follows them is in it, so that one
candle against many does not flicker. What is reported changes only when another regime leads by a
margin, a crisis by a larger one. Network and transitions were fitted together on labelled simulated
markets (other seeds than any test; none of them real) and frozen in ``regime_weights.json`` by
``tests/tools/fit_regimes.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import Regime, RegimeReading
from adan_core.learning.regime_features import DRIVERS, FEATURES, features_step, fresh_state
from adan_core.learning.regime_model import REGIMES, RegimeModel, believe, regime_model

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Another regime is reported once it is this much likelier than the one reported so far.
_LEAD = 0.1
# A crisis must lead by more, and is over as soon as it is not the likeliest: of all twentieths the
# largest with which, on each quarter of the simulated markets of seeds 70000-70027, nine crises of
# ten are reported within eight candles after their first.
_LEAD_OF_CRISIS = 0.35
_CRISIS = 0.3
_CRISIS = REGIMES.index(Regime.CRISIS)


@compiled
def _settle(probabilities: Floats, reported: int) -> int:
    """Return the regime to report: the one so far unless another leads it by enough."""
    likeliest = 0
    for regime in range(probabilities.shape[0]):
        if probabilities[regime] > probabilities[likeliest]:
            likeliest = regime
    if reported < 0:
        return likeliest
    lead = _LEAD_OF_CRISIS if likeliest == _CRISIS else 0.0 if reported == _CRISIS else _LEAD
    return likeliest if probabilities[likeliest] > probabilities[reported] + lead else reported


@compiled
def _detect(
    model: RegimeModel,
    state: Floats,
    belief: Floats,
    reported: int,
    high: float,
    low: float,
    close: float,
    features: Floats,
    drivers: Floats,
) -> int:
    """Advance by one candle and return the regime to report, -1 while warming."""
    if not features_step(state, model.levels, high, low, close, features, drivers):
        return -1
    believe(model, features, belief)
    return _settle(belief, reported)


@compiled
def _detect_all(
    model: RegimeModel,
    state: Floats,
    belief: Floats,
    reported: int,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    features: Floats,
    drivers: Floats,
    probabilities: Floats,
    regimes: Integers,
) -> None:
    """Do for each row what ``_detect`` does; rows of ``features`` are NaN while warming."""
    for row in range(closes.shape[0]):
        reported = _detect(
            model,
            state,
            belief,
            reported,
            highs[row],
            lows[row],
            closes[row],
            features[row],
            drivers[row],
        )
        regimes[row] = reported
        if reported >= 0:
            probabilities[row] = belief
        else:
            drivers[row] = np.nan


@dataclass(frozen=True, slots=True, eq=False)
class RegimeHistory:
    """The detector's answer at every candle of a series.

    ``regimes`` (n,) indexes ``REGIMES``, -1 while warming; ``probabilities`` (n, regimes),
    ``features`` (n, features) and ``drivers`` (n, drivers) are NaN there, ``features`` also while
    the market stands still.
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
        self._state = fresh_state()
        self._belief = _even_belief()
        self._features = np.zeros(len(FEATURES), dtype=np.float64)
        self._drivers = np.zeros(len(DRIVERS), dtype=np.float64)
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
            self._model,
            self._state,
            self._belief,
            self._reported,
            candle.high,
            candle.low,
            candle.close,
            self._features,
            self._drivers,
        )
        if regime != self._reported:
            self._reported = regime
            self._since = candle.open_time + self._timeframe.duration
        return self._reading()

    def push_series(self, series: CandleSeries) -> RegimeReading | None:
        """Take in candles at once, to the same state and answer as one by one; None while warming.

        DataError if they begin before the last candle seen.
        """
        if not len(series):
            return self._reading()
        if series.open_time[0] <= self._newest:
            raise DataError("candles that begin before the last one seen", "ascending times")
        self._newest = int(series.open_time[-1])
        seen = _detected(self._model, series, self._state, self._belief, self._reported)
        changed = np.flatnonzero(np.diff(seen.regimes, prepend=self._reported))
        if len(changed):
            self._since = int(series.open_time[changed[-1]]) + self._timeframe.duration
        self._reported = int(seen.regimes[-1])
        self._drivers[:] = seen.drivers[-1]
        return self._reading()

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is carried from candle to candle; ``restore`` takes them back."""
        marks = np.array([self._reported, self._since, self._newest], dtype=np.int64)
        return {"state": self._state.copy(), "belief": self._belief.copy(), "marks": marks}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; the next candle brings the next answer."""
        self._state[:] = memory["state"]
        self._belief[:] = memory["belief"]
        self._reported, self._since, self._newest = memory["marks"].tolist()

    def _reading(self) -> RegimeReading | None:
        if self._reported < 0:
            return None
        return RegimeReading(
            regime=REGIMES[self._reported],
            probabilities=tuple(self._belief.tolist()),
            drivers=tuple(zip(DRIVERS, self._drivers.tolist(), strict=True)),
            since=self._since,
        )


def detect_regimes(series: CandleSeries, model: RegimeModel | None = None) -> RegimeHistory:
    """Return the regime at the close of every candle: the loop over what ``push`` does once."""
    chosen = regime_model() if model is None else model
    return _detected(chosen, series, fresh_state(), _even_belief(), -1)


def _even_belief() -> Floats:
    return np.full(len(REGIMES), 1.0 / len(REGIMES), dtype=np.float64)


def _detected(
    model: RegimeModel, series: CandleSeries, state: Floats, belief: Floats, reported: int
) -> RegimeHistory:
    """Advance ``state`` and ``belief`` over the series and return the answer at every candle."""
    rows = len(series)
    features = np.full((rows, len(FEATURES)), np.nan, dtype=np.float64)
    drivers = np.full((rows, len(DRIVERS)), np.nan, dtype=np.float64)
    probabilities = np.full((rows, len(REGIMES)), np.nan, dtype=np.float64)
    regimes = np.empty(rows, dtype=np.int64)
    _detect_all(
        model,
        state,
        belief,
        reported,
        series.high,
        series.low,
        series.close,
        features,
        drivers,
        probabilities,
        regimes,
    )
    return RegimeHistory(regimes, probabilities, features, drivers)
