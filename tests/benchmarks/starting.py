"""How long a person waits: the first frame of the screen, the help of the command line."""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.rows import Reference, Row

_LINES, _COLUMNS = 24, 80
_PATIENCE = 60.0
_ROUNDS = 5
_BARE_APP = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("BARE TEXTUAL")
Bare().run()
"""
# What a terminal answers when it is asked what it can do.
_ANSWERS = (
    (b"\x1b[c", b"\x1b[?62;c"),
    (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
    (b"\x1b[6n", b"\x1b[1;1R"),
)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def seconds_until_shown(command: Sequence[str], text: bytes, environment: dict[str, str]) -> float:
    """Start ``command`` on a new 80x24 terminal; return the seconds until ``text`` is drawn on it.

    RuntimeError if it ends before, or does not show it within a minute.
    """
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 (a fixed command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    shown = b""
    try:
        while time.perf_counter() - began < _PATIENCE:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(terminal, 65_536)
            except OSError:  # Linux says EIO when the other end has closed
                break
            if not data:
                break
            for question, answer in _ANSWERS:
                if question in data:
                    os.write(terminal, answer)
            shown += data
            if text in shown:
                return time.perf_counter() - began
        raise RuntimeError(f"{command[0]} never showed {text!r}; it showed {shown[-2000:]!r}")
    finally:
        os.kill(pid, signal.SIGTERM)
        os.close(terminal)
        os.waitpid(pid, 0)


def first_frame() -> Row:
    """Second and later starts of ``adan-tui``: from the start of the process to its header."""
    ours, theirs = _screen_times(b"ADAN")
    return Row("first frame, second start", ours, "s", Reference("bare Textual app", theirs), 0.8)


def live_screen() -> Row:
    """The same, until the core's own figures stand in the header."""
    ours, theirs = _screen_times(b"PAPER")
    return Row("live screen, second start", ours, "s", Reference("bare Textual app", theirs), None)


def _screen_times(text: bytes) -> tuple[float, float]:
    """Return the median seconds until ``adan-tui`` shows ``text``, and a bare Textual app its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "ADAN_HOME": folder,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        environment.pop("SSH_CONNECTION", None)
        bare = [sys.executable, "-c", _BARE_APP]
        screen = [_program("adan-tui")]
        seconds_until_shown(screen, text, environment)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(_ROUNDS):
            theirs.append(seconds_until_shown(bare, b"BARE", environment))
            ours.append(seconds_until_shown(screen, text, environment))
    return statistics.median(ours), statistics.median(theirs)


def help_time() -> Row:
    """``adan-core --help``, from the start of the process to its end."""

    def run(command: Sequence[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began

    argparse_alone = "import argparse; argparse.ArgumentParser().parse_args(['--help'])"
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(2 * _ROUNDS):
        theirs.append(run([sys.executable, "-c", argparse_alone]))
        ours.append(run([_program("adan-core"), "--help"]))
    reference = Reference("bare argparse", statistics.median(theirs))
    return Row("adan-core --help", statistics.median(ours), "s", reference, 0.15)
