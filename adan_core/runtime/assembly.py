"""Builds one trading engine and everything it stands on from settings; called on the trading thread."""

import secrets
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adan_core.config.locations import Locations
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.feed import CandleFeed, SeriesFeed, SimulatedFeed, Wait
from adan_core.data.live import ExchangeFeed, LiveLimits
from adan_core.data.live_shelf import CandleShelf
from adan_core.data.live_venue import ExchangeVenue, VenueName
from adan_core.data.state import StateStream
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.alerts import Alarm
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import ConfigurationError, ModelError
from adan_core.domain.market import Costs, MarketSource
from adan_core.domain.state import Mode
from adan_core.domain.time import SECOND, Clock, Milliseconds
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.market import economics, feature_set, market_rules
from adan_core.learning.regime import RegimeDetector
from adan_core.runtime.spot import refuse_what_spot_cannot
from adan_core.runtime.watch import ServiceWatch
from adan_core.runtime.watched import Judged, Succession
from adan_core.trading.behaviour import DynamicBehaviorEngine
from adan_core.trading.database import Durability
from adan_core.trading.desk import Desk
from adan_core.trading.doubt import DoubtLimits, MarketDoubt
from adan_core.trading.engine import TradingEngine
from adan_core.trading.exchanges.paper import PaperExchange
from adan_core.trading.journal import Journal
from adan_core.trading.orders import OrderManager
from adan_core.trading.portfolio import PortfolioManager
from adan_core.trading.risk import RiskManager
from adan_core.trading.terms import KillFact, Sizing

# The first candle a new paper account trades on; those before it warm the indicators.
FIRST_SIMULATED_CANDLE = 4_000
# Indicators never forget, so each start warms them from the market's very first candle: only then
# does a restart decide on the same bytes as a core that was never stopped.
WARM_CANDLES = sys.maxsize


@dataclass(frozen=True, slots=True)
class Places:
    """The two books of one account, and how firmly they are kept."""

    journal: Path
    exchange: Path
    durability: Durability


@dataclass(frozen=True, slots=True)
class MarketPlan:
    """Which candles are traded: a simulated market's, a stored data set's or, live, an exchange's."""

    mode: Mode
    symbols: tuple[str, ...]
    timeframe: Timeframe
    dataset: str | None
    venue: VenueName | None = None

    @property
    def replayed(self) -> bool:
        """Whether the candles are recorded ones."""
        return self.dataset is not None

    @property
    def source(self) -> MarketSource:
        """Where the candles come from."""
        if self.venue is not None:
            return MarketSource.TEST_VENUE if self.venue.simulated else MarketSource.EXCHANGE
        return MarketSource.REPLAY if self.replayed else MarketSource.SIMULATED


@dataclass(frozen=True, slots=True)
class TradingParts:
    """What the trading thread drives."""

    engine: TradingEngine
    feed: CandleFeed
    orders: OrderManager
    risk: RiskManager
    journal: Journal
    exchange: PaperExchange
    portfolio: PortfolioManager
    doubt: MarketDoubt
    behaviour: DynamicBehaviorEngine
    watch: ServiceWatch | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """The model in service and who may follow; ``aside`` says why it trades nothing (empty: it does).

    Without ``succession`` (a replay) nothing is ever taken out of service.
    """

    champion: Judged
    challenger: Judged | None
    succession: Succession | None
    aside: str


def plan_market(
    settings: Settings, mode: Mode, dataset: str | None, locations: Locations
) -> MarketPlan:
    """Return what is to be traded; ConfigurationError if a replay names no data set."""
    market = settings.market
    name = dataset or market.dataset
    if mode is Mode.REPLAY or market.source == "dataset":
        if name is None:
            raise ConfigurationError(
                "a replay without a data set", "a name of `adan-core data list`", "--dataset NAME"
            )
        info = CandleStore(locations.datasets).info(name)
        return MarketPlan(mode, (info.symbol,), Timeframe.parse(info.timeframe), name)
    venue = exchange_name(settings) if market.source == "exchange" else None
    return MarketPlan(mode, market.symbols, market.timeframe, None, venue)


