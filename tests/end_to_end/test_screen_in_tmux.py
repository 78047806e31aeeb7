"""The real screen in a real terminal: live data, the kill keys while training runs, the restart."""

import os
from pathlib import Path

import pytest

from tests.support import need_tool
from tests.tour.place import Place
from tests.tour.terminal import Terminal

pytestmark = pytest.mark.slow

WORDS = [
    "env",
    "-u",
    "COLUMNS",
    # The suite's own kernels: a terminal of its own need not compile them once more.
    f"NUMBA_CACHE_DIR={os.environ['NUMBA_CACHE_DIR']}",
    "adan-tui",
    "--set",
    "market.candle_seconds=0.2",
    "--set",
    "learning.steps=20000000",
]


@pytest.mark.parametrize(
    ("columns", "rows", "kill"), [(80, 24, "F12"), (120, 40, "C-t")], ids=["80x24", "120x40"]
)
def test_kill_while_training_runs_restart_and_re_arm(
    columns: int, rows: int, kill: str, tmp_path: Path
) -> None:
    need_tool("tmux")
    place = Place(tmp_path)
    place.prepare()
    latch = place.home / "state" / "kill.json"
    with Terminal(place, WORDS, columns, rows) as screen:
        # On a machine that has never run ADAN the kernels are compiled first.
        shown = screen.see(
            "PAPER", "RUNNING", "SIMULATED", r"market \d\d-\d\d \d\d:\d\d", within=180.0
        )
        minute = shown.split("market ")[1].split("model")[0].strip()
        screen.see_gone(f"market {minute}")  # the market goes on
        screen.press("F5")
        screen.see("Enter starts it")
        screen.press("Enter")
        screen.see_gone("Enter starts it")
        if columns < 100:
            screen.press("5")
        screen.see(r"[\d,]+ steps/s", within=300.0)

        screen.press(kill)
        screen.see("HALTED", "HALT CONFIRMED", "0 entry orders", within=10.0)
        assert latch.exists()

        screen.press("F10")
        screen.see("n stays")
        screen.press("y")
        screen.ends(0)

    with Terminal(place, WORDS, columns, rows) as screen:
        screen.see("HALTED", "HALT CONFIRMED")
        assert latch.exists()
        screen.press("F8")
        screen.see("REARM")
        screen.type("REARM")
        screen.press("Enter")
        screen.see("RUNNING")
        screen.see_gone("HALT CONFIRMED")
        assert not latch.exists()
        # The training that was left goes on, from its checkpoint, until it is stopped.
        if columns < 100:
            screen.press("5")
        screen.see("learning", r"[\d,]+ steps/s", within=300.0)
        screen.press("F6")
        screen.see("STOPPED", within=120.0)
        screen.press("F10")
        screen.ends(0)
