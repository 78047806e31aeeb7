"""Sentences that a walk-forward's report has in common on paper and in the terminal."""

import math

from adan_core.learning.calibration import Reliability
from adan_core.learning.metrics import YEAR
from adan_core.learning.walk_forward import WalkForward


def sharpe_line(report: WalkForward) -> str:
    """Return how sure the median seed's Sharpe ratio is, and how much longer a record would have to be."""
    found = report.sharpe_interval
    if found is None:
        return "Its Sharpe ratio has no interval: N/A."
    years = (report.test_stop - report.test_start) / YEAR
    root = math.sqrt((report.candles - 1) / years)
    record = (
        "no length of such a record would show that it is above 0"
        if report.track_record is None
        else f"{report.track_record:,.0f} candles of such a record would show that it is above 0"
    )
    return (
        f"Its annual Sharpe ratio: {root * found.estimate:+.2f}, {found.level:.0%} interval "
        f"{root * found.lower:+.2f} to {root * found.upper:+.2f}; {record} ({report.candles:,} are there)."
    )


def reliability_rows(found: Reliability) -> list[tuple[str, str, str, str]]:
    """Return each confidence that was reached: its bounds, its mean, how often it was right, how many."""
    return [
        (
            f"{one.lower:.0%} to {one.upper:.0%}",
            "N/A" if one.confidence is None else f"{one.confidence:.1%}",
            "N/A" if one.frequency is None else f"{one.frequency:.1%}",
            f"{one.count:,}",
        )
        for one in found.bins
        if one.count
    ]
