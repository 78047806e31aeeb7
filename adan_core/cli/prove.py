"""``adan-core prove``: does the agent learn what can be learnt, and leave alone what cannot?"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.learning.calibration import Reliability
    from adan_core.learning.proof import ProofTask, SeedProof
    from adan_core.learning.proof_verdict import MarketProof

SCHEMA_VERSION = 1

_EPILOG = """\
The markets are made by a published recipe (`adan-core data sample --help`), so what can be earned
there is known: a filter says all that prices can tell, and dynamic programming the best that can be
done with it, net of 0.1 % fee and 0.05 % slippage a side. That is the *attainable* optimum. The
oracle sees the hidden state as well; nobody else can, it is shown for scale.

For each market and seed an agent learns on paths of its own, as `adan-core train` would, with the
settings as shipped and the few of configs/prove.yaml over them (the operator's are left aside). Then
it trades accounts of its own along fresh paths, net of the same costs. Stops and the behaviour
engine are off in learning and test, because the optimum knows none.

Asked for: at least 90 % of the attainable optimum (median seed), none below 80 %, in 60 s a seed,
and gates that accept it. On the random walk, where nothing can be known: at most one order per 1000
candles, a result that is exposure times buy-and-hold less its costs, within two standard errors, and
gates that refuse it.

On every market its confidence must mean something. It is calibrated as in any training, on validation
candles, before the test: the probability that the likeliest move earns more within the horizon, its
costs paid, than staying. The expected calibration error is the mean distance of what was said from
what happened, over all decisions of the test (those whose horizon has passed); it must lie below 0.1
in the worst seed, over all decisions and, where there are 500 or more, over the moves alone.
--reliability shows both tables.

What has been proved is kept until the code or the settings change, so an interrupted proof goes on
where it was. Tune with --rehearsal: it tests on other paths, so that the real ones stay unseen.

examples:
  adan-core prove                                  (all markets, 5 seeds: the table in README)
  adan-core prove --markets drift random-walk --seeds 2
  adan-core prove --markets mean-reverting --rehearsal --set learning.gamma=0.95
  adan-core prove --json

exit codes: 0 everything asked for was found, 1 something was missed
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``prove``."""
    parser.epilog = _EPILOG
    parser.add_argument("--markets", nargs="+", metavar="NAME", help="(default: all five)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, metavar="N", help="to learn (default: the settings')")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="seeds at a time (default: as many as there are cores)",
    )
    parser.add_argument(
        "--rehearsal", action="store_true", help="test on paths that may be tuned on"
    )
    parser.add_argument(
        "--accounts", type=int, default=128, metavar="N", help="tested (default: %(default)s)"
    )
    parser.add_argument(
        "--reliability",
        action="store_true",
        help="show how often decisions were right, by how sure they were",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Prove, print the table, and say whether everything asked for was found."""
    tasks = _tasks(arguments, context)
    proofs = _proved(tasks, arguments, context)
    judged = _judged(tasks, proofs)
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "rehearsal": arguments.rehearsal,
                "met": all(market.met for market in judged),
                "markets": [
                    {
                        "met": market.met,
                        "learnable": market.learnable,
                        "calibration_errors": market.calibration_errors,
                        "confidence": market.confidence,
                        "proof": market,
                    }
                    for market in judged
                ],
            }
        )
    else:
        for line in _lines(judged, rehearsal=arguments.rehearsal, tables=arguments.reliability):
            context.say(line)
    return 0 if all(market.met for market in judged) else 1


def _tasks(arguments: argparse.Namespace, context: Context) -> "list[ProofTask]":
    from adan_core.data.processes import PROCESSES
    from adan_core.learning.proof import ProofTask, proof_settings
    from adan_core.learning.proof_bench import BenchSize

    markets = arguments.markets or list(PROCESSES)
    unknown = sorted(set(markets) - set(PROCESSES))
    if unknown:
        raise UsageError(f"no market called {', '.join(unknown)}", ", ".join(PROCESSES))
    if min(arguments.seeds, arguments.accounts, arguments.workers or 1) < 1:
        raise UsageError(
            f"--seeds {arguments.seeds}, --workers {arguments.workers}, "
            f"--accounts {arguments.accounts}",
            "one of each at least",
        )
    if arguments.steps is not None and arguments.steps < 1:
        raise UsageError(f"--steps {arguments.steps}", "a whole number from 1 on")
    settings, features = proof_settings(context.home, context.overrides)
    return [
        ProofTask(
            market=market,
            seed=seed,
            steps=arguments.steps or settings.learning.steps,
            settings=settings,
            features=features,
            size=BenchSize(arguments.accounts),
            rehearsal=arguments.rehearsal,
        )
        for market in markets
        for seed in range(1, arguments.seeds + 1)
    ]


