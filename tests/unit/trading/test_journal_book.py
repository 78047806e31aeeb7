"""The journal: legal moves only, every fill once, and nothing more after a write that failed."""

import asyncio
import itertools
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.decisions import ActionType, Decision, TradingActionWithConfidence
from adan_core.domain.errors import DataError, SystemFailure, TradingError
from adan_core.domain.market import Regime
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, Side
from adan_core.domain.snapshot import EquityPoint
from adan_core.domain.time import HOUR, ManualClock
from adan_core.trading import journal_history
from adan_core.trading.database import Durability, open_database, schema_version
from adan_core.trading.journal import ALLOWED, Journal
from adan_core.trading.journal_file import MIGRATIONS
from adan_core.trading.journal_status import read_status
from tests.trading_market import BTC, CAPITAL, START, Desk, Drafts, candle

S = OrderStatus


def journal(path: Path, durability: Durability = Durability.OFF) -> Journal:
    return Journal(path / "journal.sqlite", "paper", ManualClock(START), durability)


def at(book: Journal, order: Order, status: OrderStatus) -> None:
    """Bring a fresh order to ``status`` by legal moves."""
    book.record_intent(order)
    if status is S.INTENT:
        return
    book.mark_sending(order.client_id)
    if status in {S.OPEN, S.FILLED, S.CANCELED}:
        book.acknowledge(order.client_id, "P1")
    if status is S.UNKNOWN:
        book.unknown(order.client_id, "silence")
    elif status is S.REJECTED:
        book.reject(order.client_id, "lot step")
    elif status in {S.FILLED, S.CANCELED}:
        book.follow(replace(order, exchange_id="P1", status=status))


def move(book: Journal, order: Order, status: OrderStatus) -> None:
    if status is S.SENDING:
        book.mark_sending(order.client_id)
    elif status is S.OPEN:
        book.acknowledge(order.client_id, "P1")
    elif status is S.UNKNOWN:
        book.unknown(order.client_id, "silence")
    else:
        book.reject(order.client_id, "lot step")


@pytest.mark.parametrize(
    ("before", "after"), itertools.product(S, (S.SENDING, S.OPEN, S.UNKNOWN, S.REJECTED))
)
def test_only_the_protocols_moves_are_possible(
    tmp_path: Path, before: OrderStatus, after: OrderStatus
) -> None:
    book, order = journal(tmp_path), Drafts().buy(1.0)
    at(book, order, before)
    found = book.order(order.client_id)
    assert found is not None
    assert found.status is before
    if after in ALLOWED[before]:
        move(book, order, after)
        return
    with pytest.raises(TradingError):
        move(book, order, after)
    assert book.order(order.client_id) == found


def test_nothing_follows_a_terminal_status_and_every_other_can_end() -> None:
    for status, allowed in ALLOWED.items():
        assert status.terminal == (not allowed)
        assert S.INTENT not in allowed


def test_a_client_id_is_used_once_and_an_acknowledgement_needs_an_id(tmp_path: Path) -> None:
    book, order = journal(tmp_path), Drafts().buy(1.0)
    book.record_intent(order)
    with pytest.raises(TradingError):
        book.record_intent(order)
    with pytest.raises(TradingError):
        book.record_intent(replace(order, client_id="other", status=S.OPEN))
    book.mark_sending(order.client_id)
    with pytest.raises(TradingError):
        book.acknowledge(order.client_id, "")
    assert not book.poisoned
    assert [one.client_id for one in book.non_terminal_orders()] == [order.client_id]


def fill_of(order: Order, trade_id: str, quantity: float, price: float) -> Fill:
    return Fill(
        trade_id,
        order.client_id,
        order.symbol,
        order.side,
        order.purpose,
        quantity,
        price,
        quantity * price * 0.001,
        START,
    )


def test_partial_fills_in_any_order_and_repeated_make_one_position(tmp_path: Path) -> None:
    book, order = journal(tmp_path), Drafts().buy(3.0)
    book.deposit(CAPITAL, START, "opening")
    at(book, order, S.OPEN)
    fills = [fill_of(order, "7", 1.0, 100.0), fill_of(order, "5", 2.0, 103.0)]
    assert book.apply_fill(fills[0])
    partly = book.order(order.client_id)
    assert partly is not None
    assert (partly.status, partly.filled) == (S.OPEN, 1.0)
    assert book.apply_fill(fills[1])
    before = (book.account(), book.holdings(), book.order(order.client_id), book.fills(10))
    for again in (*fills, *reversed(fills)):
        assert not book.apply_fill(again)
    assert (book.account(), book.holdings(), book.order(order.client_id), book.fills(10)) == before
    done = book.order(order.client_id)
    assert done is not None
    assert (done.status, done.filled) == (S.FILLED, 3.0)
    holding = book.holding(BTC)
    assert holding is not None
    assert holding.average == pytest.approx(102.0)
    assert book.account().cash == pytest.approx(CAPITAL - 306.0 * 1.001)


