"""Fills and closed trades: what was done, newest first, in market time."""

from adan_core.domain.orders import Fill, Side
from adan_core.domain.portfolio import ClosedTrade
from adan_tui import figures
from adan_tui.lines import Column, Ink, Line, Picture, gain, heading, row
from adan_tui.text import clean
from adan_tui.view import View

_COLUMNS = (
    Column("time", 11),
    Column("symbol", 9),
    Column("what", 13),
    Column("quantity", 10, right=True),
    Column("price", 10, right=True),
    Column("fee or PnL", 11, right=True),
)


def watch(view: View) -> object:
    """Fills and trades change as they happen."""
    return view.snapshot and (view.snapshot.fills, view.snapshot.trades)


def _fill(fill: Fill, view: View) -> Line:
    mark = "▲" if fill.side is Side.BUY else "▼"
    return row(
        _COLUMNS,
        (figures.stamp(fill.time, utc=view.utc), Ink.MUTED),
        (clean(fill.symbol), Ink.TEXT),
        (f"{mark} {fill.purpose.value}", Ink.TEXT),
        (figures.quantity(fill.quantity), Ink.TEXT),
        (figures.price(fill.price), Ink.TEXT),
        (f"fee {figures.money(fill.fee)}", Ink.MUTED),
    )


def _trade(trade: ClosedTrade, view: View) -> Line:
    return row(
        _COLUMNS,
        (figures.stamp(trade.closed_at, utc=view.utc), Ink.MUTED),
        (clean(trade.symbol), Ink.STRONG),
        (f"= {clean(trade.reason)}", Ink.STRONG),
        (figures.quantity(trade.quantity), Ink.TEXT),
        (figures.price(trade.exit_price), Ink.TEXT),
        (figures.money(trade.pnl, signed=True), gain(trade.pnl)),
    )


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw a row per fill and, in bold, one per round trip that it closed."""
    snapshot = view.snapshot
    if snapshot is None or not (snapshot.fills or snapshot.trades):
        none: Line = (("No fills: nothing has been bought or sold yet.", Ink.MUTED),)
        return Picture("Fills and closed trades", "none", rows=(none,))
    # At the same instant the trade stands above the fill that closed it.
    dated = [(fill.time, 0, _fill(fill, view)) for fill in snapshot.fills]
    dated += [(trade.closed_at, 1, _trade(trade, view)) for trade in snapshot.trades]
    dated.sort(key=lambda entry: entry[:2], reverse=True)
    return Picture(
        "Fills and closed trades",
        f"market time {figures.zone(utc=view.utc)}",
        fixed=(heading(_COLUMNS),),
        rows=tuple(line for _, _, line in dated),
    )
