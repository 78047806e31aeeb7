"""A scripted tour of the real screen on a real terminal, key by key."""

from collections.abc import Callable
from pathlib import Path

import yaml

from tests.tour.commands import end, put_down, start_core
from tests.tour.place import Place
from tests.tour.readme import ROOT
from tests.tour.terminal import Terminal

_FAST = ("adan-tui", "--set", "market.candle_seconds=0.2")
_LIVE = ("PAPER", "RUNNING", "SIMULATED MARKET", r"equity [\d,.]+ SIM")
_SMALL = (80, 24)


def tours() -> tuple[tuple[str, Callable[[Place], None]], ...]:
    """Return the acts in their order; each goes on with the home the former one left."""
    return (
        ("the screen at 120x40: panes, help, palette, themes", _looking),
        ("the screen at 120x40: settings and themes edited while it runs", _editing),
        ("the screen at 120x40: training, and F12 and Ctrl+T while it runs", _training),
        ("the screen at 80x24: still HALTED, re-armed, every tab", _small),
        ("the screen at 80x24: Ctrl+T, alerts, flatten", _flattening),
        ("the screen beside another core, and without one", _elsewhere),
        ("the screen with a replay", _replaying),
    )


def _colour(theme: Path, name: str = "background") -> str:
    colours: dict[str, str] = yaml.safe_load(theme.read_text(encoding="utf-8"))["colours"]
    return colours[name]


def _shipped_colour(theme: str) -> str:
    return _colour(ROOT / "themes" / f"{theme}.yaml")


def _looking(place: Place) -> None:
    with Terminal(place, _FAST) as screen:
        # A new home compiles its kernels first.
        screen.see(*_LIVE, "F12/Ctrl", within=180.0)
        screen.see("Positions", "Decisions", "Orders", "Fills", "Equity", "Regime", "Alerts")
        screen.see("Training", "Health", "Log", "CPU", "memory", "GPU", "no training|No training")
        screen.see(r"HOLD|BUY|SELL", "because", r"trend|range|volatil|crisis")
        for number, title in enumerate(("Positions", "Equity", "Orders", "Alerts", "Training"), 1):
            screen.press(str(number))
            screen.see(f"▶ {title}")
        screen.press("1")
        screen.see("▶ Positions")
        screen.press("Tab")
        screen.see("▶ Decisions")
        screen.press("z")
        screen.see_gone("Regime ─")
        screen.see("Decisions", "because")
        screen.press("PageDown", "PageDown", "Down", "Up", "End", "Home", "PageUp", "z")
        screen.see("Regime")
        screen.press("F1")
        screen.see("Show every key and what it does", "F12 or Ctrl", "FLATTEN|close every position")
        screen.press("Escape")
        screen.see_gone("Show every key and what it does")
        screen.press("u")
        screen.see("local")
        screen.press("u")
        screen.see_gone("local")
        screen.wheel(10, 15)
        screen.press("C-p")
        screen.see("Search for commands")
        screen.type("theme adan-light")
        screen.see("Theme adan-light")
        screen.press("Enter")
        screen.see_ground(_shipped_colour("adan-light"))
        screen.press("F3")  # after the last theme comes the first
        screen.see_ground(_shipped_colour("adan-contrast"))
        screen.see(*_LIVE)
        screen.press("F8")
        screen.see("nothing to re-arm")
        screen.press("F6")
        screen.see("No training runs: F5 starts one")
        screen.press("F10")
        screen.ends(0)


def _editing(place: Place) -> None:
    config = place.home / "config"
    themes = config / "themes"
    themes.mkdir(parents=True, exist_ok=True)
    settings = config / "adan.yaml"
    mine = themes / "mine.yaml"
    text = (ROOT / "themes" / "adan-contrast.yaml").read_text(encoding="utf-8")
    mine.write_text(text.replace("adan-contrast", "mine").replace("#000000", "#010203"))
    with Terminal(place, _FAST) as screen:
        screen.see(*_LIVE)
        settings.write_text("schema_version: 1\nscreen:\n  theme: mine\n  time_zone: local\n")
        screen.see_ground("#010203")
        mine.write_text(mine.read_text().replace("#010203", "#030201"))
        screen.see_ground("#030201")
        mine.write_text(mine.read_text().replace("#030201", "#zzz"))
        screen.see("The last good ones stay", "#zzz")
        screen.see_ground("#030201")
        mine.write_text(mine.read_text().replace("#zzz", "#030201"))
        settings.write_text("schema_version: 1\nscreen: [\n")
        screen.see("settings not applied", "not valid YAML", "the last good settings stay in force")
        settings.write_text("schema_version: 1\nrisk:\n  max_orders_per_minute: 100\n")
        screen.see("may not loosen a limit while a core runs", "RUNNING")
        settings.write_text("schema_version: 1\nmarket:\n  seed: 8\nrisk:\n  stop_loss: 0.04\n")
        screen.see("market.seed")
        settings.write_text("schema_version: 1\nmonitoring:\n  health_seconds: 3\n")
        screen.see("applied: .*monitoring.health_seconds")
        screen.press("F10")
        screen.ends(0)
    mine.unlink()
    settings.unlink()


