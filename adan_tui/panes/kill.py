"""The kill switch in words: how far a HALT or FLATTEN has come, and what the exchange said."""

from adan_core.domain.state import KillKind, KillPhase, KillReport
from adan_tui import figures
from adan_tui.text import clean
from adan_tui.view import View, kill_report

ELSEWHERE = "run adan-core halt in another terminal"


def _many(count: int | None, one: str, several: str) -> str:
    if count is None:
        return f"{several} N/A"
    return f"{count} {one if count == 1 else several}"


def _standing(report: KillReport) -> str:
    parts = [_many(report.entries_left, "entry order left", "entry orders left")]
    if report.kind is KillKind.FLATTEN:
        parts.append(_many(report.positions_left, "position left", "positions left"))
    stops = _many(
        report.protection_standing, "protective stop standing", "protective stops standing"
    )
    parts.append(stops)
    return ", ".join(parts)


def _between(start: int | None, end: int | None) -> str:
    if start is None or end is None:
        return ""
    return f" in {figures.latency(max(end - start, 0))}"


def told(view: View) -> str:
    """Return the banner's sentence, empty while no kill is in force or asked for."""
    report = kill_report(view)
    if report.phase is KillPhase.ARMED:
        return ""
    kind = report.kind.value if report.kind is not None else "HALT"
    return f"{kind} {report.phase.value.upper()}{_progress(report, view)}"


def _progress(report: KillReport, view: View) -> str:
    if report.phase is KillPhase.REQUESTED:
        asked = report.requested_at
        since = "" if asked is None else f" {figures.age(view.now - asked)} ago"
        if view.link:
            return f"{since}, but the core does not answer: {ELSEWHERE}"
        return f"{since}: waiting for the core to latch it"
    if report.phase is KillPhase.LATCHED:
        return f" on disk{_between(report.requested_at, report.latched_at)}: cancelling begins"
    if report.phase is KillPhase.CONFIRMED:
        within = _between(report.requested_at, report.confirmed_at)
        return f"{within}: {_standing(report)}. F8 re-arms"
    why = f" ({clean(report.detail)})" if report.detail else ""
    return f", attempt {report.attempts}: {_standing(report)}{why}"
