"""The engine: halted means halted, errors add up, losses latch, and the future changes nothing."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import ActionType
from adan_core.domain.errors import ModelError, RetryableError, SystemFailure
from adan_core.domain.market import Regime
from adan_core.domain.orders import OrderPurpose, OrderStatus
from adan_core.domain.state import EngineState, Mode
from adan_core.trading import settlement
from adan_core.trading.losses import LossState
from tests.engine_bench import EngineBench, closed_candles

pytestmark = pytest.mark.slow

COUNT = 1400
# The default ladder's indicators are warm after this many five-minute candles.
WARM = 1200


@pytest.fixture(scope="module")
def series() -> CandleSeries:
    return SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 5).candles(0, COUNT)


def flat(_number: int) -> float:
    return 0.0


def long(_number: int) -> float:
    return 1.0


def test_a_halt_denies_every_order_until_a_reconciliation_after_re_arming(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        await bench.begin()
        candles = closed_candles(series)
        for closed in candles[:WARM]:
            bench.kill.engaged = True
            await bench.offer(closed)
        assert bench.parts.engine.view().state is EngineState.HALTED
        denied = bench.parts.engine.view().decisions[0]
        assert denied.action.action_type is ActionType.BUY
        assert denied.verdict is not None
        assert {"kill latch", "state"} <= {check.code for check in denied.verdict.denied_by}
        assert denied.order_ids == ()
        bench.kill.engaged = False  # the latch is off, and nobody has compared the books yet
        await bench.offer(candles[WARM])
        assert bench.parts.engine.view().state is EngineState.HALTED
        assert bench.parts.journal.orders(10) == ()
        await bench.parts.engine.rearmed()
        await bench.offer(candles[WARM + 1])
        await bench.offer(candles[WARM + 2])
        assert bench.parts.engine.view().state is EngineState.RUNNING
        assert bench.parts.portfolio.quantity("BTC/SIM") > 0.0
        await bench.close()

    asyncio.run(story())


def in_turns(number: int) -> float:
    return float(number // 7 % 2)


def test_a_restart_decides_on_the_same_bytes_as_a_core_that_was_never_stopped(
    tmp_path: Path, series: CandleSeries
) -> None:
    """On the simulated market, which begins long before the account, and with two restarts."""
    settings = "market:\n  symbols: [BTC/SIM]\n"

    async def decided(home: Path, stretches: tuple[int, ...]) -> list[tuple[object, ...]]:
        asked = 0
        for count in stretches:
            before = asked
            bench = EngineBench.build(
                home,
                series,
                lambda number, before=before: in_turns(before + number),  # type: ignore[misc]
                settings,
                mode=Mode.PAPER,
            )
            await bench.begin()
            await bench.play(count)
            asked += bench.script.asked
            made = [
                (one.time, one.observation_hash, one.regime, one.action.action_type)
                for one in bench.parts.journal.history.decisions(10_000)
            ]
            held = bench.parts.engine.view().regimes
            await bench.close()
        return [*made, *held]

    through = asyncio.run(decided(tmp_path / "a", (120,)))
    stopped = asyncio.run(decided(tmp_path / "b", (37, 40, 43)))
    assert len(through) == 121
    assert through == stopped


def test_a_restart_in_a_data_set_decides_on_the_same_bytes(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def decided(home: Path, stretches: tuple[int, ...]) -> list[tuple[int, str, Regime]]:
        for count in stretches:
            bench = EngineBench.build(home, series, long)
            await bench.begin()
            await bench.play(count)
            made = [
                (one.time, one.observation_hash, one.regime)
                for one in bench.parts.journal.history.decisions(10_000)
            ]
            await bench.close()
        return made

    through = asyncio.run(decided(tmp_path / "a", (COUNT,)))
    assert len(through) > 100
    assert through == asyncio.run(decided(tmp_path / "b", (WARM + 20, COUNT)))


@pytest.mark.parametrize("where", ["on_candle", "collect"])
def test_a_candle_that_the_exchange_would_not_settle_is_offered_again(
    tmp_path: Path, series: CandleSeries, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two candles in a row fail; afterwards everything but their decisions is as if nothing had been."""

    def busy(*_: object) -> object:
        raise RetryableError("the exchange is busy")

    async def story(home: Path, fails: range) -> tuple[EngineBench, dict[int, str]]:
        bench = EngineBench.build(home, series, flat)
        await bench.begin()
        part = bench.parts.exchange if where == "on_candle" else bench.parts.orders
        for number, closed in enumerate(closed_candles(series)):
            with monkeypatch.context() as patch:
                if number in fails:
                    patch.setattr(part, where, busy)
                await bench.offer(closed)
        made = bench.parts.journal.history.decisions(10_000)
        return bench, {one.time: one.observation_hash for one in made}

    async def compare() -> None:
        _, smooth = await story(tmp_path / "a", range(0))
        fails = range(WARM + 30, WARM + 32)
        bench, rough = await story(tmp_path / "b", fails)
        missing = [int(series.close_time[number]) for number in fails]
        assert rough == {time: seen for time, seen in smooth.items() if time not in missing}
        curve = bench.parts.journal.history.equity_curve()
        assert [point.time for point in curve] == series.close_time.tolist()
        assert bench.parts.engine.view().state is EngineState.RUNNING
        assert bench.codes() == ["RetryableError"] * 2

    asyncio.run(compare())


