"""A way of learning judged over the whole history: folds in time, several seeds, chance and stress.

The tests of all folds follow each other and are joined, one curve per seed. Each fold begins with the
starting capital and flat; what is open at its end is closed at the last close, as it is for all that a
model is compared with. Nothing here is chosen by what it finds: the median seed stands for the whole,
and the worst is named before any best.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.domain.errors import DataError
from adan_core.learning.backtest import Backtest, buy_and_hold_targets, run_targets
from adan_core.learning.baselines import (
    BUY_AND_HOLD,
    FLAT,
    Chance,
    Protection,
    in_force,
    log_return_of,
    plain_strategies,
    random_spells,
)
from adan_core.learning.calibration import Reliability, pooled
from adan_core.learning.closing_out import closed_out
from adan_core.learning.evaluation import (
    RegimeResult,
    StrategyResult,
    by_regime,
    judge_saturation,
    regimes_of,
)
from adan_core.learning.fold_run import FEE_STRESS, SLIPPAGE_STRESS, USUAL, FoldResult, Trial
from adan_core.learning.gates import GateFigures
from adan_core.learning.market import economics
from adan_core.learning.metrics import PerformanceMetrics, measure
from adan_core.learning.statistics import (
    Interval,
    TooFewError,
    bootstrap_interval,
    deflated_sharpe_ratio,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    shape_of,
    sharpe_of_rows,
    total_log_return,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WALK_FORWARD_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one seed earned over all tests, net of costs.

    ``interval`` is of its log-return, ``stressed`` its log-return under each kind of stress,
    ``validation_scores`` one per fold, ``commonest_share`` the share of its commonest wish,
    ``confidence`` how often its decisions were right, by how sure they were.
    """

    seed: int
    metrics: PerformanceMetrics
    by_regime: tuple[RegimeResult, ...]
    interval: Interval
    stressed: dict[str, float]
    validation_scores: tuple[float, ...]
    commonest_share: float
    saturated: bool
    confidence: Reliability


@dataclass(frozen=True, slots=True)
class WalkForward:
    """The judgement; ``seeds`` are ordered from worst to best by log-return, ``median`` is one of them.

    ``excess`` is the median seed's log-return minus each strategy's; ``deflated_sharpe`` counts
    ``trials``: seeds times the recipes that were tried. ``sharpe_interval`` is of the median seed's
    ratio per candle, ``track_record`` how many such candles would show that it is above 0 (None: none
    would). What could not be computed is None, and ``unavailable`` says why.
    """

    schema_version: int
    dataset: str
    symbol: str
    timeframe: str
    synthetic: bool
    data_hash: str
    recipe: str
    steps: int
    fee_rate: float
    slippage_rate: float
    folds: tuple[Split, ...]
    test_start: int
    test_stop: int
    candles: int
    seeds: tuple[SeedResult, ...]
    median: SeedResult
    strategies: tuple[StrategyResult, ...]
    excess: dict[str, float]
    stressed_excess: dict[str, float]
    chance: Chance
    probabilistic_sharpe: float | None
    deflated_sharpe: float | None
    sharpe_interval: Interval | None
    track_record: float | None
    trials: int
    figures: GateFigures
    unavailable: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What plots are drawn from: closes, regimes, and the equity of every seed and strategy, (n,) each."""

    close_time: Integers
    closes: Floats
    regimes: Integers
    seeds: dict[int, Floats]
    strategies: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a judgement is about and cannot know from its candles.

    ``tried`` is how many recipes had the chance to look good on this test, this one included.
    """

    dataset: str
    recipe: str
    steps: int
    tried: int
    leakcheck_clean: bool | None
    unavailable: dict[str, str]


