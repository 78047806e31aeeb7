"""The model in service: held to its judgement, demoted by itself, rolled back, challenged in the shadow."""

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.data.state import build_frame
from adan_core.domain.alerts import Severity
from adan_core.domain.errors import ModelError
from adan_core.domain.orders import Side
from adan_core.domain.state import EngineState, Mode
from adan_core.learning.backtest import run_targets
from adan_core.learning.lifecycle import Cause, ModelState
from adan_core.learning.market import economics, segment
from adan_core.learning.runs import DataRecord, RunRecord, Span
from adan_core.runtime.assembly import MarketPlan
from adan_core.runtime.choice import choose_model
from adan_core.runtime.models import parent_of
from adan_core.runtime.tenure import market_time_decided
from adan_core.runtime.watch import CONFIRMING
from tests.service_home import SETTINGS, ServiceHome, WatchBench, band, path
from tests.unit.learning.test_registry import FEATURES, NORMALISER, SCHEMA

pytestmark = pytest.mark.slow

# The regime is known after 480 candles, the tiny state after 96.
RISE = 520
FALL = 60
TURNED = path((RISE, 0.0005), (FALL, -0.004))
PAPER = MarketPlan(Mode.PAPER, ("BTC/SIM",), TURNED.timeframe, None)


def bull_after_calm(folder: Path) -> ServiceHome:
    """Return a home where a model that is always long has followed one that never is."""
    home = ServiceHome(folder)
    home.seal("calm", 0.0)
    home.promote("calm")
    home.seal("bull", 1.0, parent="calm", expectation=band(max_drawdown=0.03))
    home.promote("bull")
    return home


def states(home: ServiceHome) -> dict[str, ModelState]:
    book = home.book()
    return {one.model_id: book.state(one.model_id) for one in book.registry.listing()}


def chosen(home: ServiceHome, wanted: str | None = None) -> tuple[str, str]:
    """Return who decides in a core that starts now, and why nothing is traded."""
    choice = choose_model(home.book(), wanted, PAPER, home.settings, home.locations)
    return choice.model.model_id, choice.aside


async def played(
    home: ServiceHome,
    series: CandleSeries,
    model: str,
    challenger: str | None = None,
    stretches: tuple[int, ...] = (),
) -> WatchBench:
    """Play ``series``, starting anew after each of ``stretches``; return the last bench, still open."""
    start = 0
    for stop in (*stretches, len(series)):
        bench = WatchBench.build(home, series, home.serving(model, challenger))
        await bench.begin()
        await bench.play(series, start, stop)
        start = stop
        if stop != len(series):
            await bench.close()
    return bench


def test_automatic_demotion_closes_what_is_held_and_lets_the_parent_follow(tmp_path: Path) -> None:
    async def story() -> None:
        home = bull_after_calm(tmp_path)
        assert states(home) == {"calm": ModelState.RETIRED, "bull": ModelState.PAPER}
        assert chosen(home) == ("bull", "")
        bench = WatchBench.build(home, TURNED, home.serving("bull"))
        await bench.begin()
        await bench.play(TURNED, 0, RISE)
        assert bench.held > 0.0
        assert bench.codes() == []
        await bench.play(TURNED, RISE, RISE + 30)
        (told,) = [alarm for alarm in bench.alarms if alarm[0] == "demotion of bull"]
        assert told[1] is Severity.CRITICAL
        assert "from its peak, and its judgement lets one expect 3.00% at most" in told[2]
        assert "calm follows once nothing is held" in told[2]
        assert bench.held == 0.0
        sold = bench.parts.journal.fills(1)[0]
        assert sold.side is Side.SELL
        made = {one.model_id for one in bench.parts.engine.view().decisions[:5]}
        assert made == {"calm"}
        assert states(home) == {"calm": ModelState.PAPER, "bull": ModelState.RETIRED}
        assert bench.parts.watch is not None
        assert bench.parts.watch.model.model_id == "calm"
        await bench.close()
        assert chosen(home) == ("calm", "")
        with pytest.raises(ModelError, match=r"was retired on .* from its peak"):
            chosen(home, "bull")

    asyncio.run(story())


