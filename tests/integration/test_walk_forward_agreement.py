"""Over whole walk-forward runs environment, backtest, paper and replay have one equity."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.state import Mode
from adan_core.domain.time import ManualClock, Milliseconds
from adan_core.learning import fold_run
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.executor import InProcess
from adan_core.learning.fold_run import USUAL, FoldResult, FoldTask
from adan_core.learning.lessons import Lesson, card_of, member_card
from adan_core.learning.market import economics, environment_options, feature_text, segment
from adan_core.learning.member import Member, places_of
from adan_core.learning.networks import network_from
from adan_core.learning.recipe_run import plan_run, work_out
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.learning.walk_forward import Circumstances, judge
from tests.engine_bench import EngineBench, ScriptedModel

pytestmark = pytest.mark.slow

SYMBOL: Final = "BTC/SIM"
CANDLES: Final = 5_200
FIRST: Final = 4_000
"""The first simulated candle that a core trades on paper; those before it warm everything up."""
STEPS: Final = 2_048
# One tier whose limits never bite: what is compared here is the bookkeeping, not the limits.
SETTINGS: Final = """
account: {starting_capital: 10000.0}
market: {symbols: [BTC/SIM]}
learning: {sizing: tiers, copies: 16, steps_per_copy: 32, batch_size: 256, episode_length: 200}
judgement: {folds: 2, first_training: 0.8, bootstrap_samples: 100, random_draws: 20}
risk:
  max_order_notional: 1.0e9
  max_orders_per_minute: 1000000
  price_collar: 0.9
  tiers:
    - {name: all, lower: 0.5, upper: null, total_exposure: 0.9, position_cap: 0.9,
       positions: 1, risk_per_trade: 0.99, daily_loss: 0.99, max_drawdown: 0.99}
