"""The order protocol under bad wires: one order sent, nothing lost, whatever the answer was."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from adan_core.domain.alerts import Severity
from adan_core.domain.errors import SystemFailure, TradingError
from adan_core.domain.orders import Order, OrderStatus, Side
from adan_core.domain.time import SECOND, ManualClock
from adan_core.trading.database import Durability
from adan_core.trading.drafts import is_ours, new_client_id
from adan_core.trading.exchanges.paper import PaperExchange
from adan_core.trading.exchanges.protocol import Acknowledgement, Rejection
from adan_core.trading.journal import ABSENT, NOT_SENT
from tests.trading_market import (
    BTC,
    CAPITAL,
    COSTS,
    ETH,
    HOURLY,
    START,
    Desk,
    Drafts,
    FaultyExchange,
    candle,
    faulty,
    rules,
)


class Wire(Desk):
    """A desk whose exchange is behind a wire that can be cut."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.exchange: FaultyExchange = faulty(path)
        self.orders._exchange = self.exchange

    async def begin(self) -> None:
        await self.orders.reconcile()
        await self.step(candle(0, 100.0))


def status(desk: Desk, order: Order) -> tuple[OrderStatus, str]:
    found = desk.journal.order(order.client_id)
    assert found is not None
    return found.status, found.reason


def test_client_ids_fit_every_venue() -> None:
    for now in (0, START, 36**8 - 1):
        made = {new_client_id(now, below) for below in (lambda _: 0, lambda n: n - 1)}
        assert all(re.fullmatch(r"[a-z0-9]{18}", one) for one in made)
        assert all(is_ours(one) and is_ours(one + "s") and is_ours(one + "t") for one in made)
    assert not is_ours("x-customer-7")


