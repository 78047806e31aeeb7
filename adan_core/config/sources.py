"""The layers settings come from: files, environment, command line. Each remembers where a key stands."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "ADAN_"
NOT_SETTINGS = frozenset({"ADAN_HOME"})


class Layer(StrEnum):
    """Where a value was written."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """One layer: its keys as a nested tree, where each stands, and what could not be read."""

    layer: Layer
    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def place(self, key: Key) -> str | None:
        """Return where ``key`` stands in this layer, None if it does not.

        Lists are replaced whole, so whatever lies or lacks in this layer's list is this layer's.
        """
        node: Any = self.tree
        nearest = None
        inside_list = False
        for depth, part in enumerate(key, 1):
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
                inside_list = True
                node = node[int(part)]
            else:
                return nearest if inside_list or not isinstance(node, Mapping) else None
            nearest = self.places.get(key[:depth], nearest)
        return nearest


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: 1e-3 is a number, `no` and 12:30 are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", "nN~"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first, ""]
    )


@dataclass(frozen=True, slots=True)
class ParsedYaml:
    """What a YAML text says, the line of every key, and the problems found on the way."""

    value: object
    lines: dict[Key, int]
    problems: tuple[str, ...]


def parse_yaml(text: str, name: str) -> ParsedYaml:
    """Read ``text`` as plain YAML; problems name ``name`` and the line. A key twice is one."""
    loader = _Loader(text)
    lines: dict[Key, int] = {}
    problems: list[str] = []
    value = None
    try:
        node = loader.get_single_node()
        if node is not None:
            _walk(node, (), name, lines, problems)
            value = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        problems.append(f"{name}{line}: not valid YAML: {error.problem}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.append(f"{name}: not valid YAML: {error}")
    finally:
        loader.dispose()
    return ParsedYaml(value, lines, tuple(problems))


def _walk(
    node: yaml.Node, path: Key, name: str, lines: dict[Key, int], problems: list[str]
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            line = key.start_mark.line + 1
            if child in lines:
                problems.append(
                    f"{name}:{line}: {'.'.join(child)} stands here again (first on line "
                    f"{lines[child]}); each key once"
                )
            lines[child] = line
            _walk(value, child, name, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            child = (*path, str(index))
            lines[child] = value.start_mark.line + 1
            _walk(value, child, name, lines, problems)


@lru_cache(maxsize=4)
def _parsed_file(text: str, name: str) -> ParsedYaml:
    """Parse a file's text once: the shipped settings are read again at every change of any layer."""
    return parse_yaml(text, name)


def file_values(path: Path, layer: Layer = Layer.FILE) -> Values:
    """Read a settings file; a missing one is an empty layer."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Values(layer)
    except (OSError, UnicodeDecodeError) as error:
        return Values(layer, problems=[f"{path}: cannot be read: {error}"])
    parsed = _parsed_file(text, str(path))
    problems = list(parsed.problems)
    tree: dict[str, Any] = {}
    if isinstance(parsed.value, dict):
        tree = _text_keys(parsed.value)
    elif parsed.value is not None:
        problems.append(f"{path}: found {type(parsed.value).__name__}; expected: keys with values")
    places = {key: f"{path}:{line}" for key, line in parsed.lines.items()}
    return Values(layer, tree, places, problems)


def _text_keys(tree: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(key): _text_keys(value) if isinstance(value, dict) else deepcopy(value)
        for key, value in tree.items()
    }


def environment_values(environment: Mapping[str, str]) -> Values:
    """Return the ``ADAN_SECTION__KEY`` variables as a layer; values are written as in YAML."""
    values = Values(Layer.ENVIRONMENT)
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            key = tuple(name.removeprefix(PREFIX).lower().split("__"))
            _assign(values, key, text, f"environment variable {name}")
    return values


def override_values(overrides: Sequence[str]) -> Values:
    """Return the command line's ``section.key=value`` words as a layer; the last of a key wins."""
    values = Values(Layer.COMMAND_LINE)
    for word in overrides:
        key, equals, text = word.partition("=")
        if equals and key.strip():
            _assign(values, tuple(key.strip().split(".")), text, f"--set {word}")
        else:
            values.problems.append(f"--set {word}: expected: section.key=value")
    return values


def _assign(values: Values, key: Key, text: str, place: str) -> None:
    parsed = parse_yaml(text, place)
    values.problems.extend(parsed.problems)
    node = values.tree
    for depth, part in enumerate(key[:-1], 1):
        values.places.setdefault(key[:depth], place)
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            values.problems.append(
                f"{place}: {'.'.join(key[:depth])} is given a value elsewhere, too"
            )
            return
        node = inner
    value = parsed.value
    node[key[-1]] = _text_keys(value) if isinstance(value, dict) else value
    values.places[key] = place


class _Source(PydanticBaseSettingsSource):
    """One layer, as pydantic-settings wants it."""

    def __init__(self, settings: type[BaseSettings], values: Values) -> None:
        super().__init__(settings)
        self._values = values

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 (pydantic-settings' interface)
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Return one top-level value of the layer."""
        return self._values.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values.tree


def merged(layers: Sequence[Values]) -> dict[str, Any]:
    """Return the layers laid over each other, the later over the earlier; lists are replaced whole."""

    class Merged(BaseSettings):
        model_config = SettingsConfigDict(extra="allow")

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_Source(settings_cls, values) for values in reversed(layers))

    return dict(Merged().model_extra or {})
