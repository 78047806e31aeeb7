"""Candles made ready for learning: state, split in time, normaliser of the training part, costs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adan_core.accounting.compiled import CODE_VERSION
from adan_core.config.locations import Locations, shipped
from adan_core.config.risk_tiers import untradable
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.cache_entry import Arrays, CacheKey
from adan_core.data.external import open_externals
from adan_core.data.features import FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split, split_by_fractions
from adan_core.data.state import StateFrame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, DataError
from adan_core.domain.market import VOLATILITY_RATIO, Costs, MarketRules
from adan_core.learning.environment_options import EnvironmentOptions
from adan_core.learning.regime import RegimeHistory, detect_regimes
from adan_core.learning.regime_features import DRIVERS
from adan_core.learning.segments import Economics, Segment

SIMULATED_CANDLES = 60_000
"""Candles per symbol of the built-in market that one training run reads."""
# Training paths never are the paths traded: the same seed would show the agent its own future.
_TRAINING_SEED_OFFSET = 1_000_003


def market_rules(settings: Settings, symbol: str) -> MarketRules:
    """Return the simulated venue's rules for ``symbol``, its own where they differ."""
    rules = settings.rules
    own = rules.symbols.get(symbol)
    base, _, quote = symbol.partition("/")

    def pick(default: float, override: float | None) -> float:
        return default if override is None else override

    return MarketRules(
        symbol=symbol,
        base=base,
        quote=quote,
        lot_step=pick(rules.lot_step, own.lot_step if own else None),
        tick_size=pick(rules.tick_size, own.tick_size if own else None),
        minimum_quantity=pick(rules.minimum_quantity, own.minimum_quantity if own else None),
        minimum_notional=pick(rules.minimum_notional, own.minimum_notional if own else None),
    )


def economics(settings: Settings, symbol: str) -> Economics:
    """Return what trading ``symbol`` costs and allows while learning and judging."""
    rules = market_rules(settings, symbol)
    closed = untradable(
        settings.risk.tiers, rules.minimum_notional, settings.learning.smallest_exposure
    )
    return Economics(
        cap=settings.learning.exposure_cap,
        band=settings.risk.rebalance_band,
        costs=Costs(settings.costs.fee_rate, settings.costs.slippage_rate),
        rules=rules,
        stop_loss=settings.risk.stop_loss,
        take_profit=settings.risk.take_profit,
        funding_rate=settings.costs.funding_rate,
        behaviour=settings.behaviour.as_tuple(),
        tiers=tuple(
            (
                tier.lower,
                tier.position_cap,
                0.0 if tier.name in closed else float(tier.positions),
                tier.total_exposure,
                tier.risk_per_trade,
            )
            for tier in settings.risk.tiers
        ),
        tiered=settings.learning.sizing == "tiers",
        short=settings.account.short,
    )


def environment_options(settings: Settings, symbols: int) -> EnvironmentOptions:
    """Return how ``symbols`` are played while the agent learns."""
    learning = settings.learning
    return EnvironmentOptions(
        reward=settings.reward.as_tuple(),
        symbols=symbols if learning.purse == "shared" else 1,
        observation_noise=learning.observation_noise,
        cost_randomisation=learning.cost_randomisation,
    )


def feature_text(settings: Settings, locations: Locations) -> str:
    """Return the feature file in force: the operator's of that name, else the shipped one.

    ConfigurationError if there is none.
    """
    own = locations.config / settings.features
    path = own if own.exists() else shipped() / "configs" / settings.features
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"feature file {path}: {error}", "a readable text file") from error


def feature_set(settings: Settings, locations: Locations) -> FeatureSet:
    """Return the feature set in force, its external columns opened; ConfigurationError if it is bad."""
    spec = FeatureSet.parse(feature_text(settings, locations), settings.features)
    declared = {column.name for column in spec.external}
    unknown = sorted(set(settings.external) - declared)
    if unknown:
        raise ConfigurationError(
            f"external.{unknown[0]}: feature set {spec.name} has no such column",
            f"one of: {', '.join(sorted(declared))}"
            if declared
            else "none: it has no external column",
            f"declare it in {settings.features}, or take it out of the settings",
        )
    return with_external(spec, settings)


def with_external(spec: FeatureSet, settings: Settings) -> FeatureSet:
    """Return ``spec`` with the files that the settings name for its external columns."""
    wanted = {column.name for column in spec.external}
    files = {name: Path(path) for name, path in settings.external.items() if name in wanted}
    return spec.with_external(open_externals(files))


def ladder_of(settings: Settings, timeframe: Timeframe) -> tuple[Timeframe, ...]:
    """Return the ladder configured for candles of ``timeframe``; ConfigurationError if none is."""
    ladder = settings.ladders.get(timeframe)
    if ladder is None:
        raise ConfigurationError(
            f"candles of {timeframe}, which have no ladder",
            "a ladder for " + ", ".join(str(known) for known in settings.ladders),
            f"add {timeframe} to ladders in the settings",
        )
    return ladder


