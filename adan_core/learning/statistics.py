"""How sure one can be of a performance: chance, several trials and dependence taken into account.

Sharpe ratios here are per observation, not annualised, and kurtosis is the plain fourth moment (3 for
a normal distribution), as in the papers named below.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NORMAL: Final = NormalDist()
_EULER: Final = 0.5772156649015329
# A deviation this small beside the mean is rounding noise.
_SAME: Final = 1e-12
# Observations of all resamples that are laid out at a time, some tens of megabytes.
_AT_ONCE: Final = 1_000_000


class TooFewError(ValueError):
    """There is too little to say anything; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of ``level`` (a fraction) about ``estimate``, and how it was found."""

    estimate: float
    lower: float
    upper: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Sharpe ratio per observation, number of observations, and the shape of their distribution."""

    sharpe: float
    observations: int
    skewness: float
    kurtosis: float


def shape_of(returns: Floats) -> Shape:
    """Return the moments of ``returns``, shape (n,); TooFewError where they have none."""
    if returns.shape[0] < 3:
        raise TooFewError(f"{returns.shape[0]} returns, three at least")
    deviation = float(np.std(returns, ddof=1))
    if deviation <= _SAME * max(abs(float(np.mean(returns))), _SAME):
        raise TooFewError("the returns do not vary")
    centred = (returns - np.mean(returns)) / np.std(returns)
    return Shape(
        sharpe=float(np.mean(returns)) / deviation,
        observations=int(returns.shape[0]),
        skewness=float(np.mean(centred**3)),
        kurtosis=float(np.mean(centred**4)),
    )


def probabilistic_sharpe_ratio(shape: Shape, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio lies above ``benchmark``.

    Bailey & Lopez de Prado, The Sharpe ratio efficient frontier, Journal of Risk 15(2), 2012.
    """
    return _NORMAL.cdf(
        (shape.sharpe - benchmark) * math.sqrt(shape.observations - 1) / _spread(shape)
    )


def minimum_track_record(shape: Shape, benchmark: float = 0.0, level: float = 0.95) -> float:
    """Return how many observations show, at ``level``, a Sharpe ratio above ``benchmark``.

    Infinite where the ratio found does not lie above it. From the same paper.
    """
    ahead = shape.sharpe - benchmark
    if ahead <= 0.0:
        return math.inf
    return 1.0 + (_spread(shape) * _NORMAL.inv_cdf(level) / ahead) ** 2


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of ``trials`` without any skill is expected to show.

    ``variance`` is that of the trials' ratios. With one trial it is 0. Equation 1 of Bailey & Lopez
    de Prado, The deflated Sharpe ratio, Journal of Portfolio Management 40(5), 2014.
    """
    if trials < 1 or variance < 0.0:
        raise TooFewError(f"{trials} trials with variance {variance}, one with 0 at least")
    if trials == 1:
        return 0.0
    largest = (1.0 - _EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / trials) + _EULER * _NORMAL.inv_cdf(
        1.0 - 1.0 / (trials * math.e)
    )
    return math.sqrt(variance) * largest


def deflated_sharpe_ratio(shape: Shape, trials: int, variance: float) -> float:
    """Return the probability that the true ratio is above 0 although the best of ``trials`` is shown.

    From the same paper: the probabilistic ratio against what the best of so many trials is expected
    to show by luck.
    """
    return probabilistic_sharpe_ratio(shape, expected_best_sharpe(trials, variance))


def block_length(observations: int) -> int:
    """Return the mean length of a block where nothing is known of the dependence: n to the third root.

    The rate of Politis & Romano (1994), with the constant 1; at least 2.
    """
    return max(2, round(math.cbrt(observations)))


def stationary_bootstrap(
    observations: int, samples: int, length: float, generator: np.random.Generator
) -> Integers:
    """Return ``samples`` rows of indices into ``observations``, shape (samples, observations).

    Blocks begin anywhere, go on round the end, and have geometric lengths of mean ``length``:
    Politis & Romano, The stationary bootstrap, JASA 89, 1994.
    """
    if observations < 2:
        raise TooFewError(f"{observations} observations, two at least")
    begins = generator.random((samples, observations)) < 1.0 / length
    begins[:, 0] = True
    starts = generator.integers(0, observations, (samples, observations))
    places = np.broadcast_to(np.arange(observations), begins.shape)
    since = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    chosen: Integers = (np.take_along_axis(starts, since, axis=1) + places - since) % observations
    return chosen


def bootstrap_interval(
    returns: Floats,
    statistic: Callable[[Floats], Floats],
    generator: np.random.Generator,
    samples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile interval of ``statistic`` of ``returns`` (n,) under dependence.

    ``statistic`` maps (samples, n) to (samples,). TooFewError for fewer than two returns.
    """
    observations = returns.shape[0]
    length = block_length(observations)
    # A few rows at a time: a long history has a million candles, and each takes about 60 bytes a draw.
    rows = max(1, min(samples, _AT_ONCE // max(observations, 1)))
    found: list[Floats] = []
    drawn = 0
    while drawn < samples:
        count = min(rows, samples - drawn)
        indices = stationary_bootstrap(observations, count, length, generator)
        found.append(statistic(returns[indices]))
        drawn += count
    values = np.concatenate(found)
    tail = (1.0 - level) / 2.0
    lower, upper = np.quantile(values, [tail, 1.0 - tail])
    return Interval(
        estimate=float(statistic(returns[None, :])[0]),
        lower=float(lower),
        upper=float(upper),
        level=level,
        method=f"stationary bootstrap, {samples:,} samples, mean block {length} candles",
    )


def total_log_return(returns: Floats) -> Floats:
    """Return the sums of log-returns (samples, n), shape (samples,)."""
    totals: Floats = returns.sum(axis=-1)
    return totals


def sharpe_of_rows(returns: Floats) -> Floats:
    """Return the Sharpe ratio per observation of each row (samples, n); 0 where a row does not vary."""
    mean, deviation = returns.mean(axis=-1), returns.std(axis=-1, ddof=1)
    varies = deviation > _SAME * np.maximum(np.abs(mean), _SAME)
    ratios: Floats = np.divide(mean, deviation, out=np.zeros_like(deviation), where=varies)
    return ratios


def _spread(shape: Shape) -> float:
    """Return the deviation of the estimated ratio times the root of the observations less one."""
    if shape.observations < 2:
        raise TooFewError(f"{shape.observations} returns, two at least")
    variance = 1.0 - shape.skewness * shape.sharpe + (shape.kurtosis - 1.0) / 4.0 * shape.sharpe**2
    if variance <= 0.0:
        raise TooFewError("moments that no distribution has")
    return math.sqrt(variance)
