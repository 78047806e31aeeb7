"""The same actions over the same candles give the same equity: environment, backtest, replay."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, locate
from adan_core.config.settings import Settings
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.state import build_frame
from adan_core.data.store import CandleStore
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.state import Mode
from adan_core.domain.time import ManualClock
from adan_core.learning.backtest import run_targets
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.environment import TradingEnvironment
from adan_core.learning.market import feature_set, market_rules
from adan_core.learning.segments import Economics, Segment
from adan_core.runtime.assembly import Places, assemble, costs_of, plan_market
from adan_core.trading.database import Durability
from tests.engine_bench import ScriptedModel
from tests.support import shared_data

pytestmark = pytest.mark.slow

EXPOSURES = (0.0, 0.5, 1.0)
CAP = 0.9
# One tier whose limits never bite: what is compared here is the bookkeeping, not the limits.
TIERS = f"""
schema_version: 1
account: {{quote: USDT}}
market: {{symbols: [BTC/USDT], candle_seconds: 1.0}}
risk:
  max_order_notional: 1.0e9
  max_orders_per_minute: 1000000
  price_collar: 0.9
  tiers:
    - {{name: all, lower: 0.5, upper: null, total_exposure: {CAP}, position_cap: {CAP},
       positions: 1, risk_per_trade: 0.99, daily_loss: 0.99, max_drawdown: 0.99}}