def test_a_stop_in_a_candle_that_came_late_is_hit(
    tmp_path: Path, series: CandleSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = np.where(np.arange(COUNT) == WARM + 3, 0.5, 1.0)
    crash = replace(series, low=series.low * falling)

    def busy(*_: object) -> object:
        raise RetryableError("the exchange is busy")

    async def story() -> None:
        bench = EngineBench.build(tmp_path, crash, long)
        await bench.begin()
        candles = closed_candles(crash)
        for closed in candles[: WARM + 3]:
            await bench.offer(closed)
        assert bench.parts.portfolio.quantity("BTC/SIM") > 0.0
        with monkeypatch.context() as patch:
            patch.setattr(bench.parts.exchange, "on_candle", busy)
            await bench.offer(candles[WARM + 3])
        await bench.offer(candles[WARM + 4])
        assert OrderPurpose.STOP_LOSS in [fill.purpose for fill in bench.parts.journal.fills(3)]
        await bench.close()

    asyncio.run(story())


def test_an_exchange_that_is_gone_for_good_halts_and_a_restart_takes_up_where_it_left(
    tmp_path: Path, series: CandleSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "WAITING", 5)

    def busy(*_: object) -> object:
        raise RetryableError("the exchange is busy")

    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, flat)
        await bench.begin()
        candles = closed_candles(series)
        for closed in candles[:3]:
            await bench.offer(closed)
        with monkeypatch.context() as patch:
            patch.setattr(bench.parts.exchange, "on_candle", busy)
            for closed in candles[3:10]:
                await bench.offer(closed)
        await bench.offer(candles[10])  # it answers again: too late, candles are missing
        assert bench.parts.engine.view().state is EngineState.HALTED
        assert "restart ADAN" in bench.alarms[-1][2]
        await bench.close()
        again = EngineBench.build(tmp_path, series, flat)
        assert again.parts.engine.resumes_after == series.close_time[2]
        await again.close()

    asyncio.run(story())


def test_a_machine_that_fails_while_an_order_is_sent_halts_with_the_order_unknown(
    tmp_path: Path, series: CandleSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, long)
        await bench.begin()

        async def broken(*_: object) -> None:
            raise SystemFailure("the paper exchange's file failed: disk I/O error")

        monkeypatch.setattr(bench.parts.exchange, "submit", broken)
        for closed in closed_candles(series)[: WARM + 1]:
            await bench.offer(closed)
        assert bench.parts.engine.view().state is EngineState.HALTED
        assert {"order unknown", "machine"} <= set(bench.codes())
        (order,) = bench.parts.journal.orders(10)
        assert order.status in (OrderStatus.UNKNOWN, OrderStatus.REJECTED)
        await bench.close()

    asyncio.run(story())


