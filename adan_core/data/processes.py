"""Textbook price processes of known difficulty, to try an agent on: what can be earned is published.

Each is a pure function of its seed and has the same law per candle whatever the timeframe. Net of
0.1 % fee and 5 bp slippage a side, in log-return per 1000 candles, the best that a trader who sees
only prices can earn (and one who sees the hidden state):

    mean-reverting   0.117 (0.137)     mean-reverting-hard   0.031 (0.065)
    drift            0.232 (0.390)     drift-weak            0.101 (0.240)     random-walk   0 (0)

``learning/optimum.py`` computes these figures.
"""

from dataclasses import dataclass

import numpy as np

from adan_core.data.best_action import (
    Integers,
    autoregressive_chain,
    best_rule,
    nearest_cells,
)
from adan_core.data.paths import Floats, candles_along, first_open, stationary_autoregression
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe

FIRST_PRICE = 1_000.0
# As fine as floats allow, so that the published figures are not blurred by rounding.
TICK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class MadePath:
    """Candles and what made them.

    ``hidden`` (n,) is the state behind each close: the reverting part's log-deviation, the drift's
    sign, 0 for the random walk. As a Markov chain: ``states`` (n,) are its places at each close,
    ``expected`` (S,) the mean log-return of the candle after each, ``transitions`` (S, S).
    """

    series: CandleSeries
    hidden: Floats
    states: Integers
    expected: Floats
    transitions: Floats

    def best_exposures(self, cost: float) -> Floats:
        """Return the best exposure after each close for who sees ``hidden``, shape (n,).

        ``cost`` is the log-return that one side of a trade costs.
        """
        return best_rule(self.expected, self.transitions, cost).follow(self.states)


def reverting_part(
    generator: np.random.Generator, count: int, half_life: float, deviation: float
) -> Floats:
    """Return a stationary Ornstein-Uhlenbeck path, shape (n,); ``half_life`` in candles."""
    decay = 0.5 ** (1.0 / half_life)
    return deviation * stationary_autoregression(generator.standard_normal(count), decay)


def drift_signs(generator: np.random.Generator, count: int, mean_stay: float) -> Floats:
    """Return +1 or -1 for each candle, shape (n,); either stays ``mean_stay`` candles on average."""
    switch = generator.random(count) < 1.0 / mean_stay
    return np.where((np.cumsum(switch) + generator.integers(2)) % 2 == 0, 1.0, -1.0)


@dataclass(frozen=True, slots=True)
class MeanReverting:
    """A log-price that reverts to a random walk.

    ``half_life`` in candles; ``deviation`` is the stationary one of the reverting part, ``walk`` the
    walk's per candle, both in log-price.
    """

    half_life: float = 24.0
    deviation: float = 0.015
    walk: float = 0.0005

    @property
    def decay(self) -> float:
        """What is left of a deviation after one candle."""
        return float(0.5 ** (1.0 / self.half_life))

    @property
    def innovation(self) -> float:
        """Deviation of what each candle adds to the reverting part."""
        return float(self.deviation * (1.0 - self.decay**2) ** 0.5)

    def path(self, symbol: str, timeframe: Timeframe, seed: int, count: int) -> MadePath:
        """Return ``count`` candles and the reverting part behind each."""
        generator = np.random.default_rng(seed)
        offset = reverting_part(generator, count, self.half_life, self.deviation)
        level = np.cumsum(generator.standard_normal(count) * self.walk)
        spread = (self.walk**2 + self.innovation**2) ** 0.5
        series = _series(symbol, timeframe, generator, level + offset, spread)
        grid, transitions = autoregressive_chain(self.decay, self.deviation)
        states = nearest_cells(grid, offset)
        return MadePath(series, offset, states, (self.decay - 1.0) * grid, transitions)


@dataclass(frozen=True, slots=True)
class TwoStateDrift:
    """A walk whose drift is ``drift`` or its opposite, each for ``mean_stay`` candles on average.

    ``drift`` and ``volatility`` in log-price per candle.
    """

    drift: float = 0.0008
    volatility: float = 0.005
    mean_stay: float = 200.0

    @property
    def stay(self) -> float:
        """The probability that the drift is the same for one more candle."""
        return 1.0 - 1.0 / self.mean_stay

    def path(self, symbol: str, timeframe: Timeframe, seed: int, count: int) -> MadePath:
        """Return ``count`` candles and the drift's sign within each."""
        generator = np.random.default_rng(seed)
        signs = drift_signs(generator, count, self.mean_stay)
        path = np.cumsum(signs * self.drift + generator.standard_normal(count) * self.volatility)
        series = _series(symbol, timeframe, generator, path, self.volatility)
        leave = 1.0 - self.stay
        transitions = np.array([[self.stay, leave], [leave, self.stay]])
        # The next candle's drift may have turned by then.
        expected = transitions @ np.array([-self.drift, self.drift])
        return MadePath(series, signs, (signs > 0.0).astype(np.int64), expected, transitions)


@dataclass(frozen=True, slots=True)
class RandomWalk:
    """A walk without drift, ``volatility`` a candle: net of costs nothing beats staying flat."""

    volatility: float = 0.005

    def path(self, symbol: str, timeframe: Timeframe, seed: int, count: int) -> MadePath:
        """Return ``count`` candles; behind them there is nothing to see."""
        generator = np.random.default_rng(seed)
        path = np.cumsum(generator.standard_normal(count) * self.volatility)
        series = _series(symbol, timeframe, generator, path, self.volatility)
        nowhere = np.zeros(count, dtype=np.int64)
        return MadePath(series, np.zeros(count), nowhere, np.zeros(1), np.ones((1, 1)))


Process = MeanReverting | TwoStateDrift | RandomWalk

PROCESSES: dict[str, Process] = {
    "mean-reverting": MeanReverting(),
    "mean-reverting-hard": MeanReverting(deviation=0.008, walk=0.001),
    "drift": TwoStateDrift(),
    "drift-weak": TwoStateDrift(drift=0.0005),
    "random-walk": RandomWalk(),
}
"""The published processes by name."""


def _series(
    symbol: str,
    timeframe: Timeframe,
    generator: np.random.Generator,
    path: Floats,
    deviation: float,
) -> CandleSeries:
    """Return candles that close along ``path``, log-prices relative to ``FIRST_PRICE``."""
    begin = np.log(FIRST_PRICE) + np.concatenate(([0.0], path[:-1]))
    return candles_along(
        generator,
        symbol,
        timeframe,
        first_open(timeframe),
        begin,
        np.diff(path, prepend=0.0),
        np.full(path.shape, deviation),
        TICK,
    )
