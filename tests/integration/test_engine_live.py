"""The engine on live candles: late ones are only settled; prices in doubt let exposure only shrink."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adan_core.data.live_check import Comparison
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import ActionType
from adan_core.domain.errors import SystemFailure
from adan_core.domain.orders import OrderPurpose
from adan_core.domain.state import EngineState, Mode
from adan_core.domain.time import MINUTE
from adan_core.trading.checkpoint import EngineCheckpoint
from tests.engine_bench import EngineBench, closed_candles
from tests.integration.test_engine import COUNT, WARM

OFF, AGREES, WARNS = 0.2, 0.001, 0.07
AGREEING = 12


@pytest.fixture(scope="module")
def series() -> CandleSeries:
    return SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 5).candles(0, COUNT)


def long(_number: int) -> float:
    return 1.0


def compared(deviation: float, number: int = 0) -> Comparison:
    return Comparison("BTC/SIM", "its own stream", 1_700_000_100_000 + number, deviation)


def test_candles_that_came_late_are_settled_and_valued_and_nothing_is_decided(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        await bench.begin()
        candles = closed_candles(series)
        for closed in candles[: WARM + 1]:
            await bench.offer(closed)
        asked = bench.script.asked
        assert asked > 0
        before = bench.parts.engine.view()
        curve = bench.parts.journal.history.equity_curve
        points = len(curve())
        bench.clock.advance(20 * MINUTE)
        for closed in candles[WARM + 1 : WARM + 4]:
            await bench.parts.engine.on_candles(replace(closed, age=15 * MINUTE, settle_only=True))
        view = bench.parts.engine.view()
        assert bench.script.asked == asked
        assert view.decisions == before.decisions
        assert bench.parts.portfolio.quantity("BTC/SIM") > 0.0  # the entry sent before has filled
        assert len(curve()) == points + 3
        assert view.received_at == bench.clock.now() - 15 * MINUTE
        await bench.close()

    asyncio.run(story())


def test_a_price_counts_from_its_close_and_an_old_one_denies(
    tmp_path: Path, series: CandleSeries
) -> None:
    wanted = [0.0]

    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, lambda _: wanted[0])
        await bench.begin()
        candles = closed_candles(series)
        for closed in candles[:WARM]:
            await bench.offer(closed)
        wanted[0] = 1.0
        await bench.offer(replace(candles[WARM], age=10 * MINUTE))
        verdict = bench.parts.engine.view().decisions[0].verdict
        assert verdict is not None
        assert [check.code for check in verdict.denied_by] == ["reference age"]
        await bench.close()

    asyncio.run(story())


def test_sources_too_far_apart_let_exposure_only_shrink_until_they_agree_again(
    tmp_path: Path, series: CandleSeries
) -> None:
    wanted = [1.0]

    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, lambda _: wanted[0])
        await bench.begin()
        engine, candles = bench.parts.engine, closed_candles(series)
        engine.sources_compared(compared(WARNS))
        assert engine.view().state is EngineState.RUNNING
        told = [severity for _, severity, _ in bench.alarms]
        assert told == [Severity.WARNING]
        for closed in candles[: WARM + 2]:
            await bench.offer(closed)
        assert bench.parts.portfolio.quantity("BTC/SIM") > 0.0
        engine.sources_compared(compared(OFF))
        view = engine.view()
        assert view.state is EngineState.REDUCING
        assert "BTC/SIM was 20.0% off its own stream" in view.reason
        told = [severity for _, severity, _ in bench.alarms]
        assert told == [Severity.WARNING, Severity.CRITICAL]
        wanted[0] = 0.0
        await bench.offer(candles[WARM + 2])
        await bench.offer(candles[WARM + 3])
        (exit_order, *_) = bench.parts.journal.orders(1)
        assert exit_order.purpose is OrderPurpose.EXIT
        assert bench.parts.portfolio.quantity("BTC/SIM") == 0.0
        for number in range(AGREEING - 1):
            engine.sources_compared(compared(AGREES, number))
        assert engine.view().state is EngineState.REDUCING
        assert f"agreed on {AGREEING - 1} of {AGREEING}" in engine.view().reason
        engine.sources_compared(compared(WARNS))  # not quite: it begins anew
        assert f"agreed on 0 of {AGREEING}" in engine.view().reason
        for number in range(AGREEING):
            assert engine.view().state is EngineState.REDUCING
            engine.sources_compared(compared(AGREES, number))
        assert engine.view().state is EngineState.RUNNING
        assert engine.view().reason == ""
        await bench.close()

    asyncio.run(story())


def test_no_entry_passes_while_prices_are_in_doubt(tmp_path: Path, series: CandleSeries) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        await bench.begin()
        bench.parts.engine.sources_compared(compared(OFF))
        for closed in closed_candles(series)[: WARM + 2]:
            await bench.offer(closed)
        last = bench.parts.engine.view().decisions[0]
        assert last.action.action_type is ActionType.BUY
        assert last.verdict is not None
        assert [check.code for check in last.verdict.denied_by] == ["state"]
        assert bench.parts.journal.orders(10) == ()
        await bench.close()

    asyncio.run(story())


def test_doubt_outlives_a_restart_and_ends_with_a_rearming(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        first = EngineBench.build(tmp_path, series, long)
        await first.begin()
        first.parts.engine.sources_compared(compared(OFF))
        await first.close()
        again = EngineBench.build(tmp_path, series, long)
        await again.begin()
        assert again.parts.engine.view().state is EngineState.REDUCING
        await again.parts.engine.rearmed()
        assert again.parts.engine.view().state is EngineState.RUNNING
        await again.close()

    asyncio.run(story())


def test_doubt_leads_out_of_no_state_but_running_and_agreement_only_back(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        engine = bench.parts.engine
        engine.warm(())
        engine.sources_compared(compared(OFF))
        assert engine.view().state is EngineState.WARMING
        assert await engine.reconcile()
        assert engine.view().state is EngineState.REDUCING
        bench.kill.engaged = True
        await bench.offer(closed_candles(series)[0])
        bench.kill.engaged = False
        for number in range(2 * AGREEING):
            engine.sources_compared(compared(AGREES, number))
        assert engine.view().state is EngineState.HALTED
        engine.sources_compared(compared(OFF))
        assert engine.view().state is EngineState.HALTED
        await bench.close()

    asyncio.run(story())


def test_doubts_of_two_sources_are_counted_apart(tmp_path: Path, series: CandleSeries) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        await bench.begin()
        engine = bench.parts.engine
        engine.sources_compared(compared(OFF))
        engine.sources_compared(replace(compared(OFF), against="kraken"))
        for number in range(AGREEING):
            engine.sources_compared(compared(AGREES, number))
        assert engine.view().state is EngineState.REDUCING
        assert "kraken" in engine.view().reason
        assert "stream" not in engine.view().reason
        await bench.close()

    asyncio.run(story())


def test_a_symbol_behind_resumes_after_its_own_last_candle(
    tmp_path: Path, series: CandleSeries
) -> None:
    """ETH's first candle comes after BTC's fourth: order per symbol, and the account's time goes on."""
    settings = "market:\n  symbols: [BTC/SIM, ETH/SIM]\n"
    other = SimulatedMarket("ETH/SIM", Timeframe.parse("5m"), 5).candles(0, COUNT)

    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long, settings, mode=Mode.PAPER)
        assert await bench.parts.engine.reconcile()
        btc, eth = closed_candles(series), closed_candles(other)
        for closed in (*btc[1:4], replace(eth[0], settle_only=True)):
            await bench.offer(closed)
        assert bench.alarms == []
        curve = bench.parts.journal.history.equity_curve()
        assert [point.time for point in curve] == series.close_time[1:4].tolist()
        assert bench.parts.engine.view().market_time == series.close_time[3]
        await bench.close()
        again = EngineBench.build(tmp_path, series, long, settings, mode=Mode.PAPER)
        assert again.parts.engine.closes == {
            "BTC/SIM": series.close_time[3],
            "ETH/SIM": series.close_time[0],
        }
        await again.close()

    asyncio.run(story())


def test_a_checkpoint_of_version_1_is_taken_on_and_a_newer_one_refused(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        first = EngineBench.build(tmp_path, series, long)
        old = {"schema_version": 1, "close_time": 1_700_000_100_000, "held": {"BTC/SIM": 3}}
        first.parts.journal.history.save("engine", old)
        await first.close()
        again = EngineBench.build(tmp_path, series, long)
        assert again.parts.engine.closes == {"BTC/SIM": 1_700_000_100_000}
        newer = EngineCheckpoint(99, 1_700_000_100_000, {})
        again.parts.journal.history.save("engine", newer)
        await again.close()
        with pytest.raises(SystemFailure, match="schema version 99"):
            EngineBench.build(tmp_path, series, long)

    asyncio.run(story())