def simulated_training_series(settings: Settings, seed: int) -> tuple[CandleSeries, ...]:
    """Return the built-in market's training paths, one per configured symbol.

    They are paths of the market that the core trades, but never the path it trades.
    """
    market = settings.market
    path = market.seed + _TRAINING_SEED_OFFSET * (1 + seed)
    return tuple(
        SimulatedMarket(
            symbol, market.timeframe, path, market_rules(settings, symbol).tick_size
        ).candles(0, SIMULATED_CANDLES)
        for symbol in market.symbols
    )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One series with its state and its split; nothing of it is normalised yet."""

    series: CandleSeries
    frame: StateFrame
    split: Split


def prepare(
    series: CandleSeries,
    ladder: tuple[Timeframe, ...],
    spec: FeatureSet,
    settings: Settings,
    cache: DataCache | None = None,
    split: Split | None = None,
) -> Prepared:
    """Take the state of ``series`` and split it in time, by the settings' shares if not by ``split``.

    DataError if a part has no usable rows.
    """
    frame = cached_frame(series, ladder, spec, cache)
    split = split or split_by_fractions(
        series, settings.learning.train_fraction, settings.learning.validation_fraction
    )
    if split.training.stop - frame.ready < 2:
        raise DataError(
            f"{len(series)} candles of {series.symbol}, of which {split.training.stop} train",
            f"more than the {frame.ready} that the indicators need to warm up",
            "import a longer series",
        )
    return Prepared(series, frame, split)


def prepare_all(
    series: tuple[CandleSeries, ...],
    ladder: tuple[Timeframe, ...],
    spec: FeatureSet,
    settings: Settings,
    cache: DataCache | None = None,
    split: Split | None = None,
) -> tuple[Prepared, ...]:
    """Prepare several symbols beside each other: the compiled loops need no interpreter lock."""
    with ThreadPoolExecutor(thread_name_prefix="state") as pool:
        return tuple(
            pool.map(lambda one: prepare(one, ladder, spec, settings, cache, split), series)
        )


def fit_normaliser(parts: tuple[Prepared, ...]) -> Normaliser:
    """Fit one normaliser on the training parts of all series, and on nothing else."""
    frames = [part.frame for part in parts]
    rows = [slice(part.frame.ready, part.split.training.stop) for part in parts]
    pooled = StateFrame(
        market=np.concatenate([f.market[r] for f, r in zip(frames, rows, strict=True)]),
        ready=0,
        close_time=np.concatenate([f.close_time[r] for f, r in zip(frames, rows, strict=True)]),
        columns=frames[0].columns,
        schema_hash=frames[0].schema_hash,
    )
    hashes = "+".join(training_hash(part) for part in parts)
    return Normaliser.fit(pooled, 0, len(pooled.market), hashes)


def training_hash(part: Prepared) -> str:
    """Return the content hash of the training candles of ``part``."""
    return part.series.slice(part.split.training.start, part.split.training.stop).content_hash


def segment(
    series: CandleSeries,
    frame: StateFrame,
    normaliser: Normaliser,
    costs: Economics,
    start: int,
    stop: int,
    cache: DataCache | None = None,
    regimes: RegimeHistory | None = None,
) -> Segment:
    """Return rows ``start`` to ``stop`` (exclusive) of a series, from the first usable row on.

    ``regimes`` are the detector's over the whole series; without them it is run, or its answer
    taken out of the cache. DataError if the normaliser was made for another state.
    """
    normaliser.check(frame.schema_hash)
    rows = slice(max(start, frame.ready), stop)
    known = _known_regimes(series, cache) if regimes is None else _columns_of(regimes)
    return Segment(
        series.open[rows],
        series.high[rows],
        series.low[rows],
        series.close[rows],
        normaliser.apply(frame.market[rows]),
        costs.on(series.timeframe),
        known["regime"][rows],
        known["volatility"][rows],
        series.close_time[rows],
    )


def _known_regimes(series: CandleSeries, cache: DataCache | None) -> Arrays:
    """Return regime and volatility ratio as known at every close of ``series``."""
    if cache is None:
        return _columns_of(detect_regimes(series))
    key = CacheKey("regime columns", series.content_hash, "", CODE_VERSION)
    return cache.fetch(key, lambda: _columns_of(detect_regimes(series)))


def _columns_of(regimes: RegimeHistory) -> Arrays:
    volatility = regimes.drivers[:, DRIVERS.index(VOLATILITY_RATIO)]
    return {
        "regime": regimes.regimes.astype(np.int8),
        "volatility": np.ascontiguousarray(volatility),
    }
