"""Positions: what is held, where its protection stands, what it has earned."""

from adan_core.domain.portfolio import Position
from adan_core.domain.time import Milliseconds
from adan_tui import figures
from adan_tui.lines import Column, Ink, Line, Picture, Span, gain, heading, row
from adan_tui.text import clean
from adan_tui.view import View

_NARROW = (
    Column("symbol", 9),
    Column("size", 10, right=True),
    Column("entry", 10, right=True),
    Column("mark", 10, right=True),
    Column("uPnL", 10, right=True),
    Column("", 7, right=True),
    Column("age", 8, right=True),
)
_WIDE = (
    *_NARROW[:4],
    Column("stop", 17, right=True),
    Column("take profit", 17, right=True),
    *_NARROW[4:],
)


def watch(view: View) -> object:
    """Positions change with the portfolio and, for their age, with the market's time."""
    snapshot = view.snapshot
    return snapshot and (snapshot.portfolio, snapshot.market.market_time)


def _protection(position: Position, price: float | None) -> Span:
    if price is None:
        return ("none", Ink.WARN)
    away = figures.percent(position.distance(price), signed=True, decimals=1)
    return (f"{figures.price(price)} {away:>7}", Ink.TEXT)


def _age(position: Position, market_time: Milliseconds | None) -> str:
    if market_time is None:
        return figures.MISSING
    return figures.span(market_time - position.opened_at)


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw one row per position; on narrow screens a second row with its protection."""
    portfolio = view.snapshot.portfolio if view.snapshot is not None else None
    if portfolio is None or view.snapshot is None:
        unknown: Line = (("N/A: the account is not known yet.", Ink.MUTED),)
        return Picture("Positions", figures.MISSING, rows=(unknown,))
    if not portfolio.positions:
        flat: Line = (("No positions: the agent is flat, all of it is cash.", Ink.MUTED),)
        return Picture("Positions", "flat", rows=(flat,))
    wide = width >= sum(column.width + 1 for column in _WIDE) - 1
    rows: list[Line] = []
    for position in portfolio.positions:
        stop = _protection(position, position.stop_price)
        profit = _protection(position, position.take_profit_price)
        ink = gain(position.unrealised)
        first: tuple[Span, ...] = (
            (clean(position.symbol), Ink.STRONG),
            (figures.quantity(position.quantity), Ink.TEXT),
            (figures.price(position.average_price), Ink.TEXT),
            (figures.price(position.mark), Ink.TEXT),
        )
        last: tuple[Span, ...] = (
            (figures.money(position.unrealised, signed=True), ink),
            (figures.percent(position.unrealised_rate, signed=True, decimals=1), ink),
            (_age(position, view.snapshot.market.market_time), Ink.TEXT),
        )
        if wide:
            rows.append(row(_WIDE, *first, stop, profit, *last))
            continue
        rows.append(row(_NARROW, *first, *last))
        rows.append(
            (
                ("          stop ", Ink.MUTED),
                stop,
                ("   take profit ", Ink.MUTED),
                profit,
            )
        )
    columns = _WIDE if wide else _NARROW
    worth = f"{figures.money(portfolio.holdings)} {clean(portfolio.quote)}"
    note = f"{len(portfolio.positions)} open, worth {worth}"
    return Picture("Positions", note, fixed=(heading(columns),), rows=tuple(rows))