def _training(place: Place) -> None:
    with Terminal(place, _FAST) as screen:
        screen.see(*_LIVE)
        _fill_in(screen, steps="none")
        screen.see("steps must be a whole number of at least 1: nothing was started")
        screen.press("Escape")
        screen.see_gone("nothing was started")
        _fill_in(screen, steps="20000", seed="3")
        screen.see("steps/s|learning", within=90.0)
        screen.press("5", "z")
        screen.see("finished", within=180.0)
        screen.press("z")
        # The first may still be sealing its model: then this one waits for it.
        _fill_in(screen, steps="50000000", dataset="practice")
        screen.see("(start|queue).training: taken")
        screen.see(r"50,000,000 steps", within=90.0)
        screen.see(r"\d steps/s", within=90.0)
        _fill_in(screen, steps="4000")
        screen.see("queue.training: taken")
        screen.press("F7")
        screen.see("PAUSED", "1 waiting", within=30.0)
        screen.press("F7")
        screen.see_gone("PAUSED")
        screen.press("F4")
        screen.see("Trainings that wait")
        screen.type("99")
        screen.press("Enter")
        screen.see("No training 99 waits")
        screen.type("3")
        screen.press("Enter")
        screen.see("will not be started")
        screen.press("F12")
        screen.see("HALT CONFIRMED", "HALTED", "0 entry orders left", within=10.0)
        _rearm(screen)
        screen.press("F10")
        screen.see("A training is running")
        screen.press("C-t")  # over a question
        screen.see("HALT CONFIRMED", within=10.0)
        screen.press("n")
        screen.see_gone("A training is running")
        screen.press("F6")
        screen.see("stop.training: taken")
        screen.see("checkpoint saved", within=60.0)
        screen.press("F10")
        screen.ends(0)


def _small(place: Place) -> None:
    with Terminal(place, _FAST, *_SMALL) as screen:
        screen.see("HALTED", "SIMULATED MARKET", "HALT CONFIRMED")
        _rearm(screen)
        screen.see(*_LIVE)
        tabs = (("Positions", "Decisions"), ("Equity", "Regime"), ("Orders", "Fills"))
        for number, panes in enumerate((*tabs, ("Alerts", "Log"), ("Training", "Health")), 1):
            screen.press(str(number))
            screen.see(rf"\[{number} \w+\]", *panes)
        screen.click(14, _row(screen, "1 Trade"))
        screen.see(r"\[2 Market\]")
        screen.press("F1")
        screen.see("Keys", "F12 or Ctrl")
        screen.press("PageDown", "PageDown")
        screen.see("Open the palette")
        screen.press("Escape")
        screen.see_gone("Open the palette")
        screen.press("F10")
        screen.ends(0)


def _flattening(place: Place) -> None:
    with Terminal(place, _FAST, *_SMALL) as screen:
        screen.see(*_LIVE)
        screen.see(r"positions [1-9]", within=120.0)
        screen.press("C-t")
        screen.see("HALT CONFIRMED", within=10.0)
        screen.press("4")
        screen.see("CRIT", "HALT", "to acknowledge")
        screen.press("a")
        screen.see("acknowledge")
        screen.press("A")
        screen.see_gone("to acknowledge")
        screen.press("A")
        screen.see("No alert waits")
        screen.press("F9")
        screen.see("FLATTEN: close everything")
        screen.type("flatten")
        screen.press("Enter")
        screen.see("You typed flatten, not FLATTEN: nothing was done")
        screen.type("FLATTEN")
        screen.press("Enter")
        screen.see("FLATTEN CONFIRMED", "0 positions left", within=30.0)
        screen.press("1")
        screen.see("No positions")
        _rearm(screen)
        screen.see(*_LIVE)
        screen.press("C-q")
        screen.ends(0)


def _elsewhere(place: Place) -> None:
    with Terminal(place, ("adan-tui", "--attach")) as screen:
        screen.see("NO CORE", "To do:", within=30.0)
        screen.press("F12")
        screen.see("There is no core here")
        screen.press("F10")
        screen.ends(9)
    core = start_core(place, "--pace", "0.2")
    try:
        with Terminal(place, ("adan-tui",)) as screen:
            screen.see("NO CORE", "adan-tui --attach shows that core")
            screen.press("F10")
            screen.ends(8)
        with Terminal(place, ("adan-tui", "--attach"), *_SMALL) as screen:
            screen.see(*_LIVE)
            screen.press("F12")
            screen.see("HALT CONFIRMED")
            _rearm(screen)
            end(place, core)
            screen.see("NO ANSWER from the core")
            screen.press("F10")
            screen.ends(0)
    finally:
        put_down(core)


def _replaying(place: Place) -> None:
    with Terminal(place, ("adan-tui", "--mode", "replay", "--dataset", "practice")) as screen:
        screen.see("REPLAY", "REPLAYED DATA, NOT LIVE", r"equity [\d,.]+ SIM", within=90.0)
        screen.press("F10")
        screen.ends(0)


def _fill_in(screen: Terminal, *, steps: str, seed: str = "", dataset: str = "") -> None:
    screen.press("F5")
    screen.see("(Start|Queue) a training", "time limit in seconds", "1000000")
    screen.press("C-u")
    screen.see_gone("1000000")
    screen.type(steps)
    screen.press("Tab")
    screen.type(seed)  # behind the one that stands there
    screen.press("Tab", "Tab")
    screen.type(dataset)
    screen.press("Enter")


def _rearm(screen: Terminal) -> None:
    screen.press("F8")
    screen.see("Re-arm after a kill")
    screen.type("REARM")
    screen.press("Enter")
    screen.see_gone("CONFIRMED")
    screen.see("RUNNING")


def _row(screen: Terminal, text: str) -> int:
    lines = screen.text().splitlines()
    return next(index for index, line in enumerate(lines, 1) if text in line)
