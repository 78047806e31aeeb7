"""A progress bar for training, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from adan_core.domain.training import TrainingProgress


@contextmanager
def training_bar(stream: TextIO) -> Iterator[Callable[[TrainingProgress], None]]:
    """Show progress records on ``stream`` until the context ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}  {task.fields[left]}  {task.fields[figures]}"),
    )
    with Progress(*columns, console=Console(file=stream)) as progress:
        task = progress.add_task("preparing", total=None, rate="", left="", figures="")

        def show(record: TrainingProgress) -> None:
            rate, left = record.steps_per_second, record.remaining
            progress.update(
                task,
                description=record.message,
                total=record.total_steps,
                completed=min(record.steps, record.total_steps),
                rate="" if rate is None else f"{rate:,.0f} steps/s",
                left=_left(left, record.deadline_in),
                figures=_figures(record),
            )

        yield show


def _left(remaining: float | None, deadline: float | None) -> str:
    left = "" if remaining is None else f"{remaining:.0f} s left"
    return left if deadline is None else f"{left} (deadline in {deadline:.0f} s)".strip()


def _figures(record: TrainingProgress) -> str:
    parts = [] if record.reward is None else [f"reward {record.reward:.2f}"]
    if record.validation_score is not None:
        parts.append(f"validation {record.validation_score:+.4f}")
    return "  ".join(parts)
