"""From options to a running core: settings, secrets check, lock, log, model, threads, socket."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from adan_core.config.locations import Locations
from adan_core.config.manager import ConfigManager
from adan_core.config.settings import Settings
from adan_core.config.watcher import Watcher
from adan_core.data.live_venue import VenueName
from adan_core.domain.errors import SystemFailure, UsageError
from adan_core.domain.state import Mode
from adan_core.domain.time import SECOND, Clock
from adan_core.monitoring.log_file import LogFile
from adan_core.monitoring.logging import LogSystem, configure_logging
from adan_core.resilience.files import ExclusiveLock, exclusive_lock, make_folder, private_folder
from adan_core.runtime.assembly import MarketPlan, Places, open_venues, plan_market
from adan_core.runtime.choice import choose_serving
from adan_core.runtime.control import ControlServer
from adan_core.runtime.core import TradingCore
from adan_core.runtime.models import open_service
from adan_core.runtime.trading_thread import CorePlan
from adan_core.security.audit import AuditLog, verify_chain
from adan_core.security.hardening import harden_process
from adan_core.security.redaction import refuse_exposed_secrets
from adan_core.trading.database import Durability
from adan_core.trading.latch import KillLatch


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What to run; ``pace`` is the seconds per candle (None: the settings', 0: as fast as it goes).

    ``home`` is the ``--home`` argument, if any; ``model`` and ``challenger`` ids of `adan-core models
    list`, the second for one that decides in the shadow of the first.
    """

    mode: Mode
    dataset: str | None
    model: str | None
    pace: float | None
    home: Path | None
    overrides: tuple[str, ...]
    challenger: str | None = None


class RunningCore:
    """A started core and what surrounds it; ``stop`` ends all of it in order."""

    def __init__(
        self,
        core: TradingCore,
        config: ConfigManager,
        log: LogSystem,
        watcher: Watcher,
        audit_check: threading.Thread,
        server: ControlServer | None,
        lock: ExclusiveLock | None,
        temporary: Path | None,
    ) -> None:
        self.core = core
        self.config = config
        self._log = log
        self._watcher = watcher
        self._audit_check = audit_check
        self._server = server
        self._lock = lock
        self._temporary = temporary

    def stop(self) -> None:
        """Stop the core, close the socket, let the next one in; stopping twice is harmless.

        The socket goes last: until then a kill gets through. Whatever fails, the rest is done.
        """
        with ExitStack() as rest:
            if self._lock is not None:
                rest.callback(self._lock.release)
            if self._temporary is not None:
                rest.callback(shutil.rmtree, self._temporary, ignore_errors=True)
            rest.callback(self._log.close)
            rest.callback(self._audit_check.join)
            if self._server is not None:
                rest.callback(self._server.stop)
            rest.callback(self.core.stop)
            rest.callback(self._watcher.stop)


def launch(
    options: LaunchOptions,
    locations: Locations,
    environment: Mapping[str, str],
    clock: Clock,
    echo: TextIO | None = None,
) -> RunningCore:
    """Start a core; ``echo`` gets a copy of each log line.

    A replay keeps its books in a temporary folder and takes neither the home's lock nor its
    socket, so that it can run beside a paper account. Raises AlreadyRunning, ConfigurationError,
    ModelError, DataError or SecurityError, each before anything was started.
    """
    harden_process()
    # Before the settings are read: a key in them is a key to revoke, not a key that is unknown.
    own_files = [*locations.config.glob("*.yaml"), *locations.themes_folder.glob("*.yaml")]
    refuse_exposed_secrets((*own_files, locations.config / ".env", locations.log_file), environment)
    config = ConfigManager(locations, options.overrides, environment, clock)
    market = plan_market(config.settings, options.mode, options.dataset, locations)
    if market.venue is not None:
        _check_live(options, market, market.venue, config.settings, clock)
    serving = choose_serving(
        open_service(locations, clock),
        options.model,
        options.challenger,
        market,
        config.settings,
        locations,
        AuditLog(locations.audit_file, clock, config.loaded.config_hash),
    )
    temporary: Path | None = None
    lock: ExclusiveLock | None = None
    if market.replayed:
        temporary = Path(tempfile.mkdtemp(prefix="replay-", dir=make_folder(locations.cache)))
        places = Places(temporary / "journal.sqlite", temporary / "paper.sqlite", Durability.OFF)
        latch = KillLatch(temporary / "kill.json")
    else:
        private_folder(locations.state)
        lock = exclusive_lock(locations.core_lock)
        places = account_places(locations, market, config.settings.account.quote)
        latch = KillLatch(locations.kill_latch)
    log = configure_logging(LogFile(locations.log_file, clock), clock, echo=echo)
    plan = CorePlan(
        market=market,
        places=places,
        serving=serving,
        seconds_per_candle=_pace(options, market, config.settings),
        latch=latch,
        home=options.home,
        overrides=options.overrides,
        training_queue=None if market.replayed else locations.training_queue,
    )
    core = TradingCore(plan, locations, config, log, clock)
    server = None
    if not market.replayed:
        server = ControlServer(locations.socket, core.snapshot, core.submit, core.warn)
        server.start()
    watcher = Watcher(config.files, lambda _changed: core.reload(), core.warn)
    core.start()
    watcher.start()
    # In a thread of its own: years of rows take a second, and nothing waits for the answer.
    audit_check = threading.Thread(
        target=check_audit, args=(locations.audit_file, core.warn), name="audit check"
    )
    audit_check.start()
    return RunningCore(core, config, log, watcher, audit_check, server, lock, temporary)


def account_places(locations: Locations, market: MarketPlan, quote: str) -> Places:
    """Return where the paper account's books lie: each exchange's candles have an account of their own.

    Money that was made on one market is never carried to another.
    """
    if market.venue is None:
        return Places(locations.journal, locations.paper_exchange, Durability.FULL)
    account = f"{market.venue.label}-{quote}"
    return Places(
        locations.account_journal(account), locations.account_exchange(account), Durability.FULL
    )


def _check_live(
    options: LaunchOptions,
    market: MarketPlan,
    venue: VenueName,
    settings: Settings,
    clock: Clock,
) -> None:
    """Refuse, before anything starts, what an exchange's candles cannot do."""
    if options.pace is not None:
        raise UsageError(
            f"a pace of {options.pace:g} s on an exchange's candles",
            "the exchange's own pace",
            "leave --pace out",
        )
    open_venues(settings, venue, market.symbols, market.timeframe, clock)


def _pace(options: LaunchOptions, market: MarketPlan, settings: Settings) -> float:
    if market.venue is not None:
        return market.timeframe.duration / SECOND
    return settings.market.candle_seconds if options.pace is None else options.pace


def check_audit(audit_file: Path, warn: Callable[[str], None]) -> None:
    """Warn when the audit trail was altered or cannot be read."""
    try:
        report = verify_chain(audit_file)
    except SystemFailure as error:
        warn(str(error))
    else:
        if not report.intact:
            warn(f"the audit trail {audit_file} breaks at line {report.line}: {report.reason}")
