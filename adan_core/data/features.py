"""The feature set: which indicators, over which timeframes and windows, make up the market's state."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import yaml

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.external import ExternalColumn, ExternalSource
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.domain.time import Milliseconds
from adan_core.indicators.program import Program, assemble

FEATURES_SCHEMA_VERSION = 2
# Part of every schema hash: raise it when a recurrence changes its meaning.
_RECURRENCES_VERSION = 2
# A window's candles are columns, and every candle has a row of them.
_LONGEST_WINDOW = 1_000
# Without the colon of a timeframe's columns and of ``name:known``, so that no two can be alike.
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# Beside the state's own columns, a file of features has these.
_RESERVED = frozenset({"time", "ready"})


@dataclass(frozen=True, slots=True)
class Feature:
    """One column per timeframe it is taken over.

    ``function`` is an indicator's name, ``parameters`` its numbers, ``timeframes`` the rungs of the
    ladder it is computed on: 0 is the trading timeframe, 1 the next higher one.
    """

    name: str
    function: str
    parameters: tuple[int | float, ...]
    timeframes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The declared features.

    ``windows`` is how many closed candles of each rung are shown, so it says how many rungs there
    are; ``external`` are columns from outside the market, absent unless declared, and
    ``external_data`` where their values come from (``with_external``).
    """

    schema_version: int
    name: str
    windows: tuple[int, ...]
    features: tuple[Feature, ...]
    external: tuple[ExternalColumn, ...] = ()
    external_data: Mapping[str, ExternalSource] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, text: str, source: str) -> "FeatureSet":
        """Return the feature set written in ``text`` (YAML); ConfigurationError if it is none."""
        try:
            raw = yaml.safe_load(text)
            read = msgspec.convert(raw, _File)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # ValueError: a date that is none, and msgspec's own.
            raise ConfigurationError(f"{source}: {error}", _form(_claimed_version(text))) from error
        feature_set = cls(
            read.schema_version,
            read.name,
            read.windows,
            tuple(
                Feature(each.name, each.function, _plain(each.parameters), each.timeframes)
                for each in read.features
            ),
            tuple(
                ExternalColumn(each.name, _duration(each.max_age, each.name, source))
                for each in read.external
            ),
        )
        feature_set.verify(source)
        return feature_set

    def verify(self, source: str) -> None:
        """Raise ConfigurationError unless version, rungs, windows, names and functions are sound."""
        if self.schema_version != FEATURES_SCHEMA_VERSION:
            raise ConfigurationError(
                f"{source}: schema_version {self.schema_version}",
                _form(self.schema_version),
            )
        if not self.windows or any(not 1 <= window <= _LONGEST_WINDOW for window in self.windows):
            raise ConfigurationError(
                f"{source}: windows {list(self.windows)}",
                f"one per timeframe, each from 1 to {_LONGEST_WINDOW:,}",
            )
        outside = [column.name for column in self.external]
        names = [feature.name for feature in self.features] + outside
        for name in names:
            if _NAME.fullmatch(name) is None or (name in outside and name in _RESERVED):
                raise ConfigurationError(
                    f"{source}: a column called {name!r}",
                    "letters, digits and any of _ . -; outside columns are not called "
                    + " or ".join(sorted(_RESERVED)),
                )
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigurationError(f"{source}: {', '.join(twice)} twice", "each name once")
        rungs = range(len(self.windows))
        for feature in self.features:
            if not feature.timeframes or any(rung not in rungs for rung in feature.timeframes):
                raise ConfigurationError(
                    f"{source}: timeframes {list(feature.timeframes)} of {feature.name}",
                    f"some of {', '.join(map(str, rungs))}: there are {len(rungs)} windows",
                )
        try:
            programs = self.programs()
        except DataError as error:
            raise ConfigurationError(f"{source}: {error}") from error
        for rung, program in enumerate(programs):
            if len(program) == 0:
                raise ConfigurationError(
                    f"{source}: no feature of timeframe {rung}", "one at least per window"
                )

    def with_external(self, sources: Mapping[str, ExternalSource]) -> "FeatureSet":
        """Return the set with the sources of its external columns, which it picks by name.

        ConfigurationError if one of them is missing.
        """
        missing = [column.name for column in self.external if column.name not in sources]
        if missing:
            raise ConfigurationError(
                f"feature set {self.name} without data for {', '.join(missing)}",
                "a file for each of its external columns",
                "name it under external in the settings",
            )
        return replace(
            self, external_data={column.name: sources[column.name] for column in self.external}
        )

    def known_by(self, instant: Milliseconds) -> "FeatureSet":
        """Return the set with what its sources hold now, as far as it was known by ``instant``.

        A history depends on nothing else, and a file that grows meanwhile cannot part its hash
        from its values.
        """
        return replace(
            self,
            external_data={
                name: source.current().known_by(instant)
                for name, source in self.external_data.items()
            },
        )

    @property
    def external_hash(self) -> str:
        """What the state depends on beside candles and schema; empty without external columns."""
        return "+".join(
            self.external_data[column.name].current().content_hash
            for column in self.external
            if column.name in self.external_data
        )

    def programs(self) -> tuple[Program, ...]:
        """Return one indicator program per rung."""
        return tuple(
            assemble(
                [
                    (feature.function, feature.parameters)
                    for feature in self.features
                    if rung in feature.timeframes
                ]
            )
            for rung in range(len(self.windows))
        )

    def columns(self, ladder: tuple[Timeframe, ...]) -> tuple[str, ...]:
        """Return the state's column names: per timeframe, from its oldest candle shown to its newest.

        Each external column follows with a second one that says whether its value is known.
        DataError if there are not as many timeframes as windows.
        """
        if len(ladder) != len(self.windows):
            raise DataError(
                f"{len(ladder)} timeframes ({', '.join(map(str, ladder))}) for feature set {self.name}",
                f"{len(self.windows)}, one per window",
                "give the ladder in the settings and the windows of the feature set the same length",
            )
        market = tuple(
            f"{timeframe}:{feature.name}" + (f"[-{age}]" if age else "")
            for rung, timeframe in enumerate(ladder)
            for age in range(self.windows[rung] - 1, -1, -1)
            for feature in self.features
            if rung in feature.timeframes
        )
        return market + tuple(
            name for column in self.external for name in (column.name, f"{column.name}:known")
        )

    def schema_hash(self, ladder: tuple[Timeframe, ...]) -> str:
        """Return what must be equal for a model to read an observation.

        Features, windows, timeframes, external columns and the portfolio's own columns.
        """
        content = json.dumps(
            {
                "recurrences": _RECURRENCES_VERSION,
                "windows": self.windows,
                "ladder": [timeframe.duration for timeframe in ladder],
                "features": [
                    (
                        feature.name,
                        feature.function,
                        feature.parameters,
                        sorted(set(feature.timeframes)),
                    )
                    for feature in self.features
                ],
                "external": [(column.name, column.max_age) for column in self.external],
                "portfolio": PORTFOLIO_COLUMNS,
            },
            separators=(",", ":"),
        )
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


