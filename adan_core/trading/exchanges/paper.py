"""The paper exchange: a durable venue that fills market orders at the next candle's open.

Every candle is one transaction, so that a process killed at any instant leaves the books whole,
and a candle offered again changes nothing. Money moves through ``accounting`` alone.
"""

import math
from dataclasses import replace
from pathlib import Path

from adan_core.accounting.rules import round_down
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import ConfigurationError, DataError, OrderRejected, TradingError
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, OrderType, Side
from adan_core.domain.time import Clock
from adan_core.trading.database import Durability
from adan_core.trading.exchanges.paper_matching import match
from adan_core.trading.exchanges.paper_store import PaperStore
from adan_core.trading.exchanges.protocol import (
    Acknowledgement,
    Balance,
    Balances,
    CancelOutcome,
    Rejection,
)

PAPER = "paper"


class PaperExchange:
    """One connection to the paper venue's file; several may be open at once, one per thread.

    The purse is one for all symbols. A protected position is guarded by a stop-loss and a
    take-profit order over its whole quantity; whichever fills removes the other. They reserve
    nothing: a sale of the position needs no cancel before it.
    """

    def __init__(
        self,
        path: Path,
        markets: tuple[MarketRules, ...],
        costs: Costs,
        timeframe: Timeframe,
        capital: float,
        clock: Clock,
        durability: Durability = Durability.FULL,
    ) -> None:
        quotes = {rules.quote for rules in markets}
        bases = {rules.base for rules in markets}
        if len(quotes) != 1 or len(bases) != len(markets) or quotes & bases:
            raise ConfigurationError(
                f"the paper exchange is asked to trade {[rules.symbol for rules in markets]}",
                "symbols with one common quote currency and different base currencies",
            )
        if not (math.isfinite(capital) and capital > 0.0):
            raise ConfigurationError(
                f"starting capital {capital}", "a positive amount of quote currency"
            )
        self._markets = {rules.symbol: rules for rules in markets}
        self.costs = costs
        self._timeframe = timeframe
        self._clock = clock
        self._store = PaperStore(path, durability)
        self._store.open_account(quotes.pop(), capital, clock.now())

    @property
    def name(self) -> str:
        """The exchange's name; fills are unique by it and their trade id."""
        return PAPER

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols traded here."""
        return tuple(self._markets)

    def rules(self, symbol: str) -> MarketRules:
        """Return the rules of ``symbol``; TradingError if it is not traded here."""
        if symbol not in self._markets:
            raise TradingError(f"symbol {symbol!r}", f"one of {', '.join(self._markets)}")
        return self._markets[symbol]

    async def submit(self, order: Order) -> Acknowledgement:
        """Take on a market order; raises OrderRejected with a code of ``Rejection`` if it is not valid."""
        with self._store.change():
            self._validate(order)
            taken = self._store.add_order(
                replace(order, status=OrderStatus.OPEN, filled=0.0, exchange_id=None)
            )
        if taken.exchange_id is None:
            raise TradingError(f"order {order.client_id} got no exchange id")
        return Acknowledgement(order.client_id, taken.exchange_id)

    async def cancel(self, client_id: str) -> CancelOutcome:
        """Cancel one order; a protective order's going leaves that side of the position unguarded."""
        with self._store.change():
            order = self._store.order(client_id)
            if order is None or order.status is not OrderStatus.OPEN:
                return CancelOutcome.NOT_OPEN
            self._store.set_order(
                client_id, OrderStatus.CANCELED, order.filled, "", self._clock.now()
            )
            holding = self._store.holding(order.symbol)
            if holding is not None and order.purpose is OrderPurpose.STOP_LOSS:
                self._store.set_holding(replace(holding, stop=0.0))
            elif holding is not None and order.purpose is OrderPurpose.TAKE_PROFIT:
                self._store.set_holding(replace(holding, take_profit=0.0))
        return CancelOutcome.CANCELED

    async def open_orders(self) -> tuple[Order, ...]:
        """Return every open order of the account, oldest first."""
        with self._store.reading():
            return self._store.open_orders()

    async def order(self, client_id: str) -> Order | None:
        """Return the order as the exchange knows it; None if it does not."""
        with self._store.reading():
            return self._store.order(client_id)

    async def fills_since(self, sequence: int) -> tuple[Fill, ...]:
        """Return the trades after trade id ``sequence``, oldest first."""
        with self._store.reading():
            return self._store.trades_since(sequence)

    async def balances(self) -> Balances:
        """Return the cash, less what pending buys are likely to cost, and every base currency."""
        with self._store.reading():
            currency, cash = self._store.account()
            holdings = self._store.holdings()
            pending = self._store.open_orders()
            reserved = sum(self._estimated_cost(order) for order in pending)
        selling = {
            held.symbol: sum(
                order.quantity
                for order in pending
                if order.symbol == held.symbol
                and order.side is Side.SELL
                and not order.purpose.protective
            )
            for held in holdings
        }
        return Balances(
            (
                Balance(currency, cash, max(cash - reserved, 0.0)),
                *(
                    Balance(held.base, held.quantity, max(held.quantity - selling[held.symbol], 0))
                    for held in holdings
                ),
            )
        )

    async def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._store.close()

    def on_candle(self, symbol: str, candle: Candle) -> tuple[Fill, ...]:
        """Match one closed candle and return its fills, in one transaction.

        A candle not newer than the symbol's last is not matched again; the fills it gave the first
        time are returned. Raises DataError for a candle with prices that cannot be.
        """
        rules = self.rules(symbol)
        prices = (candle.open, candle.high, candle.low, candle.close)
        if not all(math.isfinite(price) and price > 0.0 for price in prices):
            raise DataError(f"candle of {symbol} with prices {prices}", "finite, positive prices")
        with self._store.change():
            last = self._store.last_candle(symbol)
            if last is not None and candle.open_time <= last[0]:
                return self._store.trades_of(symbol, candle.open_time)
            self._store.set_last_candle(symbol, candle)
            return match(self._store, self.costs, self._timeframe, rules, candle, self._clock.now())

    def _validate(self, order: Order) -> None:
        rules = self._markets.get(order.symbol)
        fractions = (order.stop_loss, order.take_profit)
        if not all(math.isfinite(value) for value in (order.quantity, *fractions)):
            raise OrderRejected(Rejection.NOT_FINITE, f"order {order.client_id}: {order.quantity}")
        if order.quantity <= 0.0:
            raise OrderRejected(Rejection.NOT_POSITIVE, f"quantity {order.quantity}")
        if rules is None:
            raise OrderRejected(Rejection.UNKNOWN_SYMBOL, f"symbol {order.symbol!r}")
        if order.type is not OrderType.MARKET or order.purpose.protective:
            raise OrderRejected(Rejection.UNSUPPORTED_TYPE, f"{order.type} order", "a market order")
        if not (0.0 <= order.stop_loss < 1.0 and order.take_profit >= 0.0):
            raise OrderRejected(Rejection.BAD_PROTECTION, f"protection {fractions}")
        if self._store.order(order.client_id) is not None:
            raise OrderRejected(Rejection.DUPLICATE_CLIENT_ID, f"client id {order.client_id}")
        last = self._store.last_candle(order.symbol)
        if last is None:
            raise OrderRejected(Rejection.NO_PRICE, f"{order.symbol} has not traded here yet")
        self._validate_size(order, rules, close=last[1])

    def _validate_size(self, order: Order, rules: MarketRules, close: float) -> None:
        pending = self._store.open_orders()
        holding = self._store.holding(order.symbol)
        held = 0.0 if holding is None else holding.quantity
        whole_lots = round_down(order.quantity, rules.lot_step)
        in_lots = math.isclose(
            whole_lots, order.quantity, rel_tol=1e-12, abs_tol=1e-6 * rules.lot_step
        )
        # What fees in base currency or rounding left of a position may be sold as it is.
        whole_position = order.side is Side.SELL and order.quantity == held
        if not (in_lots or whole_position):
            raise OrderRejected(
                Rejection.LOT_STEP, f"quantity {order.quantity!r}", f"lots of {rules.lot_step}"
            )
        if order.quantity < rules.minimum_quantity:
            raise OrderRejected(
                Rejection.MINIMUM_QUANTITY,
                f"quantity {order.quantity!r}",
                f"at least {rules.minimum_quantity}",
            )
        if order.quantity * close < rules.minimum_notional:
            raise OrderRejected(
                Rejection.MINIMUM_NOTIONAL,
                f"notional {order.quantity * close!r}",
                f"at least {rules.minimum_notional} {rules.quote}",
            )
        if order.side is Side.BUY:
            free = self._store.account()[1] - sum(self._estimated_cost(one) for one in pending)
            if free <= 0.0:
                raise OrderRejected(Rejection.INSUFFICIENT_BALANCE, f"{free} {rules.quote} free")
        else:
            selling = sum(
                one.quantity
                for one in pending
                if one.symbol == order.symbol
                and one.side is Side.SELL
                and not one.purpose.protective
            )
            if order.quantity > held - selling:
                raise OrderRejected(
                    Rejection.INSUFFICIENT_BALANCE,
                    f"sale of {order.quantity!r} {rules.base}",
                    f"at most {held - selling!r}",
                )

    def _estimated_cost(self, order: Order) -> float:
        last = self._store.last_candle(order.symbol)
        if order.side is Side.SELL or last is None:
            return 0.0
        return order.quantity * last[1] * (1.0 + self.costs.fee_rate)
