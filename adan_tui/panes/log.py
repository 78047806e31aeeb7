"""Log: what the core says it does, newest first."""

from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture
from adan_tui.text import clean, fit
from adan_tui.view import View

_INKS = {
    "debug": Ink.FAINT,
    "info": Ink.MUTED,
    "warning": Ink.WARN,
    "error": Ink.BAD,
    "critical": Ink.BAD,
}


def watch(view: View) -> object:
    """The log changes with each line."""
    return view.snapshot and view.snapshot.log


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw one row per line of the log."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.log:
        none: Line = (("The log is empty.", Ink.MUTED),)
        return Picture("Log", rows=(none,))
    rows: list[Line] = []
    for line in reversed(snapshot.log):
        level = clean(line.level).lower()
        rows.append(
            (
                (f"{figures.clock(line.time, utc=view.utc)} ", Ink.MUTED),
                (fit(level, 8), _INKS.get(level, Ink.MUTED)),
                (f" {clean(line.event)}", Ink.TEXT),
            )
        )
    return Picture("Log", figures.zone(utc=view.utc), rows=tuple(rows))
