"""Training: how far the job is, how fast, how long still, and whether it learns."""

from adan_core.domain.training import TrainingProgress, TrainingState
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture
from adan_tui.text import clean
from adan_tui.view import View

_INKS = {
    TrainingState.PREPARING: Ink.ACCENT,
    TrainingState.RUNNING: Ink.GOOD,
    TrainingState.STOPPING: Ink.WARN,
    TrainingState.STOPPED: Ink.MUTED,
    TrainingState.TIMED_OUT: Ink.WARN,
    TrainingState.FINISHED: Ink.GOOD,
    TrainingState.FAILED: Ink.BAD,
}


def watch(view: View) -> object:
    """Training changes with each record."""
    return view.snapshot and view.snapshot.training


def _figures(job: TrainingProgress) -> list[Line]:
    pairs = (
        (
            ("reward", figures.number(job.reward)),
            ("policy loss", figures.number(job.policy_loss, 3)),
        ),
        (
            ("value loss", figures.number(job.value_loss, 3)),
            ("entropy", figures.number(job.entropy, 3)),
        ),
        (
            ("KL", figures.number(job.kl_divergence, 2)),
            ("explained", figures.number(job.explained_variance, 3)),
        ),
    )
    return [
        tuple(
            span
            for label, value in pair
            for span in ((f"{label:<12}", Ink.MUTED), (f"{value:<10}", Ink.TEXT))
        )
        for pair in pairs
    ]


def _lines(job: TrainingProgress, width: int) -> list[Line]:
    # A rollout is finished even where the steps asked for end inside it.
    done = min(job.steps / job.total_steps, 1.0) if job.total_steps > 0 else None
    room = max(8, min(40, width - 8))
    filled, rest = figures.bar(done, room)
    speed = figures.MISSING if job.steps_per_second is None else f"{job.steps_per_second:,.0f}"
    deadline = "none" if job.deadline_in is None else figures.seconds(job.deadline_in)
    lines: list[Line] = [
        (
            (filled, Ink.BAR),
            (rest, Ink.FAINT),
            (f" {figures.percent(done, decimals=0):>6}", Ink.STRONG),
        ),
        (
            (f"{figures.count(job.steps)} of {figures.count(job.total_steps)} steps", Ink.TEXT),
            (f"  {speed} steps/s", Ink.MUTED),
        ),
        (
            ("ETA ", Ink.MUTED),
            (figures.seconds(job.remaining), Ink.TEXT),
            ("   deadline ", Ink.MUTED),
            (deadline, Ink.TEXT),
            (f"   {figures.size(job.memory_bytes)}", Ink.MUTED),
        ),
        *_figures(job),
    ]
    if job.message:
        lines.insert(1, ((clean(job.message), Ink.MUTED),))
    return lines


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw the newest job, at work or ended."""
    job = view.snapshot.training if view.snapshot is not None else None
    if job is None:
        none: Line = (("No training: F5 starts one, beside the trading.", Ink.MUTED),)
        return Picture("Training", "idle", rows=(none,))
    note = f"{clean(job.run_id, 20)} {job.state.value.upper()}"
    return Picture("Training", note, _INKS[job.state], rows=tuple(_lines(job, width)))
