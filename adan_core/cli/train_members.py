"""The four members of an ensemble, trained one after another, each resumable by itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.train_report import Report
from adan_core.config.profile_settings import PROFILES
from adan_core.domain.training import TrainingProgress, TrainingState

if TYPE_CHECKING:
    from adan_core.learning.lessons import Lesson
    from adan_core.learning.runs import RunFolder

Work = tuple["Lesson", "RunFolder"]
"""What to learn, and where."""


def members_of(first: Work, context: Context, report: Report) -> Iterator[tuple[Work, Report]]:
    """Yield what to learn, one after another, and whom to tell.

    ``first`` is all there is for a run of its own. Of an ensemble it is any one: the members come in
    the order of their profiles, begun ones as they are, and each record says which of four it is of.
    """
    ensemble = first[0].record.ensemble
    if not ensemble:
        yield first, report
        return
    for place, profile in enumerate(PROFILES):
        begun = first if profile == first[0].record.profile else _member(first, profile, context)
        yield begun, _told(report, place, profile)


def _told(report: Report, place: int, profile: str) -> Report:
    def say(record: TrainingProgress) -> None:
        message = f"member {place + 1} of {len(PROFILES)}, {profile}: {record.message}"
        finished = record.state is TrainingState.FINISHED and place + 1 < len(PROFILES)
        state = TrainingState.RUNNING if finished else record.state
        report(replace(record, state=state, message=message))

    return say


def _member(first: Work, profile: str, context: Context) -> Work:
    """Return the ensemble's member called ``profile``: begun before, or a new run like the first."""
    from adan_core.data.store import CandleStore
    from adan_core.learning.lessons import new_lesson, old_lesson, settings_of, training_series
    from adan_core.learning.runs import RunFolder

    record = first[0].record
    settings = settings_of(record)
    store = CandleStore(context.home.datasets)
    series = training_series(record.dataset, settings, record.seed, store)
    path = context.home.runs / f"{record.ensemble}-{profile}"
    if path.exists():
        folder = RunFolder(path)
        return old_lesson(folder.record(), series, context.cache(settings)), folder
    lesson = new_lesson(
        settings,
        record.features,
        series,
        record.dataset,
        record.steps,
        record.seed,
        record.created_at,
        context.cache(settings),
        profile=profile,
        ensemble=record.ensemble,
    )
    return lesson, RunFolder.create(context.home.runs, lesson.record)
