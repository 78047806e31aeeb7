"""The one picture of a core that every client, near or far, is given."""

from dataclasses import dataclass

from adan_core.domain.alerts import Alert, LogLine
from adan_core.domain.decisions import Decision
from adan_core.domain.health import HealthSnapshot
from adan_core.domain.market import MarketStatus, RegimeReading
from adan_core.domain.orders import Fill, Order
from adan_core.domain.portfolio import ClosedTrade, PortfolioSnapshot
from adan_core.domain.service import ServiceStatus
from adan_core.domain.state import EngineState, KillReport, Mode
from adan_core.domain.time import Milliseconds
from adan_core.domain.training import QueuedTraining, TrainingProgress

SNAPSHOT_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Equity in quote currency at one market instant."""

    time: Milliseconds
    equity: float


@dataclass(frozen=True, slots=True)
class Price:
    """The last close of one symbol and its change over the last 24 hours of the feed (None: N/A)."""

    symbol: str
    price: float
    change: float | None


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """The model in service: who signed it, what it was trained on, how far it may be trusted."""

    model_id: str
    signer: str
    trained_on: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class ConfigurationStatus:
    """The settings in force: their hash, when they were loaded, and why the newest file is not they."""

    config_hash: str
    loaded_at: Milliseconds
    error: str


@dataclass(frozen=True, slots=True)
class CoreSnapshot:
    """A core at one instant: complete, consistent and frozen.

    ``heartbeat_at`` is the wall clock of the trading thread's last sign of life. None means that
    the figure is not known (N/A), never that it is zero.
    """

    schema_version: int
    sequence: int
    taken_at: Milliseconds
    started_at: Milliseconds
    heartbeat_at: Milliseconds
    mode: Mode
    state: EngineState
    state_reason: str
    kill: KillReport
    market: MarketStatus
    portfolio: PortfolioSnapshot | None
    prices: tuple[Price, ...]
    regimes: tuple[tuple[str, RegimeReading], ...]
    decisions: tuple[Decision, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    trades: tuple[ClosedTrade, ...]
    equity_curve: tuple[EquityPoint, ...]
    alerts: tuple[Alert, ...]
    log: tuple[LogLine, ...]
    health: HealthSnapshot | None
    training: TrainingProgress | None
    model: ModelSummary | None
    configuration: ConfigurationStatus
    training_queue: tuple[QueuedTraining, ...] = ()
    service: ServiceStatus | None = None
