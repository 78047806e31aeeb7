"""``adan-core train``: a model learnt from candles, sealed with the operator's key."""

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from adan_core.cli.context import Context
from adan_core.cli.train_report import Report, conclude, not_sealed, reporter
from adan_core.config.profile_settings import ALL_PROFILES, PROFILES
from adan_core.domain.errors import SecurityError, SystemFailure, UsageError
from adan_core.domain.training import TrainingState

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from adan_core.learning.lessons import Lesson
    from adan_core.learning.runs import RunFolder
    from adan_core.learning.training_plan import TrainingOutcome
    from adan_core.resilience.deadline import Deadline
    from adan_core.security.audit import AuditTrail

_EXAMPLES = """\
examples:
  adan-core train                                  (the built-in simulated market)
  adan-core train --dataset BTC-USDT-1h --steps 500000 --seed 1
  adan-core train --ensemble                       (scalper, intraday, swing, position: one model)
  adan-core train --profile swing                  (one of them; `adan-core models combine` joins them)
  adan-core train --timeout 600                    (a checkpoint at the latest after ten minutes)
  adan-core train --resume latest                  (goes on to the very same result)
  adan-core train --optimise                       (tries threads, precision, compilation first)
  adan-core train --tensorboard curves             (event files for `tensorboard --logdir curves`)

in a running core, one after the other, beside the trading:
  adan-core train --queue --dataset BTC-USDT-1h    (waits for its turn; survives a restart)
  adan-core train list                             (the one that runs, and those that wait)
  adan-core train pause | resume | stop            (the one that runs, with a checkpoint)
  adan-core train cancel 3                         (one that waits, by its number)

The signing key is asked for before training begins. Ctrl-C, SIGTERM and --timeout save a
checkpoint; a second ctrl-c does not wait for it. SIGUSR1 pauses a training, SIGUSR2 lets it go on.
exit codes: 0 finished and sealed, 7 out of its memory budget, 9 no core runs, 124 the time was up,
130 ctrl-c, 143 SIGTERM
"""

_TIMED_OUT: Final = 124
_SIGNAL_BASE: Final = 128
# A core that was killed leaves a child that learns on until it finds nobody to tell: its next report.
_ORPHANED_SECONDS: Final = 60.0
ACTIONS: Final = ("list", "pause", "resume", "stop", "cancel")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``train``."""
    from adan_core.cli.unlock import add_passphrase_option

    parser.epilog = _EXAMPLES
    parser.add_argument(
        "action", nargs="?", choices=ACTIONS, help="what to do with the trainings of a running core"
    )
    parser.add_argument("job", nargs="?", type=int, help="the number of the one to cancel")
    parser.add_argument("--dataset", metavar="NAME", help="a stored data set (default: simulated)")
    parser.add_argument("--steps", type=int, metavar="N", help="steps to learn (default: settings)")
    parser.add_argument("--seed", type=int, metavar="S", help="same seed, same model (default: 0)")
    parser.add_argument(
        "--profile",
        choices=(*PROFILES, ALL_PROFILES),
        help="how far ahead it looks, what it reads and risks, as the settings say; all: --ensemble",
    )
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="train the four profiles one after another and seal them as one model that votes",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop by then, resumably")
    parser.add_argument(
        "--parent",
        metavar="MODEL",
        help="the model it descends from, on record only (default: the one in service)",
    )
    parser.add_argument("--resume", metavar="RUN", help="go on with a run, or with the `latest`")
    parser.add_argument(
        "--queue", action="store_true", help="let a running core train it when its turn comes"
    )
    parser.add_argument(
        "--optimise",
        action="store_true",
        help="measure for a few seconds what computes fastest here, and keep to it (a new run only)",
    )
    parser.add_argument(
        "--tensorboard", metavar="FOLDER", help="write event files there (needs tensorboard)"
    )
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
    if arguments.resume is not None:
        from adan_core.cli.train_resuming import resumed_run

        resumed_run(arguments, context)
    if arguments.action is not None or arguments.queue:
        from adan_core.cli.train_jobs import manage

        return manage(arguments, context)
    if arguments.parent is not None:
        from adan_core.runtime.models import open_registry

        open_registry(context.home).folder(
            arguments.parent
        )  # a name that means nothing is said now
    # Before a passphrase is asked for: settings that nothing can be learnt by, candles nobody has.
    context.settings()
    if arguments.dataset is not None:
        from adan_core.data.store import CandleStore

        CandleStore(context.home.datasets).info(arguments.dataset)
    # Before the work, not after it: a model that cannot be signed cannot be used.
    signing = _signing(arguments, context)

    from adan_core.cli.train_members import members_of
    from adan_core.learning.lessons import member_card
    from adan_core.resilience.deadline import Deadline

    deadline = Deadline(context.clock, arguments.timeout)
    with _signals() as signals:
        learnt = []
        with reporter(arguments, context) as report:
            first = _lesson(arguments, context)
            patience = _ORPHANED_SECONDS if arguments.progress_json else 0.0
            for (lesson, folder), say in members_of(first, context, report):
                with folder.held(patience):
                    outcome = _learn(context, lesson, folder, deadline, signals, say)
                if outcome.state is not TrainingState.FINISHED:
                    break
                learnt.append((member_card(lesson, outcome), outcome.weights))
        if outcome.state is not TrainingState.FINISHED:
            conclude(arguments, context, lesson, outcome, None)
            if outcome.state is TrainingState.TIMED_OUT:
                return _TIMED_OUT
            if outcome.state is TrainingState.FAILED:
                return SystemFailure.exit_code
            return _SIGNAL_BASE + (signals.received[0] if signals.received else signal.SIGTERM)

    if isinstance(signing, str):
        not_sealed(arguments, context, lesson, outcome, signing)
        return 0

    from adan_core.learning.lessons import seal_members
    from adan_core.runtime.models import parent_of

    card = seal_members(
        lesson,
        learnt,
        context.home.models,
        signing.key,
        context.clock.now(),
        parent=arguments.parent or parent_of(context.home, context.clock, lesson.record),
    )
    signing.audit.record("model.sealed", "done", {"model": card.model_id})
    conclude(arguments, context, lesson, outcome, card.model_id)
    return 0


@dataclass(frozen=True, slots=True)
class _Signing:
    """The operator's key, and the trail its use goes into."""

    key: "Ed25519PrivateKey"
    audit: "AuditTrail"


