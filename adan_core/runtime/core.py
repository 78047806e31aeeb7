"""One running core: owns every thread, and composes the picture that clients are given.

Threads: trading (its own asyncio loop), kill, monitoring (health probes), training (drives a
child), control (the socket). They meet only in frozen records that are replaced whole.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from adan_core.config.locations import Locations
from adan_core.config.manager import ConfigManager, Reload
from adan_core.config.settings import Settings
from adan_core.data.cache import DataCache
from adan_core.domain.alerts import Alert, Severity
from adan_core.domain.commands import FLATTEN_WORD, Command, CommandKind, CommandResult
from adan_core.domain.errors import AdanError
from adan_core.domain.snapshot import SNAPSHOT_SCHEMA_VERSION, CoreSnapshot
from adan_core.domain.state import EngineState, KillKind
from adan_core.domain.time import SECOND, Clock
from adan_core.domain.training import TrainingProgress, TrainingState
from adan_core.monitoring.alerts import AlertManager
from adan_core.monitoring.health import HealthMonitor
from adan_core.monitoring.logging import LogSystem
from adan_core.resilience.memory import GIGABYTE, MemoryManager
from adan_core.runtime.assembly import (
    open_exchange,
)
from adan_core.runtime.trading_thread import CorePlan, TradingThread
from adan_core.runtime.training import TrainingRunner
from adan_core.runtime.training_queue import open_queue
from adan_core.security.audit import AuditLog
from adan_core.security.authorization import current_user, word_matches
from adan_core.trading.journal import Journal
from adan_core.trading.kill import KillSwitch

_BEAT_SECONDS: Final = 0.5
# A screen looks a few times a second; composing the engine's part more often than this is waste.
_VIEW_SECONDS: Final = 0.2
_RECONCILE_AGAIN_SECONDS: Final = 5.0
_PREPARING: Final = "reading past candles; the first start compiles its kernels, too"
_SHOWN_ALERTS: Final = 100
_SHOWN_LOG: Final = 200
_LONGEST_REASON: Final = 500

_log = structlog.get_logger()


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
        self._config = config
        self._log = log
        self._clock = clock
        self._audit = AuditLog(locations.audit_file, clock, config.loaded.config_hash)
        monitoring = settings.monitoring
        self._alerts = AlertManager(
            clock, monitoring.alert_cooldown, monitoring.alert_history, self._tell
        )
        cache = settings.cache
        self._cache = DataCache(
            locations.data_cache, cache.memory_bytes, cache.disk_bytes, self.warn
        )
        self._memory = MemoryManager(
            _budget(settings), lambda words: self.warn(f"this core: {words}"), drop=self._drop_cache
        )
        self._health = HealthMonitor(
            monitoring,
            locations.state,
            clock,
            self._alerts,
            self._watch,
            lambda: self._cache.statistics,
            self._memory,
        )
        self._kill = KillSwitch(
            plan.latch,
            lambda: open_exchange(settings, plan.market, plan.places, clock),
            lambda: Journal(plan.places.journal, "paper", clock, plan.places.durability),
            clock,
            secrets.randbelow,
            self._record,
        )
        queue = open_queue(plan.training_queue, clock, self.warn)
        self._training = TrainingRunner(plan.home, plan.overrides, clock, self._on_training, queue)
        self._trading = TradingThread(
            plan,
            locations,
            config,
            self._kill,
            self._alarm,
            self._report_reload,
            clock,
            self._cache,
        )
        self._stopping = threading.Event()
        self._started_at = clock.now()
        self._sequence = 0
        config.subscribe(("monitoring",), self._monitoring_changed)
        config.subscribe(("cache",), self._cache_changed)
        config.subscribe(("compute",), self._compute_changed)

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every thread; the kill switch first, so that it can stop all that follows."""
        self._record(
            "core started",
            f"{self._plan.market.mode}, model {self._plan.serving.champion.model.model_id}",
        )
        self._kill.start()
        self._health.start()
        self._trading.start()
        self._training.begin()

    def stop(self) -> None:
        """Stop new orders, cancel entries, keep protective stops, close the books, join all threads."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._training.end()  # it saves its checkpoint while trading ends
        self._trading.stop()
        self._training.close()
        self._kill.stop()
        self._health.stop()
        self._record("core stopped", self.failure or "in order")

    def wait(self, seconds: float) -> bool:
        """Wait for the trading thread to end by itself (a replay's end, a failure); say whether it did."""
        return self._trading.wait(seconds)

    @property
    def failure(self) -> str:
        """Why the trading thread died; empty while it did not."""
        return self._trading.failure

    # -- what clients see -----------------------------------------------------------------------

    def snapshot(self) -> CoreSnapshot:
        """Compose the newest picture; called from any thread, touches no lock of trading."""
        view = self._trading.view
        self._sequence += 1
        state = EngineState.WARMING if view is None else view.state
        reason = _PREPARING if view is None else view.reason
        if self.failure:
            state, reason = EngineState.SAFE_MODE, f"trading has stopped: {self.failure}"
        elif self._kill.engaged:
            state = EngineState.HALTED
        return CoreSnapshot(
            schema_version=SNAPSHOT_SCHEMA_VERSION,
            sequence=self._sequence,
            taken_at=self._clock.now(),
            started_at=self._started_at,
            heartbeat_at=self._trading.heartbeat,
            mode=self._plan.market.mode,
            state=state,
            state_reason=reason,
            kill=self._kill.report,
            market=self._trading.market,
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
            model=self._trading.model,
            configuration=self._config.status(),
            service=self._trading.service,
            training_queue=self._training.queue,
        )

    def submit(self, command: Command) -> CommandResult:
        """Carry out one request of a client; a kill only wakes its thread."""
        actions: dict[CommandKind, Callable[[Command], CommandResult]] = {
            CommandKind.HALT: self._halt,
            CommandKind.FLATTEN: self._flatten,
            CommandKind.REARM: self._rearm,
            CommandKind.START_TRAINING: self._start_training,
            CommandKind.QUEUE_TRAINING: self._start_training,
            CommandKind.PAUSE_TRAINING: lambda _: self._training.pause(),
            CommandKind.RESUME_TRAINING: lambda _: self._training.go_on(),
            CommandKind.STOP_TRAINING: lambda _: self._training.stop(),
            CommandKind.CANCEL_TRAINING: lambda command: self._training.cancel(command.job_id),
            CommandKind.ACKNOWLEDGE_ALERT: self._acknowledge,
        }
        command = replace(command, reason=command.reason[:_LONGEST_REASON])
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
        self._trading.rearmed()
        return CommandResult(accepted=True, message="re-armed; reconciling before trading goes on")

    def _start_training(self, command: Command) -> CommandResult:
        if command.training is None:
            return CommandResult(accepted=False, message="what to train was not said")
        queued = command.kind is CommandKind.QUEUE_TRAINING
        take_on = self._training.enqueue if queued else self._training.start
        result = take_on(command.training)
        if result.accepted:
            self._record(result.message, f"{command.training.steps} steps")
        return result

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
        self._report_reload(self._config.reload())

    def _report_reload(self, outcome: Reload) -> None:
        if outcome.message:
            self._audit.config_hash = self._config.loaded.config_hash
            self._record("settings changed", outcome.message)
            bad = bool(outcome.error or outcome.refused)
            severity = Severity.WARNING if bad else Severity.INFO
            # Another outcome is news; the same one again is a repetition.
            self._alerts.raise_alert(f"settings: {outcome.message}", severity, outcome.message)

    # -- what other threads report ----------------------------------------------------------------

    def _watch(self) -> float | None:
        """Return how late the trading loop is (ms), and say what has fallen silent.

        Called by the health thread, so that a loop that hangs is noticed, too.
        """
        now, trading = self._clock.now(), self._trading
        silent = now - trading.heartbeat
        if trading.stopped:
            return None
        if silent > self._config.settings.staleness.heartbeat * SECOND:
            self._alarm(
                "heartbeat",
                Severity.CRITICAL,
                f"the trading thread has shown no sign of life for {silent / SECOND:.0f} s",
            )
            return float(silent)
        market = trading.market
        age = now - (market.received_at or self._started_at)
        if not market.finished and age > market.stale_after:
            self._alarm(
                "stale feed",
                Severity.CRITICAL,
                f"no candle for {age / SECOND:.0f} s; nothing is decided until one comes",
            )
        return trading.lag

    def _monitoring_changed(self, settings: Settings) -> None:
        monitoring = settings.monitoring
        self._alerts.configure(monitoring.alert_cooldown, monitoring.alert_history)
        self._health.configure(monitoring)

    def _cache_changed(self, settings: Settings) -> None:
        self._cache.limit(settings.cache.memory_bytes, settings.cache.disk_bytes)

    def _compute_changed(self, settings: Settings) -> None:
        self._memory.limit(_budget(settings))

    def _drop_cache(self) -> None:
        """Forget what the cache holds in memory; the disk has it still."""
        cache = self._config.settings.cache
        self._cache.limit(0, cache.disk_bytes)
        self._cache.limit(cache.memory_bytes, cache.disk_bytes)

    def _on_training(self, record: TrainingProgress) -> None:
        if record.state is TrainingState.FAILED:
            self._alarm("training", Severity.WARNING, f"training failed: {record.message}")
        elif record.state in (TrainingState.FINISHED, TrainingState.TIMED_OUT):
            detail = "" if record.message == record.state else f": {record.message}"
            self._alarm("training", Severity.INFO, f"training {record.state}{detail}")

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


def _budget(settings: Settings) -> int:
    """Return the bytes a process may take under ``settings``."""
    return int(settings.compute.memory_budget_gigabytes * GIGABYTE)
