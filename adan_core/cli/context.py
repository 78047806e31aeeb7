"""What every command is given: where files are, the settings, the clock and the three streams."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from adan_core.config.locations import Locations
from adan_core.domain.time import Clock

if TYPE_CHECKING:
    from adan_core.config.loading import Loaded
    from adan_core.config.settings import Settings
    from adan_core.data.cache import DataCache

_ESCAPED: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}


@dataclass(frozen=True, slots=True)
class Context:
    """The outside world, passed in; ``overrides`` are the command line's ``--set KEY=VALUE``."""

    home: Locations
    clock: Clock
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    overrides: tuple[str, ...]

    def loaded(self) -> "Loaded":
        """Read all layers of the settings and return them with their hash and their sources."""
        from adan_core.config.loading import load_settings

        return load_settings(self.home, self.overrides, self.environment)

    def settings(self) -> "Settings":
        """Read all layers of the settings; ConfigurationError names every key that is wrong."""
        return self.loaded().settings

    def cache(self, settings: "Settings") -> "DataCache":
        """Return the cache of this home; what it cannot keep it says on standard error, once.

        Only the disk's: a command asks for each thing once, and its memory is for the work.
        """
        from adan_core.data.cache import DataCache

        return DataCache(self.home.data_cache, 0, settings.cache.disk_bytes, self.warn)

    def say(self, text: str) -> None:
        """Write one line for a person."""
        print(printable(text, self.stdout.encoding), file=self.stdout, flush=True)

    def warn(self, text: str) -> None:
        """Write one line for a person, apart from the command's result, without any key in it."""
        from adan_core.security.redaction import redact_text

        print(printable(redact_text(text), self.stderr.encoding), file=self.stderr, flush=True)

    def emit(self, value: object) -> None:
        """Write one JSON document and a newline: what ``--json`` asks for."""
        import msgspec

        try:
            text = msgspec.json.encode(value).decode()
            text.encode(self.stdout.encoding or "utf-8")
        except UnicodeError:  # a file's name that is no text, or more than the reader may take
            known = json.dumps(msgspec.to_builtins(value))
            finite = json.loads(known, parse_constant=lambda _: None)  # as msgspec writes them
            text = json.dumps(finite, separators=(",", ":"))
        self.stdout.write(text + "\n")
        self.stdout.flush()

    @property
    def interactive(self) -> bool:
        """Whether a person is at both ends."""
        return self.stdin.isatty() and self.stdout.isatty()


def printable(text: str, encoding: str | None = None) -> str:
    """Return ``text`` with all escaped that ``encoding`` (UTF-8) lacks or a terminal would obey.

    Names of files and columns come from others, who may have put a terminal's commands there.
    """
    known = encoding or "utf-8"
    return text.translate(_ESCAPED).encode(known, "backslashreplace").decode(known)


def system_streams() -> tuple[TextIO, TextIO, TextIO]:
    """Return the process's own standard streams."""
    return sys.stdin, sys.stdout, sys.stderr
