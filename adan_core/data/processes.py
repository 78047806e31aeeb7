"""Textbook price processes of known difficulty, to try an agent on: what can be earned is published.

Each is a pure function of its seed and has the same law per candle whatever the timeframe. Net of
0.1 % fee and 5 bp slippage a side, in log-return per 1000 candles, the best that a trader who sees
only prices can earn (and one who sees the hidden state):

    mean-reverting   0.117 (0.137)     drift   0.232 (0.390)     random-walk   0 (0)
"""

from collections.abc import Callable

import numpy as np

from adan_core.data.paths import Floats, candles_along, first_open, stationary_autoregression
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe

FIRST_PRICE = 1_000.0
# As fine as floats allow, so that the published figures are not blurred by rounding.
_TICK = 1e-9


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
) -> CandleSeries:
    """Return a log-price that reverts to a random walk.

    ``deviation`` is the stationary one of the reverting part, ``walk`` the walk's per candle.
    """
    generator = np.random.default_rng(seed)
    offset = reverting_part(generator, count, half_life, deviation)
    level = np.cumsum(generator.standard_normal(count) * walk)
    innovation = deviation**2 * (1.0 - 0.25 ** (1.0 / half_life))
    return _series(symbol, timeframe, generator, level + offset, (walk**2 + innovation) ** 0.5)


def two_state_drift(
    symbol: str,
    timeframe: Timeframe,
    seed: int,
    count: int,
    drift: float = 0.0008,
    volatility: float = 0.005,
    mean_stay: float = 200.0,
) -> CandleSeries:
    """Return a walk whose drift is ``drift`` or its opposite, each for ``mean_stay`` candles."""
    generator = np.random.default_rng(seed)
    signs = drift_signs(generator, count, mean_stay)
    path = np.cumsum(signs * drift + generator.standard_normal(count) * volatility)
    return _series(symbol, timeframe, generator, path, volatility)


def random_walk(
    symbol: str, timeframe: Timeframe, seed: int, count: int, volatility: float = 0.005
) -> CandleSeries:
    """Return a walk without drift: net of costs nothing beats staying flat."""
    generator = np.random.default_rng(seed)
    path = np.cumsum(generator.standard_normal(count) * volatility)
    return _series(symbol, timeframe, generator, path, volatility)


PROCESSES: dict[str, Callable[[str, Timeframe, int, int], CandleSeries]] = {
    "mean-reverting": mean_reverting,
    "drift": two_state_drift,
    "random-walk": random_walk,
}
"""Processes by name: symbol, timeframe, seed and number of candles make a series."""


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
        _TICK,
    )
