"""Real files, real processes: SIGKILL at every statement, a full disk, and two connections at once."""

import asyncio
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adan_core.domain.errors import SystemFailure
from adan_core.domain.orders import OrderStatus
from adan_core.domain.time import ManualClock
from adan_core.trading.database import Durability
from adan_core.trading.exchanges.protocol import CancelOutcome
from adan_core.trading.journal import Journal
from tests.trading_market import BTC, CAPITAL, ETH, Desk, Drafts, candle, venue

CANDLES = 10
KILLS = 20


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process and return how it ended, as ``os.waitpid`` says it."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


class Counted(sqlite3.Connection):
    """A connection that counts its statements and dies, as by SIGKILL, before a given one."""

    executed = 0
    deadly = 0

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        Counted.executed += 1
        if Counted.executed == Counted.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)  # type: ignore[arg-type]


def counting(deadly: int) -> None:
    """Count the statements of every connection opened from now on; die before the given one."""
    Counted.executed, Counted.deadly = 0, deadly
    connect = sqlite3.connect

    def counted(*arguments: object, **named: object) -> sqlite3.Connection:
        return connect(*arguments, **named, factory=Counted)  # type: ignore[call-overload,no-any-return]

    sqlite3.connect = counted  # type: ignore[assignment]


async def trade(folder: Path, restarts: int) -> None:
    """Trade ten candles, or what is left of them, one order per candle and decision."""
    desk = Desk(folder, Durability.FULL)
    desk.drafts.made = 1000 * restarts
    report = await desk.orders.reconcile()
    assert report.clean, report.details
    chance = random.Random(3)
    for index in range(CANDLES):
        price = 100.0 + chance.uniform(-4.0, 4.0)
        await desk.step(candle(index, price, high=price * 1.06, low=price * 0.97))
        decision = f"decision-{index}"
        if desk.journal.orders_of_decision(decision):
            continue
        held = desk.portfolio.quantity(BTC)
        draft = desk.drafts.buy(10.0) if held < 15.0 else desk.drafts.sell(5.0)
        draft = type(draft)(
            **{
                **{name: getattr(draft, name) for name in draft.__slots__},
                "decision_id": decision,
            }
        )
        await desk.orders.submit(draft)
    await desk.close()


def books_agree(folder: Path) -> None:
    """Assert that after a restart journal and venue tell the same story, each trade once."""
    desk = Desk(folder, Durability.FULL)

    async def compare() -> None:
        report = await desk.orders.reconcile()
        assert report.clean, report.details
        trades = await desk.exchange.fills_since(0)
        assert sorted(desk.journal.fills(10_000), key=lambda one: int(one.trade_id)) == list(trades)
        open_there = {order.client_id for order in await desk.exchange.open_orders()}
        assert {order.client_id for order in desk.journal.open_orders()} == open_there
        assert not [
            order
            for order in desk.journal.non_terminal_orders()
            if order.status is not OrderStatus.OPEN
        ]
        decisions = [
            order.decision_id
            for order in desk.journal.orders(10_000)
            if not order.purpose.protective
        ]
        assert len(decisions) == len(set(decisions))
        desk.portfolio.snapshot()

    asyncio.run(compare())
    asyncio.run(desk.close())


def statements_of_a_whole_run(folder: Path) -> int:
    receive, send = os.pipe()

    def count() -> None:
        counting(0)
        asyncio.run(trade(folder, 0))
        os.write(send, str(Counted.executed).encode())

    assert in_child(count) == 0
    total = int(os.read(receive, 100))
    os.close(receive)
    os.close(send)
    return total


@pytest.mark.slow
def test_control_32_sigkill_at_any_statement_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    total = statements_of_a_whole_run(tmp_path / "whole")
    books_agree(tmp_path / "whole")
    chance = random.Random(11)
    instants = sorted(chance.sample(range(1, total), KILLS))
    died = 0
    for number, deadly in enumerate(instants):
        folder = tmp_path / str(number)

        def killed(folder: Path = folder, deadly: int = deadly) -> None:
            counting(deadly)
            asyncio.run(trade(folder, 0))

        ended = in_child(killed)
        assert os.WIFSIGNALED(ended), f"statement {deadly}: {ended}"
        died += 1
        again = chance.randrange(1, total)

        def killed_again(folder: Path = folder, deadly: int = again) -> None:
            counting(deadly)
            asyncio.run(trade(folder, 1))

        ended = in_child(killed_again)  # dies once more, or gets through
        assert os.WIFSIGNALED(ended) or ended == 0, f"statement {deadly}, then {again}: {ended}"
        books_agree(folder)
        asyncio.run(trade(folder, 2))
        books_agree(folder)
    assert died == KILLS


