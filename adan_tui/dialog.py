"""What lies over the panes: a modal screen whose backdrop, the panes dimmed, is cheap to draw."""

from functools import lru_cache
from typing import TypeVar, cast

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.command import CommandPalette
from textual.css.styles import RulesMap
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.visual import RenderOptions, Visual

Answer = TypeVar("Answer")


@lru_cache(maxsize=1024)
def _dimmed(style: Style, shade: Color) -> Style:
    """Return ``style`` under a translucent ``shade``, without what answers to the pointer."""
    inks = [
        None if ink is None else (Color.from_rich_color(ink) + shade).rich_color
        for ink in (style.color, style.bgcolor)
    ]
    return style.clear_meta_and_links() + Style.from_color(*inks)


class Backdrop(Visual):
    """A screen as it shows through a translucent one, every style dimmed once rather than per cell.

    Textual's own blends each segment anew and sends them through a console, which takes longer
    than everything else that opening a dialogue does.
    """

    def __init__(self, behind: Screen[object], shade: Color) -> None:
        self._behind = behind
        self._shade = shade

    def render_strips(
        self,
        width: int,
        height: int | None,
        style: VisualStyle,
        options: RenderOptions,  # noqa: ARG002 - the protocol's
    ) -> list[Strip]:
        """Return the lines of the screen behind, dimmed."""
        plain = style.rich_style
        return [
            Strip(
                [Segment(text, _dimmed(ink or plain, self._shade)) for text, ink, _ in strip],
                strip.cell_length,
            ).adjust_cell_length(width, plain)
            for strip in self._behind._compositor.render_strips()[:height]
        ]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:  # noqa: ARG002
        """Fill the screen."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:  # noqa: ARG002
        """Fill the screen."""
        return self._behind.size.height


def _backdrop(screen: Screen[Answer]) -> RenderableType | None:
    """Return what shows through ``screen``: the one below it, under its own background."""
    stack = screen.app.screen_stack
    if screen not in stack[1:]:  # closed in this very moment
        return None
    behind = stack[stack.index(screen) - 1]
    # A screen renders whatever a widget may, and that includes a Visual.
    return cast("RenderableType", Backdrop(behind, screen.styles.background))


class Dialog(ModalScreen[Answer]):
    """The base of every dialogue."""

    def render(self) -> RenderableType:
        """Draw the panes behind."""
        return _backdrop(self) or super().render()


class Palette(CommandPalette):
    """The palette of actions."""

    def render(self) -> RenderableType:
        """Draw what is behind."""
        return _backdrop(self) or super().render()
