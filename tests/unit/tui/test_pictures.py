"""Pictures of the screen: each pane empty, live, stale and in error, and the whole at both sizes.

After a change of the screen that is wanted: ``pytest tests/unit/tui/test_pictures.py --snapshot-update``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from adan_core.domain.errors import AlreadyRunning
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.time import ManualClock
from adan_core.runtime.client import Session
from adan_tui.app import AdanApp
from adan_tui.bars import Header
from adan_tui.inks import inks, textual_theme
from adan_tui.layout import LEFT, RIGHT, make_pane
from adan_tui.opening import Opening
from adan_tui.pane import Pane
from adan_tui.view import View
from tests.fake_core import (
    DARK,
    NOW,
    SCREEN,
    FakeClient,
    FakeSession,
    empty_snapshot,
    halted_snapshot,
    live_snapshot,
)

pytestmark = pytest.mark.slow

SnapCompare = Callable[..., bool]
Prepare = Callable[[Pilot[None]], Awaitable[None]]

LIVE = View(NOW, SCREEN, live_snapshot())
VIEWS = {
    "starting": View(NOW, SCREEN),
    "empty": View(NOW, SCREEN, empty_snapshot()),
    "live": LIVE,
    "stale": replace(LIVE, now=NOW + 95_000),
    "error": View(NOW, SCREEN, link="the socket was closed", lost_at=NOW - 12_000),
}


class OnePane(App[None]):
    """A pane, or the header, alone."""

    def __init__(self, widget: Pane | Header, view: View) -> None:
        super().__init__()
        self._widget = widget
        self._shown = view

    def compose(self) -> ComposeResult:
        """Show the widget."""
        yield self._widget

    def on_mount(self) -> None:
        """Ink it and show it the view."""
        theme = textual_theme(DARK)
        self.register_theme(theme)
        self.theme = theme.name
        self._widget.use(inks(theme))
        self.call_after_refresh(self._widget.show, self._shown)


@pytest.mark.parametrize("state", list(VIEWS))
@pytest.mark.parametrize("name", [*LEFT, *RIGHT])
def test_pane(snap_compare: SnapCompare, name: str, state: str) -> None:
    pane = make_pane(name)
    pane.can_focus = False
    assert snap_compare(OnePane(pane, VIEWS[state]), terminal_size=(72, 12))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("state", list(VIEWS))
def test_header(snap_compare: SnapCompare, state: str, width: int) -> None:
    assert snap_compare(OnePane(Header(id="header"), VIEWS[state]), terminal_size=(width, 5))


def screen(
    picture: CoreSnapshot | None, *, down: str = "", later: int = 0, theme: str | None = None
) -> AdanApp:
    session = FakeSession(FakeClient(picture, down=down))
    app = AdanApp(Opening(lambda: session), ManualClock(NOW + later), theme_name=theme)
    app.animation_level = "none"
    return app


def prepared(*keys: str, theme: str = "fake-dark") -> Prepare:
    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, AdanApp)
        for _ in range(400):
            if app.theme == theme:
                break
            await pilot.pause(0.005)
        assert app.theme == theme
        await pilot.press(*keys)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        app._tick()
        await pilot.pause()

    return run


BOTH = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@BOTH
@pytest.mark.parametrize("state", ["empty", "live", "halted", "stale", "error"])
def test_screen(snap_compare: SnapCompare, size: tuple[int, int], state: str) -> None:
    pictures = {"empty": empty_snapshot(), "halted": halted_snapshot()}
    app = screen(
        pictures.get(state, live_snapshot()),
        down="the socket was closed" if state == "error" else "",
        later=95_000 if state == "stale" else 0,
    )
    assert snap_compare(app, terminal_size=size, run_before=prepared())


@pytest.mark.parametrize("tab", ["2", "3", "4", "5"])
def test_tab(snap_compare: SnapCompare, tab: str) -> None:
    assert snap_compare(screen(live_snapshot()), terminal_size=(80, 24), run_before=prepared(tab))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("help", ("f1",)),
        ("flatten", ("f9",)),
        ("wrong word", ("f9", *"FLAT", "enter")),
        ("rearm", ("f8",)),
        ("training form", ("f5",)),
        ("zoom", ("3", "z")),
    ],
)
def test_over_the_panes(snap_compare: SnapCompare, name: str, keys: tuple[str, ...]) -> None:
    app = screen(replace(halted_snapshot(), training=None))
    assert snap_compare(app, terminal_size=(80, 24), run_before=prepared(*keys))


def test_parting(snap_compare: SnapCompare) -> None:
    app = screen(live_snapshot())
    assert snap_compare(app, terminal_size=(80, 24), run_before=prepared("f10"))


@BOTH
def test_light_theme(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = screen(halted_snapshot(), theme="fake-light")
    assert snap_compare(app, terminal_size=size, run_before=prepared(theme="fake-light"))


@BOTH
def test_without_colour(
    snap_compare: SnapCompare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(screen(halted_snapshot()), terminal_size=size, run_before=prepared())


@BOTH
def test_no_core(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    def refuse() -> Session:
        raise AlreadyRunning("Another core owns this home", remedy="stop it")

    app = AdanApp(Opening(refuse), ManualClock(NOW))
    app.animation_level = "none"

    async def refused(pilot: Pilot[None]) -> None:
        for _ in range(400):
            if app.view.trouble is not None:
                break
            await pilot.pause(0.005)
        assert app.view.trouble is not None
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=refused)
