"""How orders and fills lie in a SQLite table; the journal and the paper exchange use the same columns."""

from typing import Any, Final

from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, OrderType, Side

Row = tuple[Any, ...]

ORDER_DEFINITION: Final = """
    client_id TEXT NOT NULL UNIQUE, exchange_id TEXT, decision_id TEXT NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, purpose TEXT NOT NULL,
    quantity REAL NOT NULL, trigger_price REAL, stop_loss REAL NOT NULL, take_profit REAL NOT NULL,
    status TEXT NOT NULL, filled REAL NOT NULL, reason TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
"""
ORDER_COLUMNS: Final = (
    "client_id, exchange_id, decision_id, symbol, side, type, purpose, quantity, trigger_price, "
    "stop_loss, take_profit, status, filled, reason, created_at, updated_at"
)
ORDER_PLACES: Final = ", ".join("?" * 16)

FILL_DEFINITION: Final = """
    client_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, purpose TEXT NOT NULL,
    quantity REAL NOT NULL, price REAL NOT NULL, fee REAL NOT NULL, time INTEGER NOT NULL
"""
FILL_COLUMNS: Final = "client_id, symbol, side, purpose, quantity, price, fee, time"
FILL_PLACES: Final = ", ".join("?" * 8)


def order_row(order: Order) -> Row:
    """Return the order as values for ``ORDER_COLUMNS``."""
    return (
        order.client_id,
        order.exchange_id,
        order.decision_id,
        order.symbol,
        order.side.value,
        order.type.value,
        order.purpose.value,
        order.quantity,
        order.trigger_price,
        order.stop_loss,
        order.take_profit,
        order.status.value,
        order.filled,
        order.reason,
        order.created_at,
        order.updated_at,
    )


def order_from(row: Row) -> Order:
    """Return the order that a row of ``ORDER_COLUMNS`` holds."""
    return Order(
        client_id=row[0],
        exchange_id=row[1],
        decision_id=row[2],
        symbol=row[3],
        side=Side(row[4]),
        type=OrderType(row[5]),
        purpose=OrderPurpose(row[6]),
        quantity=row[7],
        trigger_price=row[8],
        stop_loss=row[9],
        take_profit=row[10],
        status=OrderStatus(row[11]),
        filled=row[12],
        reason=row[13],
        created_at=row[14],
        updated_at=row[15],
    )


def fill_row(fill: Fill) -> Row:
    """Return the fill as values for ``FILL_COLUMNS``; its trade id is kept beside them."""
    return (
        fill.client_id,
        fill.symbol,
        fill.side.value,
        fill.purpose.value,
        fill.quantity,
        fill.price,
        fill.fee,
        fill.time,
    )


def fill_from(trade_id: str, row: Row) -> Fill:
    """Return the fill that a row of ``FILL_COLUMNS`` holds."""
    return Fill(
        trade_id=trade_id,
        client_id=row[0],
        symbol=row[1],
        side=Side(row[2]),
        purpose=OrderPurpose(row[3]),
        quantity=row[4],
        price=row[5],
        fee=row[6],
        time=row[7],
    )