@dataclass(slots=True)
class _Signals:
    """What the operator has asked for by signals since the training began."""

    stop: threading.Event = field(default_factory=threading.Event)
    received: list[int] = field(default_factory=list)
    paused: bool = False


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
    if arguments.job is not None and arguments.action != "cancel":
        raise UsageError(f"a number after {arguments.action}", "one after cancel alone")
    if arguments.action == "cancel" and arguments.job is None:
        raise UsageError("cancel without a number", "which one, as `adan-core train list` shows it")
    if arguments.action is not None and arguments.queue:
        raise UsageError(f"{arguments.action} together with --queue", "one of them")
    if arguments.resume is not None and arguments.optimise:
        raise UsageError(
            "--resume together with --optimise",
            "one of them: a run goes on as it was computed when it began, or its bits would differ",
        )
    if arguments.parent is not None and arguments.queue:
        raise UsageError(
            "--parent together with --queue", "one of them: a core's training follows its own model"
        )
    if arguments.ensemble and arguments.profile not in {None, "all"}:
        raise UsageError(f"--ensemble together with --profile {arguments.profile}", "one of them")
    if arguments.resume is not None and (arguments.ensemble or arguments.profile is not None):
        raise UsageError(
            "--resume together with --profile or --ensemble",
            "one of them: a run goes on with its own profile, and an ensemble with all four",
        )
    if arguments.resume is not None and arguments.dataset is not None:
        raise UsageError(
            "--resume together with --dataset",
            "one of them: a run goes on with its own candles, steps and seed",
        )


def _lesson(arguments: argparse.Namespace, context: Context) -> "tuple[Lesson, RunFolder]":
    from adan_core.data.store import CandleStore
    from adan_core.learning.lessons import (
        ensemble_name,
        new_lesson,
        old_lesson,
        settings_of,
        training_series,
    )
    from adan_core.learning.market import feature_text
    from adan_core.learning.runs import RunFolder

    store = CandleStore(context.home.datasets)
    if arguments.resume is not None:
        folder = RunFolder.open(context.home.runs, arguments.resume)
        record = folder.record()
        settings = settings_of(record)
        series = training_series(record.dataset, settings, record.seed, store)
        return old_lesson(record, series, context.cache(settings)), folder
    settings = context.settings()
    seed = 0 if arguments.seed is None else arguments.seed
    now = context.clock.now()
    together = arguments.ensemble or arguments.profile == "all"
    lesson = new_lesson(
        settings,
        feature_text(settings, context.home),
        training_series(arguments.dataset, settings, seed, store),
        arguments.dataset,
        arguments.steps or settings.learning.steps,
        seed,
        now,
        context.cache(settings),
        profile=PROFILES[0] if together else arguments.profile or "",
        ensemble=ensemble_name(arguments.dataset, seed, now) if together else "",
    )
    if arguments.optimise or settings.compute.optimise == "measured":
        from adan_core.cli.train_compute import optimised

        lesson = optimised(arguments, context, lesson, settings)
    return lesson, RunFolder.create(context.home.runs, lesson.record)


def _learn(
    context: Context,
    lesson: "Lesson",
    folder: "RunFolder",
    deadline: "Deadline",
    signals: _Signals,
    report: Report,
) -> "TrainingOutcome":
    from adan_core.learning.checkpoint import checkpoints
    from adan_core.learning.training import TrainingJob
    from adan_core.resilience.memory import GIGABYTE

    # The budget is this machine's, not the run's: it does not change what is learnt.
    budget = context.settings().compute.memory_budget_gigabytes
    job = TrainingJob(
        lesson.plan,
        folder,
        context.clock,
        deadline,
        signals.stop,
        report,
        pause=lambda: signals.paused,
        memory_budget=int(budget * GIGABYTE),
    )
    # One that ended before its first checkpoint begins again: it comes to the same.
    return job.run(resume=bool(checkpoints(folder.checkpoints)))


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Let SIGINT and SIGTERM stop, SIGUSR1 pause and SIGUSR2 go on; a second SIGINT interrupts."""
    asked = _Signals()

    def stop(number: int, _frame: object) -> None:
        asked.received.append(number)
        if asked.stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.stop.set()

    def pause(number: int, _frame: object) -> None:
        asked.paused = number == signal.SIGUSR1

    handlers = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGUSR1: pause,
        signal.SIGUSR2: pause,
    }
    former = {one: signal.signal(one, handler) for one, handler in handlers.items()}
    try:
        yield asked
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)
