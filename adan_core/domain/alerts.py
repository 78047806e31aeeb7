"""Alerts and log lines."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.time import Milliseconds


class Severity(StrEnum):
    """How soon a person must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


Alarm = Callable[[str, Severity, str], None]
"""Tells a person: a code that groups what repeats, how bad it is, and one sentence."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the operator should know; ``repeats`` counts the duplicates suppressed since."""

    alert_id: int
    code: str
    severity: Severity
    message: str
    time: Milliseconds
    repeats: int
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log as the screen shows it."""

    time: Milliseconds
    level: str
    event: str
