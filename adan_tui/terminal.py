"""The terminal: whether there is one to draw on, how it is reached, and what to do when it is lost."""

import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Mapping

LOST_EXIT_CODE = 129
"""What a shell calls the end by SIGHUP."""


def refusal(environment: Mapping[str, str], *, terminal: bool) -> str:
    """Return why no screen can be drawn here, or an empty string."""
    if not terminal:
        return "there is no terminal: standard input, output and error must all be one"
    if environment.get("TERM", "") in ("", "dumb"):
        kind = environment.get("TERM") or "not set"
        return f"this terminal cannot draw a screen (TERM is {kind})"
    return ""


def is_terminal() -> bool:
    """Return whether all three standard streams are a terminal."""
    return all(
        stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)
    )


def remote(environment: Mapping[str, str]) -> bool:
    """Return whether the screen is drawn over SSH, where every byte counts."""
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


class TerminalWatch:
    """Notices that the terminal is gone and leaves, whatever the screen's own loop is stuck in.

    A drawing loop whose terminal vanished blocks on its output for ever. So this thread asks the
    terminal once a second, or at once on SIGHUP, lets ``leave`` close what must be closed (at most
    ``patience`` seconds) and ends the process.
    """

    def __init__(
        self,
        leave: Callable[[], None],
        *,
        period: float = 1.0,
        patience: float = 10.0,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._leave = leave
        self._period = period
        self._patience = patience
        self._end = end
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="terminal-watch", daemon=True)

    def start(self, descriptor: int) -> None:
        """Watch the terminal behind ``descriptor``; must be called from the main thread."""
        self._descriptor = descriptor
        signal.signal(signal.SIGHUP, lambda _number, _frame: self._hang_up())
        self._thread.start()

    def stop(self) -> None:
        """Stop watching: the screen is leaving by itself."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def _hang_up(self) -> None:
        self._hung_up = True
        self._wake.set()

    _hung_up = False
    _descriptor = 0

    def _gone(self) -> bool:
        try:
            termios.tcgetattr(self._descriptor)
        except termios.error:
            return True
        return self._hung_up

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._period)
            if self._stop.is_set():
                return
            if self._gone():
                closing = threading.Thread(target=self._leave, name="leave", daemon=True)
                closing.start()
                closing.join(self._patience)
                self._end(LOST_EXIT_CODE)
                return
