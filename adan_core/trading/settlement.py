"""The candles' way into the books, in order: none is lost because an exchange did not answer."""

from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from adan_core.domain.candles import Candle, ClosedCandles
from adan_core.domain.errors import DataError, SystemFailure
from adan_core.domain.orders import Fill, Side
from adan_core.trading.desk import Desk
from adan_core.trading.orders import OrderManager
from adan_core.trading.portfolio import PortfolioManager

WAITING: Final = 1_000
"""As many instants may wait to be settled; more mean that the exchange is gone."""

_ROUNDING = 1e-9


class Venue(Protocol):
    """A simulated exchange, which has to be shown the market."""

    def on_candle(self, symbol: str, candle: Candle) -> tuple[Fill, ...]:
        """Match one closed candle against the open orders and return the fills.

        A candle offered again is not matched again and gives the same fills.
        """
        ...


class Settlement:
    """Shows the venue each candle and books what traded; what fails is offered again, in order."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        venue: Venue,
        orders: OrderManager,
        portfolio: PortfolioManager,
    ) -> None:
        self._desks = desks
        self._venue = venue
        self._orders = orders
        self._portfolio = portfolio
        self._waiting: deque[ClosedCandles] = deque()

    def queue(self, closed: ClosedCandles) -> None:
        """Line up one instant; SystemFailure, with nothing lined up, if too many wait already.

        The books then end at the last settled candle for good, where a restart takes up again.
        """
        if len(self._waiting) >= WAITING:
            raise SystemFailure(
                f"{len(self._waiting)} candles could not be settled",
                "an exchange that answers",
                "mend it and restart ADAN: it resumes after the last settled candle",
            )
        self._waiting.append(closed)

    @property
    def behind(self) -> bool:
        """Whether candles wait."""
        return bool(self._waiting)

    async def settle(self) -> ClosedCandles:
        """Settle the oldest instant that waits and return it; whatever is raised, it goes on waiting.

        Only a datum that cannot be (DataError) is given up. Candles that a position is held are
        counted here, once per candle.
        """
        closed = self._waiting[0]
        try:
            traded = [
                (self._desks[symbol], self._venue.on_candle(symbol, candle))
                for symbol, candle in closed.candles
            ]
            await self._orders.collect()
        except DataError:
            self._waiting.popleft()
            raise
        for desk, fills in traded:
            quantity = self._portfolio.quantity(desk.symbol)
            signed = sum(
                fill.quantity if fill.side is Side.BUY else -fill.quantity for fill in fills
            )
            opened = abs(quantity - signed) <= quantity * _ROUNDING
            desk.held = 0 if quantity == 0.0 or opened else desk.held + 1
        self._waiting.popleft()
        return closed