@pytest.mark.slow
def test_control_32_sigkill_at_each_step_of_one_order(tmp_path: Path) -> None:
    """Around an order's INTENT, SENDING, submission, acknowledgement and fill, every statement."""
    steps = range(1, 400)
    reached = 0
    for deadly in steps:
        folder = tmp_path / str(deadly)
        desk = Desk(folder)
        asyncio.run(desk.orders.reconcile())
        asyncio.run(desk.step(candle(0, 100.0)))
        asyncio.run(desk.close())

        def one_order(folder: Path = folder, deadly: int = deadly) -> None:
            counting(0)
            desk = Desk(folder)
            Counted.executed, Counted.deadly = 0, deadly
            asyncio.run(desk.orders.submit(desk.drafts.buy(10.0)))
            asyncio.run(desk.step(candle(1, 100.0)))

        ended = in_child(one_order)
        books_agree(folder)
        if ended == 0:
            break
        reached += 1
    assert reached > 40
    assert reached < len(steps)


def test_control_33_a_full_disk_poisons_the_journal_and_no_order_leaves(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        desk = Desk(tmp_path, Durability.FULL)
        asyncio.run(desk.orders.reconcile())
        asyncio.run(desk.step(candle(0, 100.0)))
        desk.journal.history.save("ballast", "x" * 500_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
        with pytest.raises(SystemFailure):
            desk.journal.history.save("more", "x" * 500_000)
        assert desk.journal.poisoned
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with pytest.raises(SystemFailure):
            asyncio.run(desk.orders.submit(desk.drafts.buy(10.0)))
        assert asyncio.run(desk.exchange.open_orders()) == ()

    assert in_child(fill_the_disk) == 0
    desk = Desk(tmp_path, Durability.FULL)
    assert asyncio.run(desk.orders.reconcile()).clean
    assert desk.journal.orders(5) == ()


MATCHING = """
from pathlib import Path
from tests.trading_market import BTC, candle, venue
exchange = venue(Path({folder!r}))
print("ready", flush=True)
for index in range(1, 30):
    exchange.on_candle(BTC, candle(index, 100.0 + index % 3))
"""


def other_python(program: str) -> subprocess.Popen[str]:
    """Start another interpreter: a forked one would inherit what SQLite knows of our locks."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_one_process_cancels_while_another_matches(tmp_path: Path) -> None:
    exchange, drafts = venue(tmp_path), Drafts()
    for symbol in (BTC, ETH):
        exchange.on_candle(symbol, candle(0, 100.0))
    orders = [drafts.buy(1.0, symbol, protected=False) for symbol in (BTC, ETH) * 40]
    for order in orders[::2]:
        asyncio.run(exchange.submit(order))
    outcomes = []
    with other_python(MATCHING.format(folder=str(tmp_path))) as matching:
        assert matching.stdout is not None
        matching.stdout.readline()
        for placed, next_one in zip(orders[::2], orders[1::2], strict=True):
            outcomes.append(asyncio.run(exchange.cancel(placed.client_id)))
            asyncio.run(exchange.submit(next_one))
    assert matching.returncode == 0
    fills = asyncio.run(exchange.fills_since(0))
    filled = [fill.client_id for fill in fills]
    assert len(filled) == len(set(filled))
    for order, outcome in zip(orders[::2], outcomes, strict=True):
        assert (order.client_id in filled) == (outcome is CancelOutcome.NOT_OPEN)
    cash = CAPITAL - sum(fill.quantity * fill.price + fill.fee for fill in fills)
    assert asyncio.run(exchange.balances()).total("SIM") == pytest.approx(cash, rel=1e-12)


def test_many_threads_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    for round_ in range(20):
        path, start = tmp_path / f"{round_}.sqlite", threading.Barrier(4)

        def open_it(path: Path = path, start: threading.Barrier = start) -> bool:
            start.wait()
            book = Journal(path, "paper", ManualClock(), Durability.OFF)
            book.history.save(str(threading.get_ident()), 1)
            book.close()
            return True

        with ThreadPoolExecutor(4) as pool:
            assert all(one.result() for one in [pool.submit(open_it) for _ in range(4)])


def test_opening_a_file_again_keeps_the_locks_of_the_first_connection(tmp_path: Path) -> None:
    """Another process must not take the file for unused, or it would fold the log away."""
    first = Journal(tmp_path / "journal.sqlite", "paper", ManualClock(), Durability.OFF)
    first.history.save("first", 1)
    Journal(tmp_path / "journal.sqlite", "paper", ManualClock(), Durability.OFF).close()

    program = (
        "import sqlite3; c = sqlite3.connect({!r}); c.execute('SELECT 1 FROM orders'); c.close()"
    )
    with other_python(program.format(str(tmp_path / "journal.sqlite"))) as other:
        pass
    assert other.returncode == 0
    assert (tmp_path / "journal.sqlite-wal").exists()
    first.history.save("second", 2)
    assert first.history.load("first", int) == 1
