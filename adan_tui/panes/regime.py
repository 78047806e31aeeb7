"""Regime: what each market is doing, how probable each answer is, and what speaks for it."""

from adan_core.domain.market import Regime, RegimeReading
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture, Span, length
from adan_tui.text import clean, fit
from adan_tui.view import View

# A glyph for each regime, so that a bar can be read without colour.
_GLYPHS = {
    Regime.TREND_UP: "▲",
    Regime.TREND_DOWN: "▼",
    Regime.RANGE: "─",
    Regime.HIGH_VOLATILITY: "≈",
    Regime.CRISIS: "!",
}
_LEGEND = "▲up ▼down ─range ≈volatile !crisis"
_INKS = {
    Regime.TREND_UP: Ink.GOOD,
    Regime.TREND_DOWN: Ink.BAD,
    Regime.RANGE: Ink.ACCENT,
    Regime.HIGH_VOLATILITY: Ink.WARN,
    Regime.CRISIS: Ink.BAD,
}


def watch(view: View) -> object:
    """Regimes change when a candle closes."""
    return view.snapshot and (view.snapshot.regimes, view.snapshot.market.market_time)


def shares(probabilities: tuple[float, ...], cells: int) -> list[int]:
    """Return how many of ``cells`` each probability gets; largest remainders first, all given out."""
    total = sum(probabilities) or 1.0
    exact = [probability / total * cells for probability in probabilities]
    given = [int(part) for part in exact]
    order = sorted(range(len(exact)), key=lambda index: given[index] - exact[index])
    for index in order[: cells - sum(given)]:
        given[index] += 1
    return given


def _probabilities(reading: RegimeReading, width: int) -> Line:
    numbers: list[Span] = []
    for regime, probability in zip(Regime, reading.probabilities, strict=False):
        ink = _INKS[regime] if regime is reading.regime else Ink.MUTED
        numbers.append((f" {_GLYPHS[regime]}{probability * 100:.0f}", ink))
    numbers.append((" %", Ink.MUTED))
    cells = max(8, min(40, width - length(tuple(numbers)) - 3))
    spans: list[Span] = [(" ", Ink.TEXT)]
    for regime, part in zip(Regime, shares(reading.probabilities, cells), strict=False):
        ink = _INKS[regime] if regime is reading.regime else Ink.MUTED
        spans.append((_GLYPHS[regime] * part, ink))
    return (*spans, (" ", Ink.TEXT), *numbers)


def _drivers(reading: RegimeReading, width: int) -> str:
    """Return the measured values behind the answer, in short where they would not fit."""
    for gap, word in (("  ", "volatility"), ("  ", "vol"), (" ", "vol")):
        text = gap.join(
            f"{clean(name).replace('volatility', word)} {figures.number(value, 3)}"
            for name, value in reading.drivers
        )
        if len(text) <= width:
            break
    return text or "no drivers given"


def _rows(
    symbol: str, reading: RegimeReading, view: View, width: int, *, roomy: bool
) -> list[Line]:
    market_time = view.snapshot.market.market_time if view.snapshot is not None else None
    held = figures.MISSING if market_time is None else figures.span(market_time - reading.since)
    index = list(Regime).index(reading.regime)
    chance = reading.probabilities[index] if index < len(reading.probabilities) else None
    drivers = _drivers(reading, width - 1)
    first: Line = (
        (fit(clean(symbol), 9), Ink.STRONG),
        (" ", Ink.TEXT),
        (fit(reading.regime.value, 15), _INKS[reading.regime]),
        (f"{figures.percent(chance, decimals=0):>6}", Ink.STRONG),
        (f"  for {held}", Ink.MUTED),
    )
    last: Line = ((f" {drivers}", Ink.MUTED),)
    lines = [first, _probabilities(reading, width), last]
    return [*lines, ((" ", Ink.TEXT),)] if roomy else lines


def draw(view: View, width: int, height: int) -> Picture:
    """Draw three lines per symbol: the answer, every probability, the drivers."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.regimes:
        none: Line = (("No regime yet: it needs a few dozen closed candles.", Ink.MUTED),)
        return Picture("Regime", rows=(none,))
    roomy = height >= 4 * len(snapshot.regimes)
    rows = [
        line
        for symbol, reading in snapshot.regimes
        for line in _rows(symbol, reading, view, width, roomy=roomy)
    ]
    return Picture("Regime", _LEGEND, rows=tuple(rows))