def test_an_order_passes_through_the_journal_to_its_fill(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        assert (order.status, order.exchange_id) == (OrderStatus.OPEN, "P1")
        (fill,) = await desk.step(candle(1, 100.0))
        assert fill.client_id == order.client_id
        assert status(desk, order)[0] is OrderStatus.FILLED
        assert await desk.step(candle(1, 100.0)) == ()

    asyncio.run(trade())
    protection = [one.client_id[-1] for one in desk.journal.open_orders()]
    assert sorted(protection) == ["s", "t"]


def test_a_definite_rejection_is_the_end(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        return await desk.orders.submit(desk.drafts.sell(1.0))

    order = asyncio.run(trade())
    assert status(desk, order) == (OrderStatus.REJECTED, Rejection.INSUFFICIENT_BALANCE)


@pytest.mark.parametrize("fault", ["dropped after", "empty id"])
def test_control_13_accepted_with_the_answer_lost_is_found(tmp_path: Path, fault: str) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = fault
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        assert order.status is OrderStatus.UNKNOWN
        assert (await desk.orders.reconcile()).clean
        assert status(desk, order)[0] is OrderStatus.OPEN

    asyncio.run(trade())
    assert desk.exchange.sent == 1


def test_control_14_a_dropped_request_is_absent_after_several_looks_and_never_resent(
    tmp_path: Path,
) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        desk.exchange.fault = "dropped before"
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        assert order.status is OrderStatus.UNKNOWN
        assert (await desk.orders.reconcile()).clean
        return order

    order = asyncio.run(trade())
    assert status(desk, order) == (OrderStatus.REJECTED, ABSENT)
    assert len(desk.pauses) == 2
    assert desk.exchange.sent == 1


def test_control_19_a_cancelled_caller_does_not_cancel_the_sending(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        draft = desk.drafts.buy(10.0)
        landed = asyncio.Event()
        original = desk.exchange.submit

        async def slow(order: Order) -> Acknowledgement:
            await landed.wait()
            return await original(order)

        desk.exchange.submit = slow  # type: ignore[method-assign]
        task = asyncio.create_task(desk.orders.submit(draft))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert status(desk, draft)[0] is OrderStatus.SENDING
        landed.set()
        await desk.orders.drain()
        return draft

    order = asyncio.run(trade())
    assert status(desk, order)[0] is OrderStatus.OPEN


def test_control_20_a_market_order_that_timed_out_and_filled_is_found_by_its_trades(
    tmp_path: Path,
) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = "dropped after"
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        (fill,) = await desk.step(candle(1, 100.0))
        assert fill.client_id == order.client_id
        assert status(desk, order)[0] is OrderStatus.FILLED

    asyncio.run(trade())
    assert desk.portfolio.quantity(BTC) == 10.0


def test_control_21_a_cancel_of_a_filled_order_books_its_fills(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        desk.exchange.on_candle(BTC, candle(1, 100.0))
        assert (await desk.orders.cancel(order.client_id)).status is OrderStatus.FILLED

    asyncio.run(trade())
    assert desk.portfolio.quantity(BTC) == 10.0


def test_control_22_a_partly_filled_then_canceled_order_leaves_what_it_filled(
    tmp_path: Path,
) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        order = await desk.orders.submit(desk.drafts.buy(500.0))
        await desk.step(candle(1, 100.0))
        return order

    order = asyncio.run(trade())
    assert status(desk, order)[0] is OrderStatus.CANCELED
    assert 0.0 < desk.portfolio.quantity(BTC) < 500.0


def test_control_25_a_fill_for_an_order_given_up_is_adopted(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = "dropped after"
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        desk.journal.reject(order.client_id, ABSENT)
        await desk.step(candle(1, 100.0))
        assert status(desk, order)[0] is OrderStatus.FILLED

    asyncio.run(trade())
    assert desk.portfolio.quantity(BTC) == 10.0


def test_an_order_given_up_that_stands_after_all_is_followed_again(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = "dropped after"
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        desk.journal.reject(order.client_id, ABSENT)
        assert (await desk.orders.reconcile()).clean
        assert status(desk, order)[0] is OrderStatus.OPEN

    asyncio.run(trade())


def test_control_11_nothing_leaves_while_the_kill_latch_is_set(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        desk.latched = True
        draft = desk.drafts.buy(10.0)
        with pytest.raises(TradingError):
            await desk.orders.submit(draft)
        return draft

    order = asyncio.run(trade())
    assert status(desk, order) == (OrderStatus.REJECTED, NOT_SENT)
    assert desk.exchange.sent == 0


def test_an_entry_that_lands_while_the_latch_falls_is_canceled_at_once(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        original = desk.exchange.submit

        async def latching(order: Order) -> Acknowledgement:
            desk.latched = True
            return await original(order)

        desk.exchange.submit = latching  # type: ignore[method-assign]
        return await desk.orders.submit(desk.drafts.buy(10.0))

    assert asyncio.run(trade()).status is OrderStatus.CANCELED
    assert asyncio.run(desk.exchange.open_orders()) == ()


def test_a_fault_nobody_foresaw_still_leaves_the_order_unknown(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> Order:
        await desk.begin()
        desk.exchange.fault = "bug"
        draft = desk.drafts.buy(10.0)
        with pytest.raises(ZeroDivisionError):
            await desk.orders.submit(draft)
        return draft

    order = asyncio.run(trade())
    assert status(desk, order)[0] is OrderStatus.UNKNOWN


def test_control_33_no_order_leaves_when_the_journal_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        file = desk.journal._file
        monkeypatch.setattr(file, "_poison", "disk I/O error")
        with pytest.raises(SystemFailure):
            await desk.orders.submit(desk.drafts.buy(10.0))

    asyncio.run(trade())
    assert desk.exchange.sent == 0
    assert asyncio.run(desk.exchange.open_orders()) == ()


def test_control_37_foreign_orders_and_drift_are_told_and_left_alone(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        stranger = replace(Drafts().order(Side.BUY, 5.0), client_id="somebody-else")
        await desk.exchange.submit(stranger)
        report = await desk.orders.reconcile()
        assert report.foreign == ("somebody-else",)
        desk.exchange.on_candle(BTC, candle(1, 100.0))
        report = await desk.orders.reconcile()
        assert not report.clean
        assert report.foreign == ("somebody-else",)
        assert any("SIM: the journal holds" in one for one in report.details)
        assert any("BTC: the journal holds" in one for one in report.details)

    asyncio.run(trade())
    assert desk.portfolio.cash == CAPITAL
    assert desk.journal.fills(5) == ()


def test_a_journal_that_lost_its_orders_is_not_clean(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        order = desk.drafts.buy(10.0)
        desk.journal.record_intent(order)
        desk.journal.mark_sending(order.client_id)
        desk.journal.acknowledge(order.client_id, "P99")
        report = await desk.orders.reconcile()
        assert not report.clean
        assert "unknown to the exchange" in report.details[0]

    asyncio.run(trade())


def test_messages_are_counted(tmp_path: Path) -> None:
    desk = Wire(tmp_path)
    counted: list[int] = []
    desk.orders._count_message = lambda: counted.append(1)

    async def trade() -> None:
        await desk.begin()
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.orders.cancel(order.client_id)

    asyncio.run(trade())
    assert len(counted) == 2
    assert isinstance(desk.clock, ManualClock)


def test_what_the_books_hold_and_the_settings_do_not_trade_is_refused(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.step(candle(1, 100.0))
        desk.orders._exchange = PaperExchange(
            tmp_path / "paper.sqlite", (rules(ETH),), COSTS, HOURLY, 1.0, desk.clock, Durability.OFF
        )
        report = await desk.orders.reconcile()
        assert not report.clean
        (why,) = report.details  # the books agree: nothing else is wrong
        assert "BTC/SIM is held (10) but not among market.symbols: add it back" in why

    asyncio.run(trade())


def test_an_order_of_unknown_outcome_is_told_and_looked_up_while_running(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = "dropped before"
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        assert desk.alarms == [("order unknown", Severity.CRITICAL)]
        for looks in (1, 2, 3):
            assert status(desk, order)[0] is OrderStatus.UNKNOWN
            await desk.orders.collect()
            if looks < 3:  # looks that follow each other at once count as one
                await desk.orders.collect()
                assert status(desk, order)[0] is OrderStatus.UNKNOWN
            desk.clock.advance(SECOND)
        assert status(desk, order) == (OrderStatus.REJECTED, ABSENT)
        assert desk.alarms[1:] == [("order absent", Severity.WARNING)]
        assert desk.pauses == []  # nobody was kept waiting
        assert desk.exchange.sent == 1

    asyncio.run(trade())


@pytest.mark.parametrize("fault", ["dropped after", "empty id"])
def test_an_order_of_unknown_outcome_that_arrived_is_found_while_running(
    tmp_path: Path, fault: str
) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        desk.exchange.fault = fault
        order = await desk.orders.submit(desk.drafts.buy(10.0))
        assert desk.alarms == [("order unknown", Severity.CRITICAL)]
        await desk.exchange.cancel(order.client_id)  # it stands no more, and there is no trade
        await desk.orders.collect()
        assert status(desk, order)[0] is OrderStatus.CANCELED

    asyncio.run(trade())


def test_a_rejection_is_told(tmp_path: Path) -> None:
    desk = Wire(tmp_path)

    async def trade() -> None:
        await desk.begin()
        await desk.orders.submit(desk.drafts.sell(1.0))

    asyncio.run(trade())
    assert desk.alarms == [("order rejected", Severity.WARNING)]


def test_a_venue_whose_disk_fails_leaves_the_order_unknown_and_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Wire(tmp_path)

    async def broken(order: Order) -> Acknowledgement:
        raise SystemFailure("disk I/O error")

    async def trade() -> Order:
        await desk.begin()
        monkeypatch.setattr(desk.exchange, "submit", broken)
        draft = desk.drafts.buy(10.0)
        with pytest.raises(SystemFailure):
            await desk.orders.submit(draft)
        return draft

    order = asyncio.run(trade())
    assert status(desk, order)[0] is OrderStatus.UNKNOWN
    assert desk.alarms == [("order unknown", Severity.CRITICAL)]
