"""A real terminal, by tmux: keys go in, what the operator would see comes out."""

import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.tour.place import Mismatch, Place

_TMUX_CONF = """\
set -g status off
set -g remain-on-exit on
set -s escape-time 0
set -g default-terminal tmux-256color
"""
_LOOK_SECONDS = 0.1
# A hand's pace: Textual lets letters typed within milliseconds of a binding's key overtake it.
_KEY_SECONDS = 0.15


class Terminal:
    """One command on a terminal of ``columns`` by ``rows``; ended, at the latest, on leaving."""

    def __init__(
        self, place: Place, words: Sequence[str], columns: int = 120, rows: int = 40
    ) -> None:
        self._place = place
        self._words = list(words)
        self._size = (columns, rows)
        self._socket = place.folder / "tmux.sock"
        # Written by the shell: tmux sometimes never reaps a process whose terminal closed first.
        self._ended = place.folder / "exit-code"

    def __enter__(self) -> Self:
        conf = self._place.folder / "tmux.conf"
        self._ended.unlink(missing_ok=True)
        conf.write_text(_TMUX_CONF)
        columns, rows = self._size
        self._tmux(
            *("-f", str(conf), "new-session", "-d", "-x", str(columns), "-y", str(rows)),
            *(
                "-c",
                str(self._place.desk),
                f"trap : INT; {shlex.join(self._words)}; echo $? > {self._ended}",
            ),
        )
        print(f"  {shlex.join(self._words)} at {columns}x{rows}", flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tmux("kill-server", check=False)
        Path(self._socket).unlink(missing_ok=True)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: F12, C-t, Enter, a."""
        for key in keys:
            self._tmux("send-keys", key)
            threading.Event().wait(_KEY_SECONDS)

    def type(self, text: str) -> None:
        """Type text, letter by letter."""
        if text:
            self._tmux("send-keys", "-l", text)
            threading.Event().wait(_KEY_SECONDS)

    def click(self, column: int, row: int) -> None:
        """Click with the left button; the top left cell is 1, 1."""
        self.type(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")

    def wheel(self, column: int, row: int) -> None:
        """Turn the wheel down over a cell, and up again."""
        self.type(f"\x1b[<65;{column};{row}M")
        self.type(f"\x1b[<64;{column};{row}M")

    def text(self, *, inked: bool = False) -> str:
        """Return what the screen shows; ``inked`` with its colours, as escape sequences."""
        return self._tmux("capture-pane", "-p", *(["-e"] if inked else []))

    def see(self, *patterns: str, within: float = 180.0) -> str:
        """Wait until the screen shows every pattern at once; Mismatch, with the screen, if not."""

        def missing() -> list[str]:
            return [one for one in patterns if not self._shows(one)]

        return self._until(missing, within)

    def see_gone(self, pattern: str, within: float = 120.0) -> None:
        """Wait until the screen no longer shows ``pattern``."""
        self._until(lambda: [f"no {pattern}"] if self._shows(pattern) else [], within)

    def see_ground(self, colour: str, within: float = 120.0) -> None:
        """Wait until something is drawn on a ground of ``colour``, #rrggbb."""
        ink = "48;2;" + ";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5)) + "m"
        self._until(
            lambda: [] if ink in self.text(inked=True) else [f"the ground {colour}"], within
        )

    def ends(self, code: int, within: float = 180.0) -> None:
        """Wait until the command has ended, with this exit code."""
        pause, deadline = threading.Event(), time.monotonic() + within
        while not (self._ended.exists() and self._ended.read_text().strip()):
            if time.monotonic() > deadline:
                raise Mismatch(f"it did not end within {within:.0f} s:\n{self.text()}")
            pause.wait(_LOOK_SECONDS)
        status = self._ended.read_text().strip()
        if status != str(code):
            raise Mismatch(f"exit code {status}, not {code}:\n{self.text()}")

    def _shows(self, pattern: str) -> bool:
        """Whether the screen shows ``pattern``; a banner's sentence may go on in its second line."""
        shown = self.text()
        return bool(re.search(pattern, shown) or re.search(pattern, " ".join(shown.split())))

    def _until(self, missing: Callable[[], list[str]], within: float) -> str:
        pause, deadline = threading.Event(), time.monotonic() + within
        while lacking := missing():
            if time.monotonic() > deadline:
                raise Mismatch(f"not seen within {within:.0f} s: {lacking}\n{self.text()}")
            pause.wait(_LOOK_SECONDS)
        return self.text()

    def _tmux(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            env=self._place.environment(),
            check=False,
        )
        if check and done.returncode:
            raise Mismatch(f"tmux {words[0]}: {done.stderr.strip()}")
        return done.stdout
