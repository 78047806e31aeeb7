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
    kind = report.kind.value if report.kind is not None else "HALT"
    reached = _between(report.requested_at, report.latched_at)
    match report.phase:
        case KillPhase.ARMED:
            return ""
        case KillPhase.REQUESTED:
            asked = report.requested_at
            since = "" if asked is None else f" {figures.age(view.now - asked)} ago"
            if view.link:
                return f"{kind} REQUESTED{since}, but the core does not answer: {ELSEWHERE}"
            return f"{kind} REQUESTED{since}: waiting for the core to latch it"
        case KillPhase.LATCHED:
            return f"{kind} LATCHED on disk{reached}: cancelling begins"
        case KillPhase.CANCELLING:
            return f"{kind} CANCELLING, attempt {report.attempts}: {_standing(report)}"
        case KillPhase.RETRYING:
            why = f" ({clean(report.detail)})" if report.detail else ""
            return f"{kind} RETRYING, attempt {report.attempts}: {_standing(report)}{why}"
        case KillPhase.CONFIRMED:
            within = _between(report.requested_at, report.confirmed_at)
            return f"{kind} CONFIRMED{within}: {_standing(report)}. F8 re-arms"
