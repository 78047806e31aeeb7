"""Sending a command: each from a thread of its own, never through the screen's loop."""

import threading
from collections.abc import Callable

from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.errors import AdanError
from adan_core.runtime.client import CoreClient


def send(
    client: CoreClient, command: Command, answered: Callable[[Command, CommandResult], object]
) -> None:
    """Submit ``command`` at once from a new thread; ``answered`` is called from that thread.

    A thread per command, and no pool: a kill must never wait behind another command that hangs.
    """

    def work() -> None:
        try:
            result = client.submit(command)
        except AdanError as error:
            result = CommandResult(accepted=False, message=str(error))
        except Exception as error:  # noqa: BLE001 a thread's outermost frame: shown, never lost
            result = CommandResult(accepted=False, message=f"{type(error).__name__}: {error}")
        answered(command, result)

    threading.Thread(target=work, name=f"send-{command.kind.value}", daemon=True).start()
