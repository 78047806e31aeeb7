"""The portfolio: bit for bit the account kernel's money, over restarts too."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting import account
from adan_core.accounting.sizing import sized_order
from adan_core.domain.candles import Candle
from adan_core.domain.errors import TradingError
from adan_core.domain.time import HOUR
from tests.accounts import step_account
from tests.trading_market import BTC, CAPITAL, COSTS, ETH, START, Desk, candle, rules


def checked(desk: Desk) -> None:
    """Assert both identities as the snapshot states them."""
    shot = desk.portfolio.snapshot()
    worth = sum(one.quantity * one.mark for one in shot.positions)
    assert shot.cash + worth == pytest.approx(shot.equity, rel=1e-12)
    explained = shot.deposits + shot.realised + shot.unrealised - shot.fees
    assert shot.equity == pytest.approx(explained, rel=1e-9)


def test_a_position_shows_its_protection_and_its_profit(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    async def trade() -> None:
        await desk.orders.reconcile()
        await desk.step(candle(0, 100.0))
        await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.step(candle(1, 100.0, close=104.0))

    asyncio.run(trade())
    position = desk.portfolio.position(BTC)
    assert position is not None
    assert (position.quantity, position.average_price, position.mark) == (10.0, 100.05, 104.0)
    assert position.stop_price == pytest.approx(95.04, abs=0.011)
    assert position.take_profit_price == pytest.approx(110.06, abs=0.011)
    assert position.unrealised == pytest.approx(39.5)
    checked(desk)


def test_two_symbols_share_one_purse_and_deposits_are_no_profit(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    async def trade() -> None:
        await desk.orders.reconcile()
        for symbol in (BTC, ETH):
            await desk.step(candle(0, 100.0), symbol)
            await desk.orders.submit(desk.drafts.buy(20.0, symbol))
        for symbol in (BTC, ETH):
            await desk.step(candle(1, 100.0, close=103.0), symbol)

    asyncio.run(trade())
    checked(desk)
    before = desk.portfolio.snapshot()
    assert before.cash == pytest.approx(CAPITAL - 2 * 20.0 * 100.05 * 1.001)
    desk.portfolio.deposit(500.0, START, "more")
    after = desk.portfolio.snapshot()
    assert after.equity == pytest.approx(before.equity + 500.0)
    assert after.peak == pytest.approx(before.peak + 500.0)
    assert (after.realised, after.unrealised, after.fees) == (
        before.realised,
        before.unrealised,
        before.fees,
    )


def test_money_that_does_not_add_up_is_an_error(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    asyncio.run(desk.orders.reconcile())
    file = desk.journal._file
    file.write("UPDATE account SET cash = cash + 1")
    with pytest.raises(TradingError, match="equity"):
        desk.portfolio.reload()
    with pytest.raises(TradingError, match="mark"):
        desk.portfolio.mark({BTC: float("nan")}, START)


def test_a_restart_finds_the_same_account(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    async def trade() -> None:
        await desk.orders.reconcile()
        await desk.step(candle(0, 100.0))
        await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.step(candle(1, 100.0, close=109.0))
        await desk.step(candle(2, 109.0, close=105.0))

    asyncio.run(trade())
    before = desk.portfolio.snapshot()
    assert before.drawdown > 0.0
    asyncio.run(desk.close())
    again = Desk(tmp_path)
    assert again.portfolio.snapshot() == before
    report = asyncio.run(again.orders.reconcile())
    assert report.clean, report.details
    assert again.portfolio.snapshot() == before


walk = st.lists(
    st.tuples(st.floats(-0.05, 0.05), st.floats(0.0, 0.07), st.sampled_from([0.0, 0.4, 1.0])),
    min_size=1,
    max_size=20,
)


@given(steps=walk)
def test_the_books_equal_the_account_kernel(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float, float]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    rule, row = rules(), np.zeros(account.ACCOUNT_COLUMNS)
    account.open_account(row, CAPITAL)

    async def follow() -> None:
        await desk.orders.reconcile()
        previous = candle(0, 100.0)
        await desk.step(previous)
        for index, (change, reach, target) in enumerate(steps, start=1):
            quantity, _ = sized_order(
                desk.portfolio.equity,
                desk.portfolio.quantity(BTC),
                previous.close,
                target,
                1.0,
                0.1,
                COSTS.fee_rate,
                COSTS.slippage_rate,
                rule.lot_step,
                rule.minimum_quantity,
                rule.minimum_notional,
            )
            if quantity:
                draft = desk.drafts.buy(quantity) if quantity > 0.0 else desk.drafts.sell(-quantity)
                await desk.orders.submit(draft)
            opening = previous.close
            close = round(opening * (1.0 + change), 2)
            high, low = max(opening, close) * (1.0 + reach), min(opening, close) * (1.0 - reach)
            now = Candle(START + index * HOUR, opening, high, low, close, 1.0)
            await desk.step(now)
            equity = step_account(
                row,
                previous.close,
                now.open,
                now.high,
                now.low,
                now.close,
                index,
                target,
                1.0,
                0.1,
                COSTS.fee_rate,
                COSTS.slippage_rate,
                rule.lot_step,
                rule.tick_size,
                rule.minimum_quantity,
                rule.minimum_notional,
                0.05,
                0.10,
            )
            assert desk.portfolio.equity == pytest.approx(equity, rel=1e-9)
            assert desk.portfolio.peak == pytest.approx(row[account.PEAK], rel=1e-9)
            checked(desk)
            previous = now

    asyncio.run(follow())
    assert desk.portfolio.cash == pytest.approx(row[account.CASH], rel=1e-9, abs=1e-9)
    assert len(desk.portfolio.closed_trades(1000)) == row[account.TRADES]
