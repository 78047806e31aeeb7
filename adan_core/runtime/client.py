"""The one door to a core: panes and commands reach it through a ``CoreClient`` and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import Mode
from adan_core.domain.time import Milliseconds


class CoreClient(Protocol):
    """A core as its clients see it, in this process or behind the control socket."""

    def snapshot(self) -> CoreSnapshot | None:
        """Return the newest picture of the core at once, without waiting; None before the first."""
        ...

    def submit(self, command: Command) -> CommandResult:
        """Hand a request to the core and return whether it was taken on.

        A HALT only wakes the kill thread, so it returns within microseconds in process and after
        one exchange of frames over the socket. Raises NotRunning if no core answers.
        """
        ...

    def link(self) -> str:
        """Return an empty string while the core answers, else why it does not."""
        ...

    def close(self) -> None:
        """Let go of the core; an in-process core is stopped and joined."""
        ...


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Which core a client wants: one of its own in this process, or (``attach``) a running one.

    ``overrides`` are the command line's KEY=VALUE settings; ``dataset`` names what a replay plays,
    ``pace`` its seconds per candle (None: the settings'), ``model`` who decides (None: chosen).
    """

    home: Path | None = None
    overrides: tuple[str, ...] = ()
    attach: bool = False
    mode: Mode = Mode.PAPER
    dataset: str | None = None
    pace: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """The settings a screen follows: how often it draws, and from which age on a figure is stale.

    ``training_steps``, ``training_seed`` and ``training_timeout`` (seconds, None: none) are what
    the form that starts a training is filled in with, ``training_profiles`` what it may name.
    """

    theme: str
    refresh_hertz: float
    plot_hertz: float
    utc: bool
    heartbeat_stale: Milliseconds
    other_stale: Milliseconds
    training_steps: int
    training_seed: int
    training_timeout: float | None
    training_profiles: tuple[str, ...]


class ScreenTheme(Protocol):
    """A theme as its file gives it.

    ``colours`` maps primary, secondary, accent, foreground, background, surface, panel, success,
    warning and error to a colour each, written as a terminal library reads it (``#1e2030``).
    """

    @property
    def name(self) -> str:
        """The theme's name, unique among themes."""
        ...

    @property
    def dark(self) -> bool:
        """Whether the background is darker than the text."""
        ...

    @property
    def colours(self) -> Mapping[str, str]:
        """The theme's colours by their roles."""
        ...


@dataclass(frozen=True, slots=True)
class ScreenUpdate:
    """What a reload brought: what is in force now, and why a newer file is not (empty: it is)."""

    screen: ScreenSettings
    themes: tuple[ScreenTheme, ...]
    error: str = ""


class Session(Protocol):
    """A core opened for a screen: the client, and what the screen itself is set to."""

    @property
    def client(self) -> CoreClient:
        """The door to the core; closing it ends the session."""
        ...

    @property
    def screen(self) -> ScreenSettings:
        """The screen's settings in force."""
        ...

    @property
    def themes(self) -> tuple[ScreenTheme, ...]:
        """Every theme that loaded, the shipped ones first."""
        ...

    def subscribe(self, callback: Callable[[ScreenUpdate], object]) -> None:
        """Have ``callback`` called, from a thread of the runtime, after every reload."""
        ...


def open_client(options: ClientOptions) -> Session:
    """Open a core as ``options`` say, and return it with what a screen needs beside it.

    May take a second; call it from a thread. Raises NotRunning, AlreadyRunning, ConfigurationError,
    ModelError, DataError or SecurityError, each with what to do.
    """
    from adan_core.runtime.session import ScreenSession

    return ScreenSession(options)
