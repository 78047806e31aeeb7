"""``adan-core train``: a model learnt from candles, sealed with the operator's key."""

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import SecurityError, UsageError
from adan_core.domain.training import TrainingProgress, TrainingState

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from adan_core.learning.lessons import Lesson
    from adan_core.learning.runs import RunFolder
    from adan_core.learning.training_plan import TrainingOutcome
    from adan_core.security.audit import AuditTrail

_EXAMPLES = """\
examples:
  adan-core train                                  (the built-in simulated market)
  adan-core train --dataset BTC-USDT-1h --steps 500000 --seed 1
  adan-core train --timeout 600                    (a checkpoint at the latest after ten minutes)
  adan-core train --resume latest                  (goes on to the very same result)

The signing key is asked for before training begins. Ctrl-C, SIGTERM and --timeout save a
checkpoint; a second ctrl-c does not wait for it.
exit codes: 0 finished and sealed, 124 the time was up, 130 ctrl-c, 143 SIGTERM
"""

_TIMED_OUT = 124
_SIGNAL_BASE = 128
_PLAIN_EVERY_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``train``."""
    from adan_core.cli.unlock import add_passphrase_option

    parser.epilog = _EXAMPLES
    parser.add_argument("--dataset", metavar="NAME", help="a stored data set (default: simulated)")
    parser.add_argument("--steps", type=int, metavar="N", help="steps to learn (default: settings)")
    parser.add_argument("--seed", type=int, metavar="S", help="same seed, same model (default: 0)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop by then, resumably")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run, or with the `latest`")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document at the end")
    form.add_argument("--progress-json", action="store_true", help="print a JSON line per record")
    parser.add_argument(
        "--seal-later",
        action="store_true",
        help="train even if the signing key cannot be reached now; `train --resume RUN` seals it",
    )
    add_passphrase_option(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Train, or go on training, and seal the result; the exit code says how it ended."""
    _check(arguments)
    # Before the work, not after it: a model that cannot be signed cannot be used.
    signing = _signing(arguments, context)
    stop = threading.Event()
    with _signals(stop) as received:
        lesson, folder, resumed = _lesson(arguments, context)
        with _reporter(arguments, context) as report:
            outcome = _learn(arguments, context, lesson, folder, stop, report, resumed)
        if outcome.state is not TrainingState.FINISHED:
            _conclude(arguments, context, lesson, outcome, None)
            if outcome.state is TrainingState.TIMED_OUT:
                return _TIMED_OUT
            return _SIGNAL_BASE + (received[0] if received else signal.SIGTERM)

    if isinstance(signing, str):
        _not_sealed(arguments, context, lesson, outcome, signing)
        return 0

    from adan_core.learning.lessons import seal_outcome

    card = seal_outcome(lesson, outcome, context.home.models, signing.key, context.clock.now())
    signing.audit.record("model.sealed", "done", {"model": card.model_id})
    _conclude(arguments, context, lesson, outcome, card.model_id)
    return 0


@dataclass(frozen=True, slots=True)
class _Signing:
    """The operator's key, and the trail its use goes into."""

    key: "Ed25519PrivateKey"
    audit: "AuditTrail"


def _signing(arguments: argparse.Namespace, context: Context) -> _Signing | str:
    """Return the signing key or, with ``--seal-later``, why it cannot be reached."""
    from adan_core.cli.unlock import unlock
    from adan_core.security.operator_key import operator_key

    try:
        unlocked = unlock(context, passphrase_stdin=arguments.passphrase_stdin)
        key = operator_key(unlocked.vault, context.home.operator_public_key, unlocked.audit)
    except SecurityError as error:
        if not arguments.seal_later:
            raise
        return error.found
    return _Signing(key, unlocked.audit)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.steps is not None and arguments.steps < 1:
        raise UsageError(f"--steps {arguments.steps}", "a whole number from 1 on")
    if arguments.seed is not None and not 0 <= arguments.seed < 2**31:
        raise UsageError(f"--seed {arguments.seed}", "a whole number from 0 to 2147483647")
    if arguments.timeout is not None and not 0.0 < arguments.timeout < float("inf"):
        raise UsageError(f"--timeout {arguments.timeout}", "seconds above 0")
    if arguments.resume is not None and arguments.dataset is not None:
        raise UsageError(
            "--resume together with --dataset",
            "one of them: a run goes on with its own candles, steps and seed",
        )


