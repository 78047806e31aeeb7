"""The weights behind the regime detector: which figures it reads, and the model fitted on them."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import ModelError
from adan_core.domain.market import Regime

Floats = NDArray[np.float64]

REGIMES: Final = tuple(Regime)
FEATURES: Final = (
    "volatility_6",
    "volatility_24",
    "volatility_96",
    "trend_12",
    "trend_48",
    "trend_144",
    "trend_size_48",
    "trend_size_144",
    "variance_ratio_48",
    "strength",
    "direction",
    "trend_strength",
    "volatility_24_squared",
    "volatility_96_squared",
    "fall_6",
)

_WEIGHTS_FILE = "regime_weights.json"
_WEIGHTS_SCHEMA_VERSION = 1


class _Weights(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    fitted_on: str
    features: tuple[str, ...]
    regimes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RegimeModel:
    """The frozen logistic model, folded so that it reads raw features.

    ``weights`` shape (regimes, features), ``bias`` shape (regimes,), float64.
    """

    weights: Floats
    bias: Floats


@cache
def regime_model() -> RegimeModel:
    """Return the model shipped in the package; ModelError if its file does not fit this code."""
    text = (resources.files("adan_core.learning") / _WEIGHTS_FILE).read_bytes()
    try:
        read = msgspec.json.decode(text, type=_Weights)
    except msgspec.DecodeError as error:
        raise ModelError(f"{_WEIGHTS_FILE}: {error}", "an undamaged installation") from error
    found = (read.schema_version, read.features, read.regimes)
    if found != (_WEIGHTS_SCHEMA_VERSION, FEATURES, tuple(REGIMES)):
        raise ModelError(
            f"{_WEIGHTS_FILE} made for other features or regimes",
            "those of this version",
            "install ADAN again",
        )
    scaled = np.array(read.weights) / np.array(read.deviation)
    return RegimeModel(scaled, np.array(read.bias) - scaled @ np.array(read.mean))
