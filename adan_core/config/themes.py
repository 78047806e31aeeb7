"""Themes: colours by role, read from YAML, checked before anything is drawn with them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from adan_core.config.locations import Locations, shipped
from adan_core.config.sources import Key, parse_yaml
from adan_core.domain.errors import InvalidSettings
from adan_core.domain.themes import THEME_ROLES

SCHEMA_VERSION: Final = 1
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_KEYS = ("schema_version", "name", "dark", "colours")


@dataclass(frozen=True, slots=True)
class Theme:
    """A screen's colours: each role's, written ``#rrggbb``."""

    name: str
    dark: bool
    colours: Mapping[str, str]


def read_theme(path: Path) -> Theme:
    """Return the theme in the file at ``path``; InvalidSettings names every problem and its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings((f"{path}: cannot be read: {error}",)) from error
    parsed = parse_yaml(text, str(path))
    if parsed.problems:
        raise InvalidSettings(parsed.problems)
    problems: list[str] = []

    def complain(key: Key, what: str) -> None:
        line = parsed.lines.get(key)
        problems.append(f"{path}{f':{line}' if line else ''}: {'.'.join(key)}: {what}")

    tree = parsed.value if isinstance(parsed.value, dict) else {}
    if tree.get("schema_version") != SCHEMA_VERSION:
        complain(("schema_version",), f"found {tree.get('schema_version')}; expected: 1")
    for key in tree:
        if key not in _KEYS:
            complain((str(key),), f"unknown key; expected one of: {', '.join(_KEYS)}")
    name = tree.get("name")
    if name != path.stem:
        complain(("name",), f"found {name!r}; expected: {path.stem!r}, as the file is called")
    dark = tree.get("dark")
    if not isinstance(dark, bool):
        complain(("dark",), f"found {dark!r}; expected: true or false")
    colours = tree.get("colours")
    if not isinstance(colours, dict):
        complain(("colours",), f"found {colours!r}; expected: a colour for each role")
        colours = {}
    else:
        _check_colours(colours, complain)
    if problems:
        raise InvalidSettings(tuple(problems))
    return Theme(
        str(name), bool(dark), MappingProxyType({role: colours[role] for role in THEME_ROLES})
    )


def _check_colours(colours: Mapping[object, object], complain: Callable[[Key, str], None]) -> None:
    for role in colours:
        if role not in THEME_ROLES:
            complain(
                ("colours", str(role)), f"unknown role; expected one of: {', '.join(THEME_ROLES)}"
            )
    for role in THEME_ROLES:
        if role not in colours:
            complain(("colours", role), "is missing; expected: a colour such as '#1e2030'")
            continue
        colour = colours[role]
        if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
            complain(("colours", role), f"found {colour!r}; expected: a colour such as '#1e2030'")


def theme_folders(locations: Locations) -> tuple[Path, ...]:
    """Return the folders themes are read from; a later one's theme replaces its namesake."""
    return (shipped() / "themes", locations.themes_folder)


class ThemeLibrary:
    """Every theme found, the last good form of each."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Read all themes; InvalidSettings only if there is none at all."""
        self._folders = tuple(folders)
        self._good: dict[Path, Theme] = {}
        self.problems: tuple[str, ...] = ()
        """Why the newest form of some files is not in force; empty if all are."""
        problems = self.reload()
        if not self._good:
            nothing = f"no theme in {', '.join(map(str, self._folders))}"
            raise InvalidSettings(problems or (nothing,))

    @property
    def themes(self) -> tuple[Theme, ...]:
        """The themes in force, the shipped ones first."""
        named: dict[str, Theme] = {}
        for folder in self._folders:
            for path in sorted(self._good):
                if path.parent == folder:
                    named[path.stem] = self._good[path]
        return tuple(named.values())

    def reload(self) -> tuple[str, ...]:
        """Read all files again; a bad one leaves its last good form. Return every problem."""
        problems: list[str] = []
        good: dict[Path, Theme] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.yaml")):
                try:
                    good[path] = read_theme(path)
                except InvalidSettings as error:
                    problems += error.problems
                    if path in self._good:
                        good[path] = self._good[path]
        self._good = good
        self.problems = tuple(problems)
        return self.problems
