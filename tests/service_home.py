"""A home with sealed models of fixed opinions, their judgements and promotions, and an engine over it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, locate
from adan_core.config.settings import Settings
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.state import Mode
from adan_core.domain.time import ManualClock
from adan_core.learning.bundle import ServiceModel, seal_model
from adan_core.learning.expectation import HORIZONS, Expectation
from adan_core.learning.gates import GateFigures
from adan_core.learning.judgements import JUDGEMENT_SCHEMA_VERSION, Judgement, keep_judgement
from adan_core.learning.lifecycle import ModelState
from adan_core.learning.registry import ModelRegistry
from adan_core.learning.service import ServiceBook
from adan_core.runtime.assembly import (
    WARM_CANDLES,
    MarketPlan,
    Places,
    Serving,
    TradingParts,
    assemble,
)
from adan_core.runtime.models import BookSuccession, judged, open_service
from adan_core.security.audit import AuditLog
from adan_core.security.public_keys import write_public_key
from adan_core.trading.database import Durability
from tests.engine_bench import Switch, closed_candles
from tests.unit.learning.test_registry import FEATURES, KEY, NORMALISER, card

START = 1_704_067_200_000
SETTINGS = """\
features: tiny.yaml
market: {symbols: [BTC/SIM]}
costs: {fee_rate: 0.0, slippage_rate: 0.0}
"""
GOOD = GateFigures(
    seeds=5,
    excess_over_flat=0.4,
    excess_over_buy_and_hold=0.1,
    max_drawdown=0.12,
    deflated_sharpe=0.99,
    trades=80,
    largest_share=0.6,
    saturated=False,
    leakcheck_clean=True,
)


def band(floor: float = -9.0, max_drawdown: float = 1.0) -> Expectation:
    """Return a band with one floor at every horizon; by default nothing falls out of it."""
    return Expectation(
        candles=10_000,
        floors=tuple((length, floor) for length in HORIZONS),
        max_drawdown=max_drawdown,
        mix=((0.0, 0.5), (1.0, 0.5)),
        mix_distance=0.1,
        entropy=0.69,
    )


def path(*stretches: tuple[int, float]) -> CandleSeries:
    """Return five-minute candles whose closes go by each stretch's log-return, so many candles."""
    steps = np.concatenate([np.full(count, step) for count, step in stretches])
    wobble = np.where(np.arange(len(steps)) % 2 == 0, 0.0003, -0.0003)
    close = 100.0 * np.exp(np.cumsum(steps + wobble))
    opening = np.concatenate(([100.0], close[:-1]))
    return CandleSeries(
        symbol="BTC/SIM",
        timeframe=Timeframe.parse("5m"),
        open_time=START + 300_000 * np.arange(len(steps), dtype=np.int64),
        open=opening,
        high=np.maximum(opening, close) * 1.0001,
        low=np.minimum(opening, close) * 0.9999,
        close=close,
        volume=np.ones(len(steps)),
        synthetic=True,
    )


def opinion(wants: float) -> dict[str, NDArray[np.float32]]:
    """Return weights of a network that always wants 0 or 1, whatever it sees."""
    inputs = 10
    shapes = {
        "mlp_extractor.policy_net.0": (4, inputs),
        "mlp_extractor.value_net.0": (4, inputs),
        "action_net": (2, 4),
        "value_net": (1, 4),
    }
    made: dict[str, NDArray[np.float32]] = {}
    for name, (rows, columns) in shapes.items():
        made[f"{name}.weight"] = np.zeros((rows, columns), dtype=np.float32)
        made[f"{name}.bias"] = np.zeros(rows, dtype=np.float32)
    made["action_net.bias"][int(wants)] = 5.0
    return made


