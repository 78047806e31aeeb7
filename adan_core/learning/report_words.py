"""Sentences that a walk-forward's report has in common on paper and in the terminal."""

import math

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
