"""``adan-core config``: what is in force and where it was written, what is wrong, where files are."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from adan_core.cli.context import Context
from adan_core.config.locations import Locations, shipped
from adan_core.domain.errors import InvalidSettings, UsageError

_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Row:
    """One key: its value, the layer and place it was written in, when a change of it applies."""

    key: str
    value: object
    source: str
    place: str
    applies: str
    limit: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare ``show``, ``check`` and ``locations``."""
    parser.epilog = (
        "examples:\n"
        "  adan-core config show\n"
        "  adan-core --set costs.fee_rate=0.0005 config show --json\n"
        "  adan-core config check my-settings.yaml\n"
        "  adan-core config locations"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, help=summary, description=summary, epilog=f"example: adan-core {example}"
        )

    show = action("show", "every key in force, its source and its policy", "config show --json")
    check = action(
        "check", "name every problem of the settings and themes", "config check my-settings.yaml"
    )
    check.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="check FILE instead of your own settings"
    )
    where = action("locations", "where ADAN reads and writes", "--home ./trial config locations")
    for parser_of_action in (show, check, where):
        parser_of_action.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out one action; 0, or 2 where a check found problems."""
    if arguments.action == "show":
        return _show(context, as_json=arguments.json)
    if arguments.action == "check":
        return _check(context, arguments.file, as_json=arguments.json)
    return _locations(context, as_json=arguments.json)


def _show(context: Context, *, as_json: bool) -> int:
    from adan_core.config.loading import leaves
    from adan_core.config.policy import key_policies
    from adan_core.config.settings import Settings

    loaded = context.loaded()
    policies = key_policies(Settings)
    values = leaves(loaded.settings.model_dump(mode="json", exclude_unset=True))
    rows: list[_Row] = []
    for path, value in values.items():
        key = ".".join(path)
        policy = next(policies[name] for name in _prefixes(path) if name in policies)
        origin = loaded.sources[key]
        limit = policy.limit is not None
        rows.append(_Row(key, value, origin.layer, origin.place, policy.applies, limit))
    if as_json:
        context.emit(
            {"schema_version": _SCHEMA_VERSION, "config_hash": loaded.config_hash, "keys": rows}
        )
        return 0
    for row in rows:
        applies = f"{row.applies}, limit" if row.limit else row.applies
        context.say(f"{row.key:<32} {_brief(row.value):<34} {row.source:<13} [{applies}]")
    context.say(f"\nconfig hash {loaded.config_hash}")
    for text in _closed_tiers(context):
        context.say(text)
    return 0


def _prefixes(path: tuple[str, ...]) -> list[str]:
    return [".".join(path[:depth]) for depth in range(len(path), 0, -1)]


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return "none" if not value else f"{len(value)} keys"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return ", ".join(str(item.get("name", "?")) for item in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "null" if value is None else str(value)


def _closed_tiers(context: Context) -> list[str]:
    from adan_core.config.risk_tiers import untradable

    settings = context.settings()
    return list(
        untradable(
            settings.risk.tiers,
            settings.rules.minimum_notional,
            settings.learning.smallest_exposure,
        ).values()
    )


def _check(context: Context, file: Path | None, *, as_json: bool) -> int:
    from adan_core.config.loading import load_settings
    from adan_core.config.themes import ThemeLibrary, theme_folders

    if file is not None and not file.is_file():
        raise UsageError(f"no file {file}", "a settings file", "name one, or none for your own")
    themes = ThemeLibrary(theme_folders(context.home))
    problems = list(themes.problems)
    config_hash = None
    try:
        loaded = load_settings(context.home, context.overrides, context.environment, file)
    except InvalidSettings as error:
        problems += error.problems
    else:
        config_hash = loaded.config_hash
        wanted = loaded.settings.screen.theme
        known = [theme.name for theme in themes.themes]
        if wanted not in known:
            place = loaded.sources["screen.theme"].place
            problems.append(
                f"{place}: screen.theme: found {wanted!r}; expected one of: {', '.join(known)}"
            )
    checked = str(file or context.home.settings_file)
    if as_json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
                "file": checked,
                "valid": not problems,
                "config_hash": config_hash,
                "problems": problems,
            }
        )
    elif problems:
        for problem in problems:
            context.warn(f"adan-core: {problem}")
    else:
        context.say(
            f"{checked}: " + ("no problem" if Path(checked).exists() else "no file; shipped")
        )
        context.say(f"config hash {config_hash}")
    return 2 if problems else 0


def _locations(context: Context, *, as_json: bool) -> int:
    rows = {"shipped": shipped()}
    rows |= {field.name: getattr(context.home, field.name) for field in fields(Locations)}
    rows |= {
        name: getattr(context.home, name)
        for name, member in vars(Locations).items()
        if isinstance(member, property)
    }
    if as_json:
        paths = {name: str(path) for name, path in rows.items()}
        context.emit({"schema_version": _SCHEMA_VERSION, "locations": paths})
        return 0
    for name, path in rows.items():
        context.say(f"{name:<20} {path}{'' if path.exists() else '   (not there yet)'}")
    return 0