class _FeatureEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    function: str
    parameters: tuple[int | float, ...]
    timeframes: tuple[int, ...]


class _ExternalEntry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    max_age: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    name: str
    windows: tuple[int, ...]
    features: tuple[_FeatureEntry, ...]
    external: tuple[_ExternalEntry, ...] = ()


def _claimed_version(text: str) -> object:
    """Return the schema version a feature file claims, None where it claims none."""
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return raw.get("schema_version") if isinstance(raw, dict) else None


def _form(version: object) -> str:
    if version == 1:
        return (
            f"schema_version {FEATURES_SCHEMA_VERSION}: features have the keys name, function, "
            "parameters and timeframes (version 1 said indicator and frames)"
        )
    return f"a feature set of schema_version {FEATURES_SCHEMA_VERSION}"


def _plain(parameters: tuple[int | float, ...]) -> tuple[int | float, ...]:
    """Return whole numbers as such, so that 14 and 14.0 are one schema."""
    return tuple(
        int(each) if math.isfinite(each) and each == int(each) else each for each in parameters
    )


def _duration(text: str, name: str, source: str) -> int:
    try:
        return Timeframe.parse(text).duration
    except DataError as error:
        raise ConfigurationError(
            f"{source}: max_age {text!r} of {name}", "a span such as 30m, 24h or 7d"
        ) from error
