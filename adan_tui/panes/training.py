"""Training: how far the job is, how fast, how long still, whether it learns, and what waits."""

from adan_core.domain.training import TrainingProgress, TrainingState
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture
from adan_tui.queue_modal import described
from adan_tui.text import clean, fit, wrap
from adan_tui.view import View, waiting_trainings

_INKS = {
    TrainingState.PREPARING: Ink.ACCENT,
    TrainingState.RUNNING: Ink.GOOD,
    TrainingState.PAUSED: Ink.WARN,
    TrainingState.STOPPING: Ink.WARN,
    TrainingState.STOPPED: Ink.MUTED,
    TrainingState.TIMED_OUT: Ink.WARN,
    TrainingState.FINISHED: Ink.GOOD,
    TrainingState.FAILED: Ink.BAD,
}
_HINTS = {
    TrainingState.RUNNING: "F6 stops it, F7 pauses it, F5 queues another",
    TrainingState.PAUSED: "F7 lets it go on, F6 stops it",
}


def watch(view: View) -> object:
    """Training changes with each record, and with what waits."""
    return view.snapshot and (view.snapshot.training, view.snapshot.training_queue)


def _in_pairs(named: list[tuple[str, str]]) -> list[Line]:
    """Lay named figures out two to a line."""
    return [
        tuple(
            span
            for label, value in named[first : first + 2]
            for span in ((f"{label:<12}", Ink.MUTED), (f"{value:<10}", Ink.TEXT))
        )
        for first in range(0, len(named), 2)
    ]


def _figures(job: TrainingProgress) -> list[Line]:
    best = "" if job.selected_at is None else f" at step {figures.count(job.selected_at)}"
    validated: Line = (
        (f"{'validation':<12}", Ink.MUTED),
        (f"{figures.number(job.validation_score)}{best}", Ink.TEXT),
    )
    losses = _in_pairs(
        [
            ("reward", figures.number(job.reward)),
            ("policy loss", figures.number(job.policy_loss, 3)),
            ("value loss", figures.number(job.value_loss, 3)),
            ("entropy", figures.number(job.entropy, 3)),
            ("KL", figures.number(job.kl_divergence, 2)),
            ("explained", figures.number(job.explained_variance, 3)),
            ("clipped", figures.percent(job.clip_fraction, decimals=1)),
            ("seed", figures.count(job.seed)),
        ]
    )
    terms = _in_pairs(
        [(clean(name, 11), figures.number(mean, 2)) for name, mean in job.reward_terms.items()]
    )
    heading: list[Line] = [(("reward per step, by term", Ink.MUTED),)] if terms else []
    return [validated, *losses, *heading, *terms]


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
        )
    ]
    lines += [((line, Ink.MUTED),) for line in wrap(clean(job.message), width) if job.message]
    lines += [
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
    if job.state in _HINTS:
        lines.append(((_HINTS[job.state], Ink.FAINT),))
    return lines


def _waiting(view: View, width: int) -> list[Line]:
    waiting = waiting_trainings(view)
    if not waiting:
        return []
    return [
        ((f"{len(waiting)} waiting; F4 cancels one", Ink.MUTED),),
        *(((fit(described(job), width), Ink.TEXT),) for job in waiting),
    ]


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw the newest job, at work or ended, and those that wait."""
    job = view.snapshot.training if view.snapshot is not None else None
    waiting = _waiting(view, width)
    if job is None:
        none: Line = (("No training: F5 starts one, beside the trading.", Ink.MUTED),)
        return Picture("Training", "idle", rows=(none, *waiting))
    note = f"{clean(job.run_id, 20)} {job.state.value.upper()}"
    if job.profile:
        note = f"{clean(job.profile, 10)} {note}"
    lines = _lines(job, width)
    return Picture("Training", note, _INKS[job.state], rows=(*lines[:3], *waiting, *lines[3:]))
