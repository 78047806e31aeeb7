"""The kill switch: latched first, confirmed only by what is read back, trying for as long as it must."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adan_core.domain.commands import REARM_WORD
from adan_core.domain.errors import RetryableError, SystemFailure, TradingError, UsageError
from adan_core.domain.orders import Order, OrderPurpose, OrderStatus
from adan_core.domain.state import KillKind, KillPhase, KillReport
from adan_core.domain.time import SystemClock
from adan_core.trading.database import Durability
from adan_core.trading.exchanges.paper import PAPER, PaperExchange
from adan_core.trading.exchanges.protocol import CancelOutcome, Exchange
from adan_core.trading.journal import Journal
from adan_core.trading.kill import KillSwitch, _Rearming
from adan_core.trading.latch import KillLatch
from tests.trading_market import BTC, COSTS, ETH, HOURLY, Desk, candle, faulty, rules, venue


@dataclass(slots=True)
class Watch:
    """What the audit was told, and a way to wait for it without sleeping."""

    told: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, action: str, detail: str) -> None:
        with self.news:
            self.told.append(action)
            self.details.append(detail)
            self.news.notify_all()

    def wait_for(self, action: str, times: int = 1) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.told.count(action) >= times, timeout=20), (
                self.told
            )


Connect = Callable[[], Exchange]


@contextmanager
def switched_on(
    desk: Desk, watch: Watch, connect: Connect | None = None, retry: float = 0.005
) -> Iterator[KillSwitch]:
    switch = KillSwitch(
        KillLatch(desk.path / "kill.json"),
        connect or (lambda: venue(desk.path)),
        lambda: Journal(desk.path / "journal.sqlite", PAPER, SystemClock(), Durability.OFF),
        SystemClock(),
        desk.drafts.chance.randrange,
        watch,
        retry_seconds=retry,
        attempt_seconds=5.0,
    )
    switch.start()
    try:
        yield switch
    finally:
        switch.stop()


def until(check: Callable[[], bool], switch: KillSwitch) -> KillReport:
    """Wait for the switch to say something else; the event is never set, it only paces the looks."""
    pace = threading.Event()
    for _ in range(4000):
        if check():
            return switch.report
        pace.wait(0.005)
    raise AssertionError(switch.report)


def positioned(tmp_path: Path) -> tuple[Desk, Order]:
    """Return a desk that holds protected BTC and has one entry order for ETH pending."""
    desk = Desk(tmp_path)

    async def trade() -> Order:
        await desk.orders.reconcile()
        await desk.step(candle(0, 100.0))
        await desk.step(candle(0, 100.0), ETH)
        await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.step(candle(1, 100.0))
        return await desk.orders.submit(desk.drafts.buy(5.0, ETH))

    return desk, asyncio.run(trade())


def book(desk: Desk) -> list[OrderPurpose]:
    return sorted(order.purpose for order in asyncio.run(desk.exchange.open_orders()))


def test_control_38_halt_cancels_entries_and_leaves_protection_standing(tmp_path: Path) -> None:
    desk, entry = positioned(tmp_path)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        assert switch.report.phase is KillPhase.ARMED
        switch.request(KillKind.HALT, "too fast", "key")
        assert switch.engaged
        assert switch.report.phase is not KillPhase.ARMED
        watch.wait_for("HALT confirmed")
        report = switch.report
    assert (report.phase, report.entries_left, report.protection_standing) == (
        KillPhase.CONFIRMED,
        0,
        2,
    )
    assert report.requested_at is not None
    assert report.latched_at is not None
    assert report.confirmed_at is not None
    assert report.requested_at <= report.latched_at <= report.confirmed_at
    assert book(desk) == [OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT]
    asyncio.run(desk.orders.collect())
    found = desk.journal.order(entry.client_id)
    assert found is not None
    assert found.status is OrderStatus.CANCELED
    assert asyncio.run(desk.orders.reconcile()).clean


def test_the_latch_is_on_disk_before_the_first_cancel(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    seen: list[bool] = []

    class Looking(PaperExchange):
        async def cancel(self, client_id: str) -> CancelOutcome:
            seen.append((desk.path / "kill.json").exists())
            return await super().cancel(client_id)

    watch = Watch()
    with switched_on(desk, watch, lambda: _venue(desk.path, Looking)) as switch:
        switch.request(KillKind.HALT, "", "key")
        watch.wait_for("HALT confirmed")
    assert seen == [True]


def _venue(
    path: Path, kind: type[PaperExchange], symbols: tuple[str, ...] = (BTC, ETH)
) -> PaperExchange:
    return kind(
        path / "paper.sqlite",
        tuple(rules(symbol) for symbol in symbols),
        COSTS,
        HOURLY,
        1.0,
        SystemClock(),
        Durability.OFF,
    )


def test_the_latch_survives_a_restart_which_reads_the_exchange_back(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.HALT, "why", "key")
        watch.wait_for("HALT confirmed")
    with switched_on(desk, watch) as again:
        assert again.engaged
        watch.wait_for("HALT confirmed", times=2)
        assert again.report.reason == "why"
        with pytest.raises(UsageError):
            again.rearm("rearm", "operator")
        assert again.engaged
        again.rearm(REARM_WORD, "operator")
        assert not again.engaged
        assert again.report == KillReport(KillPhase.ARMED)
        watch.wait_for("re-armed")
    with switched_on(desk, watch) as third:
        assert not third.engaged


def test_an_unreadable_latch_is_carried_out(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    (desk.path / "kill.json").write_bytes(b"torn")
    watch = Watch()
    with switched_on(desk, watch) as switch:
        assert switch.engaged
        watch.wait_for("HALT confirmed")
    assert OrderPurpose.ENTRY not in book(desk)


def test_twice_in_a_row_is_confirmed_twice(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        for times in (1, 2):
            switch.request(KillKind.HALT, "", "key")
            watch.wait_for("HALT confirmed", times)
        assert switch.report.phase is KillPhase.CONFIRMED


class Flaky(PaperExchange):
    """A venue that does not answer until it is told to."""

    silent = threading.Event()
    asked = threading.Event()

    async def open_orders(self) -> tuple[Order, ...]:
        if self.silent.is_set():
            self.asked.set()
            raise RetryableError("no answer")
        return await super().open_orders()


def test_it_keeps_trying_and_keeps_saying_so_until_the_exchange_answers(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    Flaky.silent.set()
    with switched_on(desk, watch, lambda: _venue(desk.path, Flaky)) as switch:
        switch.request(KillKind.HALT, "", "key")
        report = until(
            lambda: switch.report.phase is KillPhase.RETRYING and switch.report.attempts >= 3,
            switch,
        )
        assert "no answer" in report.detail
        assert report.confirmed_at is None
        with pytest.raises(TradingError):
            switch.rearm(REARM_WORD, "operator")
        assert switch.engaged
        Flaky.silent.clear()
        watch.wait_for("HALT confirmed")
        assert switch.report.attempts >= 4


def test_a_lost_stop_is_never_reported_as_standing(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)

    class Greedy(PaperExchange):
        """A venue whose cancel takes the stops along."""

        async def cancel(self, client_id: str) -> CancelOutcome:
            standing = await self.open_orders()
            assert client_id in [order.client_id for order in standing]
            for order in standing:
                await super().cancel(order.client_id)
            return CancelOutcome.CANCELED

    watch = Watch()
    with switched_on(desk, watch, lambda: _venue(desk.path, Greedy)) as switch:
        switch.request(KillKind.HALT, "", "key")
        report = until(lambda: switch.report.phase is KillPhase.RETRYING, switch)
        assert "has lost its stop loss" in report.detail
        assert report.protection_standing == 0
        switch.request(KillKind.HALT, "again", "key")
        report = until(
            lambda: switch.report.phase is KillPhase.RETRYING and switch.report.reason == "again",
            switch,
        )
        assert "has lost its stop loss" in report.detail
    assert "HALT confirmed" not in watch.told


def test_a_latch_that_cannot_be_written_does_not_stop_the_cancels_nor_count_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, _ = positioned(tmp_path)
    broken = threading.Event()
    broken.set()
    real = KillLatch.latch

    def latch(self: KillLatch, *arguments: object) -> object:
        if broken.is_set():
            raise SystemFailure("the disk is full")
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(KillLatch, "latch", latch)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.HALT, "", "key")
        report = until(lambda: switch.report.phase is KillPhase.RETRYING, switch)
        assert report.entries_left == 0
        assert "the disk is full" in report.detail
        assert OrderPurpose.ENTRY not in book(desk)
        broken.clear()
        watch.wait_for("HALT confirmed")
    assert KillLatch(desk.path / "kill.json").read() is not None


def test_flatten_sells_everything_and_is_confirmed_only_when_read_back_flat(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.FLATTEN, "", "key")
        report = until(
            lambda: switch.report.phase is KillPhase.RETRYING and switch.report.attempts >= 3,
            switch,
        )
        assert report.positions_left == 1
        assert "next candle" in report.detail
        assert book(desk) == [
            OrderPurpose.FLATTEN,
            OrderPurpose.STOP_LOSS,
            OrderPurpose.TAKE_PROFIT,
        ]
        asyncio.run(desk.step(candle(2, 101.0)))
        watch.wait_for("FLATTEN confirmed")
        assert switch.report.positions_left == 0
    assert book(desk) == []
    assert desk.portfolio.quantity(BTC) == 0.0
    assert desk.portfolio.closed_trades(1)[0].reason == "flatten"
    assert asyncio.run(desk.orders.reconcile()).clean


def test_flatten_after_halt_strengthens_the_latch(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.HALT, "first", "key")
        watch.wait_for("HALT confirmed")
        switch.request(KillKind.FLATTEN, "second", "key")
        watch.wait_for("FLATTEN latched")
        until(lambda: OrderPurpose.FLATTEN in book(desk), switch)
        asyncio.run(desk.step(candle(2, 101.0)))
        watch.wait_for("FLATTEN confirmed")
        switch.request(KillKind.HALT, "third", "key")
        watch.wait_for("FLATTEN confirmed", times=2)
    found = KillLatch(desk.path / "kill.json").read()
    assert found is not None
    assert found.kind is KillKind.FLATTEN


def test_a_foreign_order_is_left_alone(tmp_path: Path) -> None:
    desk, entry = positioned(tmp_path)
    stranger = Order(
        **{
            **{name: getattr(entry, name) for name in entry.__slots__},
            "client_id": "somebody-else",
        }
    )
    asyncio.run(desk.exchange.submit(stranger))
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.HALT, "", "key")
        watch.wait_for("HALT confirmed")
    assert [one.client_id for one in asyncio.run(desk.exchange.open_orders())][
        -1
    ] == "somebody-else"


def test_rearming_needs_a_running_switch(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    with switched_on(desk, Watch()) as switch:
        pass
    with pytest.raises(TradingError):
        switch.rearm(REARM_WORD, "operator")


def test_a_failing_audit_or_a_bug_in_it_does_not_undo_a_kill(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    failures: list[BaseException] = [TradingError("audit is full"), ZeroDivisionError("a bug")]

    def audit(action: str, detail: str) -> None:
        if failures:
            raise failures.pop(0)

    with switched_on(desk, audit) as switch:  # type: ignore[arg-type]
        switch.request(KillKind.HALT, "", "key")
        until(lambda: not failures and switch.report.phase is KillPhase.CONFIRMED, switch)
    assert OrderPurpose.ENTRY not in book(desk)


def test_a_position_without_a_stop_is_said(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    for order in asyncio.run(desk.exchange.open_orders()):
        if order.purpose is OrderPurpose.STOP_LOSS:
            asyncio.run(desk.exchange.cancel(order.client_id))
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.HALT, "", "key")
        watch.wait_for("HALT confirmed")
    assert "held without a stop-loss" in switch.report.detail


def test_what_is_too_small_to_sell_is_said_and_does_not_hold_up_the_confirmation(
    tmp_path: Path,
) -> None:
    desk, _ = positioned(tmp_path)
    for order in asyncio.run(desk.exchange.open_orders()):
        asyncio.run(desk.exchange.cancel(order.client_id))
    asyncio.run(desk.step(candle(2, 0.5)))  # 10 BTC are worth 5; the venue takes orders from 10
    watch = Watch()
    with switched_on(desk, watch) as switch:
        switch.request(KillKind.FLATTEN, "", "key")
        watch.wait_for("FLATTEN confirmed")
    assert "10 BTC/SIM is too small to sell" in switch.report.detail


def test_a_sale_with_an_uncertain_outcome_is_looked_up_before_another_is_sent(
    tmp_path: Path,
) -> None:
    desk, _ = positioned(tmp_path)
    wire = faulty(desk.path)
    wire.fault = "dropped before"
    watch = Watch()
    with switched_on(desk, watch, lambda: wire) as switch:
        switch.request(KillKind.FLATTEN, "", "key")
        until(lambda: "looking again before another" in switch.report.detail, switch)
        wire.fault = "dropped after"
        until(lambda: OrderPurpose.FLATTEN in book(desk), switch)
        asyncio.run(desk.step(candle(2, 101.0)))
        watch.wait_for("FLATTEN confirmed")
    sales = [one for one in desk.journal.orders(100) if one.purpose is OrderPurpose.FLATTEN]
    assert len(sales) == wire.sent
    assert sales[0].status is OrderStatus.FILLED
    assert (
        len([fill for fill in desk.journal.fills(9) if fill.purpose is OrderPurpose.FLATTEN]) == 1
    )
    assert asyncio.run(desk.orders.reconcile()).clean
    statuses = {one.status for one in desk.journal.orders(100)}
    assert OrderStatus.UNKNOWN not in statuses


def test_a_position_in_a_symbol_not_traded_any_more_is_held_and_keeps_its_protection(
    tmp_path: Path,
) -> None:
    desk, _ = positioned(tmp_path)  # holds protected BTC, has an entry for ETH pending
    watch = Watch()
    with switched_on(desk, watch, lambda: _venue(desk.path, PaperExchange, (ETH,))) as switch:
        switch.request(KillKind.FLATTEN, "", "key")
        report = until(lambda: switch.report.attempts >= 3, switch)
        report = until(lambda: switch.report.phase is KillPhase.RETRYING, switch)
    assert "FLATTEN confirmed" not in watch.told
    assert report.positions_left == 1
    assert "BTC/SIM: 10 is held and cannot be sold" in report.detail
    assert "market.symbols" in report.detail
    assert book(desk) == [OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT]


def test_protection_of_what_is_too_small_to_sell_stands(tmp_path: Path) -> None:
    desk, entry = positioned(tmp_path)
    asyncio.run(desk.exchange.cancel(entry.client_id))
    narrow = replace(rules(BTC), minimum_notional=1e9)
    watch = Watch()

    def connect() -> PaperExchange:
        return PaperExchange(
            desk.path / "paper.sqlite",
            (narrow, rules(ETH)),
            COSTS,
            HOURLY,
            1.0,
            SystemClock(),
            Durability.OFF,
        )

    with switched_on(desk, watch, connect) as switch:
        switch.request(KillKind.FLATTEN, "", "key")
        watch.wait_for("FLATTEN confirmed")
    assert "too small to sell" in switch.report.detail
    assert book(desk) == [OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT]


class Gate(PaperExchange):
    """A venue that takes its time: the listing waits until it is let through."""

    reached = threading.Event()
    through = threading.Event()

    async def open_orders(self) -> tuple[Order, ...]:
        self.reached.set()
        assert self.through.wait(20)
        return await super().open_orders()


def test_a_request_and_a_rearming_that_wait_for_an_attempt_end_confirmed_and_engaged(
    tmp_path: Path,
) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    Gate.reached.clear()
    Gate.through.clear()
    refusals: list[TradingError] = []

    def rearm() -> None:
        try:
            switch.rearm(REARM_WORD, "operator")
        except TradingError as refusal:
            refusals.append(refusal)

    with switched_on(desk, watch, lambda: _venue(desk.path, Gate)) as switch:
        switch.request(KillKind.HALT, "first", "key")
        assert Gate.reached.wait(20)
        switch.request(KillKind.HALT, "again", "key")
        asking = threading.Thread(target=rearm)
        asking.start()
        until(lambda: switch._inbox.qsize() == 2, switch)
        Gate.through.set()
        asking.join()
        until(lambda: switch.report.phase is KillPhase.CONFIRMED, switch)
        assert len(refusals) == 1
        assert switch.engaged
        assert (desk.path / "kill.json").exists()
        switch.rearm(REARM_WORD, "operator")
        assert not switch.engaged
        assert not (desk.path / "kill.json").exists()


def test_a_rearming_is_refused_while_a_newer_request_waits(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    Gate.reached.clear()
    Gate.through.clear()
    with switched_on(desk, watch, lambda: _venue(desk.path, Gate)) as switch:
        switch.request(KillKind.HALT, "first", "key")
        assert Gate.reached.wait(20)
        done: Future[None] = Future()
        switch._inbox.put(_Rearming("operator", done))
        # The attempt under way will be confirmed, and the re-arming is the next thing it takes up.
        switch.request(KillKind.FLATTEN, "newer", "key")
        Gate.through.set()
        with pytest.raises(TradingError, match="newer kill request"):
            done.result(20)
        assert switch.engaged
        assert (desk.path / "kill.json").exists()


def test_no_audit_row_is_lost_while_the_disk_is_full(tmp_path: Path) -> None:
    desk, _ = positioned(tmp_path)
    watch = Watch()
    full = threading.Event()
    full.set()

    def audit(action: str, detail: str) -> None:
        if full.is_set():
            raise SystemFailure("no space left on the disk")
        watch(action, detail)

    with switched_on(desk, audit) as switch:  # type: ignore[arg-type]
        switch.request(KillKind.HALT, "", "key")
        report = until(
            lambda: (
                switch.report.phase is KillPhase.CONFIRMED
                and "not audited yet: no space left" in switch.report.detail
            ),
            switch,
        )
        assert report.detail.count("not audited") == 1
        assert watch.told == []
        full.clear()
        watch.wait_for("HALT confirmed")
        until(lambda: "not audited" not in switch.report.detail, switch)
    assert watch.told == ["HALT requested", "HALT latched", "HALT confirmed"]
