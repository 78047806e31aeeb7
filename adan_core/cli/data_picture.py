"""A picture of candles and of where things lie in them, in text: for a terminal 80 columns wide.

Above, the closes over the file's span as a line; below it one strip per kind of thing (a finding, a
regime), in which a cell tells how much of its span is concerned. Nothing is told by colour.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.time import iso

if TYPE_CHECKING:
    from adan_core.data.findings import Spans

Kind = TypeVar("Kind", bound=str)

_HEIGHT = 6  # lines of the plot
_NARROWEST = 33  # cells: the two dates below them, and a space
# Bits of a braille cell, by dot row and dot column.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_SHADES = " ░▒▓█"
_PLAIN_SHADES = " .:+#"
_STEPS = (0.0, 0.05, 0.25, 0.60)  # shares of a cell's span above which the next shade is used

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


def picture(
    open_time: Times,
    close: Floats,
    duration: int,
    spans: "Mapping[Kind, Spans]",
    width: int,
    encoding: str,
) -> list[tuple[str, Kind | None]]:
    """Return the picture's lines, each strip's with the kind of thing it is about.

    There are none where nothing has a place, no candle or no room.
    ``open_time`` ascends (milliseconds), ``close`` is positive. ``width`` is the terminal's in
    columns; where ``encoding`` has no braille, plain characters are used.
    """
    margin = max((len(code) for code in spans), default=0) + 1
    labels = max(margin, 11)
    cells = width - labels - 1
    if not spans or not open_time.size or cells < _NARROWEST:
        return []
    rich = _can_show(encoding)
    starts = [int(each.start.min()) for each in spans.values() if each.start.size]
    ends = [int(each.end.max()) for each in spans.values() if each.end.size]
    first = min([int(open_time[0]), *starts])
    last = max([int(open_time[-1]), *ends]) + duration
    lines: list[tuple[str, Kind | None]] = [
        (line, None) for line in _plot(open_time, close, first, last, cells, labels, rich)
    ]
    shades = _SHADES if rich else _PLAIN_SHADES
    for code, each in spans.items():
        strip = _strip(each.start, each.end + duration, first, last, cells)
        text = "".join(shades[int(np.searchsorted(_STEPS, share))] for share in strip)
        lines.append((f"{code:>{labels}} {text}".rstrip(), code))
    begin, end = iso(first)[:16], iso(last)[:16]
    lines.append((" " * (labels + 1) + begin + end.rjust(cells - len(begin)), None))
    return lines


def _can_show(encoding: str) -> bool:
    try:
        (_SHADES + "⣿").encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plot(
    open_time: Times, close: Floats, first: int, last: int, cells: int, labels: int, rich: bool
) -> list[str]:
    """Return the closes as lines of dots, two across and four down in each braille cell."""
    across, down = (2, 4) if rich else (1, 1)
    columns, rows = cells * across, _HEIGHT * down
    # Whole numbers of any size: a product of milliseconds and columns may not fit 64 bits.
    column = ((open_time - first) / (last - first) * columns).astype(np.int64)
    column = np.minimum(column, columns - 1)
    lowest, highest = float(close.min()), float(close.max())
    span = highest - lowest
    level = (close - lowest) / span if span > 0.0 else np.full(close.shape, 0.5)
    row = ((1.0 - level) * (rows - 1)).round().astype(np.int64)
    edges = np.flatnonzero(np.diff(column, prepend=-1))
    tops, bottoms = np.minimum.reduceat(row, edges), np.maximum.reduceat(row, edges)
    dots = np.zeros((rows, columns), dtype=np.bool_)
    for at, top, bottom in zip(column[edges].tolist(), tops, bottoms, strict=True):
        dots[top : bottom + 1, at] = True
    lines = []
    for line in range(_HEIGHT):
        block = dots[line * down : (line + 1) * down]
        text = _braille(block, cells) if rich else "".join("*" if dot else " " for dot in block[0])
        price = {0: highest, _HEIGHT - 1: lowest}.get(line)
        label = "" if price is None else f"{price:.5g}"
        lines.append(f"{label:>{labels}} {text}".rstrip())
    return lines


def _braille(block: NDArray[np.bool_], cells: int) -> str:
    bits = np.zeros(cells, dtype=np.int64)
    for down, pair in enumerate(_DOTS):
        for across, bit in enumerate(pair):
            bits |= np.where(block[down, across::2], bit, 0)
    return "".join(chr(0x2800 + each) if each else " " for each in bits.tolist())


def _strip(starts: Times, stops: Times, first: int, last: int, cells: int) -> Floats:
    """Return the share of each cell's span that lies inside one of the spans, shape (cells,)."""
    scale = cells / (last - first)
    begins, ends = (starts - first) * scale, (stops - first) * scale
    left = np.clip(begins.astype(np.int64), 0, cells - 1)
    right = np.clip(ends.astype(np.int64), 0, cells - 1)
    shares = np.zeros(cells + 1)
    # A span gives its first and last cell what it has of them, and all between them in full.
    alone = left == right
    np.add.at(shares, left[alone], (ends - begins)[alone])
    apart = ~alone
    np.add.at(shares, left[apart], (left + 1 - begins)[apart])
    np.add.at(shares, right[apart], (ends - right)[apart])
    full = np.zeros(cells + 1)
    np.add.at(full, (left + 1)[apart], 1.0)
    np.add.at(full, right[apart], -1.0)
    covered: Floats = np.minimum((shares + np.cumsum(full))[:cells], 1.0)
    return covered
