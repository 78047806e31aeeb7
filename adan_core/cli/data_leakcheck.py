"""``adan-core data leakcheck``: does anything at a candle depend on what comes after it?"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, Progress
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.data.features import FeatureSet
    from adan_core.data.series import CandleSeries
    from adan_core.data.split import Split
    from adan_core.data.state import StateFrame
    from adan_core.domain.candles import Timeframe
    from adan_core.learning.bundle import ServiceModel
    from adan_core.learning.leakcheck import LeakReport
    from adan_core.learning.leakcheck_changes import History
    from adan_core.learning.leakcheck_stages import Pipeline

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

A second table says after how many candles a feature no longer depends on where the history begins,
with a warning if the model's training (or without one, the first that could be) begins earlier.
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
    settings: "Settings"
    seed: int

    def newest(self, candles: int) -> "History":
        """Return the newest ``candles`` candles and all that is known from outside the market."""
        from adan_core.learning.leakcheck_changes import History

        external = {name: each.current() for name, each in self.spec.external_data.items()}
        count = len(self.series)
        return History(self.series.slice(max(count - candles, 0), count), external)

    def split(self, history: "History") -> "Split":
        """Return the parts that training would make of ``history``."""
        from adan_core.data.split import split_by_fractions

        learning = self.settings.learning
        return split_by_fractions(
            history.series, learning.train_fraction, learning.validation_fraction
        )

    def check(
        self, pipeline: "Pipeline", history: "History", ready: int, instants: int, tell: Tell
    ) -> "LeakReport":
        """Return what the leak checker finds in ``pipeline``."""
        from adan_core.learning.leakcheck import check
        from adan_core.learning.leakcheck_instants import choose_instants

        split = self.split(history)
        chosen = choose_instants(history.series, self.ladder, ready, split, instants, self.seed)
        return check(pipeline, history, self.ladder, split, chosen, self.seed, tell)

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
    with Progress(context) as progress:
        progress.say("reading candles and features")
        subject = _subject(arguments, context.settings(), context)
    if arguments.self_test:
        return _self_test(subject, arguments, context)
    return _check(subject, arguments, context)


def _subject(arguments: argparse.Namespace, settings: "Settings", context: Context) -> _Subject:
    from adan_core.cli.model_choice import chosen_candles, chosen_features
    from adan_core.learning.leakcheck_stages import program_pipeline
    from adan_core.learning.market import ladder_of
    from adan_core.runtime.models import open_registry

    series, _ = chosen_candles(arguments.dataset, settings, context)
    spec = chosen_features(arguments.features, settings, context)
    ladder = ladder_of(settings, series.timeframe)
    model = None
    if arguments.model is not None:
        model = open_registry(context.home).load(arguments.model, spec.schema_hash(ladder))
    pipeline = program_pipeline(settings, series.symbol, ladder, spec, model)
    return _Subject(series, spec, ladder, model, pipeline, settings, arguments.seed)


def _check(subject: _Subject, arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.cli.data_leakcheck_report import report_lines, warm_up_lines
    from adan_core.learning.leakcheck_warm_up import measure_warm_up

    history = subject.newest(arguments.candles)
    ready = _first_state(subject, history, context).ready
    with _bar(context, "changing the future") as tell:
        report = subject.check(subject.pipeline, history, ready, arguments.instants, tell)
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
        told = (*report_lines(report), "", *warm_up_lines(warm_up, begins))
        for line in (str(subject), "", *told):
            context.say(line)
    return 3 if report.cause else 0


def _self_test(subject: _Subject, arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.cli.data_leakcheck_report import self_test_lines
    from adan_core.learning.leakcheck_planted import planted_leaks

    needed = _first_state(subject, subject.newest(arguments.candles), context).ready
    history = subject.newest(min(max(_SELF_TEST_CANDLES, 3 * needed), arguments.candles))
    frame = subject.pipeline.state(history)
    training = subject.split(history).training
    planted = tuple(planted_leaks(subject.pipeline, frame, subject.ladder, training.stop))
    judged = []
    with _bar(context, "planting leaks") as tell:
        for number, leak in enumerate(planted):
            tell(number / len(planted))
            report = subject.check(
                leak.pipeline, history, frame.ready, _SELF_TEST_INSTANTS, lambda _share: None
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
        for line in (str(subject), "", *self_test_lines(judged)):
            context.say(line)
    return 3 if escaped else 0


def _first_state(subject: _Subject, history: "History", context: Context) -> "StateFrame":
    """Return the state as it is, and regimes once: whatever is compiled for them is compiled now."""
    count = len(history.series)
    with Progress(context) as progress:
        progress.say(
            f"computing {count:,} states; where their code is not compiled yet, about a minute more"
        )
        frame = subject.pipeline.state(history)
        progress.say(f"telling the regimes of {count:,} candles")
        subject.pipeline.regime(history.series)
    return frame


def _training_begins(model: "ServiceModel | None", ready: int) -> int:
    """Return at which candle, from 1 on, training begins: the model's, or as soon as it can."""
    if model is None:
        return ready + 1
    learnt = model.card.data[0]
    duration = model.card.timeframes[0].duration
    return (model.normaliser.start_time - learnt.training.start_time) // duration


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
