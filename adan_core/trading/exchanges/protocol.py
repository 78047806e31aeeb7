"""What the engine, the order manager and the kill switch ask of any exchange."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from adan_core.domain.market import MarketRules
from adan_core.domain.orders import Fill, Order


class Rejection(StrEnum):
    """The definite rejections: the exchange says, in so many words, that the order does not exist."""

    NOT_FINITE = "not finite"
    NOT_POSITIVE = "not positive"
    UNKNOWN_SYMBOL = "unknown symbol"
    UNSUPPORTED_TYPE = "unsupported type"
    BAD_PROTECTION = "bad protection"
    LOT_STEP = "lot step"
    MINIMUM_QUANTITY = "minimum quantity"
    MINIMUM_NOTIONAL = "minimum notional"
    NO_PRICE = "no price"
    INSUFFICIENT_BALANCE = "insufficient balance"
    DUPLICATE_CLIENT_ID = "duplicate client id"


class CancelOutcome(StrEnum):
    """What a cancel found; everything else it may meet is an error whose outcome must be looked up."""

    CANCELED = "canceled"
    NOT_OPEN = "not open"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The exchange took the order on; ``exchange_id`` is its own, never empty."""

    client_id: str
    exchange_id: str


@dataclass(frozen=True, slots=True)
class Balance:
    """One currency: all of it, and what no open order has reserved."""

    currency: str
    total: float
    free: float


@dataclass(frozen=True, slots=True)
class Balances:
    """What the account holds, one entry per currency that the exchange lists."""

    holdings: tuple[Balance, ...]

    def total(self, currency: str) -> float:
        """Return everything held in ``currency``; 0.0 if the exchange lists none."""
        return next((held.total for held in self.holdings if held.currency == currency), 0.0)


class Exchange(Protocol):
    """One venue through one connection; used by one thread at a time.

    Reads raise RetryableError when they may succeed later. ``submit`` raises OrderRejected for a
    definite rejection; after any other error the order may exist.
    """

    @property
    def name(self) -> str:
        """The exchange's name; fills are unique by it and their trade id."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols traded here."""
        ...

    def rules(self, symbol: str) -> MarketRules:
        """Return the rules of ``symbol``; TradingError if it is not traded here."""
        ...

    async def submit(self, order: Order) -> Acknowledgement:
        """Send ``order`` once. The venue protects a filled entry by the fractions it carries.

        The protective orders' client ids are the entry's with ``s`` (stop-loss) and ``t``
        (take-profit) appended; they cover the whole position and go when it is flat.
        """
        ...

    async def cancel(self, client_id: str) -> CancelOutcome:
        """Cancel one order; NOT_OPEN if it is unknown or already filled, canceled or rejected."""
        ...

    async def open_orders(self) -> tuple[Order, ...]:
        """Return every open order of the account, foreign ones included, oldest first."""
        ...

    async def order(self, client_id: str) -> Order | None:
        """Return the order as the exchange knows it; None if it does not."""
        ...

    async def fills_since(self, sequence: int) -> tuple[Fill, ...]:
        """Return the trades after trade id ``sequence``, oldest first; trade ids are rising numbers."""
        ...

    async def balances(self) -> Balances:
        """Return what the account holds."""
        ...

    async def close(self) -> None:
        """Let go of the connection; closing twice is harmless."""
        ...