def test_a_canceled_order_keeps_what_it_filled_and_a_lost_one_is_reopened_by_its_fill(
    tmp_path: Path,
) -> None:
    book, drafts = journal(tmp_path), Drafts()
    book.deposit(CAPITAL, START, "opening")
    canceled, lost = drafts.buy(3.0), drafts.buy(2.0)
    at(book, canceled, S.CANCELED)
    at(book, lost, S.REJECTED)
    book.apply_fill(fill_of(canceled, "1", 1.0, 100.0))
    book.apply_fill(fill_of(lost, "2", 2.0, 100.0))
    statuses = [order.status for order in book.orders(2)]
    assert statuses == [S.FILLED, S.CANCELED]
    holding = book.holding(BTC)
    assert holding is not None
    assert holding.quantity == 3.0


def test_what_cannot_be_booked_changes_nothing(tmp_path: Path) -> None:
    book, drafts = journal(tmp_path), Drafts()
    book.deposit(CAPITAL, START, "opening")
    stranger, sale = drafts.buy(1.0), drafts.sell(1.0)
    with pytest.raises(TradingError):
        book.apply_fill(fill_of(stranger, "1", 1.0, 100.0))
    at(book, sale, S.OPEN)
    with pytest.raises(TradingError):
        book.apply_fill(fill_of(sale, "2", 1.0, 100.0))
    assert book.account().cash == CAPITAL
    assert book.fills(10) == ()
    assert not book.poisoned


def test_a_round_trip_closes_net_of_both_fees(tmp_path: Path) -> None:
    book, drafts = journal(tmp_path), Drafts()
    book.deposit(CAPITAL, START, "opening")
    entry, exit_ = drafts.buy(2.0), drafts.sell(2.0)
    at(book, entry, S.OPEN)
    book.apply_fill(fill_of(entry, "1", 2.0, 100.0))
    at(book, exit_, S.OPEN)
    book.apply_fill(fill_of(exit_, "2", 2.0, 110.0))
    (trade,) = book.history.trades(5)
    assert (trade.entry_price, trade.exit_price, trade.reason) == (100.0, 110.0, "exit")
    assert trade.pnl == pytest.approx(20.0 - 0.2 - 0.22)
    assert book.account().cash == pytest.approx(CAPITAL + trade.pnl)
    assert book.holding(BTC) is None


def decision(name: str, orders: tuple[str, ...] = ()) -> Decision:
    action = TradingActionWithConfidence(ActionType.HOLD, BTC, 0.5, 0.75, ("why",), (), 0.001, None)
    return Decision(name, START, action, Regime.RANGE, None, orders, "hash", "model", "config", 0.4)


def test_decisions_come_back_whole_and_their_ids_are_unique(tmp_path: Path) -> None:
    history = journal(tmp_path).history
    for name in ("a", "b"):
        history.record_decision(decision(name))
    with pytest.raises(TradingError):
        history.record_decision(decision("a"))
    assert history.decisions(5) == (decision("b"), decision("a"))
    assert history.decision("a") == decision("a")
    assert history.decision("c") is None


def test_idle_decisions_are_bounded_and_those_with_orders_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_history, "IDLE_DECISIONS", 10)
    monkeypatch.setattr(journal_history, "_PRUNE_EVERY", 5)
    history = journal(tmp_path).history
    history.record_decision(decision("ordered", ("x",)))
    for index in range(50):
        history.record_decision(decision(str(index)))
    kept = history.decisions(1000)
    assert len(kept) <= 16
    assert kept[-1].decision_id == "ordered"


def test_the_equity_curve_is_bounded_newest_at_full_resolution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_history, "EQUITY_POINTS", 64)
    book = journal(tmp_path)
    book.deposit(CAPITAL, START, "opening")
    for index in range(500):
        book.history.record_equity(EquityPoint(index, float(index)), {}, CAPITAL)
    curve = book.history.equity_curve()
    assert len(curve) <= 64
    assert [point.time for point in curve[-32:]] == list(range(468, 500))
    assert curve[0].time == 0
    assert [point.time for point in curve] == sorted(point.time for point in curve)


def test_a_close_marked_again_after_a_crash_is_one_point_of_the_curve(tmp_path: Path) -> None:
    book = journal(tmp_path)
    for time, equity in ((1, 10.0), (2, 20.0), (2, 21.0), (3, 30.0)):
        book.history.record_equity(EquityPoint(time, equity), {}, CAPITAL)
    expected = (EquityPoint(1, 10.0), EquityPoint(2, 21.0), EquityPoint(3, 30.0))
    assert book.history.equity_curve() == expected


def test_a_journal_of_the_first_version_loses_its_doubled_points(tmp_path: Path) -> None:
    old = open_database(tmp_path / "journal.sqlite", MIGRATIONS[:1], Durability.OFF)
    for time, equity in ((1, 10.0), (2, 20.0), (2, 21.0)):
        old.execute("INSERT INTO equity (time, equity) VALUES (?, ?)", (time, equity))
    old.close()
    curve = journal(tmp_path).history.equity_curve()
    assert curve == (EquityPoint(1, 10.0), EquityPoint(2, 21.0))


