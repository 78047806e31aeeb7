"""Arithmetic of simulated price paths: recurrences, and candles along a path, on the tick."""

from math import ceil, log, log10

import numpy as np
from numpy.typing import NDArray

from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import MINUTE, Milliseconds

Floats = NDArray[np.float64]

REFERENCE = Timeframe(5 * MINUTE)
"""The timeframe that parameters per candle are stated for."""
EPOCH: Milliseconds = 1_704_067_200_000
"""Simulated time begins at 2024-01-01T00:00:00Z."""
STEPS = 12
_NOTIONAL = 400_000.0  # quote currency traded in a quiet five-minute candle


def decayed_sum(innovation: Floats, decay: float) -> Floats:
    """Return ``x`` with ``x[t] = decay * x[t-1] + innovation[t]`` and ``x[-1] = 0``, shape (n,).

    Solved in blocks, within which ``decay ** -t`` stays far from overflow; 0 < ``decay`` < 1.
    """
    result = np.empty_like(innovation)
    carried = 0.0
    block = max(1, min(4096, int(-300.0 / log(decay))))
    for start in range(0, innovation.shape[0], block):
        piece = innovation[start : start + block]
        power = decay ** np.arange(1, piece.shape[0] + 1)
        result[start : start + block] = power * (carried + np.cumsum(piece / power))
        carried = float(result[start + piece.shape[0] - 1])
    return result


def stationary_autoregression(normal: Floats, decay: float) -> Floats:
    """Return a unit-variance AR(1) path made of independent standard normals, shape (n,)."""
    innovation = normal * (1.0 - decay**2) ** 0.5
    innovation[:1] = normal[:1]
    return decayed_sum(innovation, decay)


def inner_range(
    generator: np.random.Generator,
    begin: Floats,
    log_return: Floats,
    deviation: Floats,
    steps: int,
) -> tuple[Floats, Floats]:
    """Return the highest and lowest log-price inside each candle, shapes (n,).

    The path from ``begin`` to ``begin + log_return`` is a Brownian bridge of ``steps`` steps with
    ``deviation`` per candle: the law of a Brownian path given both its ends.
    """
    fraction = np.arange(1, steps) / steps
    walk = np.cumsum(generator.standard_normal((begin.shape[0], steps)), axis=1) / steps**0.5
    bridge = walk[:, :-1] - fraction * walk[:, -1:]
    path = begin[:, None] + fraction * log_return[:, None] + bridge * deviation[:, None]
    end = begin + log_return
    return (
        np.maximum(path.max(axis=1), np.maximum(begin, end)),
        np.minimum(path.min(axis=1), np.minimum(begin, end)),
    )


def on_tick(price: Floats, tick: float) -> Floats:
    """Return ``price`` on the nearest multiple of ``tick`` (at least one), shape (n,)."""
    ticks = np.maximum(np.rint(price / tick), 1.0)
    digits = max(0, ceil(-log10(tick))) + 3  # three more than a tick such as 0.01 or 0.025 needs
    return np.round(ticks * tick, digits)


def first_open(timeframe: Timeframe) -> Milliseconds:
    """Return when candle 0 opens: the first time on the timeframe's grid from ``EPOCH`` on."""
    return -(-EPOCH // timeframe.duration) * timeframe.duration


def candles_along(
    generator: np.random.Generator,
    symbol: str,
    timeframe: Timeframe,
    opens: Milliseconds,
    begin: Floats,
    log_return: Floats,
    deviation: Floats,
    tick: float,
) -> CandleSeries:
    """Return the candles of a log-price path: each opens where the one before closed.

    The first opens at ``opens``; ``begin``, ``log_return`` and ``deviation`` have shape (n,). A
    candle closes at the log-price ``begin + log_return``; ``tick`` is in quote currency.
    """
    count = int(begin.shape[0])
    top, bottom = inner_range(generator, begin, log_return, deviation, STEPS)
    close = on_tick(np.exp(begin + log_return), tick)
    opening = np.concatenate((on_tick(np.exp(begin[:1]), tick), close[:-1]))
    bustle = 0.5 * stationary_autoregression(generator.standard_normal(count), 0.9)
    move = np.abs(log_return) / (0.002 * (timeframe.duration / REFERENCE.duration) ** 0.25)
    notional = _NOTIONAL * timeframe.duration / REFERENCE.duration
    return CandleSeries(
        symbol=symbol,
        timeframe=timeframe,
        open_time=opens + np.arange(count, dtype=np.int64) * timeframe.duration,
        open=opening,
        high=np.maximum(on_tick(np.exp(top), tick), np.maximum(opening, close)),
        low=np.minimum(on_tick(np.exp(bottom), tick), np.minimum(opening, close)),
        close=close,
        volume=np.round(notional * np.exp(bustle) * (0.6 + 0.5 * move) / close, 5),
        synthetic=True,
    )
