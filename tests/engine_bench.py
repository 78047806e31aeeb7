"""An engine on a bench: the composition root's own parts, a scripted policy, a clock moved by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, locate
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.state import build_frame
from adan_core.data.store import CandleStore
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import ClosedCandles
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.state import Mode
from adan_core.domain.time import ManualClock, Milliseconds
from adan_core.learning.bundle import ModelCard, ServiceModel
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.market import feature_set
from adan_core.runtime.assembly import (
    WARM_CANDLES,
    Places,
    TradingParts,
    assemble,
    plan_market,
)
from adan_core.trading.database import Durability
from adan_core.trading.policy import Policy

Answer = Callable[[int], float]
"""From how many times the policy was asked before to the exposure it wants, NaN to stay; may raise."""


class Script:
    """A policy that does as it is told."""

    model_id = "script"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked = 0

    def decide(
        self,
        symbol: str,  # noqa: ARG002
        close_time: Milliseconds,  # noqa: ARG002
        close: float,  # noqa: ARG002
        observation: NDArray[np.float32],
        regime: int,  # noqa: ARG002
    ) -> PolicyOutput:
        assert np.isfinite(observation).all()
        number, self.asked = self.asked, self.asked + 1
        exposure = self._answer(number)
        abstained = bool(np.isnan(exposure))
        vote = Vote("script", 0.0 if abstained else exposure, 1.0)
        return PolicyOutput(exposure, 1.0, (vote,), None, abstained=abstained)

    def memory(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        assert not memory


class ScriptedModel(ServiceModel):
    """A model whose policy does as it is told."""

    def __init__(self, script: Policy, normaliser: Normaliser, features: FeatureSet) -> None:
        super().__init__(cast("ModelCard", None), (), normaliser, features, "test", None)
        object.__setattr__(self, "script", script)

    def open_policy(self) -> EnsemblePolicy:
        return cast("EnsemblePolicy", self.script)  # type: ignore[attr-defined]


@dataclass
class Switch:
    """The kill switch as the engine sees it, thrown by hand."""

    engaged: bool = False


async def _no_wait(_seconds: float) -> bool:
    return False


@dataclass
class EngineBench:
    """Everything the trading thread drives, without its thread."""

    parts: TradingParts
    script: Script
    kill: Switch
    clock: ManualClock
    alarms: list[tuple[str, Severity, str]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        home: Path,
        series: CandleSeries,
        answer: Answer,
        settings: str = "",
        books: str = "books",
        fitted_on: CandleSeries | None = None,
        mode: Mode = Mode.REPLAY,
        model: Callable[[Normaliser, FeatureSet], ServiceModel] | None = None,
    ) -> Self:
        """Build an engine over ``series``; ``settings`` is the text of the operator's file.

        ``books`` names the folder of journal and venue: the same one again is a restart. The
        normaliser is fitted on ``fitted_on`` (default: the series itself). In paper mode the settings'
        simulated market is traded, and the series only fits the normaliser. ``model`` makes the model
        that decides in place of the script.
        """
        locations = locate(home, {})
        _write_settings(locations, settings)
        loaded = load_settings(locations)
        CandleStore(locations.datasets).write("candles", series, "test", replace=True)
        spec = feature_set(loaded.settings, locations)
        basis = series if fitted_on is None else fitted_on
        frame = build_frame(basis, loaded.settings.ladders[series.timeframe], spec)
        normaliser = Normaliser.fit(frame, 0, len(basis), basis.content_hash)
        script = Script(answer)
        decides = (
            ScriptedModel(script, normaliser, spec) if model is None else model(normaliser, spec)
        )
        clock, kill = ManualClock(), Switch()
        alarms: list[tuple[str, Severity, str]] = []
        folder = locations.cache / books
        parts = assemble(
            loaded.settings,
            loaded.config_hash,
            plan_market(
                loaded.settings, mode, "candles" if mode is Mode.REPLAY else None, locations
            ),
            Places(folder / "journal.sqlite", folder / "paper.sqlite", Durability.OFF),
            locations,
            decides,
            kill,
            lambda code, severity, message: alarms.append((code, severity, message)),
            clock,
            clock,
            _no_wait,
            0.0,
        )
        return cls(parts, script, kill, clock, alarms)

    async def begin(self) -> None:
        """Warm up and reconcile, as a start does."""
        self.parts.engine.warm(self.parts.feed.history(WARM_CANDLES))
        assert await self.parts.engine.reconcile()

    async def offer(self, closed: ClosedCandles) -> None:
        """Let one instant's candles in."""
        self.clock.set(closed.close_time)
        await self.parts.engine.on_candles(closed)
        self.equity.append(self.parts.portfolio.equity)

    async def play(self, count: int | None = None) -> None:
        """Let the next ``count`` instants in (None: all)."""
        async for closed in self.parts.feed:
            await self.offer(closed)
            if count is not None:
                count -= 1
                if count == 0:
                    return

    def codes(self) -> list[str]:
        """Return the codes of the alarms so far."""
        return [code for code, _, _ in self.alarms]

    async def close(self) -> None:
        """Let go of the books."""
        self.parts.journal.close()
        await self.parts.exchange.close()


def _write_settings(locations: Locations, text: str) -> None:
    locations.config.mkdir(parents=True, exist_ok=True)
    locations.settings_file.write_text(f"schema_version: 1\n{text}")


def closed_candles(series: CandleSeries) -> Sequence[ClosedCandles]:
    """Return each candle of ``series`` as the feed would deliver it."""
    return [
        ClosedCandles(int(series.close_time[index]), ((series.symbol, series.candle(index)),))
        for index in range(len(series))
    ]
