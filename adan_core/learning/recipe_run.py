"""A walk-forward from its request to its judgement: tasks, the work, the leak check, the look at the test."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.domain.errors import ModelError
from adan_core.learning.executor import Executor, alone
from adan_core.learning.fold_run import FoldResult, FoldTask, finished, members_of, run_fold
from adan_core.learning.folds import folds
from adan_core.learning.market import ladder_of, with_external
from adan_core.learning.profiles import terms_of
from adan_core.learning.test_ledger import TestPeriod, recipe_of


@dataclass(frozen=True, slots=True)
class RecipeRun:
    """A way of learning to be judged on one data set: what it is called, and every task of it.

    ``recipe`` names the way of learning, ``subject`` this very question about it.
    """

    dataset: str
    profile: str
    recipe: str
    subject: str
    splits: tuple[Split, ...]
    tasks: tuple[FoldTask, ...]

    def period(self, series: CandleSeries) -> TestPeriod:
        """Return the candles that all tests together are on."""
        first, last = self.splits[0].test, self.splits[-1].test
        path = series.content_hash if series.synthetic else ""
        return TestPeriod(series.symbol, path, first.start_time, last.stop_time)


def plan_run(
    series: CandleSeries,
    dataset: str,
    settings: Settings,
    features: str,
    profile: str,
    steps: int,
    seeds: Sequence[int],
    store: Path,
    shelf: Path,
    splits: tuple[Split, ...] = (),
) -> RecipeRun:
    """Return the run of ``seeds`` over the folds of ``series``, results to be kept under ``shelf``.

    ``splits`` are other ones than the settings' folds.
    DataError if the series is too short for its folds.
    """
    ladder = ladder_of(settings, series.timeframe)
    spec = with_external(FeatureSet.parse(features, settings.features), settings)
    schema_hash = spec.schema_hash(ladder)
    terms = [
        terms_of(settings, member, spec.columns(ladder), ladder) for member in members_of(profile)
    ]
    horizon = max(one.horizon for one in terms)
    splits = splits or folds(series, settings.judgement, horizon)
    names = [one.name for one in terms]
    recipe = recipe_of(settings, schema_hash, names)
    question = msgspec.json.encode(
        [
            recipe,
            schema_hash,
            spec.external_hash,
            steps,
            series.content_hash,
            settings.judgement.model_dump(mode="json"),
            # No part of the recipe, but each moves the last bits of what is learnt.
            settings.compute.model_dump(include={"device", "precision", "compile"}),
            settings.learning.threads,
            [[one.training, one.validation, one.test] for one in splits],
        ]
    )
    digest = hashlib.blake2b(question, digest_size=8).hexdigest()
    folder = shelf / f"{dataset}-{profile or names[0]}-{digest}"
    tasks = tuple(
        FoldTask(
            fold=fold,
            seed=seed,
            steps=steps,
            settings=settings.model_dump_json(),
            features=features,
            store=str(store),
            dataset=dataset,
            split=split,
            # The candle from one test to the next belongs to both, so that none is lost between.
            overlap=1 if fold else 0,
            profile=profile,
            folder=str(folder),
        )
        for seed in seeds
        for fold, split in enumerate(splits)
    )
    return RecipeRun(dataset, profile, recipe, digest, splits, tasks)


def work_out(
    run: RecipeRun, executor: Executor, done: Callable[[FoldTask, str], None]
) -> tuple[FoldResult, ...]:
    """Return every task's result; ``done`` is told of each as it is there, with what went wrong.

    ModelError, once all others are there, if some failed: run again, only those are worked out.
    UsageError if another process is at the same question.
    """
    with alone(Path(run.tasks[0].folder) / ".lock", f"this question about {run.dataset}"):
        return _work_out(run, executor, done)


def _work_out(
    run: RecipeRun, executor: Executor, done: Callable[[FoldTask, str], None]
) -> tuple[FoldResult, ...]:
    results: list[FoldResult] = []
    failures: list[str] = []
    missing: list[FoldTask] = []
    for task in run.tasks:
        known = finished(task)
        if known is None:
            missing.append(task)
        else:
            results.append(known)
            done(task, "")
    for one in executor.run(run_fold, missing):
        if one.result is None:
            failures.append(f"fold {one.task.fold + 1}, seed {one.task.seed}: {one.failure}")
        else:
            results.append(one.result)
        done(one.task, one.failure)
    if failures:
        raise ModelError(
            "; ".join(failures), "every fold and seed", "run it again: what is done is kept"
        )
    return tuple(results)
