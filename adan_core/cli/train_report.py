"""What a training says while it runs and when it has ended, in each of the command's forms."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.training import TrainingProgress, TrainingState

if TYPE_CHECKING:
    from adan_core.learning.lessons import Lesson
    from adan_core.learning.training_plan import TrainingOutcome

Report = Callable[[TrainingProgress], None]

_PLAIN_EVERY_SECONDS = 5.0


@contextmanager
def reporter(arguments: argparse.Namespace, context: Context) -> Iterator[Report]:
    """Show progress records as the command line asks; into event files, too, with --tensorboard."""
    with ExitStack() as open_ones:
        shown = [open_ones.enter_context(_shown(arguments, context))]
        if arguments.tensorboard is not None:
            from adan_core.learning.tensorboard import TensorboardLog

            shown.append(open_ones.enter_context(TensorboardLog(Path(arguments.tensorboard))).write)

        def report(record: TrainingProgress) -> None:
            for show in shown:
                show(record)

        yield report


@contextmanager
def _shown(arguments: argparse.Namespace, context: Context) -> Iterator[Report]:
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


def _plain(context: Context) -> Report:
    """Write a line every few seconds, and one whenever the state or what is said changes."""
    last: list[tuple[TrainingState, str, float]] = []

    def show(record: TrainingProgress) -> None:
        now = context.clock.monotonic()
        said = (record.state, record.message)
        if last and last[-1][:2] == said and now - last[-1][2] < _PLAIN_EVERY_SECONDS:
            return
        last[:] = [(*said, now)]
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
    if record.validation_score is not None:
        parts.append(f"validation {record.validation_score:+.4f} at step {record.selected_at:,}")
    if record.kl_divergence is not None and record.entropy is not None:
        parts.append(f"KL {record.kl_divergence:.4f}, entropy {record.entropy:.3f}")
    if record.denied:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in record.denied.items())
        parts.append(f"actions denied: {reasons}")
    return f"{record.message}: " + ", ".join(parts)


def conclude(
    arguments: argparse.Namespace,
    context: Context,
    lesson: "Lesson",
    outcome: "TrainingOutcome",
    model_id: str | None,
) -> None:
    """Say how a training ended and what to do next; ``model_id`` is None if nothing was sealed."""
    run_id = lesson.record.run_id
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "run_id": run_id,
                "state": outcome.state,
                "reason": outcome.reason,
                "steps": outcome.steps,
                "seed": lesson.record.seed,
                "model_id": model_id,
                "validation_score": outcome.score if outcome.weights else None,
                "selected_at": outcome.selected_at if outcome.weights else None,
                "weights_hash": outcome.weights_hash if outcome.weights else None,
                "compute": lesson.record.compute,
            }
        )
    elif not arguments.progress_json and model_id is None:
        context.say(
            f"{outcome.state} after {outcome.steps:,} steps ({outcome.reason}); "
            f"go on with: adan-core train --resume {run_id}"
        )
    elif not arguments.progress_json:
        who = f"its last member, {lesson.record.profile}," if lesson.record.ensemble else "it"
        context.say(
            f"Model {model_id} is sealed. On the validation part {who} earned "
            f"{outcome.score:+.4f} net log-return per 1000 candles (weights of step "
            f"{outcome.selected_at:,}). Judge it out of sample with: adan-core evaluate {model_id}"
            + (f" --dataset {lesson.record.dataset}" if lesson.record.dataset else "")
        )


def not_sealed(
    arguments: argparse.Namespace,
    context: Context,
    lesson: "Lesson",
    outcome: "TrainingOutcome",
    why: str,
) -> None:
    """Say that the model is learnt, why it is not sealed, and how to seal it."""
    how = f"adan-core train --resume {lesson.record.run_id}"
    if arguments.json:
        conclude(arguments, context, lesson, outcome, None)
    else:
        context.warn(f"learnt, not sealed yet ({why}); seal it with: {how}")
