"""``adan-core tune``: a search that never sees the test, and one look at it at the end."""

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.series import CandleSeries
    from adan_core.data.split import Split
    from adan_core.learning.executor import Executor
    from adan_core.learning.fold_run import FoldTask
    from adan_core.learning.recipe_run import RecipeRun
    from adan_core.learning.tuning import Assignment, Search, StudyResult

SCHEMA_VERSION = 1

_EPILOG = """\
What may change, and how far, is tuning.space in the settings. Every trial is learnt with several
seeds over folds that lie before the test period and is judged on those folds' own tests, net of
costs; the candles of the test period are not read. Trials that lag behind are broken off. The study
is on disk after each: run the same command again and it goes on, also after a crash.

--final tries the best settings on the test period: once. A second try by the same study with other
settings is refused, for then the test would have been tuned on; --look-again says why it must be.

examples:
  adan-core tune --dataset BTC-USDT-1h --study first
  adan-core tune --dataset BTC-USDT-1h --study first --trials 80     (goes on to 80 in all)
  adan-core tune --dataset BTC-USDT-1h --study first --final

exit codes: 0 done, 130 interrupted (the study goes on from there)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``tune``."""
    parser.epilog = _EPILOG
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a stored data set")
    parser.add_argument("--study", required=True, metavar="NAME", help="what the search is called")
    parser.add_argument("--trials", type=int, metavar="N", help="in all (default: settings)")
    parser.add_argument("--steps", type=int, metavar="N", help="to learn in each fold")
    parser.add_argument("--workers", type=int, metavar="N", help="at a time (default: every core)")
    parser.add_argument(
        "--final", action="store_true", help="try the best on the test period, once"
    )
    parser.add_argument(
        "--look-again", default="", metavar="REASON", help="why the test may be seen again"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Search until the trials are done or somebody stops it, and print what was found."""
    from adan_core.data.store import CandleStore
    from adan_core.learning.executor import local_executor

    _check(arguments)
    settings = context.settings()
    series = CandleStore(context.home.datasets).read(arguments.dataset)
    subject = _Subject(arguments, context, settings, series)
    stop = threading.Event()
    trials = arguments.trials or settings.tuning.trials
    # One pool for all trials: its processes import what learns once.
    with (
        local_executor(arguments.workers) as executor,
        _stopping(stop),
        _bar(context, trials) as shown,
    ):
        search = subject.search(executor)

        def told(result: "StudyResult") -> None:
            subject.look_at_trial(result)
            shown(result)

        if not (arguments.final and search.result().finished):
            search.run(trials, told, stop.is_set)
    found = search.result()
    if stop.is_set():
        context.warn(f"interrupted; go on with: adan-core tune --study {arguments.study} ...")
        return 130
    if arguments.final:
        return _final(subject, found, arguments, context)
    if arguments.json:
        context.emit({"schema_version": SCHEMA_VERSION, "study": found})
    else:
        for line in _lines(found):
            context.say(line)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for name in ("trials", "steps", "workers"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}", "a whole number from 1 on")
    if not arguments.study.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"--study {arguments.study}", "letters, digits, - and _")


class _Subject:
    """What is searched over: the candles before the test, and settings with some keys changed."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        context: Context,
        settings: "Settings",
        series: "CandleSeries",
    ) -> None:
        from adan_core.learning.folds import last_split
        from adan_core.learning.market import feature_text

        self.dataset: str = arguments.dataset
        self.study: str = arguments.study
        self.settings = settings
        self.series = series
        self.features = feature_text(settings, context.home)
        self.steps: int = arguments.steps or settings.tuning.steps
        purge = max(2, round(1.0 / (1.0 - settings.learning.gamma)))
        self.split: Split = last_split(series, settings, purge)
        self._context = context

    def search(self, executor: "Executor") -> "Search":
        """Return the study, new or begun before."""
        from adan_core.learning.tuning import Search

        return Search(
            self.study,
            self._context.home.studies / f"{self.study}.journal",
            self._question(),
            self.settings.tuning.space,
            self.settings.tuning.unpruned_trials,
            self._tasks,
            executor,
        )

    def look_at_trial(self, result: "StudyResult") -> None:
        """Take down that one more assignment was judged on the folds' own tests.

        They lie before the test, but within what a walk-forward tests on: there it counts.
        """
        from adan_core.learning.test_ledger import TestLedger

        name = f"study {self.study}, trial {result.finished + result.pruned}"
        TestLedger(self._context.home.test_looks, self._context.clock).look(
            "trial", name, name, self._planned({}).period(self.series)
        )

    def recipe(self) -> str:
        """Return what way of learning the search began from, whatever the study is called."""
        return self._planned({}).recipe

    def with_values(self, values: "Assignment") -> "Settings":
        """Return the settings with ``values`` over them; ConfigurationError if they do not fit."""
        changed = tuple(f"{key}={value}" for key, value in values.items())
        overrides = (*self._context.overrides, *changed)
        return replace(self._context, overrides=overrides).settings()

    def _question(self) -> str:
        import hashlib

        import msgspec

        before = self.series.slice(0, self.split.validation.stop)
        text = msgspec.json.encode(
            [
                before.content_hash,
                self.features,
                self.steps,
                self.settings.model_dump(mode="json", exclude={"screen", "monitoring"}),
            ]
        )
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def _tasks(self, values: "Assignment") -> "tuple[FoldTask, ...]":
        return self._planned(values).tasks

    def _planned(self, values: "Assignment") -> "RecipeRun":
        from adan_core.learning.recipe_run import plan_run

        tuning = self.settings.tuning
        settings = self.with_values(
            {**values, "judgement.folds": tuning.folds, "judgement.seeds": max(2, tuning.seeds)}
        )
        return plan_run(
            self.series.slice(0, self.split.validation.stop),
            self.dataset,
            settings,
            self.features,
            "",
            self.steps,
            tuple(range(1, tuning.seeds + 1)),
            self._context.home.datasets,
            self._context.home.studies / f"{self.study}.work",
        )


