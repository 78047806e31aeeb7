"""The pane: a titled picture of one part of the view, scrolled where it does not fit."""

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from adan_tui.drawn import Drawn
from adan_tui.figures import age
from adan_tui.lines import Ink, Line, Picture, Span, faded, fitted, length, spread
from adan_tui.text import wrap
from adan_tui.view import Feed, View, staleness

Draw = Callable[[View, int, int], Picture]
"""Draws a pane for a view into a width and a height in cells, title line not counted."""

Watch = Callable[[View], object]
"""Picks what a pane depends on; equal answers mean that nothing needs to be drawn anew."""


def _said(text: str, ink: Ink, width: int) -> list[Line]:
    return [((line, ink),) for line in wrap(text, width)]


def picture_of(draw: Draw, feed: Feed, view: View, width: int, height: int, title: str) -> Picture:
    """Return what a pane shows: its figures, its figures as stale, or why it has none."""
    if view.snapshot is None:
        if view.trouble is not None:
            lines = _said(view.trouble.found, Ink.BAD, width)
            lines += _said(f"To do: {view.trouble.remedy}", Ink.TEXT, width)
            return Picture(title, "ERROR", Ink.BAD, rows=tuple(lines))
        if view.link:
            lines = _said(f"No answer from the core: {view.link}", Ink.BAD, width)
            lines += _said(
                "To do: nothing, it is asked again; or start one with adan-core run.",
                Ink.TEXT,
                width,
            )
            return Picture(title, "ERROR", Ink.BAD, rows=tuple(lines))
        return Picture(title, "", rows=((("The core is starting.", Ink.MUTED),),))
    picture = draw(view, width, height)
    stale = staleness(view, feed)
    if stale is None:
        return picture
    return Picture(
        picture.title,
        f"STALE {age(stale.age)}: {stale.cause}",
        Ink.WARN,
        picture.fixed,
        picture.rows,
        stale=True,
    )


class Pane(Drawn, can_focus=True):
    """A titled block of lines drawn from the newest view.

    ``show`` is called by the app's one timer, only while the pane is visible; it draws only when
    something the pane depends on has changed, so that a quiet screen costs nothing.
    """

    ALLOW_MAXIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            keys, f"scroll_rows({step})", description, show=False, id=f"pane.{name}", tooltip=tip
        )
        for keys, step, name, description, tip in (
            ("up,k", -1, "up", "Up", "Show the line above"),
            ("down,j", 1, "down", "Down", "Show the line below"),
            ("pageup", -10, "pageup", "Page up", "Show ten lines further up"),
            ("pagedown,space", 10, "pagedown", "Page down", "Show ten lines further down"),
            ("home,g", -100_000, "top", "Top", "Show the first line"),
            ("end,G", 100_000, "bottom", "Bottom", "Show the last line"),
        )
    ]

    def __init__(self, title: str, draw: Draw, watch: Watch, feed: Feed, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._title = title
        self._draw = draw
        self._watch = watch
        self._feed = feed
        self._offset = 0
        self._shown: object = None
        self._view: View | None = None
        self._picture = Picture(title)

    def show(self, view: View) -> None:
        """Take a new view on; draw only if something this pane depends on has changed."""
        self._view = view
        width, height = self._room()
        if width <= 0 or height <= 0:
            return
        stale = staleness(view, self._feed)
        seen = (
            width,
            height,
            self._watch(view),
            stale and (stale.cause, stale.age // 1000),
            view.link if view.snapshot is None else "",
            view.trouble,
            view.utc,
        )
        if seen == self._shown:
            return
        self._shown = seen
        self._picture = picture_of(self._draw, self._feed, view, width, height, self._title)
        self._lay()

    def action_scroll_rows(self, step: int) -> None:
        """Move the rows by ``step`` lines; the fixed lines stay."""
        self._offset = max(0, min(self._offset + step, self._overflow()))
        self._lay()

    def on_mouse_scroll_down(self) -> None:
        """Scroll with the wheel."""
        self.action_scroll_rows(2)

    def on_mouse_scroll_up(self) -> None:
        """Scroll with the wheel."""
        self.action_scroll_rows(-2)

    def on_resize(self) -> None:
        """Ask for the picture again, in the new size."""
        if self._view is not None:
            self.show(self._view)
        self._lay()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Mark the title of the pane in focus."""
        super().watch_has_focus(has_focus)
        self._lay()

    def _room(self) -> tuple[int, int]:
        return self.size.width - 1, self.size.height - 1

    def _overflow(self) -> int:
        height = self._room()[1] - len(self._picture.fixed)
        return max(0, len(self._picture.rows) - height)

    def _title_line(self, width: int) -> Line:
        picture = self._picture
        mark: Span = ("▶ ", Ink.ACCENT) if self.has_focus else ("─ ", Ink.FAINT)
        left: Line = (mark, (picture.title, Ink.TITLE), (" ", Ink.TEXT))
        right: list[Span] = []
        if picture.note:
            right = [(" ", Ink.TEXT), (picture.note, picture.note_ink), (" ─", Ink.FAINT)]
        if length(left) + length(tuple(right)) > width:
            return fitted((*left, *right), width)
        gap = width - length(left) - length(tuple(right))
        return (*left, ("─" * gap, Ink.FAINT), *right)

    def _lay(self) -> None:
        """Compose the lines from the picture and the place scrolled to."""
        width, height = self._room()
        if width <= 0 or height < 0:
            return
        picture = self._picture
        self._offset = min(self._offset, self._overflow())
        body = list(picture.fixed)
        room = height - len(body)
        window = list(picture.rows[self._offset : self._offset + max(room, 0)])
        below = len(picture.rows) - self._offset - len(window)
        if room > 0 and (below > 0 or self._offset > 0):
            more = f"↑{self._offset} ↓{below}" if self._offset else f"↓{below} more"
            window[-1] = spread(
                fitted(window[-1], width - len(more) - 1), ((more, Ink.MUTED),), width
            )
        body += window
        if picture.stale:
            body = [faded(line) for line in body]
        lines = [self._title_line(self.size.width)]
        lines += [((" ", Ink.TEXT), *line) for line in body]
        self.put(tuple(lines))
