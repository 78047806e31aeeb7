"""The feature set: which indicators, over which timeframes and windows, make up the market's state."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.indicators.program import Program, assemble

FEATURES_SCHEMA_VERSION = 1
# Part of every schema hash: raise it when a recurrence changes its meaning.
_RECURRENCES_VERSION = 1
_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Feature:
    """One column per frame it is taken over: a name, an indicator, its parameters, its frames."""

    name: str
    indicator: str
    parameters: tuple[int, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The declared features; ``windows`` is how many closed candles of each frame are shown."""

    schema_version: int
    name: str
    windows: tuple[int, ...]
    features: tuple[Feature, ...]

    @classmethod
    def load(cls, path: Path) -> "FeatureSet":
        """Read a feature file; ConfigurationError names the key that is wrong."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"feature file {path}: {error.strerror}") from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, source: str) -> "FeatureSet":
        """Return the feature set written in ``text`` (YAML); ConfigurationError if it is none."""
        try:
            raw = yaml.safe_load(text)
            unknown = set(raw) - {"schema_version", "name", "windows", "features"}
            feature_set = msgspec.convert(raw, cls)
            unknown |= {
                key for entry in raw["features"] for key in entry if key not in Feature.__slots__
            }
        except (yaml.YAMLError, msgspec.ValidationError, TypeError) as error:
            raise ConfigurationError(f"{source}: {error}", "a feature set") from error
        if unknown:
            raise ConfigurationError(f"{source}: unknown keys {sorted(unknown)}", "none of them")
        feature_set.verify(source)
        return feature_set

    def verify(self, source: str) -> None:
        """Raise ConfigurationError unless versions, frames, windows, names and indicators are sound."""
        if self.schema_version != FEATURES_SCHEMA_VERSION:
            raise ConfigurationError(
                f"{source}: schema_version {self.schema_version}", str(FEATURES_SCHEMA_VERSION)
            )
        if len(self.windows) != _FRAMES or any(window < 1 for window in self.windows):
            raise ConfigurationError(f"{source}: windows {list(self.windows)}", "three, from 1 on")
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"{source}: a feature name twice", "each name once")
        for feature in self.features:
            if not feature.frames or any(frame not in range(_FRAMES) for frame in feature.frames):
                raise ConfigurationError(
                    f"{source}: frames {list(feature.frames)} of {feature.name}", "some of 0, 1, 2"
                )
        try:
            programs = self.programs()
        except DataError as error:
            raise ConfigurationError(f"{source}: {error}") from error
        if any(len(program) == 0 for program in programs):
            raise ConfigurationError(f"{source}: a frame without features", "one at least")

    def programs(self) -> tuple[Program, ...]:
        """Return one indicator program per frame."""
        return tuple(
            assemble(
                [
                    (feature.indicator, feature.parameters)
                    for feature in self.features
                    if frame in feature.frames
                ]
            )
            for frame in range(_FRAMES)
        )

    def columns(self, ladder: tuple[Timeframe, ...]) -> tuple[str, ...]:
        """Return the state's column names, in order: ``1h:return_1[-1]`` is one candle back."""
        return tuple(
            f"{timeframe}:{feature.name}" + (f"[-{age}]" if age else "")
            for frame, timeframe in enumerate(ladder)
            for age in range(self.windows[frame] - 1, -1, -1)
            for feature in self.features
            if frame in feature.frames
        )

    def schema_hash(self, ladder: tuple[Timeframe, ...]) -> str:
        """Return what must be equal for a model to read a state: features, windows and timeframes."""
        content = json.dumps(
            {
                "recurrences": _RECURRENCES_VERSION,
                "windows": self.windows,
                "ladder": [timeframe.duration for timeframe in ladder],
                "features": [
                    (feature.name, feature.indicator, feature.parameters, feature.frames)
                    for feature in self.features
                ],
            },
            separators=(",", ":"),
        )
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
