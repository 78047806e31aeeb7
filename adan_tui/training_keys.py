"""What the keys for trainings ask for: start or queue one, hold it, stop it, cancel one that waits."""

from collections.abc import Callable

from textual.app import App

from adan_core.domain.commands import Command, CommandKind
from adan_core.domain.training import TrainingRequest, TrainingState
from adan_tui.modals import TrainingForm
from adan_tui.queue_modal import CancelTraining
from adan_tui.view import View, training_runs, training_state, waiting_trainings

Send = Callable[[Command], None]
Tell = Callable[[str], None]
_NONE_RUNS = "No training runs: F5 starts one."


def start(app: App[None], view: View, send: Send) -> None:
    """Ask what to train, then start it, or queue it behind the one at work."""
    busy = training_runs(view)
    kind = CommandKind.QUEUE_TRAINING if busy else CommandKind.START_TRAINING

    def asked(request: TrainingRequest | None) -> None:
        if request is not None:
            send(Command(kind, training=request))

    app.push_screen(TrainingForm(view.settings, queued=busy), asked)


def pause(view: View, send: Send, tell: Tell) -> None:
    """Hold the training at work, or let a paused one go on."""
    if not training_runs(view):
        tell(_NONE_RUNS)
        return
    paused = training_state(view) is TrainingState.PAUSED
    kind = CommandKind.RESUME_TRAINING if paused else CommandKind.PAUSE_TRAINING
    send(Command(kind, reason="the operator pressed the key"))


def stop(view: View, send: Send, tell: Tell) -> None:
    """Stop the training at work with a valid checkpoint."""
    if not training_runs(view):
        tell(_NONE_RUNS)
        return
    send(Command(CommandKind.STOP_TRAINING, reason="the operator stopped it"))


def cancel(app: App[None], view: View, send: Send, tell: Tell) -> None:
    """Show the trainings that wait, and cancel the one that is named."""

    def chosen(job_id: int | None) -> None:
        if job_id is not None:
            send(Command(CommandKind.CANCEL_TRAINING, job_id=job_id))

    waiting = waiting_trainings(view)
    if not waiting:
        tell("No training waits: F5 queues one while another runs.")
        return
    app.push_screen(CancelTraining(waiting), chosen)