class ServiceHome:
    """One home; nothing is shipped with it."""

    def __init__(self, folder: Path, settings: str = SETTINGS) -> None:
        self.locations: Locations = locate(folder, {})
        self.locations.config.mkdir(parents=True, exist_ok=True)
        self.locations.settings_file.write_text(settings)
        (self.locations.config / "tiny.yaml").write_text(FEATURES)
        write_public_key(self.locations.operator_public_key, KEY.public_key().public_bytes_raw())
        self.clock = ManualClock(START)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return load_settings(self.locations).settings

    def seal(
        self,
        model_id: str,
        wants: float,
        parent: str | None = None,
        expectation: Expectation | None = None,
        normaliser: Normaliser = NORMALISER,
    ) -> ServiceModel:
        """Seal a model that always wants the same, and keep a good judgement of it."""
        made = replace(card(model_id), parent=parent)
        seal_model(self.locations.models, made, [opinion(wants)], normaliser, FEATURES, self.key)
        digest = self.book().registry.digest(model_id)
        keep_judgement(
            self.locations.evaluations,
            Judgement(
                JUDGEMENT_SCHEMA_VERSION,
                model_id,
                digest,
                1,
                "a test",
                "made candles",
                GOOD,
                expectation,
                {},
            ),
            self.key,
        )
        return self.book().registry.load(model_id)

    @property
    def key(self) -> Ed25519PrivateKey:
        """The operator's key."""
        return KEY

    def book(self) -> ServiceBook:
        """Return the models and their states, without shipped ones."""
        shipped = self.locations.data / "none shipped"
        book = open_service(self.locations, self.clock)
        keys = {"operator": KEY.public_key().public_bytes_raw()}
        book.registry = ModelRegistry(self.locations.models, shipped, keys)
        return book

    def promote(self, model_id: str, after: ModelState = ModelState.PAPER) -> None:
        """Put a model into service, signed."""
        book = self.book()
        book.promote(book.registry.load(model_id), after, (), KEY)

    def serving(self, model_id: str, challenger: str | None = None, aside: str = "") -> Serving:
        """Return a model in service as a start does."""
        book = self.book()
        model = book.registry.load(model_id)
        rival = None if challenger is None else book.registry.load(challenger)
        return Serving(
            judged(self.locations, book.registry, model),
            None if rival is None else judged(self.locations, book.registry, rival),
            BookSuccession(
                self.locations, book, model, AuditLog(self.locations.audit_file, self.clock)
            ),
            aside,
        )


@dataclass
class WatchBench:
    """An engine over recorded candles with its watch; the same home again is a restart."""

    parts: TradingParts
    clock: ManualClock
    alarms: list[tuple[str, Severity, str]] = field(default_factory=list)

    @classmethod
    def build(cls, home: ServiceHome, series: CandleSeries, serving: Serving) -> "WatchBench":
        """Assemble engine and watch as a core does."""
        loaded = load_settings(home.locations)
        CandleStore(home.locations.datasets).write("candles", series, "test", replace=True)
        clock = ManualClock(START)
        alarms: list[tuple[str, Severity, str]] = []
        folder = home.locations.state

        async def no_wait(_seconds: float) -> bool:
            return False

        parts = assemble(
            loaded.settings,
            loaded.config_hash,
            MarketPlan(Mode.REPLAY, ("BTC/SIM",), series.timeframe, "candles"),
            Places(folder / "journal.sqlite", folder / "paper.sqlite", Durability.OFF),
            home.locations,
            serving.champion.model,
            Switch(),
            lambda code, severity, message: alarms.append((code, severity, message)),
            clock,
            clock,
            no_wait,
            0.0,
            serving=serving,
        )
        return cls(parts, clock, alarms)

    async def begin(self) -> None:
        """Warm up and reconcile, as a start does."""
        self.parts.engine.warm(self.parts.feed.history(WARM_CANDLES))
        assert await self.parts.engine.reconcile()

    async def play(self, series: CandleSeries, start: int, stop: int) -> None:
        """Let the candles from ``start`` to ``stop`` in."""
        for closed in closed_candles(series.slice(start, stop)):
            self.clock.set(closed.close_time)
            await self.parts.engine.on_candles(closed)

    async def close(self) -> None:
        """Close the books."""
        self.parts.journal.close()
        await self.parts.exchange.close()

    @property
    def held(self) -> float:
        """What is held, in base currency."""
        return self.parts.portfolio.quantity("BTC/SIM")

    def codes(self) -> Sequence[str]:
        """The codes of all alarms so far."""
        return [code for code, _, _ in self.alarms]
