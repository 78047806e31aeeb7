"""Alerts: said once, counted when they repeat, kept until there are too many."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.errors import UsageError
from adan_core.domain.time import Clock
from adan_core.security.redaction import redact_text

HALT: Final = "HALT"
FLATTEN: Final = "FLATTEN"

# An operator who stops the core must see each stop, however many there are.
_NEVER_SUPPRESSED = frozenset({HALT, FLATTEN})

Listener = Callable[[Alert], None]


class AlertManager:
    """Raises, suppresses, keeps and acknowledges alerts; safe to use from every thread.

    The same code at the same severity within ``cooldown`` seconds of its last being said is a
    duplicate: it raises that alert's ``repeats`` and is not told to the listener.
    """

    def __init__(self, clock: Clock, cooldown: float, history: int, listener: Listener) -> None:
        """``listener`` hears every alert that is not a duplicate, in the thread that raised it."""
        self._clock = clock
        self._cooldown = cooldown
        self._history = history
        self._listener = listener
        self._lock = threading.Lock()
        self._alerts: dict[int, Alert] = {}
        self._last_said: dict[tuple[str, Severity], tuple[int, float]] = {}
        self._next_id = 1

    def configure(self, cooldown: float, history: int) -> None:
        """Take on another cooldown (seconds) and number of alerts kept."""
        with self._lock:
            self._cooldown = cooldown
            self._history = history
            self._forget_oldest()

    def raise_alert(self, code: str, severity: Severity, message: str) -> Alert:
        """Say something the operator should know; return the alert, new or counted once more.

        ``code`` names the condition (put what it is about into it, e.g. ``STALE BTC/SIM``, where
        each needs saying); a duplicate takes on the newest ``message``. Secrets are taken out of
        both: alerts leave the machine.
        """
        code, message = redact_text(code), redact_text(message)
        with self._lock:
            now = self._clock.monotonic()
            said_id, said_at = self._last_said.get((code, severity), (0, now))
            known = self._alerts.get(said_id)
            duplicate = (
                known is not None
                and code not in _NEVER_SUPPRESSED
                and now - said_at < self._cooldown
            )
            if known is not None and duplicate:
                counted = replace(known, message=message, repeats=known.repeats + 1)
                self._alerts[said_id] = counted
                return counted
            alert = Alert(
                alert_id=self._next_id,
                code=code,
                severity=severity,
                message=message,
                time=self._clock.now(),
                repeats=0,
                acknowledged=False,
            )
            self._next_id += 1
            self._alerts[alert.alert_id] = alert
            self._last_said[code, severity] = (alert.alert_id, now)
            self._forget_oldest()
        self._listener(alert)
        return alert

    def acknowledge(self, alert_id: int) -> Alert:
        """Mark an alert as seen and return it; UsageError if there is none of that number."""
        with self._lock:
            alert = self._alerts.get(alert_id)
            if alert is None:
                raise UsageError(
                    f"no alert {alert_id}",
                    "the number of an alert that is kept",
                    "look it up again",
                )
            self._alerts[alert_id] = replace(alert, acknowledged=True)
            return self._alerts[alert_id]

    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts kept, the newest first."""
        with self._lock:
            return tuple(reversed(self._alerts.values()))

    def _forget_oldest(self) -> None:
        while len(self._alerts) > self._history:
            oldest = next(iter(self._alerts))
            alert = self._alerts.pop(oldest)
            key = (alert.code, alert.severity)
            if self._last_said.get(key, (0, 0.0))[0] == oldest:
                del self._last_said[key]
