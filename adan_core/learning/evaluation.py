"""Judging a model on candles it has not seen: beside plain strategies, net of costs, by regime."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import CODE_VERSION
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import CacheKey
from adan_core.data.frames import cached_frame
from adan_core.data.series import CandleSeries
from adan_core.data.split import Period, split_by_fractions
from adan_core.domain.errors import DataError, ModelError
from adan_core.domain.time import Milliseconds, iso
from adan_core.learning.backtest import Backtest, run_policy
from adan_core.learning.baselines import plain_strategies
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.calibration import Reliability
from adan_core.learning.closing_out import closed_out
from adan_core.learning.market import economics, segment, with_external
from adan_core.learning.metrics import PerformanceMetrics
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_model import REGIMES
from adan_core.learning.witness import Witness

EVALUATION_SCHEMA_VERSION = 1

MODEL: Final = "model"

# requirements.md: one action more than 99 % of the time, or entropy near 0, is no policy. The
# entropy meant is that of the actions taken: a policy that is sure of itself both ways is one.
LARGEST_SHARE: Final = 0.99
SMALLEST_MIX_ENTROPY: Final = 0.05


@dataclass(frozen=True, slots=True)
class RegimeResult:
    """What happened from the closes at which the market was in one regime to the next closes.

    ``log_return`` and ``exposure`` are None where the regime did not occur.
    """

    regime: str
    candles: int
    log_return: float | None
    exposure: float | None


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """One strategy over the test part, net of costs, its way out included; only the model has stops."""

    strategy: str
    metrics: PerformanceMetrics
    by_regime: tuple[RegimeResult, ...]


@dataclass(frozen=True, slots=True)
class Saturation:
    """Whether a policy decides at all.

    ``share`` of the commonest exposure among all decisions; ``mix_entropy`` of the exposures taken
    and ``decision_entropy``, the mean over decisions of the distribution's own entropy, in nats.
    """

    exposure: float
    share: float
    mix_entropy: float
    decision_entropy: float
    saturated: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's judgement; ``test_start`` to ``test_stop`` are closes, in milliseconds.

    ``excess`` are the model's log-return minus those of the other strategies; ``calibration`` says
    how often it was right, by how sure it was; ``abstained`` in how many decisions its members
    disagreed.
    """

    schema_version: int
    model_id: str
    signer: str
    dataset: str
    symbol: str
    timeframe: str
    synthetic: bool
    data_hash: str
    test_start: Milliseconds
    test_stop: Milliseconds
    candles: int
    fee_rate: float
    slippage_rate: float
    results: tuple[StrategyResult, ...]
    excess: dict[str, float | None]
    saturation: Saturation
    verdict: str
    calibration: Reliability
    abstained: int


def judging_period(series: CandleSeries, settings: Settings, model: ServiceModel) -> Period:
    """Return the part of ``series`` that may judge ``model``: the split's test part.

    ModelError if the model was trained or selected on any of it. Real markets move together, so
    there any overlap in time counts, whatever the symbol; of simulated ones only the same path.
    """
    period = split_by_fractions(
        series, settings.learning.train_fraction, settings.learning.validation_fraction
    ).test
    for symbol, seen_from, seen_to in _seen(series, model):
        if period.start_time < seen_to and seen_from < period.stop_time:
            raise ModelError(
                f"model {model.model_id} learnt from {symbol} up to {iso(seen_to)}, and the "
                f"test part begins at {iso(period.start_time)}",
                "a test part that begins after all the model has seen",
                "evaluate on later candles, or train with the same fractions as now",
            )
    return period


def seen_candles(part: CandleSeries, series: CandleSeries, model: ServiceModel) -> int:
    """Return how many candles of ``part`` (a stretch of ``series``) lie where the model learnt."""
    seen = np.zeros(len(part), dtype=np.bool_)
    for _, seen_from, seen_to in _seen(series, model):
        seen |= (part.open_time >= seen_from) & (part.open_time < seen_to)
    return int(np.count_nonzero(seen))


def _seen(
    series: CandleSeries, model: ServiceModel
) -> Iterator[tuple[str, Milliseconds, Milliseconds]]:
    """Yield symbol, start and stop of what the model trained and selected on, as far as it counts."""
    for record in model.card.data:
        if record.synthetic == series.synthetic and (
            not series.synthetic
            or _same_path(series, record.training_hash, record.training.candles)
        ):
            yield record.symbol, record.training.start_time, record.validation.stop_time


def evaluate(
    model: ServiceModel,
    series: CandleSeries,
    settings: Settings,
    dataset: str,
    cache: DataCache | None = None,
) -> Evaluation:
    """Judge ``model`` on the test part of ``series``; ModelError or DataError if that cannot be."""
    judged, _ = evaluated_run(model, series, settings, dataset, cache)
    return judged


