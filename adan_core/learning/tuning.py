"""A search for better settings on the training part alone: durable, resumable, pruned, judged once.

Each trial's settings are learnt with several seeds over folds that all lie before the test, and judged
by what the median of them earns on those folds' own tests, net of costs. The candles of the test are
not even read. What the search found is then tried on the test once; the ledger of looks remembers.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from adan_core.config.tuning_settings import Range
from adan_core.domain.errors import ConfigurationError, DataError, ModelError, UsageError
from adan_core.learning.executor import Executor, alone
from adan_core.learning.fold_run import USUAL, FoldResult, FoldTask, run_fold

_QUESTION: Final = "question"
_SHOWN: Final = 5

Assignment = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One finished trial: what it set, and the median net log-return per 1000 candles."""

    number: int
    values: dict[str, float | int | str]
    score: float


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A search so far; ``best`` are the best finished trials, the best first."""

    study: str
    finished: int
    pruned: int
    failed: int
    best: tuple[TrialResult, ...]


class Search:
    """One study in a file of its own; another question under the same name is refused.

    ``tasks_of`` returns the folds and seeds of an assignment, in a fixed order. UsageError if the
    study was begun with another ``question``.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        question: str,
        space: Mapping[str, Range],
        unpruned_trials: int,
        tasks_of: Callable[[Assignment], Sequence[FoldTask]],
        executor: Executor,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._space = dict(space)
        self._tasks_of = tasks_of
        self._executor = executor
        self._name = name
        self._lock = path.with_suffix(".lock")
        # A journal of JSON lines: every trial is on disk as it ends, and nothing is unpickled.
        self._study = optuna.create_study(
            study_name=name,
            storage=JournalStorage(JournalFileBackend(str(path))),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=unpruned_trials),
            direction="maximize",
            load_if_exists=True,
        )
        known = self._study.user_attrs.get(_QUESTION)
        if known is None:
            self._study.set_user_attr(_QUESTION, question)
        elif known != question:
            raise UsageError(
                f"study {name} was begun with other candles, features, settings or space",
                "the same as then",
                "give this search another name with --study",
            )

    def run(
        self, trials: int, told: Callable[[StudyResult], None], stop: Callable[[], bool]
    ) -> None:
        """Try assignments until ``trials`` have ended in all, or ``stop`` says so between two of them.

        A trial that was cut off by a crash is tried again; one whose settings contradict each other is
        broken off. UsageError if another process is at this study.
        """
        with alone(self._lock, f"study {self._name}"):
            self._run(trials, told, stop)

    def _run(
        self, trials: int, told: Callable[[StudyResult], None], stop: Callable[[], bool]
    ) -> None:
        for one in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(one.number, state=TrialState.FAIL)
            self._study.enqueue_trial(one.params)
        while not stop() and len(self._ended()) < trials:
            # By what the study holds, not by what this process has drawn: a search that is begun
            # again would draw the same once more.
            self._study.sampler = TPESampler(seed=len(self._study.get_trials(deepcopy=False)))
            trial = self._study.ask()
            values = suggested(trial, self._space)
            try:
                score = self._judge(trial, values)
            except optuna.TrialPruned:
                self._study.tell(trial, state=TrialState.PRUNED)
            except (ConfigurationError, DataError):
                # Where nothing could be tried yet, it is the space that is wrong, not the draw.
                if not self.result().finished:
                    self._study.tell(trial, state=TrialState.FAIL)
                    raise
                self._study.tell(trial, state=TrialState.PRUNED)
            except ModelError:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
            else:
                self._study.tell(trial, score)
            told(self.result())

    def _ended(self) -> list[FrozenTrial]:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        return self._study.get_trials(deepcopy=False, states=states)

    def _judge(self, trial: Trial, values: Assignment) -> float:
        """Return the median over folds and seeds; what is known after each may prune the rest.

        They are reported in the order of the tasks, whichever is ready first: the same ones are held
        to each other, and one worker prunes as several do.
        """
        tasks = self._tasks_of(values)
        found: dict[FoldTask, float] = {}
        scores: list[float] = []
        for one in self._executor.run(run_fold, tasks):
            if one.result is None:
                raise ModelError(
                    f"trial {trial.number}, fold {one.task.fold + 1}: {one.failure}",
                    "a trial that can be learnt",
                    "narrow the space in tuning.space",
                )
            found[one.task] = score_of(one.result)
            while len(scores) < len(tasks) and tasks[len(scores)] in found:
                scores.append(found[tasks[len(scores)]])
                trial.report(statistics.median(scores), len(scores) - 1)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return statistics.median(scores)

    def result(self) -> StudyResult:
        """Return where the search stands."""
        trials = self._study.get_trials(deepcopy=False)
        finished = [one for one in trials if one.state is TrialState.COMPLETE]
        scored = [(one.value, one) for one in finished if one.value is not None]
        best = sorted(scored, key=lambda pair: -pair[0])[:_SHOWN]
        return StudyResult(
            study=self._name,
            finished=len(finished),
            pruned=sum(one.state is TrialState.PRUNED for one in trials),
            failed=sum(one.state is TrialState.FAIL for one in trials),
            best=tuple(TrialResult(one.number, dict(one.params), score) for score, one in best),
        )


def suggested(trial: Trial, space: Mapping[str, Range]) -> dict[str, float | int | str]:
    """Return what the sampler proposes for every setting of ``space``."""
    return {key: _suggest(trial, key, own) for key, own in space.items()}


def _suggest(trial: Trial, key: str, own: Range) -> float | int | str:
    if own.low is None or own.high is None:
        chosen: Any = trial.suggest_categorical(key, own.choices)
        value: float | int | str = chosen
    elif own.whole:
        value = trial.suggest_int(key, int(own.low), int(own.high), log=own.log)
    else:
        value = trial.suggest_float(key, own.low, own.high, log=own.log)
    return value


def score_of(result: FoldResult) -> float:
    """Return the net log-return per 1000 candles of a fold's own test."""
    returns = result.trials[USUAL].net_log_returns
    return 1000.0 * float(returns.sum()) / len(returns)
