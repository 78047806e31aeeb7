"""A fake core for tests of the screen: hand-built snapshots, no engine, no market, no clock of its own.

Run as a program it opens the screen on these figures, to be looked at:
``python -m tests.fake_core [live|empty|stale|error|halted|refused|crash]``.
"""

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from adan_core.domain.alerts import Alert, LogLine, Severity
from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.decisions import (
    ActionType,
    BehaviourReading,
    Decision,
    Factor,
    RiskCheck,
    RiskVerdict,
    TradingActionWithConfidence,
    Vote,
)
from adan_core.domain.errors import AlreadyRunning
from adan_core.domain.health import CacheHealth, GpuHealth, HealthSnapshot
from adan_core.domain.market import MarketSource, MarketStatus, Regime, RegimeReading
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, OrderType, Side
from adan_core.domain.portfolio import ClosedTrade, PortfolioSnapshot, Position
from adan_core.domain.snapshot import (
    SNAPSHOT_SCHEMA_VERSION,
    ConfigurationStatus,
    CoreSnapshot,
    EquityPoint,
    ModelSummary,
    Price,
)
from adan_core.domain.state import EngineState, KillKind, KillPhase, KillReport, Mode
from adan_core.domain.time import HOUR, MINUTE, SECOND, Clock, Milliseconds, SystemClock
from adan_core.domain.training import (
    QueuedTraining,
    TrainingProgress,
    TrainingRequest,
    TrainingState,
)
from adan_core.runtime.client import ScreenSettings, ScreenUpdate, Session
from adan_tui.main import run_screen

NOW: Milliseconds = 1_790_000_000_000  # 2026-09-21 13:33:20 UTC
MARKET_NOW: Milliseconds = 1_704_100_200_000  # 2024-01-01 09:10:00 UTC, the market's own time

SCREEN = ScreenSettings(
    theme="fake-dark",
    refresh_hertz=4.0,
    plot_hertz=1.0,
    utc=True,
    heartbeat_stale=3_000,
    other_stale=90_000,
    training_steps=200_000,
    training_seed=7,
    training_timeout=600.0,
    training_profiles=("scalper", "intraday", "swing", "position", "all"),
)


@dataclass(frozen=True, slots=True)
class FakeTheme:
    """A theme as the runtime would hand it over."""

    name: str
    dark: bool
    colours: Mapping[str, str]


DARK = FakeTheme(
    "fake-dark",
    dark=True,
    colours={
        "primary": "#7aa2f7",
        "secondary": "#7dcfff",
        "accent": "#e0af68",
        "foreground": "#c8d0e0",
        "background": "#12151c",
        "surface": "#191d26",
        "panel": "#222834",
        "success": "#8fc97a",
        "warning": "#e5b567",
        "error": "#ef6b73",
    },
)
LIGHT = FakeTheme(
    "fake-light",
    dark=False,
    colours={
        "primary": "#2856a8",
        "secondary": "#0b6e86",
        "accent": "#8a5a00",
        "foreground": "#23293a",
        "background": "#faf8f4",
        "surface": "#f1eee7",
        "panel": "#e5e0d6",
        "success": "#2f6f2a",
        "warning": "#8f5a00",
        "error": "#b3202c",
    },
)


def _vote(member: str, exposure: float, confidence: float) -> Vote:
    return Vote(member=member, target_exposure=exposure, confidence=confidence)


