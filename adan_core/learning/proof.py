"""The proof that the agent learns what can be learnt: one seed on one published market.

The usual path: `adan-core train`'s lesson, normaliser, job, reward and selection on a validation
part. Only stops and the behaviour engine are switched off, for the optimum knows none: a stop would
end a position that the rule it is compared with holds on to.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import FILLS, PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, shipped
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.domain.time import Clock, Milliseconds
from adan_core.learning.backtest import Backtest, run_targets
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.evaluation import judge_saturation
from adan_core.learning.lessons import Lesson, member_card, new_lesson, voting_rules
from adan_core.learning.market import economics, ladder_of, segment
from adan_core.learning.member import MemberCard
from adan_core.learning.metrics import bar_returns, max_drawdown
from adan_core.learning.moves import Moves, likeliest_moves, stacked_moves
from adan_core.learning.networks import DecisionNetwork, network_from
from adan_core.learning.optimum import cost_of_a_side
from adan_core.learning.proof_bench import (
    TIMEFRAME,
    Bench,
    BenchSize,
    Reference,
    open_bench,
    training_paths,
)
from adan_core.learning.proof_confidence import Confidence, confidence_in
from adan_core.learning.runs import RunFolder
from adan_core.learning.segments import Segment
from adan_core.learning.statistics import Shape, shape_of
from adan_core.learning.training import TrainingJob
from adan_core.resilience.deadline import Deadline

Floats = NDArray[np.float64]

PROOF_SCHEMA_VERSION: Final = 2

_EXPOSURE = PORTFOLIO_COLUMNS.index("exposure") - len(PORTFOLIO_COLUMNS)


@dataclass(frozen=True, slots=True)
class ProofTask:
    """One seed on one market; ``features`` is the feature file's text. Plain data, for any process."""

    market: str
    seed: int
    steps: int
    settings: Settings
    features: str
    size: BenchSize
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class Outing:
    """What one agent did on the test paths, all accounts together; log-returns per 1000 candles.

    ``net`` is after every cost, ``stressed`` after doubled fees, ``buy_and_hold`` after those, too.
    ``orders`` per 1000 candles, ``trades`` the round trips closed in all accounts. ``drawdown`` is the
    median account's deepest. ``luck`` is net minus exposure times buy-and-hold plus what the orders
    cost, which is nothing but chance where nothing can be known; ``luck_error`` its standard error.
    ``shape`` is that of the returns of single candles, None where equity never moved. ``confidence``
    is how often its decisions were right, by how sure it was of them.
    """

    candles: int
    net: float
    stressed: float
    stressed_buy_and_hold: float
    orders: float
    trades: int
    exposure: float
    costs: float
    drawdown: float
    largest_share: float
    saturated: bool
    luck: float
    luck_error: float
    shape: Shape | None
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class SeedProof:
    """What came of one seed: how long it learnt, what was chosen, and how that was tested.

    ``seconds`` on the clock, and ``processor_seconds`` of this process, are those of taking the
    state of the training paths, fitting the normaliser, learning, validating and calibrating.
    """

    schema_version: int
    market: str
    seed: int
    steps: int
    seconds: float
    processor_seconds: float
    selected_at: int
    validation_score: float
    reference: Reference
    tested: Outing


def prove_seed(task: ProofTask, folder: Path, clock: Clock) -> SeedProof:
    """Learn on the training paths of ``task``'s seed, and test on paths that nobody has seen.

    ``folder`` is where the run keeps its checkpoints.
    """
    settings = task.settings
    series = training_paths(task.market, task.seed)
    began, worked = clock.monotonic(), time.process_time()
    lesson = proof_lesson(task, series, clock.now())
    job = TrainingJob(
        lesson.plan,
        RunFolder.create(folder, lesson.record),
        clock,
        Deadline(clock, None),
        threading.Event(),
        lambda _progress: None,
    )
    outcome = job.run()
    card = member_card(lesson, outcome)
    seconds, processor_seconds = clock.monotonic() - began, time.process_time() - worked
    bench = _bench_of(task)
    network = network_from(card.algorithm, outcome.weights, card.levels)
    return SeedProof(
        schema_version=PROOF_SCHEMA_VERSION,
        market=task.market,
        seed=task.seed,
        steps=outcome.steps,
        seconds=seconds,
        processor_seconds=processor_seconds,
        selected_at=outcome.selected_at,
        validation_score=outcome.score,
        reference=bench.reference,
        tested=tested(bench, card, network, lesson.normaliser, settings),
    )


def proof_settings(locations: Locations, overrides: Sequence[str]) -> tuple[Settings, str]:
    """Return the published settings of the proof, ``overrides`` over them, and its feature file's text.

    InvalidSettings if an override is wrong.
    """
    configs = shipped() / "configs"
    settings = load_settings(locations, overrides, {}, configs / "prove.yaml").settings
    return settings, (configs / settings.features).read_text(encoding="utf-8")


