"""What lies over the panes shows them dimmed, as the library would show them, and follows them."""

from rich.segment import Segment
from textual.renderables.background_screen import BackgroundScreen
from textual.visual import RenderOptions
from textual.widgets import Static

from adan_tui.dialog import Backdrop, Dialog, Palette
from adan_tui.modals import Help
from tests.unit.tui.test_keys import Driver, drive


def _shown(segments: list[Segment]) -> list[tuple[str, object, object]]:
    """One entry per cell, so that only what is seen is compared, not how it is cut up."""
    return [
        (letter, style and style.color, style and style.bgcolor)
        for text, style, _ in segments
        for letter in text
    ]


def test_the_backdrop_is_what_the_library_draws_of_the_screen_behind() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f1")
        dialog = driver.app.screen
        assert isinstance(dialog, Dialog)
        behind, shade = driver.app.screen_stack[0], dialog.styles.background
        drawn = Backdrop(behind, shade).render_strips(
            80, 24, dialog.visual_style, RenderOptions(lambda _: dialog.visual_style, {})
        )
        theirs = [
            list(BackgroundScreen.process_segments(strip, shade))
            for strip in behind._compositor.render_strips()
        ]
        assert [_shown(list(strip)) for strip in drawn] == [_shown(line) for line in theirs]
        assert shade.a < 1
        assert any(letter.strip() for letter, *_ in _shown(theirs[0]))

    drive(steps)


def test_under_every_dialogue_a_small_terminal_still_shows_that_the_kill_key_was_heard() -> None:
    async def steps(driver: Driver) -> None:
        for key in ("f1", "f5", "f9"):
            await driver.press(key)
            dialog = driver.app.screen.query_one(".dialog")
            assert dialog.region.y >= 1
            await driver.press("escape")

    drive(steps)


def test_the_palette_opens_once_and_over_a_dialogue_as_well() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f1", "ctrl+p", "ctrl+p")
        await driver.until(lambda: isinstance(driver.app.screen, Palette))
        stack = driver.app.screen_stack
        assert [type(screen) for screen in stack[1:]] == [Help, Palette]

    drive(steps)


def test_the_help_breaks_its_lines_anew_when_the_terminal_is_made_narrow() -> None:
    async def steps(driver: Driver) -> None:
        await driver.press("f1")
        keys = driver.app.screen.query_one("#keys", Static)
        wide = str(keys.render())
        await driver.pilot.resize_terminal(60, 24)
        await driver.until(lambda: str(keys.render()) != wide)
        longest = max(len(line) for line in str(keys.render()).split("\n"))
        assert longest <= keys.size.width

    drive(steps, size=(100, 24))
