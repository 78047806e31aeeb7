"""``adan-core walk-forward``: a way of learning judged over the whole history of a data set."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.judgement_keeping import add_keeping_options, keeper
from adan_core.config.profile_settings import ALL_PROFILES, PROFILES
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.learning.fold_run import FoldResult, FoldTask
    from adan_core.learning.gates import GateVerdict
    from adan_core.learning.recipe_run import RecipeRun
    from adan_core.learning.test_ledger import FirstLook
    from adan_core.learning.walk_forward import Curves, WalkForward

SCHEMA_VERSION = 1

_EPILOG = """\
The candles are cut into folds: each learns anew from what lies before its test, chooses its weights
on the end of that past, and is tried on the test, which no weight has seen. Between the periods the
longest horizon and an embargo are left out. The tests follow each other to the newest candle and are
joined, one curve per seed; every figure is net of fee and slippage. The median seed stands for the
recipe, and the worst is shown before any best.

What is worked out is kept: an interrupted run goes on where it was. The test period counts as looked
at; the record of looks deflates the Sharpe ratio. Settings are in the section `judgement`.

examples:
  adan-core walk-forward --dataset practice --seeds 3 --folds 3 --steps 20000
       (after `adan-core data sample --rows 6000 --timeframe 1h --name practice`)
  adan-core walk-forward --dataset BTC-USDT-1h --html report.html
  adan-core walk-forward --dataset BTC-USDT-1h --profile swing --json
  adan-core walk-forward --dataset BTC-USDT-1h --for BTC-USDT-1h-s1   (keeps it for its promotion)

exit codes: 0 judged, whatever the verdict; the gates' is in the report
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``walk-forward``."""
    parser.epilog = _EPILOG
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a stored data set")
    parser.add_argument(
        "--profile",
        default="",
        choices=(*PROFILES, ALL_PROFILES),
        help="learn as one of the four profiles does; all: the four, voting",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="(default: settings)")
    parser.add_argument("--folds", type=int, metavar="N", help="(default: settings)")
    parser.add_argument("--steps", type=int, metavar="N", help="to learn in each fold")
    parser.add_argument("--workers", type=int, metavar="N", help="at a time (default: every core)")
    parser.add_argument(
        "--look-again", default="", metavar="REASON", help="why the test may be seen again"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots, too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_keeping_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Work every fold and seed out, judge, and print what was found, whatever it is."""
    from adan_core.data.store import CandleStore
    from adan_core.learning.gates import judge_gates
    from adan_core.learning.leakcheck_verdict import leak_free
    from adan_core.learning.market import feature_text
    from adan_core.learning.recipe_run import plan_run
    from adan_core.learning.test_ledger import FirstLook, TestLedger
    from adan_core.learning.walk_forward import Circumstances, judge

    settings = _settings(arguments, context)
    store = CandleStore(context.home.datasets)
    series = store.read(arguments.dataset)
    features = feature_text(settings, context.home)
    steps = arguments.steps or settings.learning.steps
    planned = plan_run(
        series,
        arguments.dataset,
        settings,
        features,
        arguments.profile,
        steps,
        tuple(range(1, settings.judgement.seeds + 1)),
        context.home.datasets,
        context.home.walk_forwards,
    )
    keep = keeper(arguments, context, planned.recipe, steps, series)
    taking = FirstLook(
        TestLedger(context.home.test_looks, context.clock),
        "walk-forward",
        planned.recipe,
        planned.subject,
        planned.period(series),
        arguments.look_again,
    )
    results = _worked_out(planned, arguments, context, taking)
    look = taking.look()
    unavailable: dict[str, str] = {}
    clean = leak_free(series, settings, features, unavailable, context.cache(settings))
    circumstances = Circumstances(
        arguments.dataset, planned.recipe, steps, look.number, clean, unavailable
    )
    report, curves = judge(
        series, settings, planned.splits, results, circumstances, context.cache(settings)
    )
    if keep is not None:
        keep(report, results)
    verdict = judge_gates(report.figures, settings.gates)
    if arguments.html is not None:
        _write_page(arguments.html, report, curves, verdict, settings, look.number)
    if arguments.json:
        context.emit(
            {"schema_version": SCHEMA_VERSION, "look": look, "report": report, "gates": verdict}
        )
    else:
        for line in walk_forward_lines(report, verdict, look.number):
            context.say(line)
        if arguments.html is not None:
            context.say(f"\nwith plots: {arguments.html}")
    return 0


def _settings(arguments: argparse.Namespace, context: Context) -> "Settings":
    from dataclasses import replace

    for name in ("seeds", "folds", "steps", "workers"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}", "a whole number from 1 on")
    chosen = [
        f"judgement.{name}={value}"
        for name, value in (("seeds", arguments.seeds), ("folds", arguments.folds))
        if value is not None
    ]
    return replace(context, overrides=(*context.overrides, *chosen)).settings()


def _worked_out(
    planned: "RecipeRun", arguments: argparse.Namespace, context: Context, taking: "FirstLook"
) -> "tuple[FoldResult, ...]":
    from adan_core.learning.executor import local_executor
    from adan_core.learning.recipe_run import work_out

    with local_executor(arguments.workers) as executor, _bar(context, len(planned.tasks)) as told:

        def done(task: "FoldTask", failure: str) -> None:
            if not failure:
                taking.look()
            told(f"fold {task.fold + 1}, seed {task.seed}" + (" FAILED" if failure else ""))

        return work_out(planned, executor, done)


