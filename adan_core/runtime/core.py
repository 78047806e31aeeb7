"""One running core: owns every thread, and composes the picture that clients are given.

Threads: trading (its own asyncio loop), kill, monitoring (health probes), training (drives a
child), control (the socket). They meet only in frozen records that are replaced whole.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from adan_core.config.locations import Locations
from adan_core.config.manager import ConfigManager
from adan_core.config.settings import Settings
from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.commands import FLATTEN_WORD, Command, CommandKind, CommandResult
from adan_core.domain.errors import AdanError
from adan_core.domain.market import MarketSource, MarketStatus
from adan_core.domain.snapshot import SNAPSHOT_SCHEMA_VERSION, CoreSnapshot
from adan_core.domain.state import EngineState, KillKind
from adan_core.domain.time import SECOND, Clock, ManualClock, iso
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.learning.registry import ServiceModel
from adan_core.monitoring.alerts import AlertManager
from adan_core.monitoring.health import HealthMonitor
from adan_core.monitoring.logging import LogSystem, correlated
from adan_core.runtime.assembly import (
    WARM_CANDLES,
    MarketPlan,
    Places,
    TradingParts,
    assemble,
    open_exchange,
    sizing_of,
    stale_after,
)
from adan_core.runtime.training import TrainingRunner
from adan_core.security.audit import AuditLog
from adan_core.security.authorization import current_user, word_matches
from adan_core.trading.engine import EngineView
from adan_core.trading.journal import Journal
from adan_core.trading.kill import KillSwitch
from adan_core.trading.latch import KillLatch

_BEAT_SECONDS: Final = 0.5
# A screen looks a few times a second; composing the engine's part more often than this is waste.
_VIEW_SECONDS: Final = 0.2
_RECONCILE_AGAIN_SECONDS: Final = 5.0
_SHOWN_ALERTS: Final = 100
_SHOWN_LOG: Final = 200

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CorePlan:
    """What kind of core this is.

    ``seconds_per_candle`` is the pace in seconds of the wall clock (0: as fast as it goes);
    ``latch`` is where its kill latch lies; ``home`` is what a training child is given as --home.
    """

    market: MarketPlan
    places: Places
    model: ServiceModel
    seconds_per_candle: float
    latch: KillLatch
    home: Path | None
    overrides: tuple[str, ...]


class TradingCore:
    """A core from start to stop; clients use ``snapshot`` and ``submit`` from any thread."""

    def __init__(
        self,
        plan: CorePlan,
        locations: Locations,
        config: ConfigManager,
        log: LogSystem,
        clock: Clock,
    ) -> None:
        settings = config.settings
        self._plan = plan
        self._locations = locations
        self._config = config
        self._log = log
        self._clock = clock
        # Limits per minute and ages of prices follow the market's own time when it is replayed.
        self._market_clock = ManualClock() if plan.seconds_per_candle == 0.0 else None
        self._audit = AuditLog(locations.audit_file, clock, config.loaded.config_hash)
        monitoring = settings.monitoring
        self._alerts = AlertManager(
            clock, monitoring.alert_cooldown, monitoring.alert_history, self._tell
        )
        self._health = HealthMonitor(
            monitoring, locations.state, clock, self._alerts, lambda: self._lag
        )
        self._kill = KillSwitch(
            plan.latch,
            lambda: open_exchange(settings, plan.market, plan.places, clock),
            lambda: Journal(plan.places.journal, "paper", clock, plan.places.durability),
            clock,
            secrets.randbelow,
            self._record,
        )
        self._training = TrainingRunner(plan.home, plan.overrides, clock, self._on_training)
        self._thread = threading.Thread(target=self._trade, name="trading", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._parts: TradingParts | None = None
        self._view: EngineView | None = None
        self._failure = ""
        self._lag: float | None = None
        self._heartbeat = clock.now()
        self._started_at = clock.now()
        self._sequence = 0
        self._market = MarketStatus(
            source=MarketSource.REPLAY if plan.market.replayed else MarketSource.SIMULATED,
            description=_describe_market(plan, settings),
            timeframe=str(plan.market.timeframe),
            symbols=plan.market.symbols,
            market_time=None,
            received_at=None,
            stale_after=stale_after(settings, plan.seconds_per_candle),
            finished=False,
        )
        config.subscribe(("risk", "costs"), self._limits_changed)
        config.subscribe(("monitoring",), self._monitoring_changed)

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every thread; the kill switch first, so that it can stop all that follows."""
        self._record(
            "core started", f"{self._plan.market.mode}, model {self._plan.model.card.model_id}"
        )
        self._kill.start()
        self._health.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop new orders, cancel entries, keep protective stops, close the books, join all threads."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._training.close()
        loop = self._loop
        if loop is not None and not self._finished.is_set():
            loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join()
        self._kill.stop()
        self._health.stop()
        self._record("core stopped", self._failure or "in order")

    def wait(self, seconds: float) -> bool:
        """Wait for the trading thread to end by itself (a replay's end, a failure); say whether it did."""
        return self._finished.wait(seconds)

    @property
    def failure(self) -> str:
        """Why the trading thread died; empty while it did not."""
        return self._failure

    # -- what clients see -----------------------------------------------------------------------

    def snapshot(self) -> CoreSnapshot:
        """Compose the newest picture; called from any thread, touches no lock of trading."""
        view = self._view
        self._sequence += 1
        state = EngineState.IDLE if view is None else view.state
        reason = "starting" if view is None else view.reason
        if self._failure:
            state, reason = EngineState.SAFE_MODE, f"trading has stopped: {self._failure}"
        elif self._kill.engaged:
            state = EngineState.HALTED
        return CoreSnapshot(
            schema_version=SNAPSHOT_SCHEMA_VERSION,
            sequence=self._sequence,
            taken_at=self._clock.now(),
            started_at=self._started_at,
            heartbeat_at=self._heartbeat,
            mode=self._plan.market.mode,
            state=state,
            state_reason=reason,
            kill=self._kill.report,
            market=self._market,
            portfolio=None if view is None else view.portfolio,
            prices=() if view is None else view.prices,
            regimes=() if view is None else view.regimes,
            decisions=() if view is None else view.decisions,
            orders=() if view is None else view.orders,
            fills=() if view is None else view.fills,
            trades=() if view is None else view.trades,
            equity_curve=() if view is None else view.equity_curve,
            alerts=self._alerts.alerts()[:_SHOWN_ALERTS],
            log=self._log.recent()[-_SHOWN_LOG:],
            health=self._health.snapshot(),
            training=self._training.progress,
            model=self._plan.model.summary(),
            configuration=self._config.status(),
        )

    def submit(self, command: Command) -> CommandResult:
        """Carry out one request of a client; a kill only wakes its thread."""
        actions: dict[CommandKind, Callable[[Command], CommandResult]] = {
            CommandKind.HALT: self._halt,
            CommandKind.FLATTEN: self._flatten,
            CommandKind.REARM: self._rearm,
            CommandKind.START_TRAINING: self._start_training,
            CommandKind.STOP_TRAINING: lambda _: self._training.stop(),
            CommandKind.ACKNOWLEDGE_ALERT: self._acknowledge,
        }
        try:
            return actions[command.kind](command)
        except AdanError as error:
            return CommandResult(accepted=False, message=str(error))

    def _halt(self, command: Command) -> CommandResult:
        self._kill.request(KillKind.HALT, command.reason, current_user())
        self._alerts.raise_alert("HALT", Severity.CRITICAL, f"HALT requested: {command.reason}")
        return CommandResult(accepted=True, message="HALT requested")

    def _flatten(self, command: Command) -> CommandResult:
        if not word_matches(command.word, FLATTEN_WORD):
            return CommandResult(
                accepted=False, message=f"FLATTEN asks for the typed word {FLATTEN_WORD}"
            )
        self._kill.request(KillKind.FLATTEN, command.reason, current_user())
        self._alerts.raise_alert(
            "FLATTEN", Severity.CRITICAL, f"FLATTEN requested: {command.reason}"
        )
        return CommandResult(accepted=True, message="FLATTEN requested")

    def _rearm(self, command: Command) -> CommandResult:
        self._kill.rearm(command.word, current_user())
        if self._loop is not None and not self._finished.is_set():
            asyncio.run_coroutine_threadsafe(self._after_rearming(), self._loop)
        return CommandResult(accepted=True, message="re-armed; reconciling before trading goes on")

    def _start_training(self, command: Command) -> CommandResult:
        if command.training is None:
            return CommandResult(accepted=False, message="what to train was not said")
        self._record("training started", f"{command.training.steps} steps")
        return self._training.start(command.training)

    def _acknowledge(self, command: Command) -> CommandResult:
        if command.alert_id is None:
            return CommandResult(accepted=False, message="which alert was not said")
        self._alerts.acknowledge(command.alert_id)
        return CommandResult(accepted=True, message="acknowledged")

    def warn(self, message: str) -> None:
        """Tell the operator of something around the core: the socket, the files that are watched."""
        self._alerts.raise_alert("around the core", Severity.WARNING, message)

    def reload(self) -> None:
        """Read the settings again after their file changed, and say what came of it."""
        outcome = self._config.reload()
        if outcome.message:
            bad = bool(outcome.error or outcome.refused)
            severity = Severity.WARNING if bad else Severity.INFO
            # Another outcome is news; the same one again is a repetition.
            self._alerts.raise_alert(f"settings: {outcome.message}", severity, outcome.message)

    # -- the trading thread ---------------------------------------------------------------------

    def _trade(self) -> None:
        try:
            asyncio.run(self._run_trading())
        except Exception as error:  # noqa: BLE001 a thread's outermost frame: shown, never lost
            self._failure = f"{type(error).__name__}: {error}"
            _log.error("trading thread died", exc_info=error)
            self._alerts.raise_alert("trading thread", Severity.CRITICAL, self._failure)
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
            plan.model,
            self._kill,
            self._alarm,
            self._clock,
            self._market_clock or self._clock,
            self._pause,
            plan.seconds_per_candle,
        )
        self._parts = parts
        beat = asyncio.create_task(self._beat())
        try:
            parts.engine.warm(parts.feed.history(WARM_CANDLES))
            self._look()
            if await self._reconcile(parts):
                await self._follow_market(parts)
        finally:
            beat.cancel()
            await self._close(parts)

    async def _reconcile(self, parts: TradingParts) -> bool:
        """Compare books until they agree; False if the core is stopped first."""
        while not self._stopping.is_set():
            clean = await parts.engine.reconcile()
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
                await parts.engine.on_candles(closed)
            self._market = replace(
                self._market, market_time=closed.close_time, received_at=self._clock.now()
            )
            if parts.engine.flat:
                self._config.account_is_flat()
            now = self._clock.monotonic()
            if now - looked >= _VIEW_SECONDS:
                looked = now
                self._look()
        self._market = replace(self._market, finished=not self._stopping.is_set())
        self._look()

    def _look(self) -> None:
        if self._parts is not None:
            self._view = self._parts.engine.view()

    async def _after_rearming(self) -> None:
        """Reconcile before anything may be sent again, and lift the loss latches with the kill's."""
        if self._parts is not None:
            await self._parts.engine.rearmed()
            self._look()

    async def _close(self, parts: TradingParts) -> None:
        """End in order: entries cancelled, protective stops kept, everything written down."""
        await parts.orders.drain()
        await parts.orders.cancel_entries()
        await parts.orders.collect()
        self._look()
        parts.journal.close()
        await parts.exchange.close()

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
            self._lag = max(late, 0.0) * SECOND
            self._heartbeat = self._clock.now()

    # -- what other threads report ----------------------------------------------------------------

    def _limits_changed(self, settings: Settings) -> None:
        loop, parts = self._loop, self._parts
        if loop is None or parts is None or self._finished.is_set():
            return

        def take_on() -> None:
            parts.risk.limits = settings.risk
            parts.engine.sizing = sizing_of(settings)

        loop.call_soon_threadsafe(take_on)

    def _monitoring_changed(self, settings: Settings) -> None:
        monitoring = settings.monitoring
        self._alerts.configure(monitoring.alert_cooldown, monitoring.alert_history)
        self._health.configure(monitoring)

    def _on_training(self, record: TrainingProgress) -> None:
        if record.state is TrainingState.FAILED:
            self._alarm("training", Severity.WARNING, f"training failed: {record.message}")
        elif record.state in (TrainingState.FINISHED, TrainingState.TIMED_OUT):
            self._alarm("training", Severity.INFO, f"training {record.state}: {record.message}")

    def _alarm(self, code: str, severity: Severity, message: str) -> None:
        self._alerts.raise_alert(code, severity, message)

    def _tell(self, alert: Alert) -> None:
        write = {
            Severity.INFO: _log.info,
            Severity.WARNING: _log.warning,
            Severity.CRITICAL: _log.critical,
        }
        write[alert.severity](alert.message, code=alert.code)

    def _record(self, action: str, detail: str) -> None:
        _log.info(action, detail=detail)
        self._audit.record(action, "done", {"detail": detail})


def _describe_market(plan: CorePlan, settings: Settings) -> str:
    market = plan.market
    if market.dataset is not None:
        return f"recorded candles of {market.dataset}"
    return (
        f"made candles, seed {settings.market.seed}, one {market.timeframe} candle every "
        f"{plan.seconds_per_candle:g} s"
    )
