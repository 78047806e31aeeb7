"""One fold with one seed: learnt on its past, tried on its test, under the usual costs and under stress.

It runs in a process of its own, so what it is told and what it answers are plain data.
"""

import shutil
import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.profile_settings import ALL_PROFILES, PROFILES
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.data.store import CandleStore
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, SystemClock
from adan_core.domain.training import TrainingProgress
from adan_core.learning.backtest import Backtest, run_policy
from adan_core.learning.baselines import Protection
from adan_core.learning.calibration import Reliability
from adan_core.learning.closing_out import closed_out
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.learning_version import learning_version
from adan_core.learning.lessons import Lesson, member_card, new_lesson, voting_rules
from adan_core.learning.market import economics, segment, with_external
from adan_core.learning.member import Member, places_of
from adan_core.learning.networks import network_from
from adan_core.learning.runs import RunFolder
from adan_core.learning.segments import Economics
from adan_core.learning.training import TrainingJob
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.learning.witness import Witness
from adan_core.resilience.deadline import Deadline
from adan_core.resilience.files import private_folder, write_atomically

FOLD_SCHEMA_VERSION = 4

USUAL, FEE_STRESS, SLIPPAGE_STRESS = "usual costs", "fee stress", "slippage stress"


@dataclass(frozen=True, slots=True)
class FoldTask:
    """What to learn and where to try it; ``overlap`` candles of the last test are played again.

    ``settings`` are JSON, ``features`` the feature file's text, ``split`` a split of the data set
    called ``dataset`` in the store at ``store``; ``folder`` is where the result is kept.
    """

    fold: int
    seed: int
    steps: int
    settings: str
    features: str
    store: str
    dataset: str
    split: Split
    overlap: int
    profile: str
    folder: str

    @property
    def path(self) -> Path:
        """Where its result lies, or will."""
        return Path(self.folder) / f"fold{self.fold}-s{self.seed}.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one account over one test, candle by candle.

    ``log_returns``, ``targets`` (NaN where it stayed as it was: None) and ``exposure`` have one
    entry per candle but the first; ``trade_pnl`` one per closed trade, in quote currency. What is
    open at the end is valued at the last close in ``log_returns``; ``exit_return`` is what closing it
    there costs, a log-return, and the other figures have it closed. ``protection`` is the mean of the
    stops that came with its decisions, None where none did.
    """

    log_returns: tuple[float, ...]
    targets: tuple[float | None, ...]
    exposure: tuple[float, ...]
    trade_pnl: tuple[float, ...]
    fees: float
    traded: float
    exit_return: float
    protection: Protection | None

    @property
    def net_log_returns(self) -> NDArray[np.float64]:
        """The log-returns with the way out paid for in the last one, shape (n - 1,)."""
        returns = np.array(self.log_returns, dtype=np.float64)
        returns[-1] += self.exit_return
        return returns


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold and seed; ``trials`` by kind of costs.

    ``validation_score`` is per 1000 candles, the mean of the members'; ``confidence`` how often the
    decisions under the usual costs were right, by how sure they were.
    """

    schema_version: int
    code_version: str
    fold: int
    seed: int
    steps: int
    selected_at: tuple[int, ...]
    validation_score: float
    weights_hash: str
    test_start: Milliseconds
    test_stop: Milliseconds
    trials: dict[str, Trial]
    confidence: Reliability


def run_fold(task: FoldTask) -> FoldResult:
    """Return the result of ``task``, from its place if it lies there, else worked out and put there."""
    known = finished(task)
    if known is not None:
        return known
    settings = Settings.model_validate_json(task.settings)
    # No candle after the test is read, let alone learnt from.
    series = CandleStore(Path(task.store)).read(task.dataset, end=task.split.test.stop_time)
    workshop = task.path.with_suffix(".run")
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        learnt = _learn(task, settings, series, workshop)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    result = _try(task, settings, series, learnt)
    private_folder(task.path.parent)
    write_atomically(task.path, msgspec.json.encode(result))
    return result


def finished(task: FoldTask) -> FoldResult | None:
    """Return the result of ``task`` that lies in its place; one of another version is none."""
    try:
        result = msgspec.json.decode(task.path.read_bytes(), type=FoldResult)
    except (OSError, msgspec.DecodeError):
        return None
    made_by = (result.schema_version, result.code_version)
    return result if made_by == (FOLD_SCHEMA_VERSION, learning_version()) else None