rules: {{minimum_notional: 0.1}}
"""


class Script:
    """A policy that reads its exposures from a list, one per close."""

    model_id = "script"

    def __init__(self, exposures: NDArray[np.float64]) -> None:
        self._exposures = exposures
        self.asked = 0

    def decide(
        self,
        symbol: str,  # noqa: ARG002
        close: float,  # noqa: ARG002
        observation: NDArray[np.float32],
        regime: int,  # noqa: ARG002
    ) -> PolicyOutput:
        assert np.isfinite(observation).all()
        exposure = float(self._exposures[self.asked])
        self.asked += 1
        return PolicyOutput(exposure, 1.0, (Vote("script", exposure, 1.0),), None)

    def memory(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        assert not memory


@pytest.fixture
def locations(tmp_path: Path) -> Locations:
    found = locate(tmp_path / "home", {})
    found.config.mkdir(parents=True)
    found.settings_file.write_text(TIERS)
    return found


def real_candles(name: str, timeframe: str, start: int, count: int) -> CandleSeries:
    frame = pl.read_parquet(shared_data() / "candles" / name).slice(start, count)
    columns = {c: frame[c].to_numpy() for c in ("open", "high", "low", "close", "volume")}
    return CandleSeries(
        symbol="BTC/USDT",
        timeframe=Timeframe.parse(timeframe),
        open_time=frame["timestamp"].dt.epoch("ms").to_numpy(),
        **columns,
        synthetic=False,
    )


def synthetic_candles() -> CandleSeries:
    made = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 11).candles(0, 2600)
    return replace(made, symbol="BTC/USDT")


MARKETS: dict[str, Callable[[], CandleSeries]] = {
    "synthetic 5m": synthetic_candles,
    "real 5m with an outage": lambda: real_candles(
        "binance-spot_BTCUSDT_5m_2020-12_2021-07.parquet", "5m", 4000, 4000
    ),
    "real 1h with gaps and the crash of March 2020": lambda: real_candles(
        "binance-spot_BTCUSDT_1h_2017-08_2023-12.parquet", "1h", 20_500, 3500
    ),
}


@pytest.mark.parametrize("name", MARKETS)
def test_environment_backtest_and_replay_agree(name: str, locations: Locations) -> None:
    series = MARKETS[name]()
    settings = load_settings(locations).settings
    capital = settings.account.starting_capital
    replay = Replay(series, locations)
    first = replay.first_decision()
    traded = series.slice(first, len(series))
    random = np.random.default_rng(len(series))
    # Targets that stay for a while, so that stops, take-profits and re-entries all happen.
    targets = np.repeat(random.choice(EXPOSURES, size=len(traded)), random.integers(1, 40))
    targets = targets[: len(traded)]
    by_backtest = run_targets(traded, targets[:-1], economics(settings), capital).equity
    by_environment = environment_equity(traded, targets[:-1], economics(settings), capital)
    by_replay = replay.equity(targets)
    np.testing.assert_allclose(by_environment, by_backtest, rtol=1e-9, atol=0.0)
    np.testing.assert_allclose(by_replay, by_backtest, rtol=1e-9, atol=0.0)
    assert len(set(by_backtest.round(6))) > len(by_backtest) // 4  # it did trade


def environment_equity(
    series: CandleSeries, targets: NDArray[np.float64], costs: Economics, capital: float
) -> NDArray[np.float64]:
    """Step the gymnasium environment through the whole series, action by action."""
    segment = Segment(
        series.open,
        series.high,
        series.low,
        series.close,
        np.zeros((len(series), 1), dtype=np.float32),
        costs,
    )
    environment = TradingEnvironment((segment,), EXPOSURES, capital, len(series) - 1)
    environment.reset(seed=1)
    equity = [capital]
    for target in targets:
        *_, info = environment.step(np.int64(EXPOSURES.index(target)))
        equity.append(info["equity"])
    return np.array(equity)


class Replay:
    """The engine, built by the composition root as `adan-core run --mode replay` builds it."""

    def __init__(self, series: CandleSeries, locations: Locations) -> None:
        self._series = series
        self._locations = locations
        self._loaded = load_settings(locations)
        CandleStore(locations.datasets).write("candles", series, "test")
        settings = self._loaded.settings
        spec = feature_set(settings, locations)
        ladder = settings.ladders[series.timeframe]
        frame = build_frame(series, ladder, spec)
        self._normaliser = Normaliser.fit(frame, 0, len(series), series.content_hash)
        self._spec = spec

    def _model(self, policy: Script) -> ServiceModel:
        return ScriptedModel(policy, self._normaliser, self._spec)

    def first_decision(self) -> int:
        """Return the candle at whose close the warmed-up engine decides first."""
        script = Script(np.zeros(len(self._series)))
        self._run(script)
        return len(self._series) - script.asked

    def equity(self, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Play the whole series; return the equity from the first decision on."""
        script = Script(targets)
        curve = self._run(script)
        assert script.asked == len(targets)
        return curve[-len(targets) :]

    def _run(self, script: Script) -> NDArray[np.float64]:
        return asyncio.run(self._play(script))

    async def _play(self, script: Script) -> NDArray[np.float64]:
        plan = plan_market(self._loaded.settings, Mode.REPLAY, "candles", self._locations)
        folder = self._locations.cache / str(id(script))
        clock = ManualClock()
        alarms: list[str] = []

        def alarm(code: str, severity: Severity, message: str) -> None:
            alarms.append(f"{severity} {code}: {message}")

        async def no_wait(_seconds: float) -> bool:
            return False

        class Armed:
            engaged = False

        parts = assemble(
            self._loaded.settings,
            self._loaded.config_hash,
            plan,
            Places(folder / "journal.sqlite", folder / "paper.sqlite", Durability.OFF),
            self._locations,
            self._model(script),
            Armed(),
            alarm,
            clock,
            clock,
            no_wait,
            0.0,
        )
        parts.engine.warm(parts.feed.history(10))
        assert await parts.engine.reconcile()
        equity: list[float] = []
        async for closed in parts.feed:
            clock.set(closed.close_time)
            await parts.engine.on_candles(closed)
            equity.append(parts.portfolio.equity)
        assert alarms == []
        parts.journal.close()
        await parts.exchange.close()
        return np.array(equity)


def economics(settings: Settings) -> Economics:
    """Return the environment's costs and rules under the replay's own settings."""
    risk = settings.risk
    return Economics(
        CAP,
        risk.rebalance_band,
        costs_of(settings),
        market_rules(settings, "BTC/USDT"),
        risk.stop_loss,
        risk.take_profit,
    )
