"""How soon a key has its effect on the screen while a training runs beside it."""

import fcntl
import os
import pty
import select
import signal
import struct
import tempfile
import termios
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.rows import Reference, Row
from tests.benchmarks.starting import _ANSWERS, _COLUMNS, _LINES, _program

_PRESSES = 150
_PATIENCE = 300.0
_TARGET_MILLISECONDS = 50.0


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

    def press(self, key: bytes, text: bytes) -> float:
        """Press ``key`` and return the seconds until ``text`` is drawn; RuntimeError if it never is."""
        began = time.perf_counter()
        os.write(self._terminal, key)
        self.see(text)
        return time.perf_counter() - began

    def see(self, text: bytes) -> None:
        limit, shown = time.monotonic() + _PATIENCE, b""
        while text not in shown:
            if time.monotonic() > limit:
                raise RuntimeError(f"the screen never showed {text!r}")
            if select.select([self._terminal], [], [], 0.5)[0]:
                data = os.read(self._terminal, 65_536)
                for question, answer in _ANSWERS:
                    if question in data:
                        os.write(self._terminal, answer)
                shown += data

    def close(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        os.close(self._terminal)
        os.waitpid(self._pid, 0)


def keys_while_training() -> Row:
    """From a key to what it does on the screen, p99 of many, while a training runs; and without one."""
    with tempfile.TemporaryDirectory() as folder:
        screen = _Screen(Path(folder))
        try:
            screen.see(b"PAPER")
            screen.press(b"5", b"F5 starts one")
            idle = _presses(screen)
            screen.press(b"\x1b[15~", b"Start a training")
            os.write(screen._terminal, b"\r")
            screen.see(b"steps/s")
            screen.see(b"KL")
            busy = _presses(screen)
        finally:
            screen.close()
    return Row(
        "key to its effect while training, p99",
        busy,
        "ms",
        Reference("without a training", idle),
        _TARGET_MILLISECONDS,
    )


def _presses(screen: _Screen) -> float:
    """Open and close the help many times; return the 99th percentile in milliseconds."""
    times = []
    for _ in range(_PRESSES):
        times.append(screen.press(b"?", b"Keys"))
        times.append(screen.press(b"q", b"Training"))
    return float(np.percentile(times, 99)) * 1_000