def _lesson(arguments: argparse.Namespace, context: Context) -> "tuple[Lesson, RunFolder, bool]":
    from adan_core.data.store import CandleStore
    from adan_core.learning.lessons import new_lesson, old_lesson, settings_of, training_series
    from adan_core.learning.market import feature_text
    from adan_core.learning.runs import RunFolder

    store = CandleStore(context.home.datasets)
    if arguments.resume is not None:
        folder = RunFolder.open(context.home.runs, arguments.resume)
        record = folder.record()
        settings = settings_of(record)
        series = training_series(record.dataset, settings, record.seed, store)
        return old_lesson(record, series, context.cache(settings)), folder, True
    settings = context.settings()
    seed = 0 if arguments.seed is None else arguments.seed
    lesson = new_lesson(
        settings,
        feature_text(settings, context.home),
        training_series(arguments.dataset, settings, seed, store),
        arguments.dataset,
        arguments.steps or settings.learning.steps,
        seed,
        context.clock.now(),
        context.cache(settings),
    )
    return lesson, RunFolder.create(context.home.runs, lesson.record), False


def _learn(
    arguments: argparse.Namespace,
    context: Context,
    lesson: "Lesson",
    folder: "RunFolder",
    stop: threading.Event,
    report: Callable[[TrainingProgress], None],
    resumed: bool,
) -> "TrainingOutcome":
    from adan_core.learning.training import TrainingJob
    from adan_core.resilience.deadline import Deadline

    deadline = Deadline(context.clock, arguments.timeout)
    job = TrainingJob(lesson.plan, folder, context.clock, deadline, stop, report)
    return job.run(resume=resumed)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM set ``stop``; a second SIGINT interrupts as ever."""
    received: list[int] = []

    def handle(number: int, _frame: object) -> None:
        received.append(number)
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    former = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)


@contextmanager
def _reporter(
    arguments: argparse.Namespace, context: Context
) -> Iterator[Callable[[TrainingProgress], None]]:
    if arguments.progress_json:
        yield lambda record: _emit_record(context, record)
    elif arguments.json:
        yield lambda _record: None
    elif context.stdout.isatty():
        from adan_core.cli.training_bar import training_bar

        with training_bar(context.stdout) as show:
            yield show
    else:
        yield _plain(context)


def _emit_record(context: Context, record: TrainingProgress) -> None:
    from dataclasses import asdict

    context.emit({"schema_version": 1, **asdict(record)})


def _plain(context: Context) -> Callable[[TrainingProgress], None]:
    """Write a line every few seconds, and one whenever the state changes."""
    last: list[tuple[TrainingState, float]] = []

    def show(record: TrainingProgress) -> None:
        now = context.clock.monotonic()
        if last and last[-1][0] is record.state and now - last[-1][1] < _PLAIN_EVERY_SECONDS:
            return
        last[:] = [(record.state, now)]
        context.say(describe(record))

    return show


def describe(record: TrainingProgress) -> str:
    """Return a progress record as one line."""
    parts = [f"{record.steps:,}/{record.total_steps:,} steps"]
    if record.steps_per_second is not None:
        parts.append(f"{record.steps_per_second:,.0f} steps/s")
    if record.remaining is not None:
        parts.append(f"{record.remaining:.0f} s to go")
    if record.deadline_in is not None:
        parts.append(f"deadline in {record.deadline_in:.0f} s")
    if record.reward is not None:
        parts.append(f"reward {record.reward:.2f}")
    return f"{record.message}: " + ", ".join(parts)


def _not_sealed(
    arguments: argparse.Namespace,
    context: Context,
    lesson: "Lesson",
    outcome: "TrainingOutcome",
    why: str,
) -> None:
    """Say that the model is learnt, why it is not sealed, and how to seal it."""
    how = f"adan-core train --resume {lesson.record.run_id}"
    if arguments.json:
        _conclude(arguments, context, lesson, outcome, None)
    else:
        context.warn(f"learnt, not sealed yet ({why}); seal it with: {how}")


def _conclude(
    arguments: argparse.Namespace,
    context: Context,
    lesson: "Lesson",
    outcome: "TrainingOutcome",
    model_id: str | None,
) -> None:
    run_id = lesson.record.run_id
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "run_id": run_id,
                "state": outcome.state,
                "steps": outcome.steps,
                "seed": lesson.record.seed,
                "model_id": model_id,
                "validation_score": outcome.score if outcome.weights else None,
                "selected_at": outcome.selected_at if outcome.weights else None,
            }
        )
    elif not arguments.progress_json and model_id is None:
        context.say(
            f"{outcome.state} after {outcome.steps:,} steps; "
            f"go on with: adan-core train --resume {run_id}"
        )
    elif not arguments.progress_json:
        context.say(
            f"Model {model_id} is sealed. On the validation part it earned "
            f"{outcome.score:+.4f} net log-return per 1000 candles (weights of step "
            f"{outcome.selected_at:,}). Judge it out of sample with: adan-core evaluate {model_id}"
            + (f" --dataset {lesson.record.dataset}" if lesson.record.dataset else "")
        )
