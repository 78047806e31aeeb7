"""The header: whose money, what state, what it is worth, and whether any of it can be believed."""

from adan_core.domain.market import MarketSource
from adan_core.domain.portfolio import PortfolioSnapshot
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import EngineState, KillPhase, Mode
from adan_tui import figures
from adan_tui.lines import Ink, Line, Span, faded, fitted, gain, length, spread
from adan_tui.panes import kill
from adan_tui.text import clean, wrap
from adan_tui.view import Feed, View, heartbeat_age, kill_report, market_age, staleness

_MODES = {Mode.PAPER: Ink.BADGE, Mode.REPLAY: Ink.BADGE, Mode.LIVE: Ink.BADGE_WARN}
_STATES = {
    EngineState.RUNNING: Ink.BADGE_GOOD,
    EngineState.REDUCING: Ink.BADGE_WARN,
    EngineState.HALTED: Ink.BADGE_BAD,
    EngineState.SAFE_MODE: Ink.BADGE_BAD,
}
_SOURCES = {
    MarketSource.SIMULATED: ("SIMULATED MARKET", Ink.BADGE_WARN),
    MarketSource.REPLAY: ("REPLAYED DATA, NOT LIVE", Ink.BADGE_WARN),
    MarketSource.EXCHANGE: ("EXCHANGE CANDLES", Ink.BADGE),
    MarketSource.TEST_VENUE: ("SIMULATED TEST VENUE", Ink.BADGE_WARN),
}
_LONGEST_VENUE = 22


def _badges(view: View) -> list[Span]:
    snapshot = view.snapshot
    if snapshot is None:
        word = "NO CORE" if view.trouble is not None or view.link else "STARTING"
        ink = Ink.BADGE_BAD if word == "NO CORE" else Ink.BADGE
        return [(" ADAN ", Ink.TITLE), (f" {word} ", ink)]
    phase = kill_report(view).phase
    killed = phase is not KillPhase.ARMED
    spans: list[Span] = [(" ADAN ", Ink.TITLE)]
    if killed:
        # Halted is what the latch on disk makes true; until then it is only asked for.
        word = "HALTING" if phase is KillPhase.REQUESTED else "HALTED"
        spans += [(f" {word} ", Ink.BADGE_BAD), (" ", Ink.TEXT)]
    spans.append((f" {snapshot.mode.value} ", _MODES[snapshot.mode]))
    if not (killed and snapshot.state is EngineState.HALTED):
        ink = _STATES.get(snapshot.state, Ink.BADGE)
        spans += [(" ", Ink.TEXT), (f" {snapshot.state.value} ", ink)]
    source, ink = _SOURCES[snapshot.market.source]
    venue = clean(snapshot.market.venue, _LONGEST_VENUE)
    return [*spans, (" ", Ink.TEXT), (f" {source}{' ' if venue else ''}{venue} ", ink)]


def _first(view: View, width: int) -> Line:
    left = _badges(view)
    zone = figures.zone(utc=view.utc)
    right: list[Span] = []
    if view.snapshot is not None:
        run = figures.running(view.now - view.snapshot.started_at)
        right += [("up ", Ink.MUTED), (f"{run}  ", Ink.TEXT)]
    date = figures.date(view.now, utc=view.utc)
    for clock in (date, date[11:]):
        line = (*right, (f"{clock} ", Ink.TEXT), (f"{zone} ", Ink.MUTED))
        if length(tuple(left)) + length(line) < width:
            return spread(tuple(left), line, width)
    return spread(tuple(left), ((f"{date[11:]} {zone} ", Ink.TEXT),), width)


def _pair(label: str, value: str, ink: Ink = Ink.STRONG) -> Line:
    return ((f"{label} ", Ink.MUTED), (value, ink))


def _joined(parts: list[Line], width: int) -> Line:
    """Return the parts side by side; closer together, or the last left out, where they do not fit."""
    kept = list(parts)
    while len(kept) > 1 and sum(map(length, kept)) + 2 * len(kept) > width:
        kept.pop()
    inner = sum(map(length, kept))
    gap = next((gap for gap in (4, 3, 2) if inner + gap * len(kept) <= width), 2)
    spans: list[Span] = [(" ", Ink.TEXT)]
    for index, part in enumerate(kept):
        spans += [(" " * gap, Ink.TEXT), *part] if index else part
    return fitted(tuple(spans), width)