def proof_lesson(task: ProofTask, series: tuple[CandleSeries, ...], now: Milliseconds) -> Lesson:
    """Return what `adan-core train` would learn from ``series``, without protection."""
    lesson = new_lesson(
        task.settings, task.features, series, None, task.steps, task.seed, now, None
    )
    plan = replace(
        lesson.plan,
        training=_unprotected(lesson.plan.training),
        validation=_unprotected(lesson.plan.validation),
    )
    return replace(lesson, plan=plan)


def _bench_of(task: ProofTask) -> Bench:
    """Return the test paths of ``task``'s market, made once per process."""
    return _bench(
        task.market, task.settings.model_dump_json(), task.features, task.size, task.rehearsal
    )


@lru_cache(maxsize=1)
def _bench(
    market: str, settings_json: str, features: str, size: BenchSize, rehearsal: bool
) -> Bench:
    settings = Settings.model_validate_json(settings_json)
    return open_bench(
        market,
        FeatureSet.parse(features, settings.features),
        ladder_of(settings, TIMEFRAME),
        economics(settings, "PATH0/SIM").unprotected(),
        settings.account.starting_capital,
        size,
        rehearsal=rehearsal,
    )


def tested(
    bench: Bench,
    card: MemberCard,
    network: DecisionNetwork,
    normaliser: Normaliser,
    settings: Settings,
) -> Outing:
    """Let ``network`` trade an account of its own along each test path, and say what came of it.

    ``card`` holds its exposures, its horizon and its calibration, which is from before the test.
    """
    plain = economics(settings, bench.series[0].symbol).unprotected()
    dear = replace(plain, costs=replace(plain.costs, fee_rate=2.0 * plain.costs.fee_rate))
    parts = tuple(
        segment(path, frame, normaliser, plain, bench.start, len(path))
        for path, frame in zip(bench.series, bench.frames, strict=True)
    )
    capital = settings.account.starting_capital
    runs, moves, filled = _played(bench, parts, card, network, capital)
    stressed, _, _ = _played(
        bench, tuple(replace(part, economics=dear) for part in parts), card, network, capital
    )
    candles = sum(len(run.targets) for run in runs)
    scale = 1000.0 / candles

    def earned(equity: Floats) -> float:
        return float(np.log(equity[-1] / equity[0]))

    nets = np.array([earned(run.equity) for run in runs])
    held = np.array([earned(path.close) for path in bench.played])
    exposure = float(np.mean([run.exposure.mean() for run in runs]))
    costs = filled * cost_of_a_side(plain.costs)
    luck = nets - exposure * held + costs
    targets = np.concatenate([run.targets for run in runs])
    saturation = judge_saturation(targets, np.zeros(1))
    returns = np.concatenate([bar_returns(run.equity) for run in runs])
    return Outing(
        candles=candles,
        net=float(nets.sum()) * scale,
        stressed=sum(earned(run.equity) for run in stressed) * scale,
        stressed_buy_and_hold=(float(held.sum()) - len(runs) * cost_of_a_side(dear.costs)) * scale,
        orders=float(filled.sum()) * scale,
        trades=sum(len(run.trades) for run in runs),
        exposure=exposure,
        costs=float(costs.sum()) * scale,
        drawdown=float(np.median([max_drawdown(run.equity) for run in runs])),
        largest_share=saturation.share,
        saturated=saturation.saturated,
        luck=float(luck.sum()) * scale,
        luck_error=float(luck.std()) * len(runs) ** 0.5 * scale,
        shape=shape_of(returns) if returns.any() else None,
        confidence=confidence_in(
            moves, parts, card.calibration, card.horizon, voting_rules(settings).cost_rate
        ),
    )


def _played(
    bench: Bench,
    parts: tuple[Segment, ...],
    card: MemberCard,
    network: DecisionNetwork,
    capital: float,
) -> tuple[tuple[Backtest, ...], Moves, Floats]:
    """Return each account's backtest, what was considered at each close, and each one's filled orders.

    All accounts decide side by side in the environment; the backtest carries out the same targets.
    """
    copies, steps = len(parts), len(parts[0]) - 1
    kernel = EnvironmentKernel(parts, copies, capital, steps, 0)
    kernel.begin_in_order()
    levels = np.array(card.exposures, dtype=np.float64)
    memory = np.zeros((copies, network.memory_size), dtype=np.float32)
    seen: list[Moves] = []
    for _ in range(steps):
        logits, memory = network.act(kernel.observations, memory)
        held = kernel.observations[:, _EXPOSURE].astype(np.float64)
        seen.append(likeliest_moves(logits, held, levels))
        kernel.step(seen[-1].wanted)
    moves = stacked_moves(seen)
    runs = tuple(
        run_targets(path, wanted, parts[0].economics, capital)
        for path, wanted in zip(bench.played, moves.wanted.T.copy(), strict=True)
    )
    return runs, moves, kernel.accounts[:, FILLS].copy()


def _unprotected(parts: tuple[Segment, ...]) -> tuple[Segment, ...]:
    return tuple(replace(part, economics=part.economics.unprotected()) for part in parts)
