"""Decisions: what the agent wants, how sure it is, who voted how, and what the limits said."""

from adan_core.domain.decisions import ActionType, BehaviourReading, Decision, Vote
from adan_tui import figures
from adan_tui.lines import Ink, Line, Picture, Span
from adan_tui.service import succession_lines
from adan_tui.text import clean, fit, wrap
from adan_tui.view import View

_BADGES = {
    ActionType.BUY: ("▲ BUY ", Ink.GOOD),
    ActionType.SELL: ("▼ SELL", Ink.BAD),
    ActionType.HOLD: ("■ HOLD", Ink.MUTED),
}
_BAR = 8
_HEADING = "time        symbol    signal confidence      target limits    latency"


def watch(view: View) -> object:
    """Decisions change when one is made."""
    return view.snapshot and (view.snapshot.decisions, view.snapshot.service)


def vote(member: Vote) -> str:
    """Return one member's vote: the exposure it wants, how sure it is, and what its voice weighs.

    The confidence above is the mean of these by weight, a vote against counting as the rest to 100 %.
    """
    wanted = figures.percent(member.target_exposure, decimals=0)
    sure = figures.percent(member.confidence, decimals=0)
    voice = ""
    if member.weight < 1.0:
        voice = f", {figures.percent(member.weight, decimals=0)} of the votes"
    against = "" if member.agrees else " against it"
    return f"{clean(member.member)} wants {wanted}{against} ({sure} sure{voice})"


def verdict(decision: Decision) -> Span:
    """Return what the risk limits said; the lines below name the limit that denied.

    Where the members disagreed, no limit was asked: they abstain, and the position stays.
    """
    if decision.action.abstained:
        return ("abstains", Ink.WARN)
    if decision.verdict is None:
        return ("no order", Ink.MUTED)
    return ("allowed", Ink.GOOD) if decision.verdict.allowed else ("DENIED", Ink.WARN)


def mode(reading: BehaviourReading, *, utc: bool) -> str:
    """Return the risk mode and, of a position, what is given: how much, since when, how protected."""
    if reading.given == 0.0:
        return reading.mode
    given = figures.percent(reading.given, decimals=0)
    stop = figures.percent(reading.stop_loss or None)
    far = figures.percent(reading.take_profit or None)
    since = figures.stamp(reading.since, utc=utc)
    return f"{reading.mode}, {given} given since {since}, stop {stop}, take-profit {far}"


def _details(decision: Decision, view: View, width: int) -> list[Line]:
    action = decision.action
    votes = "; ".join(vote(member) for member in action.votes) or "no votes"
    reasons = "; ".join(clean(reason) for reason in action.reasoning) or "no reason given"
    lines: list[Line] = []
    told = [("votes   ", votes), ("because ", reasons)]
    if decision.behaviour is not None:
        told.insert(1, ("mode    ", mode(decision.behaviour, utc=view.utc)))
    for label, text in told:
        for index, part in enumerate(wrap(text, width - 10)):
            head = label if index == 0 else " " * len(label)
            lines.append(((f"  {head}", Ink.FAINT), (part, Ink.MUTED)))
    if decision.verdict is not None:
        lines += [
            (
                (
                    f"  denied  {clean(check.code)}: {clean(check.found)}, limit {clean(check.limit)}",
                    Ink.WARN,
                ),
            )
            for check in decision.verdict.denied_by
        ]
    return lines


def _rows(decision: Decision, view: View, width: int) -> list[Line]:
    action = decision.action
    badge, ink = _BADGES[action.action_type]
    filled, rest = figures.bar(action.confidence, _BAR)
    expected = figures.percent(action.expected_return, signed=True)
    worst = figures.percent(action.expected_drawdown)
    word, word_ink = verdict(decision)
    first: list[Span] = [
        (figures.stamp(decision.time, utc=view.utc), Ink.MUTED),
        (f" {fit(clean(action.symbol), 9)} ", Ink.STRONG),
        (badge, ink),
        (f" {figures.percent(action.confidence, decimals=0):>6} ", Ink.TEXT),
        (filled, Ink.BAR),
        (rest, Ink.FAINT),
        (f" {figures.percent(action.target_exposure, decimals=0):>6} ", Ink.TEXT),
        (fit(word, 8), word_ink),
        (f" {figures.latency(decision.latency):>8}", Ink.MUTED),
    ]
    if width >= 110:
        first.append((f"  expects {expected}, drawdown {worst}", Ink.MUTED))
        first.append((f"  in {decision.regime.value}", Ink.MUTED))
    return [tuple(first), *_details(decision, view, width)]


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw the newest decision first, each with its votes and reasons below it."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.decisions:
        none: Line = (
            ("No decisions yet: the first one comes when enough candles have closed.", Ink.MUTED),
        )
        return Picture("Decisions", rows=(none,))
    newest = sorted(snapshot.decisions, key=lambda decision: decision.time, reverse=True)
    rows = [line for decision in newest for line in _rows(decision, view, width)]
    note = f"{clean(newest[0].model_id, 24)}, market time {figures.zone(utc=view.utc)}"
    heading: Line = ((_HEADING, Ink.MUTED),)
    fixed = (*succession_lines(snapshot.service, width), heading)
    return Picture("Decisions", note, fixed=fixed, rows=tuple(rows))