def _decision(
    index: int, symbol: str, kind: ActionType, confidence: float, verdict: RiskVerdict | None
) -> Decision:
    action = TradingActionWithConfidence(
        action_type=kind,
        symbol=symbol,
        target_exposure=1.0 if kind is ActionType.BUY else 0.0,
        confidence=confidence,
        reasoning=(
            "momentum of 1h above its mean",
            "ADX 31.2 says the trend holds",
            "drawdown 4.1%: size x 0.93",
        ),
        votes=(_vote("intraday", 1.0 if kind is ActionType.BUY else 0.0, confidence),),
        expected_return=0.0042,
        expected_drawdown=None,
    )
    return Decision(
        decision_id=f"d{index}",
        time=MARKET_NOW - index * 5 * MINUTE,
        action=action,
        regime=Regime.TREND_UP,
        verdict=verdict,
        order_ids=(),
        observation_hash="00",
        model_id="intraday-7f3a",
        config_hash="c0ffee",
        latency=0.42 + index,
        behaviour=BehaviourReading(
            mode="normal",
            asked=1.0,
            given=0.93,
            stop_loss=0.051,
            take_profit=0.104,
            factors=(
                Factor("regime", "trend up", 1.02),
                Factor("volatility", "1.21 x usual", 0.98),
                Factor("win rate", "N/A", 1.0),
                Factor("drawdown", "4.1%", 0.93),
                Factor("loss streak", "0 not made good", 1.0),
                Factor("capital tier", "5", 0.99),
            ),
            since=MARKET_NOW - index * 5 * MINUTE,
        ),
    )


def _order(index: int, purpose: OrderPurpose, status: OrderStatus, trigger: float | None) -> Order:
    return Order(
        client_id=f"c{index}",
        exchange_id=f"x{index}",
        decision_id="d0",
        symbol="BTC/SIM" if index % 2 else "ETH/SIM",
        side=Side.BUY if purpose is OrderPurpose.ENTRY else Side.SELL,
        type=OrderType.MARKET if trigger is None else OrderType.STOP,
        purpose=purpose,
        quantity=0.0321 if index % 2 else 0.61,
        trigger_price=trigger,
        stop_loss=0.05,
        take_profit=0.1,
        status=status,
        filled=0.0,
        reason="",
        created_at=NOW - index * MINUTE,
        updated_at=NOW - index * MINUTE,
    )


def empty_snapshot() -> CoreSnapshot:
    """A core that has just started: an account, no candle yet."""
    return CoreSnapshot(
        schema_version=SNAPSHOT_SCHEMA_VERSION,
        sequence=1,
        taken_at=NOW,
        started_at=NOW - 2 * SECOND,
        heartbeat_at=NOW - 200,
        mode=Mode.PAPER,
        state=EngineState.WARMING,
        state_reason="0 of 250 candles",
        kill=KillReport(KillPhase.ARMED),
        market=MarketStatus(
            source=MarketSource.SIMULATED,
            description="seed 7",
            timeframe="5m",
            symbols=("BTC/SIM", "ETH/SIM", "SOL/SIM"),
            market_time=None,
            received_at=None,
            stale_after=32_000,
            finished=False,
        ),
        portfolio=PortfolioSnapshot(
            quote="USDT",
            cash=10_000.0,
            equity=10_000.0,
            deposits=10_000.0,
            realised=0.0,
            unrealised=0.0,
            fees=0.0,
            peak=10_000.0,
            drawdown=0.0,
            positions=(),
        ),
        prices=(),
        regimes=(),
        decisions=(),
        orders=(),
        fills=(),
        trades=(),
        equity_curve=(),
        alerts=(),
        log=(),
        health=None,
        training=None,
        model=None,
        configuration=ConfigurationStatus("c0ffee", NOW - 2 * SECOND, ""),
    )


def progress(state: TrainingState = TrainingState.RUNNING) -> TrainingProgress:
    """A training job nearly half done."""
    return TrainingProgress(
        run_id="run-0012",
        state=state,
        steps=412_000,
        total_steps=1_000_000,
        steps_per_second=41_250.0,
        remaining=14.3,
        deadline_in=552.0,
        reward=0.0123,
        policy_loss=-0.00412,
        value_loss=0.0311,
        entropy=0.412,
        kl_divergence=0.0081,
        explained_variance=0.63,
        memory_bytes=734_003_200,
        message="",
        updated_at=NOW - 400,
        clip_fraction=0.084,
        reward_terms={"market": 2.1e-4, "costs": -4.3e-5, "drawdown": -1.2e-5, "turnover": -8e-6},
        validation_score=0.0731,
        selected_at=409_600,
        reserve=1.5,
        seed=7,
    )