def judge(
    series: CandleSeries,
    settings: Settings,
    splits: Sequence[Split],
    results: Sequence[FoldResult],
    circumstances: Circumstances,
    cache: DataCache | None = None,
) -> tuple[WalkForward, Curves]:
    """Return the judgement of all ``results`` and the curves behind it.

    DataError unless every fold has a result of every seed.
    """
    start, stop = splits[0].test.start, splits[-1].test.stop
    tested = series.slice(start, stop)
    regimes = regimes_of(series.slice(0, stop), cache)[start:stop]
    capital = settings.account.starting_capital
    joined = {
        seed: {
            kind: _joined(tested, [one.trials[kind] for one in own], capital)
            for kind in (USUAL, FEE_STRESS, SLIPPAGE_STRESS)
        }
        for seed, own in _by_seed(results, len(splits)).items()
    }
    runs = plain_strategies(series, tested, settings, start)
    generator = np.random.default_rng(0)
    judged = sorted(
        (
            _seed_result(seed, own, regimes, results, settings, generator)
            for seed, own in joined.items()
        ),
        key=lambda one: one.interval.estimate,
    )
    median = judged[(len(judged) - 1) // 2]
    usual = joined[median.seed][USUAL]
    unavailable = dict(circumstances.unavailable)
    trials = len(judged) * max(circumstances.tried, 1)
    sharpes = _sharpes([joined[one.seed][USUAL] for one in judged], unavailable)
    probabilistic = deflated = sharpe_interval = track_record = None
    if sharpes is not None:
        own_returns = np.diff(usual.equity) / usual.equity[:-1]
        own_shape = shape_of(own_returns)
        sharpe_interval = bootstrap_interval(
            own_returns,
            sharpe_of_rows,
            generator,
            settings.judgement.bootstrap_samples,
            settings.judgement.confidence,
        )
        needed = minimum_track_record(own_shape, level=settings.judgement.confidence)
        track_record = needed if math.isfinite(needed) else None
        probabilistic = probabilistic_sharpe_ratio(own_shape)
        deflated = deflated_sharpe_ratio(own_shape, trials, float(np.var(sharpes, ddof=1)))
    own_return = median.interval.estimate
    excess = {name: own_return - log_return_of(run) for name, run in runs.items()}
    stressed_excess = _stressed_excess(judged, tested, settings)
    costs = economics(settings, series.symbol).costs
    report = WalkForward(
        schema_version=WALK_FORWARD_SCHEMA_VERSION,
        dataset=circumstances.dataset,
        symbol=series.symbol,
        timeframe=str(series.timeframe),
        synthetic=series.synthetic,
        data_hash=series.content_hash,
        recipe=circumstances.recipe,
        steps=circumstances.steps,
        fee_rate=costs.fee_rate,
        slippage_rate=costs.slippage_rate,
        folds=tuple(splits),
        test_start=int(tested.close_time[0]),
        test_stop=int(tested.close_time[-1]),
        candles=len(tested),
        seeds=tuple(judged),
        median=median,
        strategies=tuple(
            StrategyResult(name, run.metrics(), by_regime(run, regimes[:-1]))
            for name, run in runs.items()
        ),
        excess=excess,
        stressed_excess=stressed_excess,
        chance=random_spells(
            tested, usual, settings, own_return, _protection(results, median.seed)
        ),
        probabilistic_sharpe=probabilistic,
        deflated_sharpe=deflated,
        sharpe_interval=sharpe_interval,
        track_record=track_record,
        trials=trials,
        figures=GateFigures(
            seeds=len(judged),
            excess_over_flat=stressed_excess[FLAT],
            excess_over_buy_and_hold=stressed_excess[BUY_AND_HOLD],
            max_drawdown=median.metrics.max_drawdown,
            deflated_sharpe=deflated,
            trades=median.metrics.trades,
            largest_share=median.commonest_share,
            saturated=any(one.saturated for one in judged),
            leakcheck_clean=circumstances.leakcheck_clean,
            unavailable=unavailable,
        ),
        unavailable=unavailable,
    )
    curves = Curves(
        close_time=tested.close_time,
        closes=tested.close,
        regimes=regimes,
        seeds={seed: own[USUAL].equity for seed, own in joined.items()},
        strategies={name: run.equity for name, run in runs.items()},
    )
    return report, curves


def _protection(results: Sequence[FoldResult], seed: int) -> Protection | None:
    """Return the mean stops of one seed's decisions over all folds; None where none brought any."""
    own = [one.trials[USUAL].protection for one in results if one.seed == seed]
    known = [one for one in own if one is not None]
    if not known:
        return None
    return Protection(
        stop_loss=float(np.mean([one.stop_loss for one in known])),
        take_profit=float(np.mean([one.take_profit for one in known])),
    )


def _by_seed(results: Sequence[FoldResult], folds: int) -> dict[int, list[FoldResult]]:
    found: dict[int, list[FoldResult]] = {}
    for one in sorted(results, key=lambda each: (each.seed, each.fold)):
        found.setdefault(one.seed, []).append(one)
    for seed, own in found.items():
        if [one.fold for one in own] != list(range(folds)):
            raise DataError(
                f"seed {seed} with folds {[one.fold for one in own]}", f"all of {folds} folds"
            )
    if not found:
        raise DataError("no result of any fold", "one of each fold and seed")
    return found


def _joined(tested: CandleSeries, trials: Sequence[Trial], capital: float) -> Backtest:
    """Return the tests of all folds as one run over ``tested``; DataError if candles are missing."""
    returns = np.concatenate([one.net_log_returns for one in trials])
    if len(returns) != len(tested) - 1:
        raise DataError(
            f"{len(returns)} returns for {len(tested)} candles", "one per candle but one"
        )
    targets = np.concatenate(
        [np.array([np.nan if t is None else t for t in one.targets]) for one in trials]
    )
    return Backtest(
        symbol=tested.symbol,
        close_time=tested.close_time,
        equity=capital * np.exp(np.concatenate(([0.0], np.cumsum(returns)))),
        targets=targets,
        exposure=np.concatenate([np.array(one.exposure) for one in trials]),
        trades=(),
        fees=sum(one.fees for one in trials),
        traded=sum(one.traded for one in trials),
        bar_duration=tested.timeframe.duration,
    )


def _seed_result(
    seed: int,
    own: dict[str, Backtest],
    regimes: Integers,
    results: Sequence[FoldResult],
    settings: Settings,
    generator: np.random.Generator,
) -> SeedResult:
    usual = own[USUAL]
    folds = sorted((one for one in results if one.seed == seed), key=lambda one: one.fold)
    pnl = np.array([pnl for one in folds for pnl in one.trials[USUAL].trade_pnl])
    judgement = settings.judgement
    saturation = judge_saturation(in_force(usual.targets), np.zeros(1))
    return SeedResult(
        seed=seed,
        metrics=measure(
            usual.equity, pnl, usual.exposure, usual.traded, usual.fees, usual.bar_duration
        ),
        by_regime=by_regime(usual, regimes[:-1]),
        interval=bootstrap_interval(
            np.diff(np.log(usual.equity)),
            total_log_return,
            generator,
            judgement.bootstrap_samples,
            judgement.confidence,
        ),
        stressed={kind: log_return_of(own[kind]) for kind in (FEE_STRESS, SLIPPAGE_STRESS)},
        validation_scores=tuple(one.validation_score for one in folds),
        commonest_share=saturation.share,
        saturated=saturation.saturated,
        confidence=pooled([one.confidence for one in folds]),
    )


def _sharpes(runs: Sequence[Backtest], unavailable: dict[str, str]) -> list[float] | None:
    """Return each run's Sharpe ratio per candle; None, with the reason, where one has none."""
    if len(runs) < 2:
        unavailable["deflated_sharpe"] = "one seed shows no dispersion between trials"
        return None
    try:
        return [shape_of(np.diff(run.equity) / run.equity[:-1]).sharpe for run in runs]
    except TooFewError as error:
        unavailable["deflated_sharpe"] = f"of one seed at least: {error}"
        return None


def _stressed_excess(
    judged: Sequence[SeedResult], tested: CandleSeries, settings: Settings
) -> dict[str, float]:
    """Return the median seed's log-return minus flat's and holding's, all after the stressed fee."""
    usual = economics(settings, tested.symbol).unprotected()
    fee = usual.costs.fee_rate * settings.judgement.stressed_fee
    stressed = replace(usual, costs=replace(usual.costs, fee_rate=fee))
    capital = settings.account.starting_capital
    holding = closed_out(
        run_targets(tested, buy_and_hold_targets(tested), stressed, capital), stressed
    )
    own = sorted(one.stressed[FEE_STRESS] for one in judged)[(len(judged) - 1) // 2]
    return {FLAT: own, BUY_AND_HOLD: own - log_return_of(holding)}
