"""A progress bar with the time left, for downloads; only where the standard error is a terminal."""

from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from adan_core.data.download import Reached


class DownloadBar:
    """The progress of one download after the other on ``stream``, until the context ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str) -> None:
        """Begin another download, called ``name``."""
        if self._bars is not None:
            self._task = self._bars.add_task(name, total=None, added=0, note="asking for markets")

    def show(self, reached: "Reached") -> None:
        """Show how far it is."""
        if self._bars is not None and self._task is not None:
            self._bars.update(
                self._task,
                completed=reached.done,
                total=reached.total,
                added=reached.added,
                note="",
            )

    def clear(self) -> None:
        """Take the bar of this download away."""
        if self._bars is not None and self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def note(self, text: str) -> None:
        """Say something beside the bar until it moves again."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, note=text)


def _bars(stream: TextIO) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[added]:,} new candles", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(file=stream),
        transient=True,
    )
