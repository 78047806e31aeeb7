"""The lines above and below the panes: header, tabs and footer."""

from textual import events
from textual.message import Message

from adan_tui.actions import ACTIONS, key_name
from adan_tui.drawn import Drawn
from adan_tui.lines import Ink, Line, Span, fitted, length
from adan_tui.panes import header
from adan_tui.view import View


class Header(Drawn):
    """Three lines that are always true, and a banner when something must not be overlooked."""

    def show(self, view: View) -> None:
        """Draw the header for ``view``; it grows by a line for a banner."""
        if self.size.width <= 0:
            return
        lines = header.draw(view, self.size.width)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.put(lines)


class Tabs(Drawn):
    """The tabs of a small screen; a click chooses one."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, names: tuple[str, ...], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._names = names
        self._current = 0

    def choose(self, index: int) -> None:
        """Mark a tab as the one shown."""
        self._current = index
        self._lay()

    def on_resize(self) -> None:
        """Lay the tabs out in the new width."""
        self._lay()

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the pointer."""
        start = 0
        for index, name in enumerate(self._names):
            end = start + len(self._label(index, name)) + 1
            if start <= event.x < end:
                self.post_message(self.Chosen(index))
                return
            start = end

    def _label(self, index: int, name: str) -> str:
        # The chosen tab stands in brackets, so that it can be told without colour.
        return f"[{index + 1} {name}]" if index == self._current else f" {index + 1} {name} "

    def _lay(self) -> None:
        spans: list[Span] = []
        for index, name in enumerate(self._names):
            ink = Ink.TITLE if index == self._current else Ink.MUTED
            spans += [(self._label(index, name), ink), (" ", Ink.TEXT)]
        left = self.size.width - length(tuple(spans))
        spans.append(("─" * max(left, 0), Ink.FAINT))
        self.put((fitted(tuple(spans), self.size.width),))


class Footer(Drawn):
    """The keys that matter most, as many as fit."""

    def on_resize(self) -> None:
        """Lay the keys out in the new width."""
        spans: list[Span] = [(" ", Ink.TEXT)]
        for action in ACTIONS:
            if not action.footer:
                continue
            keys = action.keys.split(",")
            shown = (
                "/".join(key_name(key) for key in keys) if action.priority else key_name(keys[0])
            )
            ink = Ink.BAD if action.priority else Ink.ACCENT
            hint: Line = ((shown, ink), (f" {action.footer}  ", Ink.MUTED))
            if length(tuple(spans)) + length(hint) <= self.size.width + 2:
                spans += hint
        self.put((fitted(tuple(spans), self.size.width),))