def test_a_checkpoint_comes_back_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    history = journal(tmp_path).history
    history.save("held", {"BTC/SIM": 3})
    assert history.load("held", dict[str, int]) == {"BTC/SIM": 3}
    assert history.load("nothing", int) is None
    with pytest.raises(DataError):
        history.load("held", int)


def test_a_block_is_one_commit_or_none(tmp_path: Path) -> None:
    book, drafts = journal(tmp_path), Drafts()

    def both() -> None:
        with book.transaction():
            book.record_intent(drafts.buy(1.0))
            book.mark_sending("nobody")

    with pytest.raises(TradingError):
        both()
    assert book.orders(5) == ()


class FailingConnection:
    """A connection whose disk gives up at the next commit."""

    def __init__(self, real: sqlite3.Connection, message: str) -> None:
        self._real = real
        self._message = message
        self.broken = True

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if statement == "COMMIT" and self.broken:
            raise sqlite3.OperationalError(self._message)
        return self._real.execute(statement, values)

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize("message", ["disk I/O error", "database or disk is full"])
def test_control_33_a_failed_commit_poisons_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    book, drafts = journal(tmp_path), Drafts()
    file = book._file
    broken = FailingConnection(file._connection, message)
    monkeypatch.setattr(file, "_connection", broken)
    with pytest.raises(SystemFailure):
        book.record_intent(drafts.buy(1.0))
    broken.broken = False  # the next commit would succeed: it is refused all the same
    assert message in book.poisoned
    with pytest.raises(SystemFailure):
        book.record_intent(drafts.buy(1.0))
    assert book.orders(5) == ()


def test_durability_is_set_and_kept(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "full.sqlite", (), Durability.FULL)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "full.sqlite").stat().st_mode & 0o777 == 0o600


def test_an_older_file_is_migrated_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    steps = (
        "CREATE TABLE notes (text TEXT);\nINSERT INTO notes VALUES ('kept');",
        "ALTER TABLE notes ADD COLUMN size INTEGER;\nUPDATE notes SET size = length(text);",
    )
    open_database(path, steps[:1], Durability.OFF).close()
    migrated = open_database(path, steps, Durability.OFF)
    assert migrated.execute("SELECT * FROM notes").fetchall() == [("kept", 4)]
    assert schema_version(migrated) == 2
    with pytest.raises(SystemFailure, match="schema version 2"):
        open_database(path, steps[:1], Durability.OFF)


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    good = "CREATE TABLE notes (text TEXT);"
    open_database(path, (good,), Durability.OFF).close()
    with pytest.raises(SystemFailure):
        open_database(path, (good, "CREATE TABLE more (a);\nDROP TABLE none;"), Durability.OFF)
    again = open_database(path, (good,), Durability.OFF)
    assert again.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchall() == []


def test_a_torn_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, whatever it was" * 200)
    with pytest.raises(SystemFailure):
        journal(tmp_path)
    with pytest.raises(SystemFailure):
        read_status(tmp_path / "journal.sqlite")


def test_status_is_read_while_a_core_writes_and_after_it_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert read_status(path) is None
    desk = Desk(tmp_path)
    assert read_status(path) is None

    async def trade() -> None:
        await desk.orders.reconcile()
        await desk.step(candle(0, 100.0))
        await desk.orders.submit(desk.drafts.buy(10.0))
        await desk.step(candle(1, 100.0, close=104.0))

    asyncio.run(trade())
    status = read_status(path)
    assert status is not None
    assert status.equity == pytest.approx(desk.portfolio.equity)
    assert status.last_equity_at == START + 2 * HOUR
    assert status.positions[0].symbol == BTC
    assert (status.open_orders, status.unresolved_orders) == (2, 0)
    asyncio.run(desk.close())
    assert read_status(path) == status


@given(
    prices=st.lists(st.floats(1.0, 1000.0), min_size=1, max_size=20),
    repeats=st.integers(1, 3),
)
def test_fills_applied_twice_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, prices: list[float], repeats: int
) -> None:
    book, drafts = journal(tmp_path_factory.mktemp("journal")), Drafts()
    book.deposit(1e6, START, "opening")
    fills = []
    for index, price in enumerate(prices):
        selling = index % 2 == 1
        order = drafts.sell(1.0) if selling else drafts.buy(1.0)
        at(book, order, S.OPEN)
        fills.append(fill_of(order, str(index + 1), 1.0, price))
        assert book.apply_fill(fills[-1])
    once = (book.account(), book.holdings(), book.history.trades(100))
    for fill in fills * repeats:
        assert not book.apply_fill(fill)
    assert (book.account(), book.holdings(), book.history.trades(100)) == once
    assert Side.BUY in {fill.side for fill in fills}
    assert OrderPurpose.ENTRY in {fill.purpose for fill in fills}
