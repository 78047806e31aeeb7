"""The trading thread: one asyncio loop that follows the market and drives the engine."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from adan_core.accounting.preparation import prepare_kernels
from adan_core.config.locations import Locations
from adan_core.config.manager import ConfigManager, Reload
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.data.live import ExchangeFeed
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.errors import AdanError, TradingError
from adan_core.domain.market import MarketStatus
from adan_core.domain.service import ServiceStatus
from adan_core.domain.time import SECOND, Clock, ManualClock, Milliseconds, iso
from adan_core.monitoring.logging import correlated
from adan_core.runtime.assembly import (
    WARM_CANDLES,
    MarketPlan,
    Places,
    Serving,
    TradingParts,
    assemble,
    behaviour_of,
    costs_of,
    doubt_limits,
    live_limits,
    sizing_of,
    stale_after,
)
from adan_core.trading.engine_view import EngineView
from adan_core.trading.latch import KillLatch
from adan_core.trading.terms import KillFact

_BEAT_SECONDS: Final = 0.5
# A screen looks a few times a second; composing the engine's part more often than this is waste.
_VIEW_SECONDS: Final = 0.2
_RECONCILE_AGAIN_SECONDS: Final = 5.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CorePlan:
    """What kind of core this is.

    ``seconds_per_candle`` is the pace in seconds of the wall clock (0: as fast as it goes);
    ``latch`` is where its kill latch lies; ``home`` is what a training child is given as --home;
    ``training_queue`` is where trainings wait (None: in memory alone).
    """

    market: MarketPlan
    places: Places
    serving: Serving
    seconds_per_candle: float
    latch: KillLatch
    home: Path | None
    overrides: tuple[str, ...]
    training_queue: Path | None = None


class TradingThread:
    """Owns feed, engine, orders and ledger; others read the frozen records it replaces.

    ``view`` is the engine's newest picture, ``service`` the watch's over the ``model`` that decides,
    ``market`` the feed's, ``heartbeat`` the wall clock of
    the loop's last sign of life, ``lag`` how late it was (ms), ``failure`` why it died, if it did.
    """

    def __init__(
        self,
        plan: CorePlan,
        locations: Locations,
        config: ConfigManager,
        kill: KillFact,
        alarm: Alarm,
        reloaded: Callable[[Reload], None],
        clock: Clock,
        cache: DataCache,
    ) -> None:
        settings = config.settings
        self._plan = plan
        self._locations = locations
        self._config = config
        self._kill = kill
        self._alarm = alarm
        self._reloaded = reloaded
        self._clock = clock
        self._cache = cache
        # Limits per minute and ages of prices follow the market's own time when it is replayed.
        self._market_clock = ManualClock() if plan.seconds_per_candle == 0.0 else None
        self._thread = threading.Thread(target=self._trade, name="trading", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        # One turn at a time: a candle, or the reconciliation after a re-arming, never both.
        self._turn = asyncio.Lock()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._parts: TradingParts | None = None
        self.view: EngineView | None = None
        self.service: ServiceStatus | None = None
        self.model = plan.serving.champion.model.summary()
        self.failure = ""
        self.lag: float | None = None
        self.heartbeat: Milliseconds = clock.now()
        self.market = MarketStatus(
            source=plan.market.source,
            description=_describe_market(plan, settings),
            timeframe=str(plan.market.timeframe),
            symbols=plan.market.symbols,
            market_time=None,
            received_at=None,
            stale_after=stale_after(settings, plan.seconds_per_candle),
            finished=False,
            venue="" if plan.market.venue is None else plan.market.venue.shown,
        )
        config.subscribe(
            ("risk", "behaviour", "costs", "staleness", "exchange", "service"),
            self._settings_changed,
        )

    def start(self) -> None:
        """Begin to trade."""
        self._thread.start()

    def stop(self) -> None:
        """Let the candle at hand end, cancel entries, keep protection, close the books, join."""
        self._stopping.set()
        loop = self._loop
        if loop is not None and not self._finished.is_set():
            loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread to end by itself (a replay's end, a failure); say whether it did."""
        return self._finished.wait(seconds)

    @property
    def stopped(self) -> bool:
        """Whether the thread has ended, or was told to."""
        return self._stopping.is_set() or self._finished.is_set()

    def rearmed(self) -> None:
        """The kill latch is off: reconcile, and trade again only if the books agree."""
        if self._loop is not None and not self._finished.is_set():
            asyncio.run_coroutine_threadsafe(self._after_rearming(), self._loop)

    def _trade(self) -> None:
        try:
            asyncio.run(self._run_trading())
        except Exception as error:  # noqa: BLE001 a thread's outermost frame: shown, never lost
            self.failure = f"{type(error).__name__}: {error}"
            _log.error("trading thread died", exc_info=error)
            self._alarm("trading thread", Severity.CRITICAL, f"trading has stopped: {self.failure}")
        finally:
            self._finished.set()

    async def _run_trading(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stopping.is_set():
            return
        settings = self._config.settings
        plan = self._plan
        parts = assemble(
            settings,
            self._config.loaded.config_hash,
            plan.market,
            plan.places,
            self._locations,
            plan.serving.champion.model,
            self._kill,
            self._alarm,
            self._clock,
            self._market_clock or self._clock,
            self._pause,
            plan.seconds_per_candle,
            self._cache,
            plan.serving,
        )
        self._parts = parts
        beat = asyncio.create_task(self._beat())
        try:
            async with self._turn:
                if not await parts.feed.prepare():
                    return
                # Beside the loop, which goes on beating while kernels are compiled.
                await asyncio.to_thread(warm, parts)
            if await self._reconcile(parts):
                await self._follow_market(parts)
        finally:
            beat.cancel()
            await self._close(parts)

    async def _reconcile(self, parts: TradingParts) -> bool:
        """Compare books until they agree; False if the core is stopped first."""
        while not self._stopping.is_set():
            try:
                async with self._turn:
                    clean = await parts.engine.reconcile()
            except TradingError as error:
                clean = False
                self._alarm(
                    "reconcile", Severity.CRITICAL, f"the exchange does not answer: {error}"
                )
            self._look()
            if clean:
                return True
            if await self._pause(_RECONCILE_AGAIN_SECONDS):
                break
        return False

    async def _follow_market(self, parts: TradingParts) -> None:
        looked = 0.0
        async for closed in parts.feed:
            if self._market_clock is not None:
                self._market_clock.set(closed.close_time)
            with correlated(candle=iso(closed.close_time)):
                async with self._turn:
                    await parts.engine.on_candles(closed)
            self.market = replace(
                self.market,
                market_time=max(closed.close_time, self.market.market_time or 0),
                received_at=max(self._clock.now() - closed.age, self.market.received_at or 0),
            )
            if parts.engine.flat:
                outcome = self._config.account_is_flat()
                if outcome.applied:
                    self._reloaded(outcome)
            now = self._clock.monotonic()
            if now - looked >= _VIEW_SECONDS:
                looked = now
                self._look()
        self.market = replace(self.market, finished=not self._stopping.is_set())
        self._look()

    def _look(self) -> None:
        if self._parts is not None:
            self.view = self._parts.engine.view()
            watch = self._parts.watch
            if watch is not None:
                self.service, self.model = watch.status(), watch.model.summary()

    async def _after_rearming(self) -> None:
        """Reconcile before anything may be sent again, and lift the loss latches with the kill's."""
        if self._parts is None:
            return
        try:
            async with self._turn:
                await self._parts.engine.rearmed()
        except AdanError as error:
            self._alarm("reconcile", Severity.CRITICAL, f"re-armed, but not reconciled: {error}")
        self._look()

    async def _close(self, parts: TradingParts) -> None:
        """End in order: entries cancelled, protective stops kept, everything written down."""
        try:
            await parts.orders.drain()
            await parts.orders.cancel_entries()
            await parts.orders.collect()
            if self.view is not None:  # before the first one the account is not known yet
                self._look()
            parts.journal.close()
            await parts.exchange.close()
        finally:
            await parts.feed.close()

    async def _pause(self, seconds: float) -> bool:
        """Wait, but not beyond the moment the core is told to stop; say whether it was."""
        if seconds <= 0.0:
            await asyncio.sleep(0)
            return self._stop.is_set()
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    async def _beat(self) -> None:
        """Show that the loop turns, and by how much it is late."""
        while True:
            before = self._clock.monotonic()
            await asyncio.sleep(_BEAT_SECONDS)
            late = self._clock.monotonic() - before - _BEAT_SECONDS
            self.lag = max(late, 0.0) * SECOND
            if self._parts is not None:
                self.market = replace(self.market, stream=self._parts.feed.stream)
            self.heartbeat = self._clock.now()

    def _settings_changed(self, settings: Settings) -> None:
        loop, parts = self._loop, self._parts
        if loop is None or parts is None or self._finished.is_set():
            return

        def take_on() -> None:
            patience = stale_after(settings, self._plan.seconds_per_candle)
            self.market = replace(self.market, stale_after=patience)
            if isinstance(parts.feed, ExchangeFeed):
                parts.feed.limits = live_limits(settings, self._plan.market.timeframe)
            parts.doubt.limits = doubt_limits(settings)
            parts.exchange.costs = costs_of(settings)
            parts.engine.sizing = sizing_of(settings)
            parts.behaviour.settings = behaviour_of(settings)
            parts.engine.config_hash = self._config.loaded.config_hash
            parts.risk.take_on(settings.risk, costs_of(settings), patience)
            if parts.watch is not None:
                parts.watch.take_on(settings.service)

        loop.call_soon_threadsafe(take_on)


def warm(parts: TradingParts) -> None:
    """Read past candles, and have every kernel ready that a candle needs: nothing compiles later."""
    prepare_kernels()
    if parts.watch is not None:
        parts.watch.prepare()
    parts.engine.warm(parts.feed.history(WARM_CANDLES))


def _describe_market(plan: CorePlan, settings: Settings) -> str:
    market = plan.market
    if market.dataset is not None:
        return f"recorded candles of {market.dataset}"
    if market.venue is not None:
        kind = "NOT the exchange itself" if market.venue.simulated else "its own candles"
        where = f" at {market.venue.base_url}" if market.venue.simulated else ""
        return f"{market.venue.exchange}{where}, {kind}, orders on paper"
    return (
        f"made candles, seed {settings.market.seed}, one {market.timeframe} candle every "
        f"{plan.seconds_per_candle:g} s"
    )
