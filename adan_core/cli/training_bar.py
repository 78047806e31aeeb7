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
        TextColumn("{task.fields[rate]}  {task.fields[left]}  {task.fields[reward]}"),
    )
    with Progress(*columns, console=Console(file=stream)) as progress:
        task = progress.add_task("preparing", total=None, rate="", left="", reward="")

        def show(record: TrainingProgress) -> None:
            rate, left, reward = record.steps_per_second, record.remaining, record.reward
            progress.update(
                task,
                description=record.message,
                total=record.total_steps,
                completed=min(record.steps, record.total_steps),
                rate="" if rate is None else f"{rate:,.0f} steps/s",
                left="" if left is None else f"{left:.0f} s left",
                reward="" if reward is None else f"reward {reward:.2f}",
            )

        yield show