def _learn(
    task: FoldTask, settings: Settings, series: CandleSeries, workshop: Path
) -> list[tuple[Lesson, TrainingOutcome]]:
    """Return each member's lesson and what it learnt, in the order of the profiles."""
    clock = SystemClock()
    learnt = []
    for profile in members_of(task.profile):
        lesson = new_lesson(
            settings,
            task.features,
            (series,),
            task.dataset,
            task.steps,
            task.seed,
            clock.now(),
            profile=profile,
            split=task.split,
        )
        run = RunFolder.create(workshop, lesson.record)
        job = TrainingJob(lesson.plan, run, clock, Deadline(clock, None), threading.Event(), _quiet)
        learnt.append((lesson, job.run()))
    return learnt


def _quiet(_progress: TrainingProgress) -> None:
    """Say nothing: the folds are what progress is counted in."""


def _try(
    task: FoldTask,
    settings: Settings,
    series: CandleSeries,
    learnt: Sequence[tuple[Lesson, TrainingOutcome]],
) -> FoldResult:
    usual = economics(settings, series.symbol)
    stress = settings.judgement
    fee, slippage = usual.costs.fee_rate, usual.costs.slippage_rate
    costs = {
        USUAL: usual,
        FEE_STRESS: _with_costs(usual, fee * stress.stressed_fee, slippage),
        SLIPPAGE_STRESS: _with_costs(usual, fee, slippage * stress.stressed_slippage),
    }
    spec = with_external(FeatureSet.parse(task.features, settings.features), settings)
    ladder = settings.ladders[series.timeframe]
    frame = cached_frame(series, ladder, spec, None)
    start = task.split.test.start - task.overlap
    if start < frame.ready:
        raise DataError(
            f"a test from candle {start}", f"one from {frame.ready}, where states begin"
        )
    tested = series.slice(start, task.split.test.stop)
    market = frame.columns
    members = tuple(_member(lesson, outcome, market) for lesson, outcome in learnt)
    first, _ = learnt[0]
    trials: dict[str, Trial] = {}
    witnesses: dict[str, Witness] = {}
    for name, own in costs.items():
        part = segment(series, frame, first.normaliser, own, start, task.split.test.stop)
        policy = EnsemblePolicy(
            first.record.run_id,
            members,
            voting_rules(settings),
            len(market) + len(PORTFOLIO_COLUMNS),
            series.timeframe.duration,
        )
        witnesses[name] = Witness(policy)
        run = run_policy(tested, part, witnesses[name], settings.account.starting_capital)
        trials[name] = trial_of(run, own)
    return FoldResult(
        schema_version=FOLD_SCHEMA_VERSION,
        code_version=learning_version(),
        fold=task.fold,
        seed=task.seed,
        steps=task.steps,
        selected_at=tuple(outcome.selected_at for _, outcome in learnt),
        validation_score=statistics.fmean(outcome.score for _, outcome in learnt),
        weights_hash="+".join(outcome.weights_hash for _, outcome in learnt),
        test_start=int(tested.close_time[0]),
        test_stop=int(tested.close_time[-1]),
        trials=trials,
        confidence=witnesses[USUAL].reliability(),
    )


def members_of(profile: str) -> tuple[str, ...]:
    """Return the profiles that are learnt for ``profile``: all of them for ``ALL_PROFILES``."""
    return PROFILES if profile == ALL_PROFILES else (profile,)


def _member(lesson: Lesson, outcome: TrainingOutcome, market: tuple[str, ...]) -> Member:
    card = member_card(lesson, outcome)
    network = network_from(card.algorithm, outcome.weights, card.levels)
    return Member(card, network, places_of(card.columns, market))


def _with_costs(usual: Economics, fee_rate: float, slippage_rate: float) -> Economics:
    return replace(
        usual, costs=replace(usual.costs, fee_rate=fee_rate, slippage_rate=slippage_rate)
    )


def trial_of(run: Backtest, costs: Economics) -> Trial:
    """Return what became of ``run``, with what is open at its end closed under ``costs``."""
    returns: NDArray[np.float64] = np.diff(np.log(run.equity))
    closed = closed_out(run, costs)
    return Trial(
        log_returns=tuple(returns.tolist()),
        targets=tuple(None if np.isnan(target) else target for target in run.targets.tolist()),
        exposure=tuple(run.exposure.tolist()),
        trade_pnl=tuple(trade.pnl for trade in closed.trades),
        fees=closed.fees,
        traded=closed.traded,
        exit_return=float(np.log(closed.equity[-1] / run.equity[-1])),
        protection=_mean_protection(run),
    )


def _mean_protection(run: Backtest) -> Protection | None:
    if run.protection is None:
        return None
    stop_losses, take_profits = (own[np.isfinite(own)] for own in run.protection)
    if not len(stop_losses) or not len(take_profits):
        return None
    return Protection(float(stop_losses.mean()), float(take_profits.mean()))
