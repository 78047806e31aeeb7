"""The same actions over the same candles give the same equity: environment, backtest, paper, replay."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from adan_core.accounting.account import TRADES
from adan_core.accounting.sizing import DENIALS, TOO_MANY_POSITIONS, TOTAL_EXPOSURE
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
from adan_core.domain.time import ManualClock, Milliseconds
from adan_core.learning.backtest import run_targets
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.market import economics, environment_options, feature_set
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_features import DRIVERS
from adan_core.learning.segments import Economics, Segment
from adan_core.runtime.assembly import Places, assemble, plan_market
from adan_core.trading.database import Durability
from tests.engine_bench import EngineBench, ScriptedModel
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
        close_time: Milliseconds,  # noqa: ARG002
        close: float,  # noqa: ARG002
        observation: NDArray[np.float32],
        regime: int,  # noqa: ARG002
    ) -> PolicyOutput:
        assert np.isfinite(observation).all()
        exposure = float(self._exposures[self.asked])
        self.asked += 1
        abstained = bool(np.isnan(exposure))
        vote = Vote("script", 0.0 if abstained else exposure, 1.0)
        return PolicyOutput(exposure, 1.0, (vote,), None, abstained=abstained)

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
    # Targets that stay for a while, so that stops, take-profits and re-entries all happen, and
    # abstentions (NaN), which leave whatever is held.
    targets = np.repeat(
        random.choice([*EXPOSURES, np.nan], size=len(traded)), random.integers(1, 40)
    )
    targets = targets[: len(traded)]
    regimes = detect_regimes(series)
    segment = Segment(
        series.open,
        series.high,
        series.low,
        series.close,
        np.zeros((len(series), 1), dtype=np.float32),
        economics_of(settings, "BTC/USDT"),
        regimes.regimes.astype(np.int8),
        regimes.drivers[:, DRIVERS.index("volatility ratio")].copy(),
    ).part(first, len(series))
    backtest = run_targets(traded, targets[:-1], segment.economics, capital, segment)
    by_backtest = backtest.equity
    by_environment = environment_equity(segment, targets[:-1], capital)
    by_replay = replay.equity(targets)
    np.testing.assert_allclose(by_environment, by_backtest, rtol=1e-9, atol=0.0)
    np.testing.assert_allclose(by_replay, by_backtest, rtol=1e-9, atol=0.0)
    assert len(set(by_backtest.round(6))) > len(by_backtest) // 4  # it did trade
    changed = backtest.given[backtest.targets > 0.0] / backtest.targets[backtest.targets > 0.0]
    assert (np.abs(changed - 1.0) > 0.01).any()  # and the behaviour engine had its say
    assert (np.abs(changed - 1.0) <= 0.15 + 1e-12).all()


def environment_equity(
    segment: Segment, targets: NDArray[np.float64], capital: float
) -> NDArray[np.float64]:
    """Step the environment through the whole segment, target by target."""
    kernel = EnvironmentKernel((segment,), 1, capital, len(segment) - 1, 0)
    kernel.begin_in_order()
    equity = [capital]
    for target in targets:
        kernel.step(np.array([target]))
        equity.append(kernel.equity(0))
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


def economics_of(settings: Settings, symbol: str) -> Economics:
    """Return the environment's costs, limits and behaviour under the replay's own settings."""
    return replace(economics(settings, symbol), cap=CAP)


PURSE = """
account: {starting_capital: 10000.0}
market: {symbols: [BTC/SIM, ETH/SIM, SOL/SIM]}
learning: {sizing: tiers, purse: shared}
risk:
  max_order_notional: 1.0e9
  max_orders_per_minute: 1000000
  price_collar: 0.9
  tiers:
    - {name: small, lower: 0.5, upper: 9900.0, total_exposure: 0.6, position_cap: 0.5,
       positions: 2, risk_per_trade: 0.05, daily_loss: 0.99, max_drawdown: 0.99}
    - {name: all, lower: 9900.0, upper: null, total_exposure: 0.9, position_cap: 0.45,
       positions: 2, risk_per_trade: 0.05, daily_loss: 0.99, max_drawdown: 0.99}
"""
FIRST = 4_000
"""The first simulated candle that a core trades on; those before it warm everything up."""


def test_several_symbols_with_one_purse_are_played_as_the_engine_trades_them(
    tmp_path: Path,
) -> None:
    count, symbols = 500, ("BTC/SIM", "ETH/SIM", "SOL/SIM")
    random = np.random.default_rng(2)
    kept = np.repeat(random.choice([*EXPOSURES, np.nan], size=(count, 3)), 9, axis=0)[:count]
    markets = [SimulatedMarket(symbol, Timeframe.parse("5m"), 7) for symbol in symbols]
    bench = EngineBench.build(
        tmp_path,
        markets[0].candles(0, FIRST),
        lambda asked: float(kept[asked // 3, asked % 3]),
        PURSE,
        mode=Mode.PAPER,
    )

    async def trade() -> None:
        await bench.begin()
        await bench.play(count)
        await bench.close()

    asyncio.run(trade())
    settings = load_settings(locate(tmp_path, {})).settings
    kernel = EnvironmentKernel(
        tuple(
            played(market.candles(0, FIRST + count), economics(settings, market.symbol))
            for market in markets
        ),
        3,
        settings.account.starting_capital,
        count,
        0,
        environment_options(settings, 3),
    )
    kernel.begin_in_order()
    equity = [settings.account.starting_capital]
    total = np.zeros(3)
    for targets in kept[:-1]:
        kernel.step(targets)
        equity.append(kernel.equity(0))
        total += kernel.log_returns
    np.testing.assert_allclose(np.array(equity), bench.equity, rtol=1e-9, atol=0.0)
    assert total.sum() == pytest.approx(np.log(equity[-1] / equity[0]), rel=1e-12)
    denied = dict(zip(DENIALS, kernel.denials.tolist(), strict=True))
    assert denied[DENIALS[TOO_MANY_POSITIONS]] > 0
    assert denied[DENIALS[TOTAL_EXPOSURE]] > 0
    # Twice the count of closed trades: everything happened often enough to differ.
    assert kernel.accounts[:, TRADES].sum() > 20


def played(series: CandleSeries, costs: Economics) -> Segment:
    """Return the candles that are traded, with what the detector says from the first one on."""
    regimes = detect_regimes(series)
    whole = Segment(
        series.open,
        series.high,
        series.low,
        series.close,
        np.zeros((len(series), 1), dtype=np.float32),
        costs,
        regimes.regimes.astype(np.int8),
        regimes.drivers[:, DRIVERS.index("volatility ratio")].copy(),
    )
    return whole.part(FIRST, len(series))