rules: {minimum_notional: 0.1}
"""


@dataclass
class Later:
    """A learnt policy that holds nothing until its test begins, as a fold does before its own."""

    policy: EnsemblePolicy
    begins: Milliseconds
    model_id: str = "later"
    clock: ManualClock = field(default_factory=ManualClock)
    asked: list[float] = field(default_factory=list)

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        if self.clock.now() < self.begins:
            return PolicyOutput(0.0, 1.0, (Vote("waits", 0.0, 1.0),), None)
        answer = self.policy.decide(symbol, close_time, close, observation, regime)
        self.asked.append(answer.target_exposure)
        return answer

    def memory(self) -> dict[str, NDArray[Any]]:
        return self.policy.memory()

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        self.policy.restore(memory)


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """A walk-forward with the weights that it forgets: what each fold has learnt."""

    home: Path
    settings: Settings
    series: CandleSeries
    tasks: tuple[FoldTask, ...]
    results: tuple[FoldResult, ...]
    learnt: dict[int, tuple[Lesson, TrainingOutcome]]
    equity: NDArray[np.float64]

    def exit_return(self, fold: int) -> float:
        """Return what the judgement takes off for closing what fold ``fold`` holds at its end."""
        return self.results[fold].trials[USUAL].exit_return

    def model(self, fold: int) -> ServiceModel:
        """Return what fold ``fold`` would have sealed."""
        lesson, outcome = self.learnt[fold]
        card = member_card(lesson, outcome)
        spec = FeatureSet.parse(self.tasks[fold].features, "features")
        columns = spec.columns(self.settings.ladders[self.series.timeframe])
        network = network_from(card.algorithm, outcome.weights, card.levels)
        return ServiceModel(
            card_of(lesson.record, (card,), 0, None),
            (Member(card, network, places_of(card.columns, columns)),),
            lesson.normaliser,
            spec,
            "test",
            None,
        )

    def start(self, fold: int) -> int:
        """Return the candle at whose close fold ``fold`` decides first."""
        return self.tasks[fold].split.test.start - self.tasks[fold].overlap


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    home = tmp_path_factory.mktemp("home")
    locations = locate(home, {})
    locations.config.mkdir(parents=True)
    locations.settings_file.write_text(f"schema_version: 1\n{SETTINGS}")
    settings = load_settings(locations).settings
    timeframe = Timeframe.parse("5m")
    series = SimulatedMarket(SYMBOL, timeframe, settings.market.seed).candles(0, CANDLES)
    CandleStore(locations.datasets).write("candles", series, "test")
    features = feature_text(settings, locations)
    run = plan_run(
        series, "candles", settings, features, "", STEPS, (1,), locations.datasets, home / "shelf"
    )
    learnt = {}
    learn = fold_run._learn

    def remembering(
        task: FoldTask, settings: Settings, series: CandleSeries, workshop: Path
    ) -> list[tuple[Lesson, TrainingOutcome]]:
        ((lesson, outcome),) = learn(task, settings, series, workshop)
        learnt[task.fold] = lesson, _stirred(outcome, task.fold)
        return [learnt[task.fold]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_run, "_learn", remembering)
        results = work_out(run, InProcess(), lambda _task, _failure: None)
    about = Circumstances("candles", run.recipe, STEPS, 1, leakcheck_clean=None, unavailable={})
    _, curves = judge(series, settings, run.splits, results, about)
    return Walked(home, settings, series, run.tasks, results, learnt, curves.seeds[1])


def _stirred(outcome: TrainingOutcome, fold: int) -> TrainingOutcome:
    """Return weights that trade a lot: so short a training learns to hold nothing, and to stay so."""
    luck = np.random.default_rng(fold)
    weights = {
        name: (own + luck.normal(0.0, 0.4, own.shape)).astype(np.float32)
        for name, own in outcome.weights.items()
    }
    return replace(outcome, weights=weights)


def joined(pieces: list[NDArray[np.float64]], capital: float) -> NDArray[np.float64]:
    """Return one curve of ``pieces``, each of which begins where the one before it ends."""
    returns = np.concatenate([np.diff(np.log(piece)) for piece in pieces])
    return capital * np.exp(np.concatenate(([0.0], np.cumsum(returns))))


@pytest.mark.parametrize("way", ["environment", Mode.REPLAY, Mode.PAPER])
def test_a_whole_walk_forward_has_one_equity(way: Mode | str, walked: Walked) -> None:
    pieces = [
        _environment(walked, fold) if way == "environment" else _engine(walked, fold, Mode(way))
        for fold in range(len(walked.tasks))
    ]
    capital = walked.settings.account.starting_capital
    # The judgement closes at a fold's end what the others go on holding.
    for fold, piece in enumerate(pieces):
        piece[-1] *= np.exp(walked.exit_return(fold))
    assert min(map(walked.exit_return, range(len(pieces)))) < 0.0
    np.testing.assert_allclose(joined(pieces, capital), walked.equity, rtol=1e-9, atol=0.0)
    assert len(walked.equity) == CANDLES - walked.tasks[0].split.test.start
    # It did trade, in each fold, or nothing would have been compared.
    assert all(len(set(piece.round(6))) > len(piece) // 10 for piece in pieces)


def _environment(walked: Walked, fold: int) -> NDArray[np.float64]:
    """Return the equity of the environment that plays what the fold has decided."""
    lesson, _ = walked.learnt[fold]
    test = walked.tasks[fold].split.test
    known = walked.series.slice(0, test.stop)
    settings = walked.settings
    model = walked.model(fold)
    frame = cached_frame(known, settings.ladders[known.timeframe], model.features, None)
    costs = lesson.terms.economics(economics(settings, SYMBOL))
    part = segment(known, frame, lesson.normaliser, costs, walked.start(fold), test.stop)
    capital = settings.account.starting_capital
    options = environment_options(settings, 1)
    kernel = EnvironmentKernel((part,), 1, capital, len(part) - 1, 0, options)
    kernel.begin_in_order()
    equity = [capital]
    for target in _decided(walked, fold):
        kernel.step(np.array([target]))
        equity.append(kernel.equity(0))
    return np.array(equity)


def _engine(walked: Walked, fold: int, mode: Mode) -> NDArray[np.float64]:
    """Return the equity of the core's own engine, which decides for itself with the fold's weights."""
    start, stop = walked.start(fold), walked.tasks[fold].split.test.stop
    known = walked.series.slice(0, stop)
    later = Later(walked.model(fold).open_policy(), int(known.close_time[start]))

    def model(_: Normaliser, features: FeatureSet) -> ServiceModel:
        return ScriptedModel(later, walked.learnt[fold][0].normaliser, features)

    bench = EngineBench.build(
        walked.home / f"{mode}{fold}",
        known,
        lambda _: 0.0,
        SETTINGS,
        mode=mode,
        model=model,
    )
    later.clock = bench.clock

    async def trade() -> None:
        await bench.begin()
        await bench.play(stop - FIRST if mode is Mode.PAPER else None)
        await bench.close()

    asyncio.run(trade())
    assert bench.codes() == []
    # The core decides at the last close, too: what for, the fold does not see any more.
    np.testing.assert_array_equal(later.asked[:-1], _decided(walked, fold))
    return np.array(bench.equity[-(stop - start) :])


def _decided(walked: Walked, fold: int) -> NDArray[np.float64]:
    own = walked.results[fold].trials[USUAL].targets
    return np.array([np.nan if target is None else target for target in own])
