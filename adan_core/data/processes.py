"""Textbook price processes of known difficulty, to try an agent on: what can be earned is published.

Each is a pure function of its seed and has the same law per candle whatever the timeframe. Net of
0.1 % fee and 5 bp slippage a side, in log-return per 1000 candles, the best that a trader who sees
only prices can earn (and one who sees the hidden state):

    mean-reverting   0.117 (0.137)     drift   0.232 (0.390)     random-walk   0 (0)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adan_core.data.best_action import (
    Integers,
    autoregressive_chain,
    best_exposures,
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
        return best_exposures(self.expected, self.transitions, self.states, cost)


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


def mean_reverting(
    symbol: str,
    timeframe: Timeframe,
    seed: int,
    count: int,
    half_life: float = 24.0,
    deviation: float = 0.015,
    walk: float = 0.0005,
) -> MadePath:
    """Return a log-price that reverts to a random walk.

    ``deviation`` is the stationary one of the reverting part, ``walk`` the walk's per candle.
    """
    generator = np.random.default_rng(seed)
    offset = reverting_part(generator, count, half_life, deviation)
    level = np.cumsum(generator.standard_normal(count) * walk)
    innovation = deviation**2 * (1.0 - 0.25 ** (1.0 / half_life))
    series = _series(symbol, timeframe, generator, level + offset, (walk**2 + innovation) ** 0.5)
    decay = 0.5 ** (1.0 / half_life)
    grid, transitions = autoregressive_chain(decay, deviation)
    return MadePath(series, offset, nearest_cells(grid, offset), (decay - 1.0) * grid, transitions)


def two_state_drift(
    symbol: str,
    timeframe: Timeframe,
    seed: int,
    count: int,
    drift: float = 0.0008,
    volatility: float = 0.005,
    mean_stay: float = 200.0,
) -> MadePath:
    """Return a walk whose drift is ``drift`` or its opposite, each for ``mean_stay`` candles."""
    generator = np.random.default_rng(seed)
    signs = drift_signs(generator, count, mean_stay)
    path = np.cumsum(signs * drift + generator.standard_normal(count) * volatility)
    series = _series(symbol, timeframe, generator, path, volatility)
    stay = 1.0 - 1.0 / mean_stay
    transitions = np.array([[stay, 1.0 - stay], [1.0 - stay, stay]])
    # The next candle's drift may have turned by then.
    expected = transitions @ np.array([-drift, drift])
    return MadePath(series, signs, (signs > 0.0).astype(np.int64), expected, transitions)


def random_walk(
    symbol: str, timeframe: Timeframe, seed: int, count: int, volatility: float = 0.005
) -> MadePath:
    """Return a walk without drift: net of costs nothing beats staying flat."""
    generator = np.random.default_rng(seed)
    path = np.cumsum(generator.standard_normal(count) * volatility)
    series = _series(symbol, timeframe, generator, path, volatility)
    return MadePath(
        series,
        np.zeros(count),
        np.zeros(count, dtype=np.int64),
        np.zeros(1),
        np.ones((1, 1)),
    )


PROCESSES: dict[str, Callable[[str, Timeframe, int, int], MadePath]] = {
    "mean-reverting": mean_reverting,
    "drift": two_state_drift,
    "random-walk": random_walk,
}
"""Processes by name: symbol, timeframe, seed and number of candles make a path."""


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
