"""Figures and tables in plain text; what is not known is N/A."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from adan_core.learning.metric_rows import METRICS

if TYPE_CHECKING:
    from adan_core.learning.calibration import Reliability

# (label, field of PerformanceMetrics, format)
METRIC_ROWS: Final = tuple((row.label, row.key, row.form) for row in METRICS)


def convention_lines() -> list[str]:
    """Return what each figure means, a line each, under a heading."""
    width = max(len(row.label) for row in METRICS)
    return [
        "How the figures are computed, from simple returns of equity, candle by candle, net of costs:",
        *(f"  {row.label:{width}}  {row.convention}" for row in METRICS),
    ]


def figure(value: float | None, form: str) -> str:
    """Return ``value`` in ``form``, or N/A."""
    return "N/A" if value is None else format(value, form)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines: the first column to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def reliability_table(found: "Reliability") -> list[str]:
    """Return a line for each confidence that was reached: its mean, how often it was right, how many."""
    from adan_core.learning.report_words import reliability_rows

    return table(["confidence", "mean", "right", "decisions"], reliability_rows(found))