def waiting_trainings() -> tuple[QueuedTraining, ...]:
    """The job at work and two that wait."""
    return (
        QueuedTraining(3, TrainingRequest(None, 1_000_000, 7, 600.0), NOW - MINUTE, running=True),
        QueuedTraining(4, TrainingRequest("BTC-USDT-1h", 500_000, 1, None), NOW - MINUTE),
        QueuedTraining(5, TrainingRequest(None, 500_000, 2, 60.0, "run-0007"), NOW - SECOND),
    )


def _positions() -> tuple[Position, ...]:
    return (
        Position(
            symbol="BTC/SIM",
            quantity=0.0321,
            average_price=42_110.5,
            mark=43_210.1,
            unrealised=35.3,
            stop_price=40_005.0,
            take_profit_price=46_321.5,
            opened_at=MARKET_NOW - 3 * HOUR - 10 * MINUTE,
        ),
        Position(
            symbol="ETH/SIM",
            quantity=0.61,
            average_price=2_310.25,
            mark=2_290.5,
            unrealised=-12.05,
            stop_price=2_194.74,
            take_profit_price=None,
            opened_at=MARKET_NOW - 45 * MINUTE,
        ),
    )


def _alerts() -> tuple[Alert, ...]:
    return (
        Alert(1, "CORE_STARTED", Severity.INFO, "paper account", NOW - HOUR, 0, acknowledged=True),
        Alert(
            2,
            "FEED_LATE",
            Severity.WARNING,
            "ETH/SIM candle came 4 s late",
            NOW - 5 * MINUTE,
            2,
            acknowledged=False,
        ),
        Alert(
            3,
            "ORDER_UNKNOWN",
            Severity.CRITICAL,
            "no answer to c3; looking for it at the venue",
            NOW - MINUTE,
            0,
            acknowledged=False,
        ),
    )


