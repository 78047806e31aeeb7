"""The weights behind the regime detector: a small network's and the regimes' transitions."""

from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.domain.errors import ModelError
from adan_core.domain.market import Regime
from adan_core.learning.regime_features import FEATURES
from adan_core.learning.regime_levels import LEVELS, Levels

Floats = NDArray[np.float64]

REGIMES: Final = tuple(Regime)
_RANGE: Final = REGIMES.index(Regime.RANGE)
CLIP: Final = 6.0
"""A figure counts for at most so many of its standard deviations."""
STRONGEST: Final = 6.0
"""One candle's evidence multiplies no regime's odds by more than e to this power, twice."""

_WEIGHTS_FILE = "regime_weights.json"
_WEIGHTS_SCHEMA_VERSION = 2


class RegimeModel(NamedTuple):
    """The frozen model: a tuple, so that it passes into compiled code whole; all float64.

    ``mean`` and ``deviation`` (features,) standardise; ``inner`` (units, features) with
    ``inner_bias`` (units,) and ``outer`` (regimes, units) with ``outer_bias`` (regimes,) are the
    network; ``transitions`` (regimes, regimes) are the chances a candle to go from row to column.
    """

    levels: Levels
    mean: Floats
    deviation: Floats
    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats
    transitions: Floats


class _Weights(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    fitted_on: str
    features: tuple[str, ...]
    regimes: tuple[str, ...]
    level_transitions: list[list[float]]
    level_distances: list[float]
    level_spread: float
    mean: list[float]
    deviation: list[float]
    inner: list[list[float]]
    inner_bias: list[float]
    outer: list[list[float]]
    outer_bias: list[float]
    transitions: list[list[float]]


@cache
def regime_model() -> RegimeModel:
    """Return the model shipped in the package; ModelError if its file does not fit this code."""
    text = (resources.files("adan_core.learning") / _WEIGHTS_FILE).read_bytes()
    try:
        read = msgspec.json.decode(text, type=_Weights)
    except msgspec.DecodeError as error:
        raise ModelError(f"{_WEIGHTS_FILE}: {error}", "an undamaged installation") from error
    units = len(read.inner_bias)
    model = RegimeModel(
        Levels(np.array(read.level_transitions), np.array(read.level_distances), read.level_spread),
        np.array(read.mean),
        np.array(read.deviation),
        np.array(read.inner),
        np.array(read.inner_bias),
        np.array(read.outer),
        np.array(read.outer_bias),
        np.array(read.transitions),
    )
    found = (read.schema_version, read.features, read.regimes, _shapes(model))
    expected = (_WEIGHTS_SCHEMA_VERSION, FEATURES, tuple(REGIMES), _shapes(blank_model(units)))
    if found != expected:
        raise ModelError(
            f"{_WEIGHTS_FILE} made for other features or regimes",
            "those of this version",
            "install ADAN again",
        )
    return model


def blank_model(units: int, levels: Levels | None = None) -> RegimeModel:
    """Return a model of ``units`` that learns nothing from any candle: to be fitted, to compare."""
    count, features = len(REGIMES), len(FEATURES)
    even = Levels(np.full((LEVELS, LEVELS), 1.0 / LEVELS), np.zeros(LEVELS), 1.0)
    return RegimeModel(
        even if levels is None else levels,
        np.zeros(features),
        np.ones(features),
        np.zeros((units, features)),
        np.zeros(units),
        np.zeros((count, units)),
        np.zeros(count),
        np.full((count, count), 1.0 / count),
    )


@compiled
def believe(model: RegimeModel, features: Floats, probabilities: Floats) -> None:
    """Let the regimes' ``probabilities``, shape (regimes,), learn from one candle's ``features``.

    The forward recursion of a hidden Markov model: what the transitions make of the probabilities,
    times the evidence of the candle, to a sum of 1. NaN features are those of a market that stands
    still, which is strong evidence for a range: it neither goes anywhere nor is it volatile.
    """
    count = probabilities.shape[0]
    units = model.inner.shape[0]
    evidence = np.zeros(count)
    if np.isnan(features[0]):
        evidence[_RANGE] = STRONGEST
    else:
        for regime in range(count):
            evidence[regime] = model.outer_bias[regime]
        scaled = np.empty(features.shape[0])
        for column in range(features.shape[0]):
            value = (features[column] - model.mean[column]) / model.deviation[column]
            scaled[column] = max(-CLIP, min(CLIP, value))
        for unit in range(units):
            total = model.inner_bias[unit]
            for column in range(features.shape[0]):
                total += model.inner[unit, column] * scaled[column]
            active = np.tanh(total)
            for regime in range(count):
                evidence[regime] += model.outer[regime, unit] * active
    former = probabilities.copy()
    total = 0.0
    for regime in range(count):
        chance = 0.0
        for before in range(count):
            chance += former[before] * model.transitions[before, regime]
        chance *= np.exp(STRONGEST * np.tanh(evidence[regime] / STRONGEST))
        probabilities[regime] = chance
        total += chance
    for regime in range(count):
        probabilities[regime] /= total


def _shapes(model: RegimeModel) -> list[tuple[int, ...]]:
    levels, *arrays = model
    return [levels.transitions.shape, levels.distances.shape, *(each.shape for each in arrays)]