def test_a_loss_latch_found_at_the_start_is_told_and_shown(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        candles = closed_candles(series)
        first = EngineBench.build(tmp_path, series, flat)
        await first.begin()
        await first.offer(candles[0])
        await first.close()
        second = EngineBench.build(tmp_path, series, flat)
        losses = second.parts.journal.history.load("losses", LossState)
        assert losses is not None
        latched = replace(losses, drawdown_latched=True, drawdown=0.2)
        second.parts.journal.history.save("losses", latched)
        await second.close()
        bench = EngineBench.build(tmp_path, series, flat)
        await bench.begin()
        for closed in candles[1:4]:
            await bench.offer(closed)
        assert bench.codes() == ["loss limit"]
        view = bench.parts.engine.view()
        assert view.state is EngineState.RUNNING
        assert "reached the limit; entries stop until re-armed" in view.reason
        await bench.parts.engine.rearmed()
        assert "limit" not in bench.parts.engine.view().reason
        await bench.close()

    asyncio.run(story())


def failing(*numbers: int) -> object:
    def answer(number: int) -> float:
        if number in numbers:
            raise ModelError("a broken model", "a whole one")
        return 0.0

    return answer


@pytest.mark.parametrize(
    ("failures", "state"),
    [((0, 1, 3, 4), EngineState.RUNNING), ((0, 1, 2), EngineState.SAFE_MODE)],
)
def test_three_errors_in_a_row_mean_safe_mode(
    tmp_path: Path, series: CandleSeries, failures: tuple[int, ...], state: EngineState
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, failing(*failures))  # type: ignore[arg-type]
        await bench.begin()
        await bench.play()
        assert bench.parts.engine.view().state is state
        assert bench.codes().count("ModelError") == len(failures)
        assert ("safe mode" in bench.codes()) == (state is EngineState.SAFE_MODE)
        if state is EngineState.SAFE_MODE:
            assert bench.script.asked == 3  # nobody is asked any more
            await bench.parts.engine.rearmed()
            assert bench.parts.engine.view().state is EngineState.RUNNING
        await bench.close()

    asyncio.run(story())


def test_a_machine_that_fails_halts_at_once(
    tmp_path: Path, series: CandleSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bench = EngineBench.build(tmp_path, series, flat)
        await bench.begin()
        candles = closed_candles(series)
        await bench.offer(candles[0])

        def full(*_: object) -> None:
            raise SystemFailure("no space left on the disk")

        monkeypatch.setattr(bench.parts.journal.history, "record_equity", full)
        await bench.offer(candles[1])
        assert bench.parts.engine.view().state is EngineState.HALTED
        assert bench.alarms[-1][:2] == ("machine", Severity.CRITICAL)
        await bench.close()

    asyncio.run(story())


def test_a_drawdown_at_its_limit_stops_entries_and_lets_positions_out(tmp_path: Path) -> None:
    whole = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 5).candles(0, COUNT)
    # From the first decision on the market falls 3 % a candle, stop after stop.
    falling = np.where(np.arange(COUNT) > WARM, 0.97 ** np.maximum(np.arange(COUNT) - WARM, 0), 1.0)
    crash = replace(
        whole,
        open=whole.open * falling,
        high=whole.high * falling,
        low=whole.low * falling * 0.9,
        close=whole.close * falling,
    )

    async def story() -> None:
        bench = EngineBench.build(tmp_path, crash, long)
        await bench.begin()
        await bench.play()
        assert "loss limit" in bench.codes()
        account = bench.parts.portfolio.snapshot()
        assert account.positions == ()
        last = bench.parts.engine.view().decisions[0]
        assert last.verdict is not None
        denied = {check.code for check in last.verdict.denied_by}
        assert denied & {"drawdown", "daily loss"}
        assert 0.05 < account.drawdown < 0.15  # it stopped near its limit, not at the bottom
        entries = [
            order
            for order in bench.parts.journal.orders(1000)
            if order.purpose is OrderPurpose.ENTRY
        ]
        assert len(entries) < 40
        await bench.close()

    asyncio.run(story())


def test_a_candle_offered_again_after_a_restart_gives_no_second_order(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        candles = closed_candles(series)
        first = EngineBench.build(tmp_path, series, long)
        await first.begin()
        for closed in candles[: WARM + 1]:
            await first.offer(closed)
        before = first.parts.journal.orders(100)
        assert len(before) > 0
        await first.close()
        again = EngineBench.build(tmp_path, series, long)
        again.parts.engine.warm((series.slice(0, WARM),))
        assert await again.parts.engine.reconcile()
        await again.offer(candles[WARM])
        assert again.parts.journal.orders(100) == before
        assert again.alarms == []
        await again.close()

    asyncio.run(story())


def test_the_engine_resumes_after_the_last_candle_it_finished(
    tmp_path: Path, series: CandleSeries
) -> None:
    async def story() -> None:
        first = EngineBench.build(tmp_path, series, flat)
        await first.begin()
        await first.play(count=30)
        await first.close()
        again = EngineBench.build(tmp_path, series, flat)
        assert again.parts.engine.resumes_after == series.close_time[29]
        await again.begin()
        await again.play(count=1)
        assert again.parts.engine.view().market_time == series.close_time[30]
        await again.close()

    asyncio.run(story())


@pytest.mark.parametrize("cut", [WARM + 20, WARM + 100])
def test_what_comes_later_changes_no_decision(
    tmp_path: Path, series: CandleSeries, cut: int
) -> None:
    """Observation, regime, action, confidence, order and equity up to ``cut``, through the engine."""
    later = np.arange(COUNT) >= cut
    factor = np.where(later, 1.31, 1.0)
    altered = replace(
        series,
        open=series.open * factor,
        high=series.high * factor,
        low=series.low * factor,
        close=series.close * factor,
        volume=series.volume * (1.0 + later),
    )

    async def decided(home: Path, candles: CandleSeries) -> list[tuple[object, ...]]:
        bench = EngineBench.build(home, candles, in_turns, fitted_on=series.slice(0, WARM + 10))
        await bench.begin()
        for closed in closed_candles(candles)[:cut]:
            await bench.offer(closed)
        made = [
            (one.time, one.observation_hash, one.regime, one.action.action_type)
            for one in bench.parts.journal.history.decisions(10_000)
        ]
        await bench.close()
        return [*made, *((value,) for value in bench.equity)]

    before = asyncio.run(decided(tmp_path / "a", series))
    after = asyncio.run(decided(tmp_path / "b", altered))
    assert len(before) > cut
    assert before == after
