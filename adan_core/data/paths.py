"""Arithmetic of simulated price paths: recurrences, paths inside a candle, prices on the tick."""

from math import ceil, log, log10

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
