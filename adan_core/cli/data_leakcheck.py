"""``adan-core data leakcheck``: does anything at a candle depend on what comes after it?"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION
from adan_core.domain.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.features import FeatureSet
    from adan_core.data.series import CandleSeries
    from adan_core.domain.candles import Timeframe
    from adan_core.learning.leakcheck import LeakReport
    from adan_core.learning.leakcheck_changes import History
    from adan_core.learning.leakcheck_planted import Caught
    from adan_core.learning.leakcheck_stages import Pipeline
    from adan_core.learning.leakcheck_warm_up import WarmUpReport
    from adan_core.learning.registry import ServiceModel

Tell = Callable[[float], None]

# Planted leaks need few candles and instants: each is checked anew.
_SELF_TEST_CANDLES = 4_000
_SELF_TEST_INSTANTS = 16
_WARM_UP_TIMES = 3

_EPILOG = """\
At each sampled instant everything that follows is changed - other candles, absurd ones, missing
and added ones, external columns, too - and the whole pipeline runs again. State, normaliser,
regime, action and reward at or before the instant must not change by a bit; the first column and
candle that do are named. A higher candle must not be seen before it has closed, either.

A second table says after how many candles a feature stops to depend on where the history begins.
--self-test plants known leaks, one after the other, and shows whether each is caught.

exit codes: 0 clean (or every planted leak caught), 3 a leak found (or one not caught)

examples:
  adan-core data leakcheck                                (the shipped features, simulated market)
  adan-core data leakcheck --dataset BTC-USDT-1h --instants 200
  adan-core data leakcheck --features my-features.yaml --dataset prices.csv --json
  adan-core data leakcheck --model simulated-s0-20260101-120000
  adan-core data leakcheck --self-test
"""


def configure_leakcheck(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data leakcheck``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="a feature set (default: the settings')"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|FILE",
        help="a stored data set or a file of candles (default: the simulated market)",
    )
    parser.add_argument(
        "--model",
        metavar="ID",
        help="whose decisions are compared (default: a network of random weights)",
    )
    parser.add_argument(
        "--candles",
        type=int,
        default=20_000,
        metavar="N",
        help="check the newest N (default: %(default)s); the warm-up table reads three times as many",
    )
    parser.add_argument(
        "--instants",
        type=int,
        default=64,
        metavar="N",
        help="at how many to look, the awkward ones first (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument(
        "--self-test", action="store_true", help="plant leaks, and see whether each is caught"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON document")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is checked: candles, the feature set over its ladder, and who decides."""

    series: "CandleSeries"
    spec: "FeatureSet"
    ladder: "tuple[Timeframe, ...]"
    model: "ServiceModel | None"
    pipeline: "Pipeline"

    def newest(self, candles: int) -> "History":
        """Return the newest ``candles`` candles and all that is known from outside the market."""
        from adan_core.learning.leakcheck_changes import History

        external = {name: each.current() for name, each in self.spec.external_data.items()}
        count = len(self.series)
        return History(self.series.slice(max(count - candles, 0), count), external)

    def describe(self) -> dict[str, object]:
        """Return what identifies it, for JSON."""
        return {
            "symbol": self.series.symbol,
            "timeframe": str(self.series.timeframe),
            "synthetic": self.series.synthetic,
            "feature_set": self.spec.name,
            "feature_schema_hash": self.spec.schema_hash(self.ladder),
            "ladder": [str(step) for step in self.ladder],
            "model": self.model.model_id if self.model else None,
        }

    def __str__(self) -> str:
        kind = "SIMULATED " if self.series.synthetic else ""
        decides = f"model {self.model.model_id}" if self.model else "a network of random weights"
        return (
            f"{kind}{self.series.symbol} {self.series.timeframe}, "
            f"features {self.spec.name!r} over {', '.join(map(str, self.ladder))}; {decides} decides"
        )


def leakcheck(arguments: argparse.Namespace, context: Context) -> int:
    """Check, and say what was found; exit code 3 for a leak, or for a planted one that escaped."""
    if arguments.candles < 2 or arguments.instants < 1 or arguments.seed < 0:
        raise UsageError(
            f"{arguments.candles} candles, {arguments.instants} instants, seed {arguments.seed}",
            "two candles, one instant and a seed >= 0, at least",
        )
    subject = _subject(arguments, context.settings(), context)
    if arguments.self_test:
        return _self_test(subject, arguments, context)
    settings = context.settings()
    history = subject.newest(arguments.candles)
    with _bar(context, "changing the future") as tell:
        report, ready = _check(
            subject.pipeline, subject, history, settings, arguments.instants, arguments.seed, tell
        )
    from adan_core.learning.leakcheck_warm_up import measure_warm_up

    with _bar(context, "beginning later") as tell:
        longer = subject.newest(_WARM_UP_TIMES * arguments.candles)
        warm_up = measure_warm_up(subject.pipeline, longer, arguments.seed, tell)
    begins = _training_begins(subject.model, ready)
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                **subject.describe(),
                "data_hash": history.series.content_hash,
                "clean": report.cause is None,
                "check": report,
                "warm_up": warm_up,
                "training_begins_at": begins,
                "still_warming": [each.column for each in warm_up.later_than(begins)],
            }
        )
    else:
        for line in (
            str(subject),
            "",
            *_report_lines(report),
            "",
            *_warm_up_lines(warm_up, begins),
        ):
            context.say(line)
    return 3 if report.cause else 0


