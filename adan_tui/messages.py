"""What threads tell the screen; its handlers, on the screen's own loop, change what is shown."""

from textual.message import Message

from adan_core.domain.commands import Command, CommandResult
from adan_core.runtime.client import ScreenUpdate, Session
from adan_tui.view import Trouble


class Opened(Message):
    """The session is open."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session


class NotOpened(Message):
    """There is no session, and why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self.trouble = trouble


class Updated(Message):
    """A reload brought other settings or themes."""

    def __init__(self, update: ScreenUpdate) -> None:
        super().__init__()
        self.update = update


class Answered(Message):
    """The core answered a command."""

    def __init__(self, command: Command, result: CommandResult) -> None:
        super().__init__()
        self.command = command
        self.result = result