def _money(portfolio: PortfolioSnapshot | None, width: int) -> Line:
    if portfolio is None:
        names = ("equity", "PnL", "drawdown", "free", "in positions")
        return _joined([_pair(name, figures.MISSING, Ink.TEXT) for name in names], width)
    pnl = figures.money(portfolio.pnl, signed=True)
    rate = figures.percent(portfolio.pnl_rate, signed=True)
    parts = [
        _pair("equity", f"{figures.money(portfolio.equity)} {clean(portfolio.quote, 8)}"),
        _pair("PnL", f"{pnl} {rate}", gain(portfolio.pnl)),
        _pair("drawdown", figures.percent(portfolio.drawdown)),
        _pair("free", figures.money(portfolio.cash)),
    ]
    wider = [*parts, _pair("in positions", figures.money(portfolio.holdings), Ink.TEXT)]
    return _joined(wider if sum(map(length, wider)) + 11 <= width else parts, width)


def _aged(label: str, view: View, feed: Feed, age: int | None) -> Line:
    stale = staleness(view, feed)
    if stale is not None:
        return _pair(label, f"STALE {figures.age(stale.age)}", Ink.WARN)
    return _pair(label, figures.age(age))


def _vital(view: View, snapshot: CoreSnapshot, width: int) -> Line:
    market = snapshot.market
    held = "N/A" if snapshot.portfolio is None else str(len(snapshot.portfolio.positions))
    data = (
        _pair("data", "finished", Ink.ACCENT)
        if market.finished
        else _aged("data", view, Feed.MARKET, market_age(view))
    )
    parts = [
        _pair("positions", held),
        data,
        _aged("heartbeat", view, Feed.CORE, heartbeat_age(view)),
        _pair("market", figures.stamp(market.market_time, utc=view.utc), Ink.TEXT),
    ]
    if snapshot.model is not None:
        made = " (trained on synthetic data)" if snapshot.model.synthetic and width >= 130 else ""
        parts.append(_pair("model", clean(snapshot.model.model_id, 24) + made, Ink.TEXT))
    else:
        parts.append(_pair("model", figures.MISSING, Ink.TEXT))
    return _joined(parts, width)


def banners(view: View) -> list[tuple[str, Ink]]:
    """Return what is too important to be in a pane, the worst first; often nothing."""
    found: list[tuple[str, Ink]] = []
    killed = kill.told(view)
    if killed:
        found.append((killed, Ink.BADGE_BAD))
    if view.notice:
        found.append((clean(view.notice), Ink.BADGE_BAD))
    if view.trouble is not None:
        told = f"{clean(view.trouble.found)}. To do: {clean(view.trouble.remedy)}"
        found.append((told, Ink.BADGE_BAD))
    if view.link:
        since = "" if view.lost_at is None else f" for {figures.age(view.now - view.lost_at)}"
        told = f"NO ANSWER from the core{since}: {clean(view.link)}. Asking again"
        found.append((told, Ink.BADGE_BAD))
    said = None if view.snapshot is None else _said_by_core(view.snapshot)
    if said is not None and not found:
        found.append(said)
    return found


def _said_by_core(snapshot: CoreSnapshot) -> tuple[str, Ink] | None:
    if snapshot.configuration.error:
        kept = "the last good settings stay in force"
        return f"{clean(snapshot.configuration.error)}; {kept}", Ink.BADGE_WARN
    if snapshot.state is not EngineState.RUNNING and snapshot.state_reason:
        bad = snapshot.state in (EngineState.SAFE_MODE, EngineState.HALTED)
        text = f"{snapshot.state.value}: {clean(snapshot.state_reason)}"
        return text, Ink.BADGE_BAD if bad else Ink.BADGE
    stream = snapshot.market.stream
    if stream is not None and stream.paused:
        return f"PAUSED, nothing is decided: {clean(stream.paused)}", Ink.BADGE_WARN
    return None


def draw(view: View, width: int) -> tuple[Line, ...]:
    """Return the header's three lines, and one or two more for each banner."""
    snapshot = view.snapshot
    lines: list[Line] = [_first(view, width)]
    money = _money(snapshot.portfolio if snapshot is not None else None, width)
    lines.append(faded(money) if staleness(view, Feed.CORE) is not None else money)
    if snapshot is None:
        names = ("positions", "data", "heartbeat", "market", "model")
        lines.append(_joined([_pair(name, figures.MISSING, Ink.TEXT) for name in names], width))
    else:
        lines.append(_vital(view, snapshot, width))
    for text, ink in banners(view):
        lines += [
            fitted(((f" {part}", ink), (" " * width, ink)), width)
            for part in wrap(text, width - 2)[:2]
        ]
    return tuple(lines)
