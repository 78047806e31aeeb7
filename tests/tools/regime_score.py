"""How well regimes are recognised, per candle."""

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
