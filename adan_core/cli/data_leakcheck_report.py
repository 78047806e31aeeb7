"""What ``adan-core data leakcheck`` found, in words and tables."""

from collections.abc import Iterator, Sequence

from adan_core.cli.figures import table
from adan_core.domain.time import iso
from adan_core.learning.leakcheck import LeakReport
from adan_core.learning.leakcheck_changes import Change
from adan_core.learning.leakcheck_planted import Caught
from adan_core.learning.leakcheck_stages import Stage
from adan_core.learning.leakcheck_warm_up import WarmUpReport

_NAMED = 8  # of the columns with a leak; --json has them all


def report_lines(report: LeakReport) -> Iterator[str]:
    """Yield the table of the stages, and where each leak shows first."""
    yield (
        f"{report.candles:,} candles from {iso(report.start)} to {iso(report.stop)}; after "
        f"{len(report.instants)} instants all that follows was changed in {len(Change)} ways"
    )
    yield ""
    yield from table(
        ["stage", "columns", "comparisons", "verdict"],
        [
            [
                result.stage,
                str(result.columns),
                f"{result.comparisons:,}",
                _verdict(result.comparisons, leaks=result.leak is not None),
            ]
            for result in report.stages
        ],
    )
    yield ""
    for result in report.stages:
        leak = result.leak
        if leak is not None:
            yield f"{result.stage}: {leak.column} at {iso(leak.time)} (candle {leak.bar:,})"
            yield f"  was {leak.expected}"
            yield f"  and {leak.found} with {leak.change} after {iso(leak.instant_time)}"
            yield f"  {_reach(result.ahead)}; columns that differ: {_some(result.leaking)}"
    if report.cause is None:
        yield "clean: nothing at or before an instant depends on what comes after it"
    else:
        yield f"LEAK: mend the {report.cause.stage} first; the stages after it may only pass it on"


def _verdict(comparisons: int, *, leaks: bool) -> str:
    if leaks:
        return "LEAK"
    return "clean" if comparisons else "not compared"


def _reach(ahead: int) -> str:
    if not ahead:
        return "it shows a higher candle before that has closed"
    return f"it reads {ahead:,} candle{'s' if ahead > 1 else ''} ahead, at least"


def _some(columns: Sequence[str]) -> str:
    named = ", ".join(columns[:_NAMED])
    left = len(columns) - _NAMED
    return named if left <= 0 else f"{named} and {left} more"


def self_test_lines(judged: Sequence[Caught]) -> Iterator[str]:
    """Yield what became of each planted leak, and the verdict."""
    yield from table(
        ["planted leak", "stage", "first column", "at", "ahead", "caught"],
        [
            [
                each.name,
                each.found_in or "-",
                each.leak.column if each.leak else "-",
                iso(each.leak.time) if each.leak else "-",
                f"{each.ahead:,}",
                "yes" if each.rightly else "NO",
            ]
            for each in judged
        ],
    )
    yield ""
    escaped = [each.name for each in judged if not each.rightly]
    if escaped:
        yield f"NOT CAUGHT RIGHTLY: {', '.join(escaped)}"
    else:
        yield f"all {len(judged)} planted leaks were caught, each in its stage, column and place"


def warm_up_lines(report: WarmUpReport, begins: int) -> Iterator[str]:
    """Yield the table of the warm-up, and a warning if training begins at candle ``begins`` too soon."""

    def count(value: int | None) -> str:
        return f"never within {report.within:,}" if value is None else f"{value:,}"

    yield (
        f"candles until a feature does not depend on where the history begins "
        f"({len(report.beginnings)} beginnings; recursive means fade and never forget entirely)"
    )
    yield from table(
        ["column", "first value", f"equal to {report.tolerance:g}", "equal to the bit"],
        [
            [
                each.column if each.stage is Stage.STATE else f"{each.stage}: {each.column}",
                count(each.first_value),
                count(each.agrees),
                count(each.bit_equal),
            ]
            for each in report.columns
        ],
    )
    yield ""
    late = report.later_than(begins)
    if late:
        yield (
            f"warning: training begins at candle {begins:,}, when {len(late)} columns of the state "
            "still depend on where the history begins: " + ", ".join(each.column for each in late)
        )
    else:
        yield f"training begins at candle {begins:,}, when no column depends on the beginning"