def _subject(arguments: argparse.Namespace, settings: "Settings", context: Context) -> _Subject:
    from adan_core.data.features import FeatureSet
    from adan_core.learning.leakcheck_stages import program_pipeline
    from adan_core.learning.market import feature_set, ladder_of, with_external
    from adan_core.runtime.models import open_registry

    series = _candles(arguments.dataset, settings, context)
    if arguments.features is None:
        spec = feature_set(settings, context.home)
    else:
        text = _text(arguments.features)
        spec = with_external(FeatureSet.parse(text, str(arguments.features)), settings)
    ladder = ladder_of(settings, series.timeframe)
    model = None
    if arguments.model is not None:
        model = open_registry(context.home).load(arguments.model, spec.schema_hash(ladder))
    pipeline = program_pipeline(settings, series.symbol, ladder, spec, model)
    return _Subject(series, spec, ladder, model, pipeline)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"feature file {path}: {error}", "a readable text file") from error


def _candles(dataset: str | None, settings: "Settings", context: Context) -> "CandleSeries":
    from adan_core.cli.model_choice import chosen_candles
    from adan_core.data.store import CandleStore

    path = Path(dataset) if dataset else None
    if path is None or dataset in CandleStore(context.home.datasets).names() or not path.is_file():
        return chosen_candles(dataset, settings, context)[0]
    from adan_core.data.files import Reading, examine

    return examine(path, Reading()).series()


def _check(
    pipeline: "Pipeline",
    subject: _Subject,
    history: "History",
    settings: "Settings",
    instants: int,
    seed: int,
    tell: Tell,
) -> "tuple[LeakReport, int]":
    """Return the report, and the first row that has every column."""
    from adan_core.data.split import split_by_fractions
    from adan_core.learning.leakcheck import check
    from adan_core.learning.leakcheck_instants import choose_instants

    learning = settings.learning
    split = split_by_fractions(
        history.series, learning.train_fraction, learning.validation_fraction
    )
    ready = subject.pipeline.state(history).ready
    chosen = choose_instants(history.series, subject.ladder, ready, split, instants, seed)
    return check(pipeline, history, subject.ladder, split, chosen, seed, tell), ready


def _self_test(subject: _Subject, arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.split import split_by_fractions
    from adan_core.learning.leakcheck_planted import planted_leaks

    settings = context.settings()
    ready = subject.pipeline.state(subject.newest(arguments.candles)).ready
    history = subject.newest(min(max(_SELF_TEST_CANDLES, 3 * ready), arguments.candles))
    frame = subject.pipeline.state(history)
    training = split_by_fractions(
        history.series, settings.learning.train_fraction, settings.learning.validation_fraction
    ).training
    planted = tuple(planted_leaks(subject.pipeline, frame, subject.ladder, training.stop))
    judged = []
    with _bar(context, "planting leaks") as tell:
        for number, leak in enumerate(planted):
            tell(number / len(planted))
            report, _ = _check(
                leak.pipeline,
                subject,
                history,
                settings,
                _SELF_TEST_INSTANTS,
                arguments.seed,
                lambda _share: None,
            )
            judged.append(leak.judge(report))
    escaped = [each.name for each in judged if not each.rightly]
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                **subject.describe(),
                "planted": judged,
                "escaped": escaped,
            }
        )
    else:
        for line in (str(subject), "", *_self_test_lines(judged), ""):
            context.say(line)
        context.say(
            f"NOT CAUGHT RIGHTLY: {', '.join(escaped)}"
            if escaped
            else f"all {len(judged)} planted leaks were caught, each in its stage, column and place"
        )
    return 3 if escaped else 0


def _training_begins(model: "ServiceModel | None", ready: int) -> int:
    """Return at which candle, from 1 on, training begins: the model's, or as soon as it can."""
    if model is None:
        return ready + 1
    learnt = model.card.data[0]
    duration = model.card.timeframes[0].duration
    return (model.normaliser.start_time - learnt.training.start_time) // duration


def _report_lines(report: "LeakReport") -> Iterator[str]:
    from adan_core.cli.figures import table
    from adan_core.domain.time import iso
    from adan_core.learning.leakcheck_changes import Change

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
            reads = (
                f"it reads {result.ahead:,} candles ahead, at least"
                if result.ahead
                else "it shows a higher candle before that has closed"
            )
            yield f"{result.stage}: {leak.column} at {iso(leak.time)} (candle {leak.bar:,})"
            yield f"  was {leak.expected}"
            yield f"  and {leak.found} with {leak.change} after {iso(leak.instant_time)}: {reads}"
            yield f"  columns that differ somewhere ({len(result.leaking)}): " + ", ".join(
                result.leaking
            )
    if report.cause is None:
        yield "clean: nothing at or before an instant depends on what comes after it"
    else:
        yield f"LEAK: mend the {report.cause.stage} first; the stages after it may only pass it on"


def _verdict(comparisons: int, *, leaks: bool) -> str:
    if leaks:
        return "LEAK"
    return "clean" if comparisons else "not compared"


def _self_test_lines(judged: "list[Caught]") -> Iterator[str]:
    from adan_core.cli.figures import table
    from adan_core.domain.time import iso

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


def _warm_up_lines(report: "WarmUpReport", begins: int) -> Iterator[str]:
    from adan_core.cli.figures import table

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
                each.column if each.stage == "state" else f"{each.stage}: {each.column}",
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


@contextmanager
def _bar(context: Context, task: str) -> Iterator[Tell]:
    """Show the share done and the time left on the standard error, if a person is looking."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    shown = context.stderr.isatty()
    console = Console(file=context.stderr)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        number = progress.add_task(task, total=1.0)
        yield lambda share: progress.update(number, completed=share)
