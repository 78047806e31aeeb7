"""Trainings of a running core from another terminal: queue, list, pause, resume, stop, cancel."""

import argparse
from typing import Final

from adan_core.cli.context import Context
from adan_core.cli.train_report import describe
from adan_core.domain.commands import Command, CommandKind, CommandResult
from adan_core.domain.errors import NotRunning, UsageError
from adan_core.domain.time import iso
from adan_core.domain.training import QueuedTraining, TrainingProgress, TrainingRequest

_COMMANDS: Final = {
    "pause": CommandKind.PAUSE_TRAINING,
    "resume": CommandKind.RESUME_TRAINING,
    "stop": CommandKind.STOP_TRAINING,
    "cancel": CommandKind.CANCEL_TRAINING,
}


def manage(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out an action on the trainings of the core that runs here.

    Queueing, listing and cancelling work on the file where no core runs, and say so; the others
    raise NotRunning then. UsageError if the core refuses.
    """
    if arguments.action == "list":
        return _list(arguments, context)
    command = _command(arguments, context)
    try:
        result = _asked(context, command)
    except NotRunning:
        if command.kind not in {CommandKind.QUEUE_TRAINING, CommandKind.CANCEL_TRAINING}:
            raise
        result = _at_rest(context, command)
    if not result.accepted:
        raise UsageError(f"{command.kind}: {result.message}", "see `adan-core train list`")
    if arguments.json:
        context.emit({"schema_version": 1, "accepted": True, "message": result.message})
    else:
        context.say(result.message)
    return 0


def _command(arguments: argparse.Namespace, context: Context) -> Command:
    if not arguments.queue:
        return Command(_COMMANDS[arguments.action], job_id=arguments.job)
    steps, seed, resume = arguments.steps, arguments.seed or 0, arguments.resume
    if resume is not None:
        from adan_core.cli.train_resuming import resumed_run

        record = resumed_run(arguments, context)
        # The latest now, whatever is the latest when its turn comes.
        resume = record.run_id if resume == "latest" else resume
        steps, seed = record.steps, record.seed
    request = TrainingRequest(
        dataset=arguments.dataset,
        steps=steps or context.settings().learning.steps,
        seed=seed,
        timeout=arguments.timeout,
        resume=resume,
        profile="all" if arguments.ensemble else arguments.profile or "",
    )
    return Command(CommandKind.QUEUE_TRAINING, training=request)


def _asked(context: Context, command: Command) -> CommandResult:
    from adan_core.runtime.remote import ask

    result = ask(context.home.socket, command).result
    if result is None:
        raise UsageError("a reply without a result", "what became of the command")
    return result


def _at_rest(context: Context, command: Command) -> CommandResult:
    """Change the queue's file under the lock that a core would hold."""
    from adan_core.resilience.files import exclusive_lock, private_folder
    from adan_core.runtime.training_queue import TrainingQueue

    private_folder(context.home.state)
    with exclusive_lock(context.home.core_lock):
        queue = TrainingQueue(context.home.training_queue, context.clock)
        if command.training is not None:
            job = queue.add(command.training)
            return CommandResult(
                accepted=True,
                message=f"queued as number {job.job_id}; no core runs here: it begins when one does",
            )
        found = command.job_id is not None and queue.cancel(command.job_id)
    message = f"training {command.job_id} " + ("is cancelled" if found else "does not wait here")
    return CommandResult(accepted=found, message=f"{message}; no core runs here")


def _list(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.runtime.remote import ask
    from adan_core.runtime.training_queue import TrainingQueue

    progress: TrainingProgress | None = None
    try:
        snapshot = ask(context.home.socket).snapshot
        running = True
        jobs = () if snapshot is None else snapshot.training_queue
        progress = None if snapshot is None else snapshot.training
    except NotRunning:
        running = False
        jobs = TrainingQueue(context.home.training_queue, context.clock).jobs
    if arguments.json:
        context.emit(
            {"schema_version": 1, "running": running, "jobs": jobs, "progress": progress},
        )
        return 0
    if not running:
        context.say("no core runs here; what waits begins when one does")
    if not jobs:
        context.say("no training waits: `adan-core train --queue` adds one")
    for job in jobs:
        context.say(_line(job))
        if job.running and progress is not None:
            context.say(f"     {progress.state}, {describe(progress)}")
    if progress is not None and not any(job.running for job in jobs):
        context.say(f"last: {progress.run_id} {progress.state}, {describe(progress)}")
    return 0


def _line(job: QueuedTraining) -> str:
    asked = job.request
    what = f"goes on with {asked.resume}" if asked.resume else (asked.dataset or "simulated market")
    what += f" ({asked.profile})" if asked.profile else ""
    limit = "" if asked.timeout is None else f", at most {asked.timeout:g} s"
    return (
        f"{job.job_id:>3}  {'at work' if job.running else 'waiting'}  {what}, {asked.steps:,} steps, "
        f"seed {asked.seed}{limit}, since {iso(job.queued_at)}"
    )
