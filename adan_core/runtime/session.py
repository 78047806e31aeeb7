"""A core opened for a screen: the client, the screen's settings, and their reloads."""

import os
import threading
from collections.abc import Callable

from adan_core.config.locations import locate
from adan_core.config.manager import ConfigManager
from adan_core.config.profile_settings import ALL_PROFILES, PROFILES
from adan_core.config.settings import Settings
from adan_core.config.themes import ThemeLibrary, theme_folders
from adan_core.config.watcher import Watcher
from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.time import SECOND, SystemClock
from adan_core.runtime.client import (
    ClientOptions,
    CoreClient,
    ScreenSettings,
    ScreenTheme,
    ScreenUpdate,
)
from adan_core.runtime.launch import LaunchOptions, RunningCore, launch
from adan_core.runtime.remote import RemoteClient, ask


class LocalClient:
    """A CoreClient for a core in this process; closing it stops the core."""

    def __init__(self, running: RunningCore, finish: Callable[[], None]) -> None:
        self._running = running
        self._finish = finish

    def snapshot(self) -> CoreSnapshot | None:
        """Return the newest picture of the core."""
        return self._running.core.snapshot()

    def submit(self, command: Command) -> CommandResult:
        """Hand a request to the core."""
        return self._running.core.submit(command)

    def link(self) -> str:
        """Return an empty string: the core is here (its heartbeat says whether it is well)."""
        return ""

    def close(self) -> None:
        """Stop the core and join its threads."""
        self._finish()
        self._running.stop()


class _AttachedClient(RemoteClient):
    """A RemoteClient whose closing ends the session's watching, too."""

    finish: Callable[[], None] = staticmethod(lambda: None)

    def close(self) -> None:
        """Stop asking and watching; the core behind the socket goes on."""
        self.finish()
        super().close()


class ScreenSession:
    """What ``open_client`` gives: it satisfies ``runtime.client.Session``."""

    def __init__(self, options: ClientOptions) -> None:
        locations = locate(options.home, os.environ)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(locations.numba_cache))
        clock = SystemClock()
        self._themes = ThemeLibrary(theme_folders(locations))
        self._listeners: list[Callable[[ScreenUpdate], object]] = []
        self._guard = threading.Lock()
        self._client: CoreClient
        if options.attach:
            ask(locations.socket)  # NotRunning at once, rather than a screen that never fills
            self._config = ConfigManager(locations, options.overrides, os.environ, clock)
            client = _AttachedClient(
                locations.socket, 1.0 / self._config.settings.screen.refresh_hertz
            )
            client.finish = self._stop_watching
            self._client = client
            paths = (*self._config.files, *theme_folders(locations))
        else:
            running = launch(
                LaunchOptions(
                    mode=options.mode,
                    dataset=options.dataset,
                    model=options.model,
                    pace=options.pace,
                    home=options.home,
                    overrides=options.overrides,
                ),
                locations,
                os.environ,
                clock,
            )
            self._config = running.config
            self._client = LocalClient(running, self._stop_watching)
            paths = theme_folders(locations)
        self._config.subscribe(("screen", "staleness", "learning"), self._settings_changed)
        self._watcher = Watcher(paths, lambda _changed: self._files_changed(), self._complain)
        self._watcher.start()

    @property
    def client(self) -> CoreClient:
        """The door to the core; closing it ends the session."""
        return self._client

    @property
    def screen(self) -> ScreenSettings:
        """The screen's settings in force."""
        return screen_settings(self._config.settings)

    @property
    def themes(self) -> tuple[ScreenTheme, ...]:
        """Every theme that loaded, the shipped ones first."""
        return self._themes.themes

    def subscribe(self, callback: Callable[[ScreenUpdate], object]) -> None:
        """Have ``callback`` called, from a thread of the runtime, after every reload."""
        with self._guard:
            self._listeners.append(callback)

    def _stop_watching(self) -> None:
        self._watcher.stop()

    def _settings_changed(self, _settings: Settings) -> None:
        self._announce("")

    def _files_changed(self) -> None:
        problems = "; ".join(self._themes.reload())
        if isinstance(self._client, RemoteClient):
            problems = "; ".join(part for part in (problems, self._config.reload().error) if part)
        self._announce(problems)

    def _complain(self, why: str) -> None:
        self._announce(f"changed files are no longer noticed: {why}")

    def _announce(self, error: str) -> None:
        update = ScreenUpdate(self.screen, self.themes, error)
        with self._guard:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(update)


def screen_settings(settings: Settings) -> ScreenSettings:
    """Return what a screen follows of the settings; a figure's cadence is a health reading's."""
    screen, staleness, learning = settings.screen, settings.staleness, settings.learning
    cadence = settings.monitoring.health_seconds * staleness.other_cadences
    return ScreenSettings(
        theme=screen.theme,
        refresh_hertz=screen.refresh_hertz,
        plot_hertz=screen.plot_hertz,
        utc=screen.time_zone == "UTC",
        heartbeat_stale=round(staleness.heartbeat * SECOND),
        other_stale=round(max(staleness.other_minimum, cadence) * SECOND),
        training_steps=learning.steps,
        training_seed=settings.market.seed,
        training_timeout=None,
        training_profiles=(*PROFILES, ALL_PROFILES),
    )
