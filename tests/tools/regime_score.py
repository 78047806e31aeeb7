"""How well regimes are recognised: per candle, and how late."""

import numpy as np
from numpy.typing import NDArray

from adan_core.learning.regime_model import REGIMES

Integers = NDArray[np.int64]


def f1_scores(truth: Integers, answer: Integers) -> NDArray[np.float64]:
    """Return each regime's F1 score per candle, shape (regimes,); both of shape (n,)."""
    scores = np.zeros(len(REGIMES))
    for regime in range(len(REGIMES)):
        both = np.sum((truth == regime) & (answer == regime))
        scores[regime] = 2.0 * both / max(np.sum(truth == regime) + np.sum(answer == regime), 1)
    return scores


def macro_f1(truth: Integers, answer: Integers) -> float:
    """Return the unweighted mean of the regimes' F1 scores."""
    return float(f1_scores(truth, answer).mean())


def delays(truth: Integers, answer: Integers, regime: int) -> NDArray[np.float64]:
    """Return, for each stay in ``regime``, how many candles after its first it is reported.

    0: at the close of its first candle; infinite: not before it was over.
    """
    inside = np.concatenate(([False], truth == regime, [False]))
    starts = np.flatnonzero(inside[1:] & ~inside[:-1])
    ends = np.flatnonzero(~inside[1:] & inside[:-1])
    found = []
    for start, end in zip(starts, ends, strict=True):
        hits = np.flatnonzero(answer[start:end] == regime)
        found.append(float(hits[0]) if hits.size else np.inf)
    return np.array(found)
