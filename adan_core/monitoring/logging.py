"""The structured log: redacted JSON lines in a file, the newest few kept for the screen.

Nothing is written to the terminal unless asked: a screen may own it.
"""

import logging
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

from adan_core.domain.alerts import LogLine
from adan_core.domain.time import Clock, iso
from adan_core.monitoring.log_file import LogFile
from adan_core.security.redaction import redact, redact_text

SCHEMA_VERSION = 1
KEPT_LINES = 500
_LONGEST_TEXT = 16 * 1024
_EventDict = MutableMapping[str, Any]

correlated = structlog.contextvars.bound_contextvars
"""``with correlated(decision_id=...):`` puts the id on every line logged inside."""

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class LogSystem:
    """The process's log, once ``configure_logging`` has set it up."""

    def __init__(
        self, file: LogFile, clock: Clock, kept_lines: int = KEPT_LINES, echo: TextIO | None = None
    ) -> None:
        self._file = file
        self._clock = clock
        self._recent: deque[LogLine] = deque(maxlen=kept_lines)
        self._echo = echo
        self._encoder = msgspec.json.Encoder()
        self._lost_said = 0

    def recent(self) -> tuple[LogLine, ...]:
        """Return the newest lines, oldest first."""
        return tuple(self._recent)

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Write one line; ``event`` and ``fields`` are redacted here, whatever was done before.

        Lines that the disk refused are counted, and said once it takes lines again.
        """
        now = self._clock.now()
        shown = redact_text(event[:_LONGEST_TEXT])
        line: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "time": iso(now),
            "level": level,
            "pid": os.getpid(),
            "event": shown,
        }
        redacted = redact({name: _shortened(value) for name, value in fields.items()})
        if isinstance(redacted, dict):
            line.update({name: value for name, value in redacted.items() if name not in line})
        encoded = self._encoder.encode(line)
        taken = self._file.append(encoded)
        self._recent.append(LogLine(now, level, shown))
        if self._echo is not None:
            print(encoded.decode(), file=self._echo, flush=True)
        lost = self._file.lost
        if taken and lost > self._lost_said:
            missing, self._lost_said = lost - self._lost_said, lost
            self.write("warning", f"{missing} log lines were lost: {self._file.last_error}", {})

    def close(self) -> None:
        """Stop taking lines and wait for the archives."""
        structlog.reset_defaults()
        root = logging.getLogger()
        for handler in [one for one in root.handlers if isinstance(one, _LibraryHandler)]:
            root.removeHandler(handler)
        logging.captureWarnings(False)  # noqa: FBT003
        self._file.close()


def configure_logging(
    file: LogFile, clock: Clock, level: str = "info", echo: TextIO | None = None
) -> LogSystem:
    """Send this process's log, and what libraries log from WARNING up, to ``file``.

    ``echo`` gets a copy of each line. Libraries' lines below WARNING are dropped whatever their
    loggers are set to: ccxt's DEBUG lines hold the API key.
    """
    system = LogSystem(file, clock, echo=echo)

    def render(_logger: object, method: str, event: _EventDict) -> str:
        text = str(event.pop("event", ""))
        system.write(str(event.pop("level", method)), text, event)
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _exception_text,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _LibraryHandler | logging.StreamHandler):
            root.removeHandler(handler)
    root.addHandler(_LibraryHandler(system.write))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)  # noqa: FBT003
    return system


class _LibraryHandler(logging.Handler):
    """Takes what libraries log from WARNING up."""

    def __init__(self, write: Callable[[str, str, Mapping[str, object]], None]) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of a library, its traceback without any local variable."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError) as error:
            text = f"{record.msg!s} (its arguments do not fit: {error})"
        fields: dict[str, object] = {
            **structlog.contextvars.get_contextvars(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = _formatted(record.exc_info[1])
        self._write(record.levelname.lower(), text, fields)


def _exception_text(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    """Turn ``exc_info`` into text without any local variable."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = _formatted(error)
    return event


def _formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _shortened(value: object) -> object:
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return value[:_LONGEST_TEXT] + f"... ({len(value)} characters)"
    return value