def test_a_demotion_survives_a_restart_before_anything_was_closed(tmp_path: Path) -> None:
    async def story() -> None:
        home = bull_after_calm(tmp_path)
        bench = WatchBench.build(home, TURNED, home.serving("bull"))
        await bench.begin()
        place = 0
        while not bench.alarms:
            await bench.play(TURNED, place, place + 1)
            place += 1
        assert bench.held > 0.0  # demoted at this very close, and killed before the next
        await bench.close()
        again = WatchBench.build(home, TURNED, home.serving(*chosen(home)[:1]))
        await again.begin()
        await again.play(TURNED, place, place + 1)
        assert again.parts.engine.view().decisions[0].model_id.endswith("(out of service)")
        await again.play(TURNED, place + 1, place + 4)
        assert again.held == 0.0
        assert again.parts.engine.view().decisions[0].model_id == "calm"
        await again.close()

    asyncio.run(story())


def test_without_anybody_to_follow_nothing_is_traded_and_a_restart_keeps_to_it(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        home = ServiceHome(tmp_path)
        home.seal("bull", 1.0, expectation=band(max_drawdown=0.03))
        home.promote("bull")
        bench = await played(home, TURNED, "bull")
        assert bench.held == 0.0
        assert bench.parts.watch is not None
        assert "bull is out of service" in bench.parts.watch.status().aside
        orders = len(bench.parts.journal.orders(100))
        await bench.close()
        name, aside = chosen(home)
        assert (name, "out of service: it fell" in aside) == ("bull", True)
        rising = path((RISE, 0.0005), (FALL, -0.004), (20, 0.004))
        again = WatchBench.build(home, rising, home.serving("bull", aside=aside))
        await again.begin()
        await again.play(rising, len(TURNED), len(rising))
        assert again.held == 0.0
        assert len(again.parts.journal.orders(100)) == orders
        assert again.parts.engine.view().state is EngineState.RUNNING
        await again.close()

    asyncio.run(story())


def test_earning_less_than_its_band_demotes_only_after_a_while(tmp_path: Path) -> None:
    slide = path((RISE, 0.0), (400, -0.0002))

    async def story() -> None:
        home = ServiceHome(tmp_path)
        home.seal("bull", 1.0, expectation=band(floor=-0.01))
        home.promote("bull")
        bench = WatchBench.build(home, slide, home.serving("bull"))
        await bench.begin()
        status = bench.parts.watch
        assert status is not None
        under = 0
        for place in range(len(slide)):
            await bench.play(slide, place, place + 1)
            figures = status.status()
            if bench.alarms:
                break
            champion = figures.champion
            assert champion is not None
            under += figures.floor is not None and champion.log_return < figures.floor
        assert under == CONFIRMING - 1
        assert "has been below the -0.0100 of its judgement" in bench.alarms[0][2]
        await bench.close()

    asyncio.run(story())


@pytest.mark.parametrize("spared", ["switched off", "no judgement", "within its band"])
def test_nothing_else_demotes(tmp_path: Path, spared: str) -> None:
    settings = SETTINGS + ("service: {demotion: false}\n" if spared == "switched off" else "")
    expectation = {
        "switched off": band(max_drawdown=0.03),
        "no judgement": None,
        "within its band": band(max_drawdown=0.5),
    }[spared]

    async def story() -> None:
        home = ServiceHome(tmp_path, settings)
        home.seal("bull", 1.0, expectation=expectation)
        home.promote("bull")
        bench = await played(home, TURNED, "bull")
        assert "demotion of bull" not in bench.codes()
        assert states(home) == {"bull": ModelState.PAPER}
        if spared == "no judgement":
            assert bench.parts.watch is not None
            assert "never demoted" in bench.parts.watch.status().band_note
        await bench.close()

    asyncio.run(story())


def test_a_roll_back_from_outside_is_noticed_at_the_next_candle(tmp_path: Path) -> None:
    async def story() -> None:
        home = bull_after_calm(tmp_path)
        bench = WatchBench.build(home, TURNED, home.serving("bull"))
        await bench.begin()
        await bench.play(TURNED, 0, RISE)
        assert bench.held > 0.0
        other = home.book()
        fall = other.step_down(other.registry.load("bull"), Cause.ROLLED_BACK, "taken back")
        assert fall.successor is not None
        assert fall.successor.model_id == "calm"
        await bench.play(TURNED, RISE, RISE + 4)
        assert bench.held == 0.0
        assert bench.codes() == ["demotion of bull"]
        assert bench.parts.engine.view().decisions[0].model_id == "calm"
        await bench.close()

    asyncio.run(story())


def test_one_that_another_succeeds_goes_on_until_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        home = bull_after_calm(tmp_path)
        bench = WatchBench.build(home, TURNED, home.serving("bull"))
        await bench.begin()
        await bench.play(TURNED, 0, RISE)
        home.seal("newer", 0.0, parent="bull")
        home.promote("newer")
        await bench.play(TURNED, RISE, RISE + 3)
        assert bench.codes() == []
        assert bench.held > 0.0
        await bench.close()
        assert chosen(home) == ("newer", "")

    asyncio.run(story())


def test_a_new_model_descends_from_the_one_in_service_on_its_market(tmp_path: Path) -> None:
    home = ServiceHome(tmp_path)
    made = RunRecord(
        schema_version=1,
        run_id="run",
        created_at=1,
        dataset=None,
        steps=1,
        seed=0,
        ladder=("5m", "1h", "4h"),
        features=FEATURES,
        feature_schema_hash=SCHEMA,
        settings={},
        data=(),
        library_versions={},
    )
    assert parent_of(home.locations, home.clock, made) is None
    home.seal("bull", 1.0)
    home.promote("bull")
    digest = home.book().registry.digest("bull")
    assert parent_of(home.locations, home.clock, made) is None  # no candle of it is synthetic
    span = Span(0, 1, 1)
    data = DataRecord(
        symbol="BTC/SIM",
        timeframe="5m",
        synthetic=True,
        series_hash="",
        training_hash="",
        training=span,
        validation=span,
        test=span,
    )
    assert parent_of(home.locations, home.clock, replace(made, data=(data,))) == "bull"
    assert home.book().registry.digest("bull") == digest


def test_the_challenger_s_shadow_is_the_backtest_s_account_and_sends_no_order(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        home = ServiceHome(tmp_path)
        home.seal("calm", 0.0)
        home.promote("calm")
        home.seal("bull", 1.0)
        bench = await played(home, TURNED, "calm", "bull")
        assert bench.parts.journal.orders(10) == ()
        assert bench.parts.watch is not None
        status = bench.parts.watch.status()
        assert status.champion is not None
        assert status.challenger is not None
        assert status.challenger.model_id == "bull"
        settings: Settings = home.settings
        first = len(TURNED) - len(bench.parts.journal.history.decisions(10_000))
        model = home.book().registry.load("bull")
        frame = build_frame(TURNED, model.card.timeframes, model.features)
        costs = economics(settings, "BTC/SIM")
        part = segment(TURNED, frame, model.normaliser, costs, frame.ready, len(TURNED))
        seen = TURNED.slice(frame.ready, len(TURNED))
        targets = np.where(np.arange(frame.ready, len(TURNED) - 1) >= first, 1.0, math.nan)
        run = run_targets(
            seen,
            targets,
            costs,
            settings.account.starting_capital,
            part,
            protection=(np.full(len(targets), 0.05), np.full(len(targets), 0.1)),
        )
        assert status.challenger.equity == pytest.approx(run.equity[-1], rel=1e-9)
        assert status.challenger.equity != settings.account.starting_capital
        assert status.difference == pytest.approx(math.log(run.equity[-1] / run.equity[0]))
        rows = bench.parts.journal.history.shadow_decisions(1000)
        assert len(rows) == len(TURNED) - first
        assert {(row.model_id, row.target) for row in rows} == {("bull", 1.0)}
        await bench.close()
        decided = (len(TURNED) - first) * TURNED.timeframe.duration
        registry = home.book().registry
        for model_id in ("calm", "bull"):
            assert market_time_decided(home.locations, registry.digest(model_id)) == decided

    asyncio.run(story())


def test_shadow_challenger_and_band_survive_restarts_to_the_same_figures(tmp_path: Path) -> None:
    async def figures(folder: Path, stretches: tuple[int, ...]) -> tuple[object, ...]:
        home = ServiceHome(folder)
        home.seal("calm", 0.0, expectation=band(floor=-0.01))
        home.promote("calm")
        home.seal("bull", 1.0)
        bench = await played(home, TURNED, "calm", "bull", stretches)
        assert bench.parts.watch is not None
        status = bench.parts.watch.status()
        rows = bench.parts.journal.history.shadow_decisions(1000)
        await bench.close()
        return status, rows

    through = asyncio.run(figures(tmp_path / "a", ()))
    stopped = asyncio.run(figures(tmp_path / "b", (300, 500, 521, 550)))
    assert through == stopped


def test_a_challenger_that_fails_is_switched_off_and_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def decisions(folder: Path, challenger: str | None) -> tuple[WatchBench, list[object]]:
        home = ServiceHome(folder)
        home.seal("bull", 1.0)
        home.promote("bull")
        home.seal("odd", 0.0)
        serving = home.serving("bull", challenger)
        bench = WatchBench.build(home, TURNED, serving)
        await bench.begin()
        await bench.play(TURNED, 0, len(TURNED))
        made = [
            (one.time, one.observation_hash, one.action.action_type)
            for one in bench.parts.journal.history.decisions(1000)
        ]
        return bench, [made, bench.parts.portfolio.equity]

    async def story() -> None:
        alone, undisturbed = await decisions(tmp_path / "a", None)
        await alone.close()

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a planted fault")

        with monkeypatch.context() as patch:
            patch.setattr("adan_core.learning.shadow.Shadow.decide", broken)
            beside, disturbed = await decisions(tmp_path / "b", "odd")
        assert disturbed == undisturbed
        assert beside.codes() == ["challenger"]
        assert beside.parts.watch is not None
        status = beside.parts.watch.status()
        assert status.challenger is None
        assert "odd is switched off: ZeroDivisionError: a planted fault" in status.challenger_note
        assert status.champion is not None
        await beside.close()

    asyncio.run(story())


def test_a_model_s_parent_is_what_a_roll_back_puts_back_unless_it_failed_itself(
    tmp_path: Path,
) -> None:
    home = ServiceHome(tmp_path)
    for name, parent in (("a", None), ("b", None), ("c", "a")):
        home.seal(name, 0.0, parent=parent)
        home.promote(name)
    book = home.book()
    assert states(home) == {"a": "retired", "b": "retired", "c": "paper"}
    first = book.step_down(book.registry.load("c"), Cause.DEMOTED, "fell")
    assert first.successor is not None
    assert first.successor.model_id == "a"
    second = book.step_down(book.registry.load("a"), Cause.ROLLED_BACK, "taken back")
    assert second.successor is not None
    assert second.successor.model_id == "b"
    third = book.step_down(book.registry.load("b"), Cause.DEMOTED, "fell, too")
    assert third.successor is None
    assert set(states(home).values()) == {ModelState.RETIRED}


def test_drift_of_the_market_and_of_the_actions_is_told_as_it_is_crossed(tmp_path: Path) -> None:
    calm, wild = 1600, 400
    rng = np.random.default_rng(2)
    quiet = path((calm + wild, 0.0))
    shocks = np.concatenate((np.zeros(calm), rng.normal(0.0, 0.02, wild)))
    close = quiet.close * np.exp(np.cumsum(shocks))
    opening = np.concatenate(([100.0], close[:-1]))
    market = replace(
        quiet,
        open=opening,
        high=np.maximum(opening, close),
        low=np.minimum(opening, close),
        close=close,
    )

    async def story() -> None:
        home = ServiceHome(tmp_path)
        # It learnt on returns of a tenth of a percent, and in its judgement it was never flat.
        fitted = replace(NORMALISER, mean=np.zeros(3), deviation=np.array([0.001, 0.5, 0.5]))
        always = replace(band(), mix=((1.0, 1.0),), entropy=0.0)
        home.seal("calm", 0.0, expectation=always, normaliser=fitted)
        home.promote("calm")
        bench = WatchBench.build(home, market, home.serving("calm"))
        await bench.begin()
        await bench.play(market, 0, calm)
        assert set(bench.codes()) == {"drift of the actions"}
        assert "differ from its judgement's by 1.00" in bench.alarms[0][2]
        assert bench.parts.watch is not None
        drift = bench.parts.watch.status().drift
        assert drift is not None
        assert drift.outside == 0.0
        assert drift.mix_distance == pytest.approx(1.0)
        await bench.play(market, calm, len(market))
        assert set(bench.codes()) == {"drift of the actions", "drift of the market"}
        drift = bench.parts.watch.status().drift
        assert drift is not None
        assert drift.outside is not None
        assert drift.outside > drift.outside_limit
        await bench.close()

    asyncio.run(story())
