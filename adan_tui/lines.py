"""Lines of inked text: what panes are drawn from, before any colour is known."""

from dataclasses import dataclass
from enum import StrEnum

from rich.cells import cell_len, set_cell_size

from adan_tui.text import fit


class Ink(StrEnum):
    """What a piece of text means; a theme says how each looks, words say it without colour."""

    TEXT = "text"
    STRONG = "strong"
    MUTED = "muted"
    FAINT = "faint"
    TITLE = "title"
    ACCENT = "accent"
    BAR = "bar"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    BADGE = "badge"
    BADGE_GOOD = "badge good"
    BADGE_WARN = "badge warn"
    BADGE_BAD = "badge bad"


Span = tuple[str, Ink]
Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A pane's content: what its title line says, lines that stay, lines that scroll.

    ``note`` stands at the right of the title; a ``stale`` picture is drawn faint.
    """

    title: str
    note: str = ""
    note_ink: Ink = Ink.MUTED
    fixed: tuple[Line, ...] = ()
    rows: tuple[Line, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, its width in cells and on which side it stands."""

    heading: str
    width: int
    right: bool = False


def heading(columns: tuple[Column, ...]) -> Line:
    """Return a table's heading line."""
    text = " ".join(fit(column.heading, column.width, right=column.right) for column in columns)
    return ((text, Ink.MUTED),)


def row(columns: tuple[Column, ...], *spans: Span) -> Line:
    """Return one table row, each span fitted into its column."""
    cells: list[Span] = []
    for column, (text, ink) in zip(columns, spans, strict=True):
        if cells:
            cells.append((" ", Ink.TEXT))
        cells.append((fit(text, column.width, right=column.right), ink))
    return tuple(cells)


def length(line: Line) -> int:
    """Return the cells a line takes."""
    return sum(cell_len(text) for text, _ in line)


def fitted(line: Line, width: int) -> Line:
    """Return ``line`` cut or padded to exactly ``width`` cells."""
    kept: list[Span] = []
    left = width
    for text, ink in line:
        taken = cell_len(text)
        if taken > left:
            kept.append((set_cell_size(text, left), ink))
            left = 0
            break
        kept.append((text, ink))
        left -= taken
    if left:
        kept.append((" " * left, Ink.TEXT))
    return tuple(kept)


def spread(left: Line, right: Line, width: int) -> Line:
    """Return ``left`` and ``right`` at the two ends of ``width`` cells; the right gives way."""
    gap = width - length(left) - length(right)
    return (*left, (" " * gap, Ink.TEXT), *right) if gap > 0 else fitted(left, width)


def faded(line: Line) -> Line:
    """Return ``line`` without its colours, for figures that are no longer true."""
    return tuple((text, Ink.FAINT) for text, _ in line)


def gain(value: float | None) -> Ink:
    """Return the ink of a profit or a loss; the figure itself carries its sign."""
    if value is None or value == 0.0:
        return Ink.TEXT
    return Ink.GOOD if value > 0.0 else Ink.BAD