def exchange_name(settings: Settings) -> VenueName:
    """Return the exchange of the settings; ConfigurationError if they name none."""
    if settings.exchange.name is None:
        raise ConfigurationError("no exchange", "its name as ccxt writes it", "set exchange.name")
    return VenueName(settings.exchange.name, settings.exchange.base_url)


def open_venues(
    settings: Settings,
    name: VenueName,
    symbols: tuple[str, ...],
    timeframe: Timeframe,
    clock: Clock,
) -> tuple[ExchangeVenue, ExchangeVenue | None]:
    """Return the exchange whose candles are traded and the one they are compared with, if any.

    Nothing is asked of them yet. UsageError for one that ccxt does not know or that streams no
    candles, ConfigurationError for one without candles of ``timeframe``.
    """
    other = settings.exchange.second
    second = None if other is None else VenueName(other, settings.exchange.second_base_url)
    return (
        ExchangeVenue(name, symbols, timeframe, clock),
        None if second is None else ExchangeVenue(second, symbols, timeframe, clock),
    )


def open_exchange(
    settings: Settings, plan: MarketPlan, places: Places, clock: Clock
) -> PaperExchange:
    """Open one connection to the paper venue, for the thread that calls."""
    return PaperExchange(
        places.exchange,
        tuple(market_rules(settings, symbol) for symbol in plan.symbols),
        costs_of(settings),
        plan.timeframe,
        settings.account.starting_capital,
        clock,
        places.durability,
    )


def costs_of(settings: Settings) -> Costs:
    """Return what a simulated fill costs."""
    return Costs(settings.costs.fee_rate, settings.costs.slippage_rate)


def sizing_of(settings: Settings) -> Sizing:
    """Return how targets become quantities under the settings in force."""
    tiers = settings.risk.tiers
    return Sizing(
        lower_bounds=np.array([tier.lower for tier in tiers], dtype=np.float64),
        caps=np.array([tier.position_cap for tier in tiers], dtype=np.float64),
        band=settings.risk.rebalance_band,
        stop_loss=settings.risk.stop_loss,
        take_profit=settings.risk.take_profit,
        costs=costs_of(settings),
    )


def behaviour_of(settings: Settings) -> NDArray[np.float64]:
    """Return the behaviour engine's settings in force, as its kernel reads them."""
    return np.array(settings.behaviour.as_tuple(), dtype=np.float64)


def stale_after(settings: Settings, seconds_per_candle: float) -> Milliseconds:
    """Return the age at which the candle feed is stale: its cadence and the grace of the table."""
    staleness = settings.staleness
    grace = max(
        staleness.candle_grace_seconds, staleness.candle_grace_fraction * seconds_per_candle
    )
    return round((seconds_per_candle + grace) * SECOND)


def live_limits(settings: Settings, timeframe: Timeframe) -> LiveLimits:
    """Return from when on live data are not to be trusted, by the table of the settings."""
    staleness, seconds = settings.staleness, timeframe.duration / SECOND
    return LiveLimits(
        silent_after=round(staleness.stream_silent * SECOND),
        reconnect_after=round(staleness.stream_reconnect * SECOND),
        late_after=stale_after(settings, seconds) - timeframe.duration,
        close_grace=round(settings.exchange.close_grace * SECOND),
    )


def doubt_limits(settings: Settings) -> DoubtLimits:
    """Return how far two sources of a candle may be apart."""
    exchange = settings.exchange
    return DoubtLimits(
        exchange.deviation_warning, exchange.deviation_reducing, exchange.agreeing_candles
    )