def live_snapshot() -> CoreSnapshot:
    """A core in the middle of its work."""
    positions = _positions()
    held = sum(position.value for position in positions)
    unrealised = sum(position.unrealised for position in positions)
    cash = 10_000.0 + 211.2 - 5.5 + unrealised - held
    denied = RiskVerdict(
        allowed=False,
        checks=(RiskCheck("TOTAL_EXPOSURE", passed=False, found="82 %", limit="80 %"),),
    )
    allowed = RiskVerdict(
        allowed=True, checks=(RiskCheck("TOTAL_EXPOSURE", passed=True, found="28 %", limit="80 %"),)
    )
    regimes = (
        ("BTC/SIM", (0.72, 0.03, 0.18, 0.06, 0.01), Regime.TREND_UP),
        ("ETH/SIM", (0.11, 0.13, 0.70, 0.05, 0.01), Regime.RANGE),
        ("SOL/SIM", (0.02, 0.21, 0.04, 0.28, 0.45), Regime.CRISIS),
    )
    equity = 10_000.0 + 211.2 - 5.5 + unrealised
    return replace(
        empty_snapshot(),
        sequence=420,
        started_at=NOW - HOUR - 23 * MINUTE - 45 * SECOND,
        state=EngineState.RUNNING,
        state_reason="",
        market=replace(empty_snapshot().market, market_time=MARKET_NOW, received_at=NOW - 1_200),
        portfolio=PortfolioSnapshot(
            quote="USDT",
            cash=cash,
            equity=equity,
            deposits=10_000.0,
            realised=211.2,
            unrealised=unrealised,
            fees=5.5,
            peak=10_300.0,
            drawdown=1.0 - equity / 10_300.0,
            positions=positions,
        ),
        prices=(Price("BTC/SIM", 43_210.1, 0.012), Price("ETH/SIM", 2_290.5, None)),
        regimes=tuple(
            (
                symbol,
                RegimeReading(
                    regime=regime,
                    probabilities=probabilities,
                    drivers=(("ADX", 31.2), ("RSI", 58.1), ("ATR %", 1.234)),
                    since=MARKET_NOW - 4 * HOUR,
                ),
            )
            for symbol, probabilities, regime in regimes
        ),
        decisions=(
            _decision(0, "BTC/SIM", ActionType.BUY, 0.72, allowed),
            _decision(1, "SOL/SIM", ActionType.BUY, 0.55, denied),
            _decision(2, "ETH/SIM", ActionType.HOLD, 0.91, None),
            _decision(3, "ETH/SIM", ActionType.SELL, 0.64, allowed),
        ),
        orders=(
            _order(1, OrderPurpose.STOP_LOSS, OrderStatus.OPEN, 40_005.0),
            _order(2, OrderPurpose.STOP_LOSS, OrderStatus.OPEN, 2_194.74),
            _order(3, OrderPurpose.ENTRY, OrderStatus.UNKNOWN, None),
            _order(5, OrderPurpose.ENTRY, OrderStatus.FILLED, None),
            _order(7, OrderPurpose.ENTRY, OrderStatus.CANCELED, None),
        ),
        fills=(
            Fill(
                "t1",
                "c5",
                "BTC/SIM",
                Side.BUY,
                OrderPurpose.ENTRY,
                0.0321,
                42_110.5,
                1.35,
                MARKET_NOW - 3 * HOUR,
            ),
            Fill(
                "t0",
                "c2",
                "SOL/SIM",
                Side.SELL,
                OrderPurpose.STOP_LOSS,
                12.5,
                98.125,
                1.23,
                MARKET_NOW - 5 * HOUR,
            ),
        ),
        trades=(
            ClosedTrade(
                "SOL/SIM",
                12.5,
                103.2,
                98.125,
                MARKET_NOW - 9 * HOUR,
                MARKET_NOW - 5 * HOUR,
                -65.9,
                "stop loss",
            ),
            ClosedTrade(
                "BTC/SIM",
                0.03,
                40_000.0,
                44_000.0,
                MARKET_NOW - 30 * HOUR,
                MARKET_NOW - 20 * HOUR,
                117.48,
                "take profit",
            ),
        ),
        equity_curve=tuple(
            EquityPoint(
                MARKET_NOW - (600 - i) * 5 * MINUTE,
                10_000.0 + 0.35 * i + 90.0 * math.sin(i / 47) + 25.0 * math.sin(i / 9),
            )
            for i in range(600)
        ),
        alerts=_alerts(),
        log=tuple(
            LogLine(
                NOW - (9 - i) * 7 * SECOND, "warning" if i == 5 else "info", f"candle {i} closed"
            )
            for i in range(10)
        ),
        health=HealthSnapshot(
            taken_at=NOW - 900,
            cpu_percent=34.0,
            memory_percent=41.2,
            memory_used=6_979_321_856,
            memory_total=17_179_869_184,
            process_memory=432_013_312,
            disk_percent=60.4,
            disk_free=128_849_018_880,
            loop_lag=1.8,
            gpus=(),
            gpu_note="no NVIDIA driver",
            cache=CacheHealth(
                hits=12,
                misses=3,
                evictions=1,
                damaged=0,
                failures=0,
                memory_entries=4,
                memory_bytes=47_185_920,
                memory_limit=536_870_912,
                disk_entries=9,
                disk_bytes=188_743_680,
                disk_limit=4_294_967_296,
            ),
        ),
        training=progress(),
        model=ModelSummary("intraday-7f3a", "shipped", "simulated market, seed 7", synthetic=True),
    )


def gpu() -> GpuHealth:
    """A GPU at work."""
    return GpuHealth("Fake 4090", 62.0, 9_000_000_000, 24_000_000_000, 61.0)


