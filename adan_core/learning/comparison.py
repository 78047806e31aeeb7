"""Two models over the same candles that neither has learnt from: side by side, and paired."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.frames import cached_frame
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import DataError, ModelError
from adan_core.domain.time import Milliseconds
from adan_core.learning.backtest import Backtest, run_policy
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.closing_out import closed_out
from adan_core.learning.evaluation import judging_period
from adan_core.learning.market import economics, segment, with_external
from adan_core.learning.metrics import PerformanceMetrics

Floats = NDArray[np.float64]

COMPARISON_SCHEMA_VERSION: Final = 1
_RESAMPLES: Final = 2000
_BLOCK: Final = 100
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The second model's net log-return minus the first's, candle by candle and so in the same luck.

    ``low`` and ``high`` bound 95 % of the block bootstrap (circular, blocks of 100 candles), and
    ``probability`` is the share of it above zero.
    """

    log_return: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models came to out of sample, net of costs; instants are closes."""

    schema_version: int
    models: tuple[str, str]
    symbol: str
    timeframe: str
    synthetic: bool
    candles: int
    test_start: Milliseconds
    test_stop: Milliseconds
    metrics: tuple[PerformanceMetrics, PerformanceMetrics]
    difference: PairedDifference


def compare(
    models: tuple[ServiceModel, ServiceModel],
    series: CandleSeries,
    settings: Settings,
    cache: DataCache | None = None,
) -> Comparison:
    """Run both models over the test part of ``series``, with a purse of their own each.

    ModelError if either learnt from any of it or is made for other candles, DataError if too few
    candles are left.
    """
    for model in models:
        if series.timeframe != model.card.timeframes[0]:
            raise ModelError(
                f"model {model.model_id} for candles of {model.card.ladder[0]}",
                f"one for candles of {series.timeframe}",
            )
    periods = [judging_period(series, settings, model) for model in models]
    known = series.slice(0, min(period.stop for period in periods))
    frames = [
        cached_frame(known, model.card.timeframes, with_external(model.features, settings), cache)
        for model in models
    ]
    start = max(*(period.start for period in periods), *(frame.ready for frame in frames))
    if len(known) - start < 2:
        raise DataError(f"{len(series)} candles of {series.symbol}", "enough to compare on")
    costs = economics(settings, series.symbol)
    tested = known.slice(start, len(known))
    capital = settings.account.starting_capital
    runs = [
        closed_out(
            run_policy(
                tested,
                segment(known, frame, model.normaliser, costs, start, len(known)),
                model.open_policy(),
                capital,
            ),
            costs,
        )
        for model, frame in zip(models, frames, strict=True)
    ]
    first, second = runs
    return Comparison(
        schema_version=COMPARISON_SCHEMA_VERSION,
        models=(models[0].model_id, models[1].model_id),
        symbol=series.symbol,
        timeframe=str(series.timeframe),
        synthetic=series.synthetic,
        candles=len(tested),
        test_start=int(first.close_time[0]),
        test_stop=int(first.close_time[-1]),
        metrics=(first.metrics(), second.metrics()),
        difference=paired_difference(_returns(first), _returns(second)),
    )


def paired_difference(first: Floats, second: Floats) -> PairedDifference:
    """Return how much more ``second`` earned; both are log-returns of the same candles, shape (n,)."""
    difference = second - first
    count = len(difference)
    rng = np.random.default_rng(_SEED)
    starts = rng.integers(0, count, (_RESAMPLES, -(-count // _BLOCK)))
    # Sums of whole blocks from the running total: no resampled path is ever laid out in memory.
    running = np.concatenate(([0.0], np.cumsum(np.concatenate((difference, difference)))))
    sizes = np.full(starts.shape[1], _BLOCK)
    sizes[-1] = count - _BLOCK * (starts.shape[1] - 1)
    ends = starts + np.minimum(sizes, count)
    totals = np.sum(running[ends] - running[starts], axis=1)
    low, high = np.quantile(totals, (0.025, 0.975))
    return PairedDifference(
        float(difference.sum()), float(low), float(high), float(np.mean(totals > 0.0))
    )


def _returns(run: Backtest) -> Floats:
    returns: Floats = np.diff(np.log(run.equity))
    return returns
