"""Orders, their life in the journal, and fills."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.time import Milliseconds


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order is executed."""

    MARKET = "market"
    STOP = "stop"
    TAKE_PROFIT = "take profit"


class OrderPurpose(StrEnum):
    """Why an order exists; a kill cancels entries and leaves protection standing."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP_LOSS = "stop loss"
    TAKE_PROFIT = "take profit"
    FLATTEN = "flatten"

    @property
    def protective(self) -> bool:
        """Whether the order guards a position and must outlive a HALT."""
        return self in (OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT)


class OrderStatus(StrEnum):
    """Where an order stands; UNKNOWN is resolved by looking, never by sending again."""

    INTENT = "intent"
    SENDING = "sending"
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the journal holds it.

    Quantities are in base currency, prices in quote currency; ``trigger_price`` belongs to stops
    and take-profits. ``stop_loss`` and ``take_profit`` are fractions of the entry price that an
    entry asks the venue to protect it with (0: none).
    """

    client_id: str
    exchange_id: str | None
    decision_id: str
    symbol: str
    side: Side
    type: OrderType
    purpose: OrderPurpose
    quantity: float
    trigger_price: float | None
    stop_loss: float
    take_profit: float
    status: OrderStatus
    filled: float
    reason: str
    created_at: Milliseconds
    updated_at: Milliseconds


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade against one of our orders; unique by its trade id on its exchange.

    ``fee`` is in quote currency; ``time`` is the market's time of the trade.
    """

    trade_id: str
    client_id: str
    symbol: str
    side: Side
    purpose: OrderPurpose
    quantity: float
    price: float
    fee: float
    time: Milliseconds