def _final(
    subject: _Subject, found: "StudyResult", arguments: argparse.Namespace, context: Context
) -> int:
    """Look at the test with the best settings, and print the judgement, whatever it is."""
    from adan_core.cli.walk_forward import walk_forward_lines
    from adan_core.learning.executor import local_executor
    from adan_core.learning.gates import judge_gates
    from adan_core.learning.leakcheck_verdict import leak_free
    from adan_core.learning.recipe_run import plan_run, work_out
    from adan_core.learning.test_ledger import FirstLook, TestLedger
    from adan_core.learning.walk_forward import Circumstances, judge

    if not found.best:
        raise UsageError(f"study {found.study} without a finished trial", "one at least")
    settings = subject.with_values(found.best[0].values)
    planned = plan_run(
        subject.series,
        subject.dataset,
        settings,
        subject.features,
        "",
        subject.steps,
        tuple(range(1, settings.judgement.seeds + 1)),
        context.home.datasets,
        context.home.walk_forwards,
        (subject.split,),
    )
    taking = FirstLook(
        TestLedger(context.home.test_looks, context.clock),
        "study",
        subject.recipe(),
        planned.subject,
        planned.period(subject.series),
        arguments.look_again,
    )

    def done(_task: "FoldTask", failure: str) -> None:
        if not failure:
            taking.look()

    with local_executor(arguments.workers) as executor:
        results = work_out(planned, executor, done)
    look = taking.look()
    unavailable: dict[str, str] = {}
    cache = context.cache(settings)
    clean = leak_free(subject.series, settings, subject.features, unavailable, cache)
    # Every finished trial of the search is one more that luck could have favoured.
    tried = look.number - 1 + found.finished + found.pruned
    circumstances = Circumstances(
        subject.dataset, planned.recipe, subject.steps, tried, clean, unavailable
    )
    report, _ = judge(subject.series, settings, planned.splits, results, circumstances, cache)
    verdict = judge_gates(report.figures, settings.gates)
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "study": found,
                "look": look,
                "report": report,
                "gates": verdict,
            }
        )
        return 0
    for line in (*_lines(found), "", *walk_forward_lines(report, verdict, look.number)):
        context.say(line)
    return 0


def _lines(found: "StudyResult") -> Iterator[str]:
    from adan_core.cli.figures import table

    yield (
        f"study {found.study}: {found.finished} trials finished, {found.pruned} broken off, "
        f"{found.failed} failed; judged within the training part, the test period unseen"
    )
    if not found.best:
        return
    keys = list(found.best[0].values)
    yield ""
    yield from table(
        ["trial (best first)", "net log-return per 1000", *keys],
        [
            [
                str(one.number),
                f"{one.score:+.4f}",
                *(
                    f"{value:.4g}" if isinstance(value, float) else str(value)
                    for value in (one.values[key] for key in keys)
                ),
            ]
            for one in found.best
        ],
    )
    yield ""
    yield "train with the best: adan-core train " + " ".join(
        f"--set {key}={value}" for key, value in found.best[0].values.items()
    )


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let ctrl-c and SIGTERM end the search after the trial at work; a second ctrl-c at once."""

    def handle(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    former = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)


@contextmanager
def _bar(context: Context, total: int) -> "Iterator[Callable[[StudyResult], None]]":
    """Count trials, with the best so far, on the standard error, if a person is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(file=context.stderr)
    shown = context.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        number = progress.add_task("searching", total=total)

        def told(found: "StudyResult") -> None:
            best = f", best {found.best[0].score:+.4f}" if found.best else ""
            progress.update(
                number,
                completed=found.finished + found.pruned,
                description=f"{found.pruned} broken off{best}",
            )

        yield told
