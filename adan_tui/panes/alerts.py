"""Alerts: what a person should know, the worst and newest unanswered first."""

from adan_core.domain.alerts import Alert, Severity
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture
from adan_tui.text import clean, wrap
from adan_tui.view import View

_MARKS = {
    Severity.CRITICAL: ("!! CRIT", Ink.BAD),
    Severity.WARNING: ("!  warn", Ink.WARN),
    Severity.INFO: ("i  info", Ink.ACCENT),
}
_ORDER = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def watch(view: View) -> object:
    """Alerts change when one is raised, repeated or acknowledged."""
    return view.snapshot and view.snapshot.alerts


def ranked(alerts: tuple[Alert, ...]) -> list[Alert]:
    """Return the alerts as shown: unacknowledged first, then by severity, then newest."""
    return sorted(
        alerts, key=lambda alert: (alert.acknowledged, _ORDER[alert.severity], -alert.time)
    )


def _rows(alert: Alert, view: View, width: int) -> list[Line]:
    mark, ink = _MARKS[alert.severity]
    time = figures.clock(alert.time, utc=view.utc)
    if alert.acknowledged:
        mark, ink = f"✓  {mark[3:]}", Ink.FAINT
    again = f" (x{alert.repeats + 1})" if alert.repeats else ""
    text = f"{clean(alert.code)}: {clean(alert.message)}{again}"
    lead = len(mark) + len(time) + 2
    parts = wrap(text, width - lead) or [""]
    told = Ink.FAINT if alert.acknowledged else Ink.TEXT
    first: Line = ((mark, ink), (f" {time} ", Ink.MUTED), (parts[0], told))
    return [first, *(((" " * lead, Ink.TEXT), (part, told)) for part in parts[1:3])]


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw each alert on one to three lines."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.alerts:
        none: Line = (("No alerts: nothing needs you.", Ink.MUTED),)
        return Picture("Alerts", "none", rows=(none,))
    waiting = sum(not alert.acknowledged for alert in snapshot.alerts)
    rows = [line for alert in ranked(snapshot.alerts) for line in _rows(alert, view, width)]
    note = f"{waiting} to acknowledge: A" if waiting else "all acknowledged"
    return Picture("Alerts", note, Ink.WARN if waiting else Ink.MUTED, rows=tuple(rows))