def _write_page(
    path: Path,
    report: "WalkForward",
    curves: "Curves",
    verdict: "GateVerdict",
    settings: "Settings",
    look: int,
) -> None:
    from adan_core.learning.report_html import report_page
    from adan_core.resilience.files import write_atomically

    page = report_page(report, curves, verdict, settings, look)
    write_atomically(path, page.encode(), 0o644)


def walk_forward_lines(report: "WalkForward", verdict: "GateVerdict", looks: int) -> Iterator[str]:
    """Yield a judgement for a person: the worst seed first, the gates last."""
    from adan_core.cli.figures import METRIC_ROWS, convention_lines, figure, table
    from adan_core.domain.time import iso
    from adan_core.learning.closing_out import CLOSED_OUT

    kind = " (SIMULATED)" if report.synthetic else ""
    yield (
        f"{report.dataset}: {report.symbol} {report.timeframe}{kind}, {len(report.folds)} folds, "
        f"{len(report.seeds)} seeds of {report.steps:,} steps; tested on {report.candles:,} candles "
        f"from {iso(report.test_start)} to {iso(report.test_stop)}"
    )
    yield (
        f"net of {report.fee_rate:.2%} fee and {report.slippage_rate:.2%} slippage a side; "
        f"look number {looks} at this test period; recipe {report.recipe}"
    )
    yield CLOSED_OUT
    yield ""
    shown = [
        (f"worst (s{report.seeds[0].seed})", report.seeds[0].metrics, report.seeds[0].by_regime),
        (f"median (s{report.median.seed})", report.median.metrics, report.median.by_regime),
        (f"best (s{report.seeds[-1].seed})", report.seeds[-1].metrics, report.seeds[-1].by_regime),
        *((one.strategy, one.metrics, one.by_regime) for one in report.strategies),
    ]
    names = [name for name, _, _ in shown]
    yield from table(
        ["", *names],
        [
            [label, *(figure(getattr(metrics, key), form) for _, metrics, _ in shown)]
            for label, key, form in METRIC_ROWS
        ],
    )
    yield ""
    yield from table(
        ["log-return by regime", *names],
        [
            [
                f"{own.regime} ({own.candles})",
                *(figure(regimes[place].log_return, "+.4f") for _, _, regimes in shown),
            ]
            for place, own in enumerate(report.median.by_regime)
        ],
    )
    yield ""
    yield from _seed_lines(report)
    yield ""
    yield from _chance_lines(report)
    yield ""
    yield from _confidence_lines(report)
    yield ""
    yield from gate_lines(verdict)
    yield ""
    yield from convention_lines()


def _seed_lines(report: "WalkForward") -> Iterator[str]:
    from adan_core.cli.figures import table

    kinds = list(report.median.stressed)
    level = report.median.interval.level
    yield from table(
        ["seed (worst first)", "log-return", f"{level:.0%} interval", *kinds, "commonest wish"],
        [
            [
                f"s{one.seed}",
                f"{one.interval.estimate:+.4f}",
                f"{one.interval.lower:+.4f} to {one.interval.upper:+.4f}",
                *(f"{one.stressed[kind]:+.4f}" for kind in kinds),
                f"{one.commonest_share:.1%}" + (" SATURATED" if one.saturated else ""),
            ]
            for one in report.seeds
        ],
    )
    yield f"intervals: {report.median.interval.method}"


def _chance_lines(report: "WalkForward") -> Iterator[str]:
    from adan_core.cli.figures import figure
    from adan_core.learning.report_words import sharpe_line

    for name, excess in report.excess.items():
        stressed = report.stressed_excess.get(name)
        after = "" if stressed is None else f"; after the stressed fee {stressed:+.4f}"
        yield f"median seed beyond {name}: {excess:+.4f}{after}"
    chance = report.chance
    yield (
        f"the median seed's own spells in random order: {chance.median:+.4f} (90 % of {chance.draws} "
        f"draws within {chance.lower:+.4f} to {chance.upper:+.4f}); it beat {chance.beaten:.0%} of them"
    )
    yield (
        f"probability that its Sharpe ratio is above 0: {figure(report.probabilistic_sharpe, '.3f')}; "
        f"deflated for {report.trials} trials: {figure(report.deflated_sharpe, '.3f')}"
    )
    yield sharpe_line(report)
    for name, why in report.unavailable.items():
        yield f"{name}: N/A, {why}"


def _confidence_lines(report: "WalkForward") -> Iterator[str]:
    from adan_core.cli.figures import figure, reliability_table

    yield from reliability_table(report.median.confidence)
    errors = ", ".join(
        f"s{one.seed} {figure(one.confidence.expected_error, '.3f')}" for one in report.seeds
    )
    yield f"(the median seed's) expected calibration error on the tests: {errors}"


def gate_lines(verdict: "GateVerdict") -> Iterator[str]:
    """Yield every gate with its figure and limit, then the verdict."""
    from adan_core.cli.figures import table

    yield from table(
        ["gate", "found", "limit", ""],
        [
            [gate.name, gate.figure, gate.limit, "passed" if gate.passed else f"NO: {gate.reason}"]
            for gate in verdict.gates
        ],
    )
    yield "The gates accept this recipe." if verdict.passed else "The gates REFUSE this recipe."


@contextmanager
def _bar(context: Context, total: int) -> Iterator[Callable[[str], None]]:
    """Count folds and seeds with the time left on the standard error, if a person is looking."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(file=context.stderr)
    shown = context.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        number = progress.add_task("learning", total=total)
        yield lambda name: progress.update(number, advance=1, description=name)
