"""Orders: those that stand, then those that ended, newest first."""

from adan_core.domain.orders import Order, OrderStatus, Side
from adan_tui import figures
from adan_tui.lines import Column, Ink, Line, Picture, heading, row
from adan_tui.text import clean
from adan_tui.view import View

_COLUMNS = (
    Column("time", 8),
    Column("symbol", 9),
    Column("side", 6),
    Column("purpose", 11),
    Column("quantity", 10, right=True),
    Column("trigger", 10, right=True),
    Column("status", 12),
)
_INKS = {
    OrderStatus.INTENT: Ink.ACCENT,
    OrderStatus.SENDING: Ink.ACCENT,
    OrderStatus.OPEN: Ink.STRONG,
    OrderStatus.FILLED: Ink.GOOD,
    OrderStatus.CANCELED: Ink.MUTED,
    OrderStatus.REJECTED: Ink.WARN,
    OrderStatus.UNKNOWN: Ink.BAD,
}


def watch(view: View) -> object:
    """Orders change as the journal does."""
    return view.snapshot and view.snapshot.orders


def _status(order: Order) -> str:
    if order.status is OrderStatus.UNKNOWN:
        return "UNKNOWN"
    if not order.status.terminal and order.filled > 0.0:
        return f"part {figures.percent(order.filled / order.quantity, decimals=0)}"
    return order.status.value


def _row(order: Order, view: View) -> Line:
    told = Ink.MUTED if order.status.terminal else Ink.TEXT
    line = row(
        _COLUMNS,
        (figures.clock(order.created_at, utc=view.utc), Ink.MUTED),
        (clean(order.symbol), told),
        ("▲ buy" if order.side is Side.BUY else "▼ sell", told),
        (order.purpose.value, told),
        (figures.quantity(order.quantity), told),
        ("market" if order.trigger_price is None else figures.price(order.trigger_price), told),
        (_status(order), _INKS[order.status]),
    )
    return (*line, (f" {clean(order.reason)}", Ink.MUTED)) if order.reason else line


def draw(view: View, width: int, height: int) -> Picture:  # noqa: ARG001
    """Draw one row per order."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.orders:
        none: Line = (
            ("No orders: none was needed yet. Each is journaled before it is sent.", Ink.MUTED),
        )
        return Picture("Orders", "none", rows=(none,))
    ordered = sorted(snapshot.orders, key=lambda order: (order.status.terminal, -order.created_at))
    standing = sum(not order.status.terminal for order in ordered)
    unknown = sum(order.status is OrderStatus.UNKNOWN for order in ordered)
    note = f"{standing} standing" + (f", {unknown} UNKNOWN" if unknown else "")
    return Picture(
        "Orders",
        note,
        Ink.BAD if unknown else Ink.MUTED,
        fixed=(heading(_COLUMNS),),
        rows=tuple(_row(order, view) for order in ordered),
    )
