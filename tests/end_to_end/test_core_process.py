"""A core as an operator runs it: a process of its own, commands from another terminal, kill -9."""

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adan_core.cli.main import main
from adan_core.config.loading import load_settings
from adan_core.config.locations import Locations, locate
from adan_core.domain.alerts import Severity
from adan_core.domain.state import Mode
from adan_core.domain.time import SystemClock
from adan_core.runtime.assembly import Places, assemble, plan_market
from adan_core.runtime.choice import choose_model
from adan_core.runtime.models import open_service
from adan_core.trading.database import Durability

pytestmark = pytest.mark.slow

WORDS = [sys.executable, "-m", "adan_core"]


def adan(*words: str, code: int = 0) -> str:
    """Run one command to its end and return what it wrote."""
    done = subprocess.run(
        [*WORDS, *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def status() -> dict[str, Any]:
    """Ask in this process: a process for each of many questions takes the processor from the core."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main(("status", "--json"))
    assert ended.value.code == 0, said.getvalue()
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def until(what: str, holds: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait for the outside world; a process has no event to wait on."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        pause.wait(0.05)


class Core:
    """One `adan-core run` process."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [*WORDS, "run", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def until_state(self, state: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def reached() -> bool:
            assert self.process.poll() is None, f"ended with {self.end()}: {self.said}"
            seen.clear()
            seen.update(status())
            return seen.get("state") == state and seen.get("portfolio") is not None

        until(f"state {state}", reached)
        return seen

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait, and return the exit code; ending twice is harmless."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.said, _ = self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture
def locations(home: Path) -> Locations:
    return locate(home, {})


@pytest.fixture
def started(home: Path) -> Iterator[Callable[..., Core]]:
    cores: list[Core] = []

    def start(*words: str) -> Core:
        cores.append(Core(words))
        return cores[-1]

    yield start
    for core in cores:
        core.end(signal.SIGKILL)


def test_halt_survives_a_restart_and_only_a_typed_word_ends_it(
    started: Callable[..., Core], locations: Locations
) -> None:
    core = started("--pace", "0.05")
    core.until_state("RUNNING")
    said = adan("halt", "--reason", "news at two")
    assert "HALT confirmed" in said
    assert "0 entry orders left" in said
    assert locations.kill_latch.exists()
    assert status()["state"] == "HALTED"
    assert core.end(signal.SIGTERM) == 0

    assert "news at two" in adan("status", code=9)
    second = started("--pace", "0.05")
    halted = second.until_state("HALTED")
    assert halted["kill"]["reason"] == "news at two"
    assert "exactly" in adan("rearm", "--confirm", "rearm", code=6)
    assert status()["state"] == "HALTED"
    adan("rearm", "--confirm", "REARM")
    second.until_state("RUNNING")
    assert not locations.kill_latch.exists()
    assert second.end() == 0


def test_a_halt_without_a_core_waits_for_the_next_one(
    started: Callable[..., Core], home: Path
) -> None:
    assert "latched on disk" in adan("halt", "--reason", "before the start")
    core = started("--pace", "0.05")
    assert core.until_state("HALTED")["kill"]["phase"] == "confirmed"
    assert core.end() == 0
    adan("rearm", "--confirm", "REARM")
    assert "latch: off" in adan("status", code=9)


def test_flatten_closes_every_position_and_says_so_only_then(
    started: Callable[..., Core], home: Path
) -> None:
    core = started("--pace", "0.02")
    until("a position", lambda: bool((status().get("portfolio") or {}).get("positions")))
    assert "exactly" in adan("kill", "--flatten", "--confirm", "flatten", code=6)
    report = json.loads(adan("kill", "--flatten", "--confirm", "FLATTEN", "--json", "--wait", "30"))
    assert report["schema_version"] == 1
    assert report["phase"] == "confirmed"
    assert report["positions_left"] == report["entries_left"] == 0
    after = status()
    assert after["portfolio"]["positions"] == []
    assert after["portfolio"]["cash"] == pytest.approx(after["portfolio"]["equity"], rel=1e-12)
    assert core.end() == 0


def test_a_second_core_is_refused_and_names_the_first(
    started: Callable[..., Core], home: Path
) -> None:
    core = started("--pace", "0.5")
    core.until_state("RUNNING")
    said = adan("run", code=8)
    assert str(core.process.pid) in said
    assert core.end() == 0


def test_signals_kill_and_hang_up(started: Callable[..., Core], home: Path) -> None:
    core = started("--pace", "0.05")
    core.until_state("RUNNING")
    core.process.send_signal(signal.SIGHUP)
    core.process.send_signal(signal.SIGUSR1)
    assert core.until_state("HALTED")["kill"]["reason"] == "SIGUSR1"
    assert core.end(signal.SIGINT) == 0


def test_a_halt_reaches_a_core_whose_socket_is_gone(
    started: Callable[..., Core], locations: Locations
) -> None:
    core = started("--pace", "0.05")
    core.until_state("RUNNING")
    locations.socket.unlink()
    said = adan("halt", "--reason", "nobody answers", code=5)
    assert f"NOT CONFIRMED: process {core.process.pid}" in said
    # The core looks at the latch by itself; its own log says when the exchange was read back.
    until("the confirmation", lambda: "HALT confirmed" in locations.log_file.read_text(), 60.0)
    assert core.end() == 0


def test_kill_minus_nine_loses_nothing_and_doubles_nothing(
    started: Callable[..., Core], locations: Locations
) -> None:
    """Five times: run fast, SIGKILL at a random instant, start again, compare with the venue."""
    chance = random.Random(20261123)
    traded = 0
    for _ in range(5):
        core = started("--pace", "0.004")
        core.until_state("RUNNING")
        enough = traded + 2
        until("two more trades", partial(_has_traded, locations, enough))
        threading.Event().wait(chance.uniform(0.0, 0.3))
        core.end(signal.SIGKILL)
        before = venue(locations)
        after = asyncio.run(start_again(locations))
        assert after["clean"], after["details"]
        assert after["cash"] == pytest.approx(before["cash"], abs=1e-6)
        assert after["positions"] == pytest.approx(before["holdings"])
        assert after["open"] == before["open"]
        assert after["fills"] == before["trades"]
        assert venue(locations) == before  # nothing was sent while reconciling
        traded = before["trades"]
    assert traded >= 10


def _has_traded(locations: Locations, least: int) -> bool:
    return int(venue(locations)["trades"]) >= least


def venue(locations: Locations) -> dict[str, Any]:
    """Read the paper venue's own books, without any of ADAN's code."""
    with sqlite3.connect(f"file:{locations.paper_exchange}?mode=ro", uri=True) as books:
        (cash,) = books.execute("SELECT cash FROM account").fetchone()
        holdings = dict(books.execute("SELECT symbol, quantity FROM holdings WHERE quantity > 0"))
        standing = {
            row[0] for row in books.execute("SELECT client_id FROM orders WHERE status='open'")
        }
        (trades,) = books.execute("SELECT count(*) FROM trades").fetchone()
    books.close()
    return {"cash": cash, "holdings": holdings, "open": standing, "trades": trades}


class _Armed:
    engaged = False


async def start_again(locations: Locations) -> dict[str, Any]:
    """Do what a start does until trading would begin: restore and reconcile."""
    loaded = load_settings(locations)
    settings = loaded.settings
    plan = plan_market(settings, Mode.PAPER, None, locations)
    book = open_service(locations, SystemClock())
    model = choose_model(book, None, plan, settings, locations).model
    alarms: list[str] = []

    def alarm(code: str, severity: Severity, message: str) -> None:
        alarms.append(f"{severity} {code} {message}")

    async def no_wait(_seconds: float) -> bool:
        return True

    clock = SystemClock()
    parts = assemble(
        settings,
        loaded.config_hash,
        plan,
        Places(locations.journal, locations.paper_exchange, Durability.FULL),
        locations,
        model,
        _Armed(),
        alarm,
        clock,
        clock,
        no_wait,
        0.004,
    )
    clean = await parts.engine.reconcile()
    found = {
        "clean": clean,
        "details": alarms,
        "cash": parts.portfolio.cash,
        "positions": {held.symbol: held.quantity for held in parts.portfolio.snapshot().positions},
        "open": {order.client_id for order in parts.journal.open_orders()},
        "fills": len(parts.journal.fills(10**9)),
    }
    parts.journal.close()
    await parts.exchange.close()
    return found


def test_the_cache_is_seen_in_status_and_its_bounds_follow_the_settings(
    started: Callable[..., Core], locations: Locations
) -> None:
    started("--pace", "0.05").until_state("RUNNING")

    def bounds() -> tuple[int, int] | None:
        cache = (status().get("health") or {}).get("cache")
        return cache and (cache["memory_limit"], cache["disk_limit"])

    shipped = load_settings(locations, (), {}).settings.cache
    until("its bounds", lambda: bounds() == (shipped.memory_bytes, shipped.disk_bytes))
    locations.config.mkdir(parents=True, exist_ok=True)
    locations.settings_file.write_text("cache: {memory_megabytes: 7, disk_megabytes: 9}\n")
    until("other bounds", lambda: bounds() == (7 * 1024**2, 9 * 1024**2))


def test_status_and_kill_are_light(started: Callable[..., Core], home: Path) -> None:
    """Less than 0.3 s of CPU each, with a core running; measured by the operating system."""
    core = started("--pace", "0.5")
    core.until_state("RUNNING")
    for words in (["status"], ["halt"]):
        before = os.times()
        adan(*words)
        after = os.times()
        used = (after.children_user - before.children_user) + (
            after.children_system - before.children_system
        )
        assert used < 0.3, f"{words}: {used:.2f} s of CPU"
    assert core.end() == 0
