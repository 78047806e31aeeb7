"""Where a tour happens: a home of its own, its processes under coverage, and what went wrong."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.tour.readme import ROOT

PASSPHRASE = "a passphrase for the tour only"  # noqa: S105
BIN = Path(sys.executable).parent
_LONGEST_SECONDS = 900.0


class Mismatch(Exception):
    """Something was not as an operator should see it."""


@dataclass(slots=True)
class Place:
    """A temporary home, the folder commands run in, and the coverage data of each part."""

    folder: Path
    part: str = "readme"
    wrong: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Everything ADAN writes."""
        return self.folder / "home"

    @property
    def desk(self) -> Path:
        """The working directory, where the operator's own files lie."""
        return self.folder / "desk"

    @property
    def measured(self) -> Path:
        """Where the parts' coverage data lie."""
        return self.folder / "coverage"

    def prepare(self) -> None:
        """Make the folders, and a systemd credential for those who cannot be given a passphrase."""
        for made in (self.desk, self.measured, self.folder / "credentials"):
            made.mkdir(parents=True)
        (self.folder / "credentials" / "adan-passphrase").write_text(PASSPHRASE)

    def environment(self) -> dict[str, str]:
        """Return the variables of the tour's processes."""
        mine = (
            "ADAN_",
            "COVERAGE_",
            "NUMBA_",
            "SSH_",
            "DBUS_",
            "NO_COLOR",
            "TEXTUAL",
            "COLUMNS",
            "LINES",
        )
        given = {name: text for name, text in os.environ.items() if not name.startswith(mine)}
        return (
            given
            | {
                "ADAN_HOME": str(self.home),
                "CREDENTIALS_DIRECTORY": str(self.folder / "credentials"),
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
                "COVERAGE_FILE": str(self.measured / self.part),
                "COLORTERM": "truecolor",
            }
            | ({"NUMBA_DISABLE_JIT": "1"} if self.part == "kernels" else {})
        )

    def run(self, *words: str, code: int = 0, typed: str = "", shows: Sequence[str] = ()) -> str:
        """Run one command to its end; its exit code and what it must say are checked."""
        done = subprocess.run(
            words,
            cwd=self.desk,
            env=self.environment(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        said = done.stdout + done.stderr
        told = " ".join(words)
        print(f"  {told}  -> {done.returncode}", flush=True)
        if done.returncode != code:
            self.wrong.append(f"{told}: exit code {done.returncode}, not {code}:\n{said}")
        if "Traceback" in said:
            self.wrong.append(f"{told}: a traceback:\n{said}")
        self.wrong += [
            f"{told}: does not say {text!r}:\n{said}" for text in shows if text not in said
        ]
        return said

    def act(self, name: str, play: Callable[[], None]) -> None:
        """Play one act; a mismatch ends the act, and is kept for the end of the tour."""
        print(f"{name}", flush=True)
        began = time.monotonic()
        try:
            play()
        except Mismatch as mismatch:
            self.wrong.append(f"{name}: {mismatch}")
            print(f"  MISMATCH {mismatch}", flush=True)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
