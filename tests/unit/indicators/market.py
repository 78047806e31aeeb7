"""Random candles for the indicators' tests, and running one indicator over them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.indicators.program import assemble, run_batch
from adan_core.indicators.table import INDICATORS

Floats = NDArray[np.float64]


class Columns(NamedTuple):
    """Candles by column."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


SHORT = {
    "period": 4,
    "fast": 3,
    "slow": 6,
    "signal": 2,
    "lag": 2,
    "window": 5,
    "smoothing": 3,
    "short": 3,
    "long": 9,
    "deviations": 2.0,
    "acceleration": 0.02,
    "maximum": 0.2,
}
# Every indicator of the table with short parameters.
EVERY = [
    (name, tuple(SHORT[parameter] for parameter in indicator.parameters))
    for name, indicator in INDICATORS.items()
]


def random_candles(seed: int, count: int = 600) -> Columns:
    """Return a random walk near 30 000."""
    random = np.random.default_rng(seed)
    close = 30_000.0 * np.exp(np.cumsum(random.standard_normal(count) * 0.25 / np.sqrt(count)))
    open_price = np.concatenate([[30_000.0], close[:-1]])
    spread = np.abs(random.standard_normal((2, count))) * 0.004
    high = np.maximum(open_price, close) * (1.0 + spread[0])
    low = np.minimum(open_price, close) * (1.0 - spread[1])
    return Columns(open_price, high, low, close, random.lognormal(2.0, 1.0, count))


def values(name: str, parameters: tuple[float, ...], columns: Columns) -> Floats:
    """Return one indicator over candle columns: shape (candles,)."""
    return run_batch(assemble([(name, parameters)]), *columns)[:, 0]