def _proved(
    tasks: "list[ProofTask]", arguments: argparse.Namespace, context: Context
) -> "dict[tuple[str, int], SeedProof]":
    from adan_core.learning.executor import InProcess, LocalProcesses
    from adan_core.learning.proof_run import ProofShelf, prove_all

    workers = arguments.workers
    executor = InProcess() if workers == 1 else LocalProcesses(workers)
    found: dict[tuple[str, int], SeedProof] = {}
    with _bar(context, len(tasks)) as proved:
        for task, proof in prove_all(tasks, ProofShelf(context.home.proofs), executor):
            found[task.market, task.seed] = proof
            proved(f"{task.market}, seed {task.seed}")
    return found


def _judged(
    tasks: "list[ProofTask]", proofs: "dict[tuple[str, int], SeedProof]"
) -> "list[MarketProof]":
    from adan_core.learning.proof_verdict import judge_market, proof_leak_free

    clean = proof_leak_free(tasks[0])
    markets = dict.fromkeys(task.market for task in tasks)
    return [
        judge_market(
            [proofs[market, task.seed] for task in tasks if task.market == market],
            tasks[0].settings.gates,
            leak_free=clean,
        )
        for market in markets
    ]


def _lines(judged: "list[MarketProof]", *, rehearsal: bool, tables: bool) -> Iterator[str]:
    from adan_core.cli.figures import table

    head = (
        "",
        "attainable",
        "oracle",
        "agent",
        "median",
        "worst",
        "orders",
        "seconds",
        "ECE",
        "gates",
        "",
    )
    rows = [
        [
            market.market,
            f"{market.reference.attainable:.4f}",
            f"{market.reference.oracle:.4f}",
            f"{market.median_net:.4f}",
            f"{market.median_share:.1%}" if market.learnable else "N/A",
            f"{market.worst_share:.1%}" if market.learnable else "N/A",
            f"{market.median_orders:.2f}",
            f"{market.slowest:.0f}",
            _errors(market.calibration_errors),
            "accept" if market.gates.passed else "refuse",
            "met" if market.met else "MISSED",
        ]
        for market in judged
    ]
    candles = judged[0].reference.candles
    paths = "REHEARSAL paths, which may be tuned on" if rehearsal else "fresh paths"
    yield f"{len(judged[0].seeds)} seeds of each market, tested on {candles:,} candles of {paths}"
    yield "net log-return per 1000 candles, after fee and slippage; agent and orders: the median seed;"
    yield "median and worst seed: share of the attainable; seconds: of the processor, slowest seed"
    yield "ECE: expected calibration error of the confidence, median and worst seed"
    yield ""
    yield from table(head, rows)
    for market in judged:
        yield ""
        yield f"{market.market}: {'met' if market.met else 'MISSED'}"
        yield from (f"  {line}" for line in _details(market))
        if tables:
            for name, found in (
                ("all decisions", market.confidence.decisions),
                ("the moves alone", market.confidence.moves),
            ):
                yield ""
                yield from (f"  {line}" for line in _reliability(name, found))


def _errors(errors: tuple[float, ...]) -> str:
    return f"{median(errors):.3f}, {max(errors):.3f}" if errors else "N/A"


def _reliability(name: str, found: "Reliability") -> Iterator[str]:
    from adan_core.cli.figures import reliability_table

    if not found.decisions:
        yield f"{name}: none whose horizon has passed"
        return
    yield f"{name}, of all seeds: {found.decisions:,} whose horizon has passed"
    yield from reliability_table(found)


def _details(market: "MarketProof") -> Iterator[str]:
    known = market.reference
    yield (
        f"attainable {known.attainable:.4f} with {known.orders:.2f} orders (standard error "
        f"{known.attainable_error:.4f}; promised {known.promised:.4f}), buy and hold "
        f"{known.buy_and_hold:+.4f}"
    )
    if market.learnable:
        shares = ", ".join(f"{share:.1%}" for share in market.shares)
        yield f"of the attainable optimum, by seed: {shares}"
    for requirement in market.requirements:
        mark = "yes" if requirement.met else "NO "
        yield f"{mark}  {requirement.name}: {requirement.found} ({requirement.limit})"
    for gate in market.gates.failed:
        yield f"     gate {gate.name}: {gate.reason}"
    seconds = ", ".join(f"{one.processor_seconds:.0f} ({one.seconds:.0f})" for one in market.seeds)
    yield f"seconds to learn, by seed, of the processor (on the clock): {seconds}"


@contextmanager
def _bar(context: Context, total: int) -> Iterator[Callable[[str], None]]:
    """Count the seeds proved, with the time taken, on the standard error, if a person is looking."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    shown = context.stderr.isatty()
    console = Console(file=context.stderr)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        number = progress.add_task("learning", total=total)
        yield lambda name: progress.update(number, advance=1, description=f"proved {name}")
