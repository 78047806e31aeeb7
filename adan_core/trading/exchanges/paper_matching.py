"""How the paper exchange matches one closed candle: pending orders at the open, then protection."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting import account
from adan_core.accounting.stops import NOT_HIT, STOP_LOSS_HIT
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import SystemFailure
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, OrderType, Side
from adan_core.domain.time import Milliseconds
from adan_core.trading.exchanges.paper_store import Holding, PaperStore


def match(
    store: PaperStore,
    costs: Costs,
    timeframe: Timeframe,
    rules: MarketRules,
    candle: Candle,
    now: Milliseconds,
) -> tuple[Fill, ...]:
    """Fill what ``candle`` fills, write it all to ``store`` and return the fills, oldest first.

    Runs inside the caller's transaction. Orders fill at the candle's open, in the order in which
    they were taken on; protection, that of a position entered at this very open included, fills
    inside the candle, worst case first. The sequence is that of ``accounting.account``. ``now`` is
    the wall clock that orders are stamped with, like those the engine writes; trades carry the
    market's time.
    """
    return _Matching(store, costs, timeframe, rules, candle, now).run()


class _Matching:
    """One symbol's position as an account row while one candle passes over it."""

    def __init__(
        self,
        store: PaperStore,
        costs: Costs,
        timeframe: Timeframe,
        rules: MarketRules,
        candle: Candle,
        now: Milliseconds,
    ) -> None:
        self._store = store
        self._costs = costs
        self._rules = rules
        self._candle = candle
        self._now = now
        self._close_time: Milliseconds = candle.open_time + timeframe.duration
        self._row: NDArray[np.float64] = np.zeros(account.ACCOUNT_COLUMNS)

    def run(self) -> tuple[Fill, ...]:
        orders = self._store.open_orders(self._rules.symbol)
        holding = self._store.holding(self._rules.symbol)
        if not orders and (holding is None or holding.quantity == 0.0):
            return ()
        self._load(holding)
        fills = [
            fill
            for order in orders
            if not order.purpose.protective
            for fill in self._fill_at_open(order)
        ]
        fills += self._protect()
        self._save()
        return tuple(fills)

    def _load(self, holding: Holding | None) -> None:
        self._row[account.CASH] = self._store.account()[1]
        if holding is not None:
            self._row[account.QUANTITY] = holding.quantity
            self._row[account.AVERAGE] = holding.average
            self._row[account.STOP] = holding.stop
            self._row[account.TAKE_PROFIT] = holding.take_profit

    def _save(self) -> None:
        self._store.set_cash(float(self._row[account.CASH]))
        self._store.set_holding(
            Holding(
                self._rules.symbol,
                self._rules.base,
                float(self._row[account.QUANTITY]),
                float(self._row[account.AVERAGE]),
                float(self._row[account.STOP]),
                float(self._row[account.TAKE_PROFIT]),
            )
        )

    def _fill_at_open(self, order: Order) -> tuple[Fill, ...]:
        row, rules, candle = self._row, self._rules, self._candle
        row[account.FEES] = 0.0
        account.execute_at_open(
            row,
            order.quantity if order.side is Side.BUY else -order.quantity,
            candle.open,
            0,
            self._costs.fee_rate,
            self._costs.slippage_rate,
            rules.lot_step,
            rules.tick_size,
            rules.minimum_quantity,
            order.stop_loss,
            order.take_profit,
        )
        filled = abs(float(row[account.LAST_FILL]))
        traded_at, now = candle.open_time, self._now
        if filled == 0.0:
            why = "not enough cash" if order.side is Side.BUY else "no position left to sell"
            self._store.set_order(order.client_id, OrderStatus.CANCELED, 0.0, why, now)
            return ()
        if filled < order.quantity:
            why = "the rest was canceled: not enough cash or position"
            self._store.set_order(order.client_id, OrderStatus.CANCELED, filled, why, now)
        else:
            self._store.set_order(order.client_id, OrderStatus.FILLED, filled, "", now)
        self._cover(order, now)
        return (self._trade(order, filled, float(row[account.LAST_FILL_PRICE]), traded_at),)

    def _protect(self) -> tuple[Fill, ...]:
        row, rules, candle = self._row, self._rules, self._candle
        row[account.FEES] = 0.0
        account.protect_in_candle(
            row,
            candle.open,
            candle.high,
            candle.low,
            self._costs.fee_rate,
            self._costs.slippage_rate,
            rules.tick_size,
        )
        hit = int(row[account.LAST_HIT])
        if hit == NOT_HIT:
            return ()
        purpose = OrderPurpose.STOP_LOSS if hit == STOP_LOSS_HIT else OrderPurpose.TAKE_PROFIT
        now = self._now
        filled = float(row[account.LAST_HIT_QUANTITY])
        price = float(row[account.LAST_HIT_PRICE])
        fills: tuple[Fill, ...] = ()
        for order in self._protection():
            if order.purpose is purpose:
                self._store.set_order(order.client_id, OrderStatus.FILLED, filled, "", now)
                fills = (self._trade(order, filled, price, self._close_time),)
            else:
                why = f"the {purpose} was filled"
                self._store.set_order(order.client_id, OrderStatus.CANCELED, 0.0, why, now)
        if not fills:
            raise SystemFailure(
                f"{rules.symbol}: a {purpose} price without its order", "one open order for each"
            )
        return fills

    def _trade(
        self,
        order: Order,
        quantity: float,
        price: float,
        time: Milliseconds,
    ) -> Fill:
        return self._store.add_trade(
            Fill(
                trade_id="",
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                purpose=order.purpose,
                quantity=quantity,
                price=price,
                fee=float(self._row[account.FEES]),
                time=time,
            ),
            self._candle.open_time,
        )

    def _protection(self) -> tuple[Order, ...]:
        standing = self._store.open_orders(self._rules.symbol)
        return tuple(order for order in standing if order.purpose.protective)

    def _cover(self, order: Order, now: Milliseconds) -> None:
        """Let the protective orders follow the position that ``order`` has just changed."""
        standing = self._protection()
        quantity = float(self._row[account.QUANTITY])
        if order.side is Side.SELL and quantity > 0.0:
            for one in standing:
                self._store.set_order_quantity(one.client_id, quantity, now)
            return
        for one in standing:
            why = "flat" if quantity == 0.0 else f"replaced by the protection of {order.client_id}"
            self._store.set_order(one.client_id, OrderStatus.CANCELED, 0.0, why, now)
        if quantity == 0.0:
            return
        for suffix, purpose, kind, price in (
            ("s", OrderPurpose.STOP_LOSS, OrderType.STOP, float(self._row[account.STOP])),
            (
                "t",
                OrderPurpose.TAKE_PROFIT,
                OrderType.TAKE_PROFIT,
                float(self._row[account.TAKE_PROFIT]),
            ),
        ):
            if price > 0.0:
                self._store.add_order(
                    replace(
                        order,
                        client_id=order.client_id + suffix,
                        exchange_id=None,
                        side=Side.SELL,
                        type=kind,
                        purpose=purpose,
                        quantity=quantity,
                        trigger_price=price,
                        stop_loss=0.0,
                        take_profit=0.0,
                        status=OrderStatus.OPEN,
                        filled=0.0,
                        reason=f"protects {order.client_id}",
                        created_at=now,
                        updated_at=now,
                    )
                )
