"""The paper venue: what it takes, what it refuses, and what a candle fills."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting import account
from adan_core.accounting.sizing import sized_order
from adan_core.domain.candles import Candle
from adan_core.domain.errors import ConfigurationError, DataError, OrderRejected
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, OrderType, Side
from adan_core.domain.time import HOUR, ManualClock
from adan_core.trading.exchanges.paper import PaperExchange
from adan_core.trading.exchanges.protocol import CancelOutcome, Rejection
from tests.accounts import step_account
from tests.trading_market import (
    BTC,
    CAPITAL,
    COSTS,
    ETH,
    HOURLY,
    START,
    Drafts,
    candle,
    rules,
    venue,
)


def take(exchange: PaperExchange, order: Order) -> None:
    asyncio.run(exchange.submit(order))


def look(exchange: PaperExchange, client_id: str) -> Order:
    found = asyncio.run(exchange.order(client_id))
    assert found is not None
    return found


def holds(exchange: PaperExchange, currency: str) -> float:
    return asyncio.run(exchange.balances()).total(currency)


def standing(exchange: PaperExchange) -> dict[OrderPurpose, Order]:
    return {order.purpose: order for order in asyncio.run(exchange.open_orders())}


def entered(tmp_path: Path, quantity: float = 10.0) -> tuple[PaperExchange, Drafts]:
    """Return a venue that holds ``quantity`` bought at an open of 100 with stop and take-profit."""
    exchange, drafts = venue(tmp_path), Drafts()
    exchange.on_candle(BTC, candle(0, 100.0))
    take(exchange, drafts.buy(quantity))
    exchange.on_candle(BTC, candle(1, 100.0))
    return exchange, drafts


def test_a_market_order_fills_at_the_next_open_with_slippage_and_fee(tmp_path: Path) -> None:
    exchange, drafts = venue(tmp_path), Drafts()
    exchange.on_candle(BTC, candle(0, 100.0))
    order = drafts.buy(10.0)
    take(exchange, order)
    assert look(exchange, order.client_id).status is OrderStatus.OPEN
    (fill,) = exchange.on_candle(BTC, candle(1, 102.0, high=103.0, low=101.0, close=103.0))
    price = 102.06  # 102 * 1.0005 = 102.051, up to the next tick
    assert (fill.price, fill.quantity, fill.time) == (price, 10.0, START + HOUR)
    assert fill.fee == pytest.approx(10.0 * price * 0.001, rel=1e-15)
    assert holds(exchange, "SIM") == pytest.approx(CAPITAL - 10.0 * price * 1.001, rel=1e-15)
    assert holds(exchange, "BTC") == 10.0


def test_the_same_candle_is_never_matched_twice(tmp_path: Path) -> None:
    exchange, drafts = venue(tmp_path), Drafts()
    exchange.on_candle(BTC, candle(0, 100.0))
    take(exchange, drafts.buy(10.0))
    first = exchange.on_candle(BTC, candle(1, 100.0))
    cash = holds(exchange, "SIM")
    take(exchange, drafts.buy(5.0))
    assert exchange.on_candle(BTC, candle(1, 100.0)) == first
    assert exchange.on_candle(BTC, candle(0, 100.0)) == ()
    assert holds(exchange, "SIM") == cash
    assert asyncio.run(exchange.fills_since(0)) == first


def test_a_stop_is_hit_in_the_candle_of_its_entry_and_before_the_take_profit(
    tmp_path: Path,
) -> None:
    exchange, drafts = venue(tmp_path), Drafts()
    exchange.on_candle(BTC, candle(0, 100.0))
    order = drafts.buy(10.0)
    take(exchange, order)
    entry, stop = exchange.on_candle(BTC, candle(1, 100.0, high=120.0, low=90.0))
    assert (entry.purpose, stop.purpose) == (OrderPurpose.ENTRY, OrderPurpose.STOP_LOSS)
    assert stop.client_id == order.client_id + "s"
    assert stop.price == pytest.approx(100.05 * 0.95 * 0.9995, abs=0.02)
    assert holds(exchange, "BTC") == 0.0
    assert standing(exchange) == {}
    assert look(exchange, order.client_id + "s").status is OrderStatus.FILLED
    assert look(exchange, order.client_id + "t").status is OrderStatus.CANCELED


def test_a_take_profit_removes_the_stop(tmp_path: Path) -> None:
    exchange, _ = entered(tmp_path)
    assert set(standing(exchange)) == {OrderPurpose.STOP_LOSS, OrderPurpose.TAKE_PROFIT}
    (fill,) = exchange.on_candle(BTC, candle(2, 100.0, high=111.0, low=99.0))
    assert fill.purpose is OrderPurpose.TAKE_PROFIT
    assert fill.price == pytest.approx(110.06, abs=0.011)
    assert standing(exchange) == {}


def test_a_gap_below_the_stop_fills_at_the_open(tmp_path: Path) -> None:
    exchange, _ = entered(tmp_path)
    (fill,) = exchange.on_candle(BTC, candle(2, 80.0))
    assert fill.price == pytest.approx(80.0 * 0.9995, abs=0.011)


def test_protection_follows_the_position(tmp_path: Path) -> None:
    exchange, drafts = entered(tmp_path)
    before = standing(exchange)
    take(exchange, drafts.sell(4.0))
    exchange.on_candle(BTC, candle(2, 100.0))
    shrunk = standing(exchange)
    assert {one.quantity for one in shrunk.values()} == {6.0}
    assert {one.client_id for one in shrunk.values()} == {one.client_id for one in before.values()}
    addition = drafts.buy(2.0)
    take(exchange, addition)
    exchange.on_candle(BTC, candle(3, 100.0))
    replaced = standing(exchange)
    assert {one.quantity for one in replaced.values()} == {8.0}
    assert replaced[OrderPurpose.STOP_LOSS].client_id == addition.client_id + "s"
    assert look(exchange, before[OrderPurpose.STOP_LOSS].client_id).status is OrderStatus.CANCELED
    take(exchange, drafts.sell(8.0))
    exchange.on_candle(BTC, candle(4, 100.0))
    assert standing(exchange) == {}


def test_a_canceled_order_does_not_fill_and_cancels_only_once(tmp_path: Path) -> None:
    exchange, drafts = entered(tmp_path)
    order = drafts.buy(1.0)
    take(exchange, order)
    assert asyncio.run(exchange.cancel(order.client_id)) is CancelOutcome.CANCELED
    assert asyncio.run(exchange.cancel(order.client_id)) is CancelOutcome.NOT_OPEN
    assert asyncio.run(exchange.cancel("nobody")) is CancelOutcome.NOT_OPEN
    assert exchange.on_candle(BTC, candle(2, 100.0)) == ()


def test_a_canceled_stop_guards_no_longer(tmp_path: Path) -> None:
    exchange, _ = entered(tmp_path)
    asyncio.run(exchange.cancel(standing(exchange)[OrderPurpose.STOP_LOSS].client_id))
    assert exchange.on_candle(BTC, candle(2, 50.0)) == ()
    assert holds(exchange, "BTC") == 10.0


def test_an_order_beyond_the_purse_is_cut_and_its_rest_canceled(tmp_path: Path) -> None:
    exchange, drafts = venue(tmp_path), Drafts()
    exchange.on_candle(BTC, candle(0, 100.0))
    order = drafts.buy(500.0)
    take(exchange, order)
    (fill,) = exchange.on_candle(BTC, candle(1, 100.0))
    assert fill.quantity == pytest.approx(CAPITAL / (100.05 * 1.001), abs=0.002)
    seen = look(exchange, order.client_id)
    assert (seen.status, seen.filled) == (OrderStatus.CANCELED, fill.quantity)
    assert 0.0 <= holds(exchange, "SIM") < 1.0


Change = Callable[[Order], Order]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (Rejection.NOT_FINITE, lambda one: replace(one, quantity=math.nan)),
        (Rejection.NOT_FINITE, lambda one: replace(one, quantity=math.inf)),
        (Rejection.NOT_FINITE, lambda one: replace(one, stop_loss=math.nan)),
        (Rejection.NOT_POSITIVE, lambda one: replace(one, quantity=0.0)),
        (Rejection.NOT_POSITIVE, lambda one: replace(one, quantity=-1.0)),
        (Rejection.UNKNOWN_SYMBOL, lambda one: replace(one, symbol="DOGE/SIM")),
        (Rejection.UNSUPPORTED_TYPE, lambda one: replace(one, type=OrderType.STOP)),
        (Rejection.BAD_PROTECTION, lambda one: replace(one, stop_loss=1.0)),
        (Rejection.LOT_STEP, lambda one: replace(one, quantity=1.0005)),
        (Rejection.MINIMUM_NOTIONAL, lambda one: replace(one, quantity=0.05)),
        (Rejection.NO_PRICE, lambda one: replace(one, symbol=ETH)),
        (Rejection.INSUFFICIENT_BALANCE, lambda one: replace(one, side=Side.SELL, quantity=11.0)),
    ],
)
def test_an_invalid_order_is_rejected_by_its_code(
    tmp_path: Path, code: Rejection, change: Change
) -> None:
    exchange, drafts = entered(tmp_path)
    order = change(drafts.buy(1.0))
    with pytest.raises(OrderRejected) as rejection:
        take(exchange, order)
    assert rejection.value.code == code
    assert asyncio.run(exchange.order(order.client_id)) is None


def test_minimum_quantity_duplicate_and_double_sale_are_rejected(tmp_path: Path) -> None:
    exchange, drafts = entered(tmp_path)
    order = drafts.sell(10.0)
    take(exchange, order)
    for refused, code in (
        (order, Rejection.DUPLICATE_CLIENT_ID),
        (drafts.sell(1.0), Rejection.INSUFFICIENT_BALANCE),
    ):
        with pytest.raises(OrderRejected) as rejection:
            take(exchange, refused)
        assert rejection.value.code == code
    coarse = replace(rules(ETH), lot_step=0.0001)
    other = PaperExchange(
        tmp_path / "other.sqlite", (coarse,), COSTS, HOURLY, CAPITAL, ManualClock(START)
    )
    other.on_candle(ETH, candle(0, 50_000.0))
    with pytest.raises(OrderRejected) as rejection:
        take(other, drafts.buy(0.0005, ETH))
    assert rejection.value.code == Rejection.MINIMUM_QUANTITY


def test_the_opening_deposit_is_recorded_once(tmp_path: Path) -> None:
    venue(tmp_path)
    richer = PaperExchange(
        tmp_path / "paper.sqlite", (rules(),), COSTS, HOURLY, 99_999.0, ManualClock(START)
    )
    assert holds(richer, "SIM") == CAPITAL


def test_what_cannot_be_a_market_or_a_candle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        PaperExchange(
            tmp_path / "p", (rules(), rules("BTC/EUR")), COSTS, HOURLY, 1.0, ManualClock()
        )
    with pytest.raises(ConfigurationError):
        PaperExchange(tmp_path / "p", (rules(),), COSTS, HOURLY, math.nan, ManualClock())
    with pytest.raises(DataError):
        venue(tmp_path).on_candle(BTC, candle(0, math.nan))


def test_reserved_amounts_are_not_free(tmp_path: Path) -> None:
    exchange, drafts = entered(tmp_path)
    take(exchange, drafts.buy(10.0))
    take(exchange, drafts.sell(4.0))
    free = {held.currency: held.free for held in asyncio.run(exchange.balances()).holdings}
    assert free["SIM"] == pytest.approx(holds(exchange, "SIM") - 10.0 * 100.0 * 1.001)
    assert free["BTC"] == 6.0


moves = st.lists(
    st.tuples(
        st.floats(-0.06, 0.06),  # gap to the next open
        st.floats(0.0, 0.08),  # above
        st.floats(0.0, 0.08),  # below
        st.floats(0.0, 1.0),  # where in the range it closes
        st.sampled_from([0.0, 0.3, 0.7, 1.0]),  # the target
    ),
    min_size=1,
    max_size=25,
)


def candles_of(steps: list[tuple[float, float, float, float, float]]) -> list[Candle]:
    made = [candle(0, 100.0)]
    for index, (gap, above, below, place, _) in enumerate(steps, start=1):
        opening = round(made[-1].close * (1.0 + gap), 2)
        high, low = round(opening * (1.0 + above), 2), round(opening * (1.0 - below), 2)
        close = round(low + place * (high - low), 2)
        made.append(candle(index, opening, high, low, close))
    return made


@given(steps=moves, band=st.sampled_from([0.0, 0.1]))
def test_the_venue_and_the_account_kernel_hold_the_same_money(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[float, float, float, float, float]],
    band: float,
) -> None:
    exchange, drafts = venue(tmp_path_factory.mktemp("venue")), Drafts()
    rule, row = rules(), np.zeros(account.ACCOUNT_COLUMNS)
    account.open_account(row, CAPITAL)
    candles = candles_of(steps)
    exchange.on_candle(BTC, candles[0])
    fees, bought_and_sold = 0.0, list[Fill]()
    for index, (*_, target) in enumerate(steps, start=1):
        before, after = candles[index - 1], candles[index]
        cash, held = holds(exchange, "SIM"), holds(exchange, "BTC")
        quantity, _ = sized_order(
            cash + held * before.close,
            held,
            before.close,
            target,
            1.0,
            band,
            COSTS.fee_rate,
            COSTS.slippage_rate,
            rule.lot_step,
            rule.minimum_quantity,
            rule.minimum_notional,
        )
        if quantity:
            take(exchange, drafts.buy(quantity) if quantity > 0.0 else drafts.sell(-quantity))
        fills = exchange.on_candle(BTC, after)
        fees += sum(fill.fee for fill in fills)
        bought_and_sold += fills
        step_account(
            row,
            before.close,
            after.open,
            after.high,
            after.low,
            after.close,
            index,
            target,
            1.0,
            band,
            COSTS.fee_rate,
            COSTS.slippage_rate,
            rule.lot_step,
            rule.tick_size,
            rule.minimum_quantity,
            rule.minimum_notional,
            0.05,
            0.10,
        )
        assert holds(exchange, "SIM") == pytest.approx(row[account.CASH], rel=1e-9, abs=1e-9)
        assert holds(exchange, "BTC") == pytest.approx(row[account.QUANTITY], rel=1e-9, abs=1e-9)
    assert fees == pytest.approx(row[account.FEES], rel=1e-9, abs=1e-9)
    assert len(bought_and_sold) == row[account.FILLS]
    trades = [int(fill.trade_id) for fill in asyncio.run(exchange.fills_since(0))]
    assert trades == sorted(set(trades))
    protected = {one.purpose for one in asyncio.run(exchange.open_orders())}
    assert bool(protected) == (row[account.QUANTITY] > 0.0)