def evaluated_run(
    model: ServiceModel,
    series: CandleSeries,
    settings: Settings,
    dataset: str,
    cache: DataCache | None = None,
) -> tuple[Evaluation, Backtest]:
    """Return what ``evaluate`` does, and the model's own run that it was judged by."""
    if series.timeframe != model.card.timeframes[0]:
        raise ModelError(
            f"model {model.model_id} for candles of {model.card.ladder[0]}",
            f"one for candles of {series.timeframe}",
        )
    period = judging_period(series, settings, model)
    known = series.slice(0, period.stop)
    spec = with_external(model.features, settings)
    frame = cached_frame(known, model.card.timeframes, spec, cache)
    start = max(period.start, frame.ready)
    if period.stop - start < 2:
        raise DataError(
            f"{len(series)} candles of {series.symbol}", "enough to warm up and to be judged on"
        )
    costs = economics(settings, series.symbol)
    part = segment(known, frame, model.normaliser, costs, start, period.stop)
    tested = known.slice(start, period.stop)
    capital = settings.account.starting_capital
    witness = Witness(model.open_policy())
    played = run_policy(tested, part, witness, capital)
    runs = {
        MODEL: closed_out(played, costs),
        **plain_strategies(series, tested, settings, start),
    }
    regimes = regimes_of(known, cache)[start : period.stop - 1]
    results = tuple(
        StrategyResult(name, run.metrics(), by_regime(run, regimes)) for name, run in runs.items()
    )
    own = results[0].metrics.log_return
    excess = {
        result.strategy: (
            None
            if own is None or result.metrics.log_return is None
            else own - result.metrics.log_return
        )
        for result in results[1:]
    }
    saturation = judge_saturation(runs[MODEL].targets, np.array(witness.entropies))
    judged = Evaluation(
        schema_version=EVALUATION_SCHEMA_VERSION,
        model_id=model.model_id,
        signer=model.signer,
        dataset=dataset,
        symbol=series.symbol,
        timeframe=str(series.timeframe),
        synthetic=series.synthetic,
        data_hash=series.content_hash,
        test_start=int(runs[MODEL].close_time[0]),
        test_stop=int(runs[MODEL].close_time[-1]),
        candles=len(tested),
        fee_rate=costs.costs.fee_rate,
        slippage_rate=costs.costs.slippage_rate,
        results=results,
        excess=excess,
        saturation=saturation,
        verdict=_verdict(excess, saturation),
        calibration=witness.reliability(),
        abstained=witness.abstentions,
    )
    return judged, runs[MODEL]


def regimes_of(series: CandleSeries, cache: DataCache | None) -> NDArray[np.int64]:
    """Return the regime reported at each close, shape (n,), out of the cache where there is one."""
    if cache is None:
        return detect_regimes(series).regimes
    key = CacheKey("regimes", series.content_hash, "", CODE_VERSION)
    kept = cache.fetch(key, lambda: {"regimes": detect_regimes(series).regimes})
    return kept["regimes"]


def by_regime(run: Backtest, regimes: NDArray[np.int64]) -> tuple[RegimeResult, ...]:
    """Split a run's candles by the regime known when each was decided; ``regimes`` shape (n - 1,)."""
    returns = np.diff(np.log(run.equity))
    results = []
    for code, regime in enumerate(REGIMES):
        chosen = regimes == code
        count = int(np.count_nonzero(chosen))
        results.append(
            RegimeResult(
                regime=str(regime),
                candles=count,
                log_return=float(returns[chosen].sum()) if count else None,
                exposure=float(run.exposure[chosen].mean()) if count else None,
            )
        )
    return tuple(results)


def judge_saturation(targets: NDArray[np.float64], entropies: NDArray[np.float64]) -> Saturation:
    """Say whether a policy that asked for ``targets`` decides or always does the same."""
    asked = targets[np.isfinite(targets)]  # an abstention asks for nothing
    exposures, counts = np.unique(asked if len(asked) else np.zeros(1), return_counts=True)
    shares = counts / counts.sum()
    commonest = int(np.argmax(counts))
    mix = float(-np.sum(shares * np.log(shares)))
    share, exposure = float(shares[commonest]), float(exposures[commonest])
    saturated = share > LARGEST_SHARE or mix < SMALLEST_MIX_ENTROPY
    verdict = f"{share:.1%} of its decisions ask for exposure {exposure:g}"
    return Saturation(
        exposure=exposure,
        share=share,
        mix_entropy=mix,
        decision_entropy=float(np.mean(entropies)),
        saturated=saturated,
        verdict=verdict + ("; it does not decide: SATURATED" if saturated else "; it decides"),
    )


def _same_path(series: CandleSeries, training_hash: str, candles: int) -> bool:
    return len(series) >= candles and series.slice(0, candles).content_hash == training_hash


def _verdict(excess: dict[str, float | None], saturation: Saturation) -> str:
    beaten = [name for name, margin in excess.items() if margin is not None and margin > 0.0]
    lost = [name for name in excess if name not in beaten]
    parts = []
    if beaten:
        parts.append("earned more than " + ", ".join(beaten))
    if lost:
        parts.append("did not earn more than " + ", ".join(lost))
    text = "Net of costs the model " + " and ".join(parts)
    return text + (", and it is saturated." if saturation.saturated else ".")
