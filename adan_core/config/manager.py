"""The settings in force: reloaded whole, swapped at once, and never loosened by a file."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adan_core.config.loading import (
    Loaded,
    load_settings,
    settings_hash,
    shipped_settings_file,
)
from adan_core.config.locations import Locations
from adan_core.config.policy import Applies, KeyPolicy, key_policies
from adan_core.config.risk_tiers import loosened_tiers
from adan_core.config.settings import Settings
from adan_core.domain.errors import InvalidSettings
from adan_core.domain.snapshot import ConfigurationStatus
from adan_core.domain.time import Clock

Subscriber = Callable[[Settings], None]

_TIERS = "risk.tiers"


@dataclass(frozen=True, slots=True)
class Reload:
    """What a changed file brought.

    ``applied`` are keys now in force, ``waiting`` keys that wait for a flat account or a restart,
    ``refused`` loosened limits (each a sentence), ``error`` why nothing at all was applied.
    """

    applied: tuple[str, ...] = ()
    waiting: tuple[tuple[str, Applies], ...] = ()
    refused: tuple[str, ...] = ()
    error: str = ""

    @property
    def message(self) -> str:
        """What to tell the operator; empty if nothing changed."""
        parts = [f"settings not applied: {self.error}"] if self.error else []
        if self.applied:
            parts.append(f"applied: {', '.join(self.applied)}")
        for applies, words in ((Applies.WHEN_FLAT, "when flat"), (Applies.RESTART, "at a restart")):
            keys = [key for key, when in self.waiting if when is applies]
            if keys:
                parts.append(f"takes effect {words}: {', '.join(keys)}")
        if self.refused:
            parts.append(
                "refused, because a file may not loosen a limit while a core runs (restart to "
                f"take it on): {'; '.join(self.refused)}"
            )
        return "; ".join(parts)


class ConfigManager:
    """Holds the settings in force and takes on what may be taken on when their file changes.

    Safe to use from several threads; readers get frozen settings and never wait for a reload.
    """

    def __init__(
        self,
        locations: Locations,
        overrides: Sequence[str],
        environment: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """Load the settings; InvalidSettings if they are wrong, for then there is no last good."""
        self._locations = locations
        self._overrides = tuple(overrides)
        self._environment = dict(environment)
        self._clock = clock
        self._policies = key_policies(Settings)
        self._subscribers: list[tuple[frozenset[str], Subscriber]] = []
        self._changing = threading.Lock()
        self._in_force = self._candidate = self._load()
        self._last = Reload()
        self._loaded_at = clock.now()

    @property
    def loaded(self) -> Loaded:
        """The settings in force, their hash and their sources."""
        return self._in_force

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._in_force.settings

    @property
    def files(self) -> tuple[Path, ...]:
        """The files whose change calls for a reload."""
        return (self._locations.settings_file, shipped_settings_file())

    def status(self) -> ConfigurationStatus:
        """Return what a snapshot says about the settings."""
        last = self._last
        error = last.message if last.error or last.refused or last.waiting else ""
        return ConfigurationStatus(self._in_force.config_hash, self._loaded_at, error)

    def subscribe(self, sections: Sequence[str], callback: Subscriber) -> None:
        """Call ``callback`` with the new settings whenever one of the top-level ``sections`` changed.

        Called from the thread that reloads, after the swap; ValueError for a section nobody knows.
        """
        unknown = set(sections) - set(Settings.model_fields)
        if unknown:
            raise ValueError(f"no such sections: {', '.join(sorted(unknown))}")
        self._subscribers.append((frozenset(sections), callback))

    def reload(self) -> Reload:
        """Read all layers again, take on what may be taken on now, and return what happened."""
        with self._changing:
            try:
                self._candidate = self._load()
            except InvalidSettings as error:
                self._last = Reload(error=str(error))
                return self._last
            return self._take_on({Applies.NOW})

    def account_is_flat(self) -> Reload:
        """Take on what waited for a moment without positions and orders; for the engine to call."""
        with self._changing:
            if not any(applies is Applies.WHEN_FLAT for _, applies in self._last.waiting):
                return self._last
            return self._take_on({Applies.NOW, Applies.WHEN_FLAT})

    def _load(self) -> Loaded:
        return load_settings(self._locations, self._overrides, self._environment)

    def _take_on(self, allowed: set[Applies]) -> Reload:
        old, wanted = self._in_force, self._candidate
        old_tree = old.settings.model_dump(mode="json")
        new_tree = wanted.settings.model_dump(mode="json")
        mixed = json.loads(json.dumps(old_tree))
        applied: list[str] = []
        waiting: list[tuple[str, Applies]] = []
        refused: list[str] = []
        for key, policy in self._policies.items():
            before, after = _value(old_tree, key), _value(new_tree, key)
            if before == after:
                continue
            reasons = _loosened(key, policy, old.settings, wanted.settings, before, after)
            if reasons:
                refused += reasons
            elif policy.applies not in allowed:
                waiting.append((key, policy.applies))
            else:
                _put(mixed, key, after)
                applied.append(key)
        try:
            settings = Settings.model_validate_json(json.dumps(mixed))
        except ValidationError as error:
            reason = "; ".join(str(detail["msg"]) for detail in error.errors(include_url=False))
            held = ", ".join([*(key for key, _ in waiting), *refused])
            self._last = Reload(
                waiting=tuple(waiting),
                refused=tuple(refused),
                error=f"without what must wait or is refused ({held}) the rest contradicts itself: "
                f"{reason}",
            )
            return self._last
        self._last = Reload(tuple(applied), tuple(waiting), tuple(refused))
        if applied:
            self._in_force = Loaded(settings, settings_hash(settings), wanted.sources)
            self._loaded_at = self._clock.now()
            changed = {key.partition(".")[0] for key in applied}
            for sections, callback in self._subscribers:
                if sections & changed:
                    callback(settings)
        return self._last


def _loosened(
    key: str, policy: KeyPolicy, old: Settings, new: Settings, before: object, after: object
) -> tuple[str, ...]:
    if key == _TIERS:
        return tuple(
            f"{key}: {reason}" for reason in loosened_tiers(old.risk.tiers, new.risk.tiers)
        )
    if policy.limit is None:
        return ()
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        raise TypeError(f"the limit {key} must be a number")
    return (f"{key}: {before:g} -> {after:g}",) if policy.limit.loosened(before, after) else ()


def _value(tree: Mapping[str, Any], key: str) -> object:
    node: Any = tree
    for part in key.split("."):
        node = node[part]
    return node


def _put(tree: dict[str, Any], key: str, value: object) -> None:
    *sections, name = key.split(".")
    for part in sections:
        tree = tree[part]
    tree[name] = value