def assemble(
    settings: Settings,
    config_hash: str,
    plan: MarketPlan,
    places: Places,
    locations: Locations,
    model: ServiceModel,
    kill: KillFact,
    alarm: Alarm,
    clock: Clock,
    market_clock: Clock,
    wait: Wait,
    seconds_per_candle: float,
    cache: DataCache | None = None,
    serving: Serving | None = None,
) -> TradingParts:
    """Build the engine; ``market_clock`` is what limits per minute are counted on.

    With ``serving`` the model is watched beside its judgement and its challenger.

    Raises ModelError if the model reads another state than the settings describe, or goes short.
    """
    refuse_what_spot_cannot(settings, model)
    ladder = settings.ladders[plan.timeframe]
    spec = feature_set(settings, locations)
    if model.normaliser.schema_hash != spec.schema_hash(ladder):
        raise ModelError(
            f"model {model.card.model_id} reads the state {model.normaliser.schema_hash}",
            f"{spec.schema_hash(ladder)}: the features and timeframes of the settings",
            "choose a model trained on them (`adan-core models list`), or train one",
        )
    exchange = open_exchange(settings, plan, places, clock)
    journal = Journal(places.journal, exchange.name, clock, places.durability)
    portfolio = PortfolioManager(
        journal,
        settings.account.quote if not plan.replayed else exchange.rules(plan.symbols[0]).quote,
    )
    risk = RiskManager(
        settings.risk,
        costs_of(settings),
        settings.learning.smallest_exposure,
        stale_after(settings, seconds_per_candle),
        exchange.rules,
        journal,
        portfolio,
        lambda: kill.engaged,
        market_clock,
    )
    orders = OrderManager(
        exchange,
        journal,
        portfolio,
        clock,
        secrets.randbelow,
        lambda: kill.engaged,
        risk.count_message,
        alarm,
    )
    desks = [
        Desk(
            symbol,
            exchange.rules(symbol),
            StateStream(plan.timeframe, ladder, spec),
            RegimeDetector(plan.timeframe),
            deque(),
            cache=cache,
        )
        for symbol in plan.symbols
    ]
    doubt = MarketDoubt(doubt_limits(settings), journal, alarm)
    behaviour = DynamicBehaviorEngine(behaviour_of(settings), journal.history.trades_after)
    watch = None if serving is None else watch_over(settings, plan, serving, journal, alarm)
    engine = TradingEngine(
        desks=desks,
        policy=model.open_policy(),
        behaviour=behaviour,
        normaliser=model.normaliser,
        sizing=sizing_of(settings),
        journal=journal,
        portfolio=portfolio,
        orders=orders,
        risk=risk,
        venue=exchange,
        doubt=doubt,
        kill=kill,
        clock=clock,
        alarm=alarm,
        config_hash=config_hash,
        witness=watch,
    )
    if watch is not None:
        watch.attach(engine)
    feed = open_feed(settings, plan, locations, engine, wait, clock, seconds_per_candle, alarm)
    return TradingParts(
        engine, feed, orders, risk, journal, exchange, portfolio, doubt, behaviour, watch
    )


def watch_over(
    settings: Settings, plan: MarketPlan, serving: Serving, journal: Journal, alarm: Alarm
) -> ServiceWatch:
    """Build what watches over the model in service, each symbol at the sizing it was judged with."""
    return ServiceWatch(
        serving.champion,
        serving.challenger,
        {symbol: economics(settings, symbol).on(plan.timeframe) for symbol in plan.symbols},
        settings.account.starting_capital,
        settings.service,
        journal,
        alarm,
        plan.timeframe.duration,
        serving.succession,
        serving.aside,
    )


def open_feed(
    settings: Settings,
    plan: MarketPlan,
    locations: Locations,
    engine: TradingEngine,
    wait: Wait,
    clock: Clock,
    seconds_per_candle: float,
    alarm: Alarm,
) -> CandleFeed:
    """Return the candles that follow the last ones ``engine`` has settled (none: the first ones)."""
    after = engine.resumes_after
    store = CandleStore(locations.datasets)
    if plan.dataset is not None:
        series = store.read(plan.dataset)
        return SeriesFeed((series,), wait, clock, seconds_per_candle, after)
    if plan.venue is not None:
        venue, second = open_venues(settings, plan.venue, plan.symbols, plan.timeframe, clock)
        return ExchangeFeed(
            venue,
            plan.symbols,
            plan.timeframe,
            CandleShelf(store, plan.venue, plan.timeframe),
            live_limits(settings, plan.timeframe),
            settings.exchange.first_candles,
            engine.closes,
            wait,
            clock,
            alarm,
            engine.sources_compared,
            second,
        )
    markets = [
        SimulatedMarket(
            symbol,
            plan.timeframe,
            settings.market.seed,
            market_rules(settings, symbol).tick_size,
        )
        for symbol in plan.symbols
    ]
    start = FIRST_SIMULATED_CANDLE if after is None else markets[0].index_after(after)
    return SimulatedFeed(markets, start, seconds_per_candle, wait, clock)
