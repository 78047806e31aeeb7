"""A widget drawn from lines of inked text, refreshing only the lines that changed."""

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from adan_tui.lines import Ink, Line


class Drawn(Widget):
    """Holds the lines it shows; ``put`` compares new ones with them and repaints the difference."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._inks: Mapping[Ink, Style] = {}

    def use(self, inks: Mapping[Ink, Style]) -> None:
        """Draw with other inks from now on."""
        self._inks = inks
        self.refresh()

    def put(self, lines: tuple[Line, ...]) -> None:
        """Show ``lines``."""
        before, self._lines = self._lines, lines
        longest = max(len(lines), len(before))
        changed = [
            Region(0, y, self.size.width, 1)
            for y in range(longest)
            if y >= len(lines) or y >= len(before) or lines[y] != before[y]
        ]
        if changed:
            self.refresh(*changed)

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """Return the strip at ``y``."""
        width = self.size.width
        ground = self._inks.get(Ink.TEXT, Style())
        if y >= len(self._lines):
            return Strip([Segment(" " * width, ground)], width)
        strip = Strip([Segment(text, self._inks.get(ink, ground)) for text, ink in self._lines[y]])
        return strip.adjust_cell_length(width, ground)
