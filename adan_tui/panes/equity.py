"""Equity: the account's worth over market time, drawn in braille dots."""

from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture, spread
from adan_tui.text import clean
from adan_tui.view import View

_BASE = 0x2800
# The bit of each braille dot, by column (0, 1) and row from the top (0..3).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def watch(view: View) -> object:
    """The curve changes with each point, drawn at most ``plot_hertz`` times a second."""
    if view.snapshot is None:
        return None
    # The newest snapshot is drawn when the next plot period begins, not at every point.
    period = max(1, round(1000 / view.settings.plot_hertz))
    return (view.now // period, view.snapshot.equity_curve is not None)


def ranges(values: list[float], columns: int) -> list[tuple[float, float]]:
    """Return the lowest and highest value of each of ``columns`` equal spans of ``values``.

    Where there are fewer values than columns, those between two are on a straight line. Each span
    begins where the one before ended, so that the drawn line has no holes and hides no spike.
    """
    total = len(values)
    spans: list[tuple[float, float]] = []
    if total > columns:
        for column in range(columns):
            first = max(column * total // columns - 1, 0)
            run = values[first : (column + 1) * total // columns]
            spans.append((min(run), max(run)))
        return spans
    before = values[0]
    for column in range(columns):
        place = column * (total - 1) / max(columns - 1, 1)
        index = min(int(place), max(total - 2, 0))
        after = values[min(index + 1, total - 1)]
        value = values[index] + (after - values[index]) * (place - index)
        spans.append((min(before, value), max(before, value)))
        before = value
    return spans


def braille(values: list[float], width: int, height: int) -> list[str]:
    """Return ``height`` rows of ``width`` braille cells that draw ``values`` as one line."""
    cells = [[0] * width for _ in range(height)]
    low, high = min(values), max(values)
    tall = 4 * height - 1

    def level(value: float) -> int:
        return tall // 2 if high <= low else round((high - value) / (high - low) * tall)

    for x, (least, most) in enumerate(ranges(values, 2 * width)):
        for y in range(level(most), level(least) + 1):
            cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    return ["".join(chr(_BASE + bits) for bits in row) for row in cells]


def draw(view: View, width: int, height: int) -> Picture:
    """Draw the curve with its highest and lowest value beside it and its times below."""
    snapshot = view.snapshot
    curve = snapshot.equity_curve if snapshot is not None else ()
    if len(curve) < 2 or snapshot is None:
        none: Line = (("No curve yet: it begins with the second closed candle.", Ink.MUTED),)
        return Picture("Equity", rows=(none,))
    quote = clean(snapshot.portfolio.quote) if snapshot.portfolio is not None else ""
    axis = 11
    across = max(width - axis - 1, 4)
    rows_of_plot = max(height - 1, 1)
    values = [point.equity for point in curve]
    high, low = max(values), min(values)
    plot = braille(values, across, rows_of_plot)
    ink = Ink.GOOD if values[-1] >= values[0] else Ink.BAD
    lines: list[Line] = []
    for index, text in enumerate(plot):
        label = ""
        if index == 0:
            label = figures.money(high)
        elif index == rows_of_plot - 1:
            label = figures.money(low)
        lines.append(((f"{label:>{axis}} ", Ink.MUTED), (text, ink)))
    first = figures.stamp(curve[0].time, utc=view.utc)
    last = f"{figures.stamp(curve[-1].time, utc=view.utc)} {figures.zone(utc=view.utc)}"
    lines.append(
        ((" " * (axis + 1), Ink.TEXT), *spread(((first, Ink.MUTED),), ((last, Ink.MUTED),), across))
    )
    note = f"{figures.money(values[-1])} {quote}".strip()
    return Picture("Equity", note, ink, rows=tuple(lines))
