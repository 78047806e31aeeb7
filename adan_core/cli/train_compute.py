"""The trial before a training: what computes fastest here, said in a table, kept in the run."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.config.settings import Settings
    from adan_core.learning.lessons import Lesson


def optimised(
    arguments: argparse.Namespace, context: Context, lesson: "Lesson", settings: "Settings"
) -> "Lesson":
    """Measure, say what was chosen and why, and return ``lesson`` computed that way."""
    import os

    from adan_core.learning.compute import ComputeOptimizer, applied
    from adan_core.learning.lessons import resolved

    spoken = not (arguments.json or arguments.progress_json)
    if spoken:
        context.say("Measuring what computes fastest here ...")
    optimizer = ComputeOptimizer(
        lesson.plan,
        context.clock,
        cpus=len(os.sched_getaffinity(0)),
        batches=settings.compute.optimise_batch,
    )
    measured = optimizer.measure()
    if spoken:
        for line in measured.lines():
            context.say(line)
    return resolved(lesson, applied(settings, measured.chosen), measured.record())