def halted_snapshot() -> CoreSnapshot:
    """A core after a confirmed HALT."""
    return replace(
        live_snapshot(),
        state=EngineState.HALTED,
        state_reason="kill latched",
        kill=KillReport(
            phase=KillPhase.CONFIRMED,
            kind=KillKind.HALT,
            reason="the operator pressed the kill key",
            origin="screen",
            requested_at=NOW - 5_000,
            latched_at=NOW - 4_997,
            confirmed_at=NOW - 4_916,
            attempts=1,
            entries_left=0,
            protection_standing=2,
            positions_left=2,
        ),
    )


@dataclass
class FakeClient:
    """A client that answers with what it was given and keeps what it was sent."""

    picture: CoreSnapshot | None
    down: str = ""
    answer: CommandResult = field(default_factory=lambda: CommandResult(accepted=True, message=""))
    error: Exception | None = None
    sent: list[Command] = field(default_factory=list)
    closed: int = 0

    def snapshot(self) -> CoreSnapshot | None:
        """Return the picture given."""
        return self.picture

    def submit(self, command: Command) -> CommandResult:
        """Keep the command and give the answer, or raise the error, that was set."""
        self.sent.append(command)
        if self.error is not None:
            raise self.error
        return self.answer

    def link(self) -> str:
        """Return why the core is said not to answer."""
        return self.down

    def close(self) -> None:
        """Count that it was closed, and leave a note where the environment asks for one."""
        self.closed += 1
        note = os.environ.get("FAKE_CORE_CLOSED")
        if note:
            Path(note).write_text(f"closed {self.closed}", encoding="utf-8")


@dataclass
class FakeSession:
    """A session over a fake client."""

    client: FakeClient
    screen: ScreenSettings = SCREEN
    themes: tuple[FakeTheme, ...] = (DARK, LIGHT)
    callbacks: list[Callable[[ScreenUpdate], object]] = field(default_factory=list)

    def subscribe(self, callback: Callable[[ScreenUpdate], object]) -> None:
        """Keep the callback."""
        self.callbacks.append(callback)


class RunningClient(FakeClient):
    """A fake whose instants follow a clock, for a screen that is looked at."""

    def __init__(self, picture: CoreSnapshot, clock: Clock) -> None:
        super().__init__(picture)
        self._clock = clock
        self.silent_for: Milliseconds = 0
        self.crash = False

    def snapshot(self) -> CoreSnapshot | None:
        """Return the picture, moved to now."""
        if self.crash:
            backwards = "".join(reversed("lacol-a-ni-2retnuh"))
            raise RuntimeError(f"the screen fell over a word of {len(backwards)} letters")
        now, picture = self._clock.now() - self.silent_for, self.picture
        if picture is None:
            return None
        beat = now - now % SECOND
        curve = picture.equity_curve
        shift = now // SECOND % max(len(curve), 1)
        return replace(
            picture,
            taken_at=now,
            heartbeat_at=beat,
            started_at=picture.started_at + now - NOW - now % SECOND,
            equity_curve=curve[shift:] + curve[:shift],
            market=replace(picture.market, received_at=beat),
            health=picture.health and replace(picture.health, taken_at=now - now % 2_000),
            training=picture.training and replace(picture.training, updated_at=beat),
        )


def _look(state: str) -> int:
    clock = SystemClock()
    pictures = {"live": live_snapshot, "empty": empty_snapshot, "halted": halted_snapshot}
    client = RunningClient(pictures.get(state, live_snapshot)(), clock)
    client.silent_for = 40_000 if state == "stale" else 0
    client.down = "the socket was closed" if state == "error" else ""
    client.crash = state == "crash"

    def open_session() -> Session:
        if state == "refused":
            raise AlreadyRunning("Another core owns this home", remedy="stop it")
        return FakeSession(client)

    return run_screen(open_session)


if __name__ == "__main__":
    sys.exit(_look(sys.argv[1] if len(sys.argv) > 1 else "live"))
