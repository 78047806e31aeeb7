"""The behaviour engine at work between a policy and the books, as the composition root builds it."""

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest

from adan_core.accounting.account import record_trade
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import ActionType, Decision
from adan_core.domain.orders import OrderPurpose
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.state import Mode
from tests.engine_bench import EngineBench

pytestmark = pytest.mark.slow

# A path whose regimes all come up within the candles that are played.
MARKET = "market:\n  symbols: [BTC/SIM]\n  seed: 9\n"
OFF = MARKET + "behaviour: {enabled: false}\n"
COUNT = 260


@pytest.fixture(scope="module")
def series() -> CandleSeries:
    """Return what the normaliser is fitted on; the engine trades the built-in market."""
    return SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 5).candles(0, 1400)


def in_and_out(number: int) -> float:
    """Hold ten candles, stay out for ten."""
    return float(number // 10 % 2)


class Played:
    """What a run left: its decisions and trades oldest first, and the equity at each close."""

    def __init__(self, bench: EngineBench) -> None:
        history = bench.parts.journal.history
        self.decisions: list[Decision] = list(history.decisions(10_000))[::-1]
        self.trades: list[ClosedTrade] = list(history.trades(10_000))[::-1]
        self.orders = bench.parts.journal.orders(10_000)
        self.equity = list(bench.equity)


def play(
    home: Path, series: CandleSeries, settings: str, stretches: tuple[int, ...] = (COUNT,)
) -> Played:
    async def story() -> Played:
        asked, equity = 0, []
        for count in stretches:
            before = asked
            bench = EngineBench.build(
                home,
                series,
                lambda number, before=before: in_and_out(before + number),  # type: ignore[misc]
                settings,
                mode=Mode.PAPER,
            )
            await bench.begin()
            await bench.play(count)
            asked += bench.script.asked
            equity += bench.equity
            played = Played(bench)
            await bench.close()
        played.equity = equity
        return played

    return asyncio.run(story())


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, series: CandleSeries) -> Played:
    """Play with the behaviour engine as shipped."""
    return play(tmp_path_factory.mktemp("on"), series, MARKET)


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory: pytest.TempPathFactory, series: CandleSeries) -> Played:
    """Play the same wishes with the behaviour engine switched off."""
    return play(tmp_path_factory.mktemp("off"), series, OFF)


def entries(played: Played) -> list[tuple[float, float, float]]:
    """Return quantity, stop-loss and take-profit of each entry, oldest first."""
    return [
        (order.quantity, order.stop_loss, order.take_profit)
        for order in sorted(played.orders, key=lambda order: order.client_id)
        if order.purpose is OrderPurpose.ENTRY
    ]


def test_removed_from_the_engine_the_same_wishes_trade_other_sizes_and_protection(
    moved: Played, unmoved: Played
) -> None:
    on, off = entries(moved), entries(unmoved)
    assert len(on) == len(off) > 8
    ratios = [a[0] / b[0] for a, b in zip(on, off, strict=True)]
    assert all(0.84 < ratio <= 1.01 for ratio in ratios)
    assert max(ratios) - min(ratios) > 0.01  # they follow circumstances
    assert all(stop == 0.05 and profit == 0.10 for _, stop, profit in off)
    assert all(0.0425 <= stop <= 0.0575 for _, stop, _ in on)
    assert len({round(stop, 6) for _, stop, _ in on}) > 3
    assert moved.equity != unmoved.equity


