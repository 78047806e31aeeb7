"""The screen that lists the trainings that wait, and cancels one by its number."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from adan_core.domain.training import QueuedTraining
from adan_tui.dialog import Dialog
from adan_tui.text import clean

_SHOWN = 8


def described(job: QueuedTraining) -> str:
    """Return what a job is, in one line."""
    asked = job.request
    what = f"goes on with {asked.resume}" if asked.resume else (asked.dataset or "simulated market")
    limit = "" if asked.timeout is None else f", at most {asked.timeout:,.0f} s"
    member = f", profile {clean(asked.profile, 10)}" if asked.profile else ""
    steps = f"{asked.steps:,} steps, seed {asked.seed}"
    return f"{job.job_id}: {clean(what, 40)}{member}, {steps}{limit}"


class CancelTraining(Dialog[int | None]):
    """Asks for the number of a training that waits, and gives it back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="queue.close", tooltip="Close, cancel none")
    ]

    def __init__(self, waiting: tuple[QueuedTraining, ...]) -> None:
        super().__init__()
        self._waiting = waiting

    def compose(self) -> ComposeResult:
        """Lay out the jobs that wait, and the field for a number."""
        shown = [described(job) for job in self._waiting[:_SHOWN]]
        more = len(self._waiting) - len(shown)
        shown += [f"and {more} more"] if more > 0 else []
        with Vertical(classes="dialog"):
            yield Static("Trainings that wait", classes="dialog-title", markup=False)
            yield Static(Content("\n".join(shown)))
            yield Input(placeholder="the number of the one to cancel, then Enter", id="number")
            yield Static("Esc closes this and cancels none.", id="said", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the number back if a training with it waits, else say that none does."""
        event.stop()
        typed = event.value.strip()
        if typed in {str(job.job_id) for job in self._waiting}:
            self.dismiss(int(typed))
            return
        said = self.query_one("#said", Static)
        said.add_class("wrong")
        said.update(
            Content(f"No training {clean(typed, 10) or 'without a number'} waits: none cancelled.")
        )
        event.input.clear()
