"""The one door to a core: panes and commands reach it through a ``CoreClient`` and nothing else."""

from typing import Protocol

from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.snapshot import CoreSnapshot


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
