"""Figures and tables in plain text; what is not known is N/A."""

from collections.abc import Sequence
from typing import Final

# (label, field of PerformanceMetrics, format)
METRIC_ROWS: Final = (
    ("total return", "total_return", "+.2%"),
    ("log-return", "log_return", "+.4f"),
    ("annual return", "annual_return", "+.2%"),
    ("Sharpe", "sharpe_ratio", "+.2f"),
    ("Sortino", "sortino_ratio", "+.2f"),
    ("Calmar", "calmar_ratio", "+.2f"),
    ("max drawdown", "max_drawdown", ".2%"),
    ("win rate", "win_rate", ".1%"),
    ("profit factor", "profit_factor", ".2f"),
    ("VaR 95 (a candle)", "var_95", "+.3%"),
    ("expected shortfall", "expected_shortfall", "+.3%"),
    ("turnover", "turnover", ".1f"),
    ("fees", "fees", ",.2f"),
    ("exposure", "exposure", ".1%"),
    ("trades", "trades", "d"),
    ("trades a day", "trades_per_day", ".2f"),
    ("composite score", "composite_score", "+.3f"),
)


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
