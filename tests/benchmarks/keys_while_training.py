"""How soon a key has its effect on the screen while a training runs beside it.

Measured through the program itself on a pseudo-terminal, from the key's bytes to the first bytes
of its effect, at the size and with the settings that are shipped (but for the training's length,
which has to outlast the measuring). Presses come at random moments, as an operator's do.
"""

import fcntl
import functools
import os
import pty
import random
import re
import select
import signal
import struct
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.rows import Reference, Row
from tests.benchmarks.starting import _ANSWERS, _program

_LINES, _COLUMNS = 40, 120
_PRESSES = 30
_LONGEST_PAUSE = 0.25
_SETTLED = 0.25  # beyond the tenth of a second in which an escape may begin another key
_PATIENCE = 120.0
_TARGET_MILLISECONDS = 50.0
_ARMED = rb"PAPER[^\n]{0,200}RUNNING"  # the header; a training is RUNNING, too
_LEARNING = rb"\d steps/s"
_F5, _F8, _F9, _F12, _ESCAPE = b"\x1b[15~", b"\x1b[19~", b"\x1b[20~", b"\x1b[24~", b"\x1b"


class _Screen:
    """The real screen on a pseudo-terminal."""

    def __init__(self, home: Path) -> None:
        environment = os.environ | {"ADAN_HOME": str(home), "TERM": "xterm-256color"}
        environment.pop("SSH_CONNECTION", None)
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            program = _program("adan-tui")
            os.execvpe(program, [program], environment)  # noqa: S606 (a fixed command)
        size = struct.pack("HHHH", _LINES, _COLUMNS, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def press(self, key: bytes, pattern: bytes) -> float:
        """Press ``key``; return the seconds until ``pattern`` is drawn, RuntimeError if it never is."""
        began = time.perf_counter()
        os.write(self._terminal, key)
        self.see(pattern)
        return time.perf_counter() - began

    def see(self, pattern: bytes) -> None:
        """Read what is drawn until ``pattern``, a regular one, is; RuntimeError if it never is."""
        limit, shown = time.monotonic() + _PATIENCE, b""
        while re.search(pattern, shown) is None:
            if time.monotonic() > limit:
                raise RuntimeError(f"the screen never showed {pattern!r}")
            shown += self._read(0.5)

    def pass_over(self, seconds: float) -> None:
        """Read what is drawn for so long, and forget it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def close_dialogue(self) -> None:
        """Close what lies over the panes; the panes may show through it, so only time tells."""
        os.write(self._terminal, _ESCAPE)
        self.pass_over(_SETTLED)

    def _read(self, seconds: float) -> bytes:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return b""
        data = os.read(self._terminal, 65_536)
        for question, answer in _ANSWERS:
            if question in data:
                os.write(self._terminal, answer)
        return data

    def close(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


def _times(screen: _Screen) -> float:
    """A key whose effect is a word: the clock's zone."""
    seconds = screen.press(b"u", b" local")
    screen.press(b"u", b" UTC")
    return seconds


def _kill(screen: _Screen) -> float:
    """The kill switch, until the header says so; re-armed for the next press."""
    seconds = screen.press(_F12, b"HALTING|HALTED")
    screen.see(b"CONFIRMED")
    screen.press(_F8, b"Re-arm after")
    screen.press(b"REARM\r", _ARMED)
    return seconds


def _dialogue(screen: _Screen) -> float:
    """The question before a FLATTEN."""
    seconds = screen.press(_F9, b"FLATTEN: close everything")
    screen.close_dialogue()
    return seconds


def _help(screen: _Screen) -> float:
    """The largest dialogue."""
    seconds = screen.press(b"?", b"Keys")
    screen.close_dialogue()
    return seconds


_MEASURED: dict[str, Callable[[_Screen], float]] = {
    "action": _times,
    "kill": _kill,
    "dialogue": _dialogue,
    "help": _help,
}


def _presses(screen: _Screen) -> dict[str, float]:
    """Press each key many times by turns; return each one's 99th percentile in milliseconds."""
    moments = random.Random(1)
    seconds: dict[str, list[float]] = {name: [] for name in _MEASURED}
    for _ in range(_PRESSES):
        for name, press in _MEASURED.items():
            screen.pass_over(moments.uniform(0.0, _LONGEST_PAUSE))
            seconds[name].append(press(screen))
    return {name: 1_000.0 * float(np.percentile(each, 99)) for name, each in seconds.items()}


@functools.cache
def _both() -> tuple[dict[str, float], dict[str, float]]:
    """Return what ``_presses`` finds without a training, and while one runs."""
    with tempfile.TemporaryDirectory() as folder:
        screen = _Screen(Path(folder))
        try:
            screen.see(_ARMED)
            idle = _presses(screen)
            screen.press(_F5, b"Start a training")
            screen.press(b"1000000000\r", _LEARNING)
            busy = _presses(screen)
            # Still: what stands unchanged is drawn anew only where another pane was shown between.
            os.write(screen._terminal, b"1")
            screen.pass_over(_SETTLED)
            screen.press(b"5", _LEARNING)
        finally:
            screen.close()
    return idle, busy


def _row(told: str, name: str) -> Row:
    idle, busy = _both()
    reference = Reference("without a training", idle[name])
    return Row(f"{told} while training, p99", busy[name], "ms", reference, _TARGET_MILLISECONDS)


def key_to_action() -> Row:
    """From a key to its action, seen by one changed word."""
    return _row("key to its action", "action")


def kill_key() -> Row:
    """From the kill key to the header that says so; the core is told before that is drawn."""
    return _row("kill key to its effect on the header", "kill")


def key_to_dialogue() -> Row:
    """From F9 to the FLATTEN dialogue, drawn over the panes."""
    return _row("key to the FLATTEN dialogue", "dialogue")


def key_to_help() -> Row:
    """From a key to the help, drawn over the panes."""
    return _row("key to the help", "help")
