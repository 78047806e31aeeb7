"""A whole walk-forward without a training: what its folds would have found is made up from targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.learning.backtest import run_targets
from adan_core.learning.calibration import reliability
from adan_core.learning.fold_run import (
    FEE_STRESS,
    FOLD_SCHEMA_VERSION,
    SLIPPAGE_STRESS,
    USUAL,
    FoldResult,
    trial_of,
)
from adan_core.learning.folds import folds
from adan_core.learning.learning_version import learning_version
from adan_core.learning.market import economics
from adan_core.learning.walk_forward import Circumstances, Curves, WalkForward, judge

SEEDS = (1, 2, 3)
WORDS = ("judgement.folds=3", "judgement.bootstrap_samples=100", "judgement.random_draws=20")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was judged, and the judgement."""

    series: CandleSeries
    settings: Settings
    splits: tuple[Split, ...]
    results: tuple[FoldResult, ...]
    report: WalkForward
    curves: Curves


def made_walk_forward(home: Path, candles: int = 6_000, words: tuple[str, ...] = ()) -> Judged:
    """Return the judgement of three seeds that hold at random, on simulated hours."""
    settings = load_settings(locate(home, {}), (*WORDS, *words)).settings
    series = SimulatedMarket("BTC/SIM", Timeframe.parse("1h"), 5).candles(0, candles)
    splits = folds(series, settings.judgement, 24)
    results = tuple(
        _fold(series, settings, number, split, seed)
        for number, split in enumerate(splits)
        for seed in SEEDS
    )
    about = Circumstances(
        "made-up", "0123456789abcdef", 1_000, 2, leakcheck_clean=True, unavailable={}
    )
    report, curves = judge(series, settings, splits, results, about)
    return Judged(series, settings, splits, results, report, curves)


def _fold(
    series: CandleSeries, settings: Settings, number: int, split: Split, seed: int
) -> FoldResult:
    begin = split.test.start - (1 if number else 0)
    tested = series.slice(begin, split.test.stop)
    luck = np.random.default_rng(100 * number + seed)
    targets: NDArray[np.float64] = np.repeat(luck.integers(0, 2, len(tested)), 40).astype(
        np.float64
    )
    costs = economics(settings, series.symbol)
    run = run_targets(tested, targets[: len(tested) - 1], costs, settings.account.starting_capital)
    sure = luck.uniform(0.5, 0.8, 200)
    trial = trial_of(run, costs)
    return FoldResult(
        schema_version=FOLD_SCHEMA_VERSION,
        code_version=learning_version(),
        fold=number,
        seed=seed,
        steps=1_000,
        selected_at=(1_000,),
        validation_score=0.1,
        weights_hash="",
        test_start=int(tested.close_time[0]),
        test_stop=int(tested.close_time[-1]),
        trials=dict.fromkeys((USUAL, FEE_STRESS, SLIPPAGE_STRESS), trial),
        confidence=reliability(sure, (luck.random(200) < sure).astype(np.float64)),
    )
