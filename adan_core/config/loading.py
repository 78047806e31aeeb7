"""Load the settings from all layers, validated as one, every problem named where it stands."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from adan_core.config.locations import Locations, shipped
from adan_core.config.settings import Settings
from adan_core.config.sources import (
    Key,
    Layer,
    Values,
    environment_values,
    file_values,
    merged,
    override_values,
)
from adan_core.domain.errors import InvalidSettings

_EXPECTED = {
    "missing": "a value",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "finite_number": "a finite number",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value in force of a key was written."""

    layer: Layer
    place: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings in force, their hash (BLAKE2b-128 of their canonical JSON), each key's origin."""

    settings: Settings
    config_hash: str
    sources: Mapping[str, Origin]


def shipped_settings_file() -> Path:
    """Return the path of the settings as shipped."""
    return shipped() / "configs" / "adan.yaml"


def load_settings(
    locations: Locations,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    """Return the settings: command line > environment > the operator's file > shipped defaults.

    ``overrides`` are ``section.key=value`` words, ``environment`` the process's variables (none by
    default), ``file`` stands in for the operator's file. Raises InvalidSettings with every problem.
    """
    layers = (
        file_values(shipped_settings_file(), Layer.DEFAULT),
        file_values(file or locations.settings_file),
        environment_values(environment or {}),
        override_values(overrides),
    )
    problems = [problem for values in layers for problem in values.problems]
    tree = merged(layers)
    try:
        settings = Settings.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        problems += [
            _explain(
                tuple(str(part) for part in detail["loc"] if part != "[key]"),
                detail["type"],
                str(detail.get("ctx", {}).get("error", detail["msg"])),
                json.dumps(detail["input"], default=str),
                layers,
            )
            for detail in error.errors(include_url=False)
        ]
    if problems:
        raise InvalidSettings(tuple(problems))
    return Loaded(settings, settings_hash(settings), _origins(settings, layers))


def settings_hash(settings: Settings) -> str:
    """Return the BLAKE2b-128 hex digest of the settings' canonical JSON."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def leaves(tree: Mapping[str, Any], prefix: Key = ()) -> dict[Key, Any]:
    """Return every value of a nested mapping by its path; an empty mapping is a value, too."""
    found: dict[Key, Any] = {}
    for key, value in tree.items():
        path = (*prefix, key)
        if isinstance(value, Mapping) and value:
            found |= leaves(value, path)
        else:
            found[path] = value
    return found


def _origins(settings: Settings, layers: Sequence[Values]) -> dict[str, Origin]:
    return {
        ".".join(key): next(
            Origin(values.layer, place)
            for values in reversed(layers)
            if (place := values.place(key)) is not None
        )
        for key in leaves(settings.model_dump(mode="json", exclude_unset=True))
    }


def _explain(key: Key, kind: str, message: str, found: str, layers: Sequence[Values]) -> str:
    """Return one problem as a sentence: where, which key, what was found, what was expected."""
    place = next(
        (stands for values in reversed(layers) if (stands := values.place(key)) is not None), ""
    )
    subject = ": ".join(part for part in (place, ".".join(key)) if part)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key[-1], _known_keys(key[:-1]), n=1)
        return f"{subject}: unknown key" + (f"; did you mean {near[0]}?" if near else _among(key))
    if kind == "missing":
        return f"{subject}: is missing; expected: a value"
    if kind == "value_error":
        return f"{subject}: {message}" if subject else message
    expected = _EXPECTED.get(kind, message.removeprefix("Input should be "))
    return f"{subject}: found {found}; expected: {expected}"


def _among(key: Key) -> str:
    known = _known_keys(key[:-1])
    return f"; expected one of: {', '.join(known)}" if known else ""


def _known_keys(path: Key) -> list[str]:
    """Return the names of the section at ``path``; none where it is no section."""
    section: Any = Settings
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            annotation: Any = section.model_fields[part].annotation
            section = annotation
        else:  # inside a list or mapping of sections: its element's type
            section = next(
                (
                    argument
                    for argument in get_args(section)
                    if isinstance(argument, type) and issubclass(argument, BaseModel)
                ),
                None,
            )
    if isinstance(section, type) and issubclass(section, BaseModel):
        return list(section.model_fields)
    return []
