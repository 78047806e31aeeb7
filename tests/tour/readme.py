"""README's commands, taken from its fenced blocks as they stand, so that they cannot drift."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:adan-core|adan-tui|make) [^`\n]+)`")
_PROGRAMS = ("adan-core", "adan-tui", "make")


@dataclass(frozen=True, slots=True)
class Line:
    """One command of README's, as its words; ``waits`` says that it runs until it is stopped."""

    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """The program's name."""
        return self.words[0]

    @property
    def waits(self) -> bool:
        """Whether it runs until somebody ends it: a core or a sandbox."""
        core = self.words[:2] == ("adan-core", "run") and "replay" not in self.words
        return core or self.words[:2] == ("adan-core", "sandbox")

    def __str__(self) -> str:
        return shlex.join(self.words)


def blocks() -> tuple[tuple[Line, ...], ...]:
    """Return the commands of each fenced block that has any, in README's order."""
    found = []
    for block in _FENCE.findall(README.read_text(encoding="utf-8")):
        lines = (shlex.split(line, comments=True) for line in _commands(block))
        commands = tuple(Line(tuple(words)) for words in lines)
        if commands:
            found.append(commands)
    return tuple(found)


def inline() -> tuple[Line, ...]:
    """Return the commands that README's sentences name."""
    text = _FENCE.sub("", README.read_text(encoding="utf-8"))
    return tuple(Line(tuple(shlex.split(words))) for words in _INLINE.findall(text))


def _commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.split(" ", 1)[0] in _PROGRAMS]