def test_each_decision_keeps_its_factors_and_says_them(moved: Played, unmoved: Played) -> None:
    assert all(decision.behaviour is None for decision in unmoved.decisions)
    entered = [
        one for one in moved.decisions if one.order_ids and one.action.action_type is ActionType.BUY
    ]
    for decision in entered:
        reading = decision.behaviour
        assert reading is not None
        assert reading.asked == decision.action.target_exposure == 1.0
        assert reading.since == decision.time
        product = math.prod(factor.value for factor in reading.factors)
        assert reading.given <= min(1.0, max(product, 0.85)) + 1e-12
        said = "; ".join(decision.action.reasoning)
        assert f"risk mode {reading.mode}: {reading.given:.0%} given for 100%" in said
        for factor in reading.factors:
            sentence = f"{factor.name} {factor.found}: size x {factor.value:.2f}"
            assert (sentence in said) == (abs(factor.value - 1.0) >= 0.005)
    figures = {factor.name for factor in entered[-1].behaviour.factors}  # type: ignore[union-attr]
    assert len(figures) == 6
    found = [{f.name: f.found for f in d.behaviour.factors} for d in entered if d.behaviour]
    # Real figures, not constants: each of these was seen to change in the course of the run.
    for name in ("regime", "volatility", "win rate", "drawdown"):
        assert len({one[name] for one in found}) > 1, name
    assert found[0]["win rate"] == "N/A"


def test_what_was_given_holds_while_the_wish_is_unchanged(moved: Played) -> None:
    # In for ten candles: one order in, one out; no factor that moves trades by itself.
    signals = [decision for decision in moved.decisions if decision.order_ids]
    assert len(signals) <= 2 * (COUNT // 20 + 1)
    for before, after in zip(moved.decisions, moved.decisions[1:], strict=False):
        held = before.behaviour is not None and before.action.target_exposure == 1.0
        if held and after.action.target_exposure == 1.0 and not after.order_ids:
            assert after.behaviour == before.behaviour


def known(trade: ClosedTrade, time: int) -> bool:
    """Whether a trade was in the books at the close ``time``; a signal's is filled at the next open."""
    if trade.reason == OrderPurpose.EXIT.value:
        return trade.closed_at < time
    return trade.closed_at <= time


def test_win_rate_and_loss_streak_are_those_of_the_closed_trades(moved: Played) -> None:
    record, seen = np.array([math.nan, 0.0]), 0
    compared = 0
    for decision in moved.decisions:
        while seen < len(moved.trades) and known(moved.trades[seen], decision.time):
            record_trade(record, moved.trades[seen].pnl)
            seen += 1
        reading = decision.behaviour
        if reading is None or reading.since != decision.time or math.isnan(record[0]):
            continue
        told = {factor.name: factor.found for factor in reading.factors}
        assert told["win rate"] == f"{record[0]:.1%}"
        assert told["loss streak"] == f"{record[1]:.2g} not made good"
        compared += 1
    assert compared > 20


def test_a_restart_in_a_position_goes_on_with_what_was_given(
    tmp_path: Path, series: CandleSeries, moved: Played
) -> None:
    # The second and third start fall into the middle of a position.
    stopped = play(tmp_path, series, MARKET, (35, 60, COUNT - 95))
    assert stopped.equity == moved.equity
    assert [one.behaviour for one in stopped.decisions] == [
        one.behaviour for one in moved.decisions
    ]


def test_a_size_that_the_circumstances_move_below_the_venue_s_minimum_is_denied_in_words(
    tmp_path: Path, series: CandleSeries
) -> None:
    # The smallest tier: three quarters of 15.2 are 11.4, which meet the minimum; 3 % less do not.
    small = MARKET + "account: {starting_capital: 15.2}\nrules: {minimum_notional: 11.25}\n"
    denied = play(tmp_path / "on", series, small, (12,))
    assert not denied.orders
    wished = [one.action for one in denied.decisions if one.action.target_exposure == 1.0]
    assert wished
    for action in wished:
        assert action.action_type is ActionType.HOLD
        assert "nothing is ordered: below the venue's minimum" in action.reasoning
        assert "the position is where it should be: nothing to trade" not in action.reasoning
    plain = play(tmp_path / "off", series, small + "behaviour: {enabled: false}\n", (12,))
    assert plain.orders
    assert not any(
        "nothing is ordered" in " ".join(one.action.reasoning) for one in plain.decisions
    )
