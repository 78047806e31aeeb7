"""Orders before they are anything: their client ids, and the intent of a market order."""

import re
from collections.abc import Callable
from typing import Final

from adan_core.domain.orders import Order, OrderPurpose, OrderStatus, OrderType, Side
from adan_core.domain.time import Milliseconds

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PREFIX: Final = "adan"
_TIME_DIGITS: Final = 8  # 36^8 milliseconds: until 2059
_CHANCE_DIGITS: Final = 6
_OURS: Final = re.compile(r"adan[0-9a-z]{14}[st]?")


def new_client_id(now: Milliseconds, random_below: Callable[[int], int]) -> str:
    """Return a client id of 18 lowercase alphanumerics, which fits every venue.

    ``random_below(n)`` gives a number from 0 to ``n - 1``.
    """
    time = _base36(now % 36**_TIME_DIGITS, _TIME_DIGITS)
    return _PREFIX + time + _base36(random_below(36**_CHANCE_DIGITS), _CHANCE_DIGITS)


def _base36(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


def is_ours(client_id: str) -> bool:
    """Return whether ADAN made the id, or the venue derived it from one as protection."""
    return _OURS.fullmatch(client_id) is not None


def market_order(
    client_id: str,
    decision_id: str,
    symbol: str,
    side: Side,
    purpose: OrderPurpose,
    quantity: float,
    reason: str,
    now: Milliseconds,
    stop_loss: float = 0.0,
    take_profit: float = 0.0,
) -> Order:
    """Return the intent of a market order; ``stop_loss`` and ``take_profit`` are fractions, 0 for none."""
    return Order(
        client_id=client_id,
        exchange_id=None,
        decision_id=decision_id,
        symbol=symbol,
        side=side,
        type=OrderType.MARKET,
        purpose=purpose,
        quantity=quantity,
        trigger_price=None,
        stop_loss=stop_loss,
        take_profit=take_profit,
        status=OrderStatus.INTENT,
        filled=0.0,
        reason=reason,
        created_at=now,
        updated_at=now,
    )
