"""The kernels: money is neither made nor lost, steps are kept, and the worst case comes first."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    AVERAGE,
    CASH,
    EQUITY,
    FEES,
    LAST_HIT,
    OPENED,
    PEAK,
    QUANTITY,
    REALISED,
    STOP,
    TAKE_PROFIT,
    TRADES,
    open_account,
    portfolio_vector,
)
from adan_core.accounting.fills import affordable, buy, market_price, sell
from adan_core.accounting.rules import round_down, round_price
from adan_core.accounting.sizing import exposure_cap, sized_order
from adan_core.accounting.stops import (
    NOT_HIT,
    STOP_LOSS_HIT,
    TAKE_PROFIT_HIT,
    protection_hit,
    protection_prices,
)
from tests.accounts import step_account

STEPS = st.sampled_from([1e-8, 1e-5, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0])


@given(st.integers(0, 10**9), STEPS, st.floats(0.0, 0.999))
def test_a_quantity_is_cut_to_the_decimal_number_of_its_steps(
    count: int, step: float, rest: float
) -> None:
    exact = Decimal(count) * Decimal(str(step))
    assume(exact < 10**9)
    cut = round_down(float(exact) + rest * step * 0.99, step)
    assert cut == float(exact)


@given(st.floats(0.01, 1e6), st.sampled_from([0.01, 0.1, 0.5, 1.0]))
def test_a_price_moves_to_the_next_tick_on_its_side(price: float, tick: float) -> None:
    exact, step = Decimal(price), Decimal(str(tick))
    above = (exact / step).to_integral_value(ROUND_CEILING) * step
    below = (exact / step).to_integral_value(ROUND_FLOOR) * step
    up, down = round_price(price, tick, up=True), round_price(price, tick, up=False)
    # A price within the tolerance of a tick is that tick.
    assert up in (float(above), float(above - step))
    assert down in (float(below), float(below + step))
    assert -1e-8 * tick <= up - price < tick
    assert -1e-8 * tick <= price - down < tick


def test_market_orders_pay_the_slippage_on_both_sides() -> None:
    assert market_price(1, 100.0, 0.0005, 0.01) == 100.05
    assert market_price(-1, 100.0, 0.0005, 0.01) == 99.95
    assert market_price(1, 100.001, 0.0, 0.01) == 100.01


@given(st.floats(1.0, 1e6), st.floats(0.01, 1e5), st.floats(0.0, 0.01))
def test_what_is_affordable_can_be_paid_and_one_lot_more_cannot(
    cash: float, price: float, fee_rate: float
) -> None:
    lot = 1e-5
    quantity = affordable(cash, price, fee_rate, lot)
    left, *_ = buy(cash, 0.0, 0.0, quantity, price, fee_rate) if quantity else (cash,)
    assert left >= -1e-6 * cash
    assert (quantity + 2 * lot) * price * (1.0 + fee_rate) > cash * (1.0 - 1e-9)


FILLS = st.lists(
    st.tuples(st.booleans(), st.floats(0.001, 5.0), st.floats(1.0, 1000.0)), min_size=1, max_size=30
)


@given(FILLS, st.floats(0.0, 0.01))
def test_equity_is_the_deposit_plus_gains_less_fees_after_any_fills(
    fills: list[tuple[bool, float, float]], fee_rate: float
) -> None:
    deposit = 100_000.0
    cash, quantity, average, realised, fees = deposit, 0.0, 0.0, 0.0, 0.0
    price = fills[0][2]
    for buying, amount, price in fills:
        if buying:
            cash, quantity, average, fee = buy(cash, quantity, average, amount, price, fee_rate)
        elif quantity > 0.0:
            sold = min(amount, quantity)
            cash, quantity, average, gain, fee = sell(
                cash, quantity, average, sold, price, fee_rate
            )
            realised += gain
        else:
            continue
        fees += fee
    equity = cash + quantity * price
    explained = deposit + realised + quantity * (price - average) - fees
    assert equity == pytest.approx(explained, rel=1e-12, abs=1e-6)


def test_a_sale_of_everything_leaves_nothing_behind() -> None:
    cash, quantity, average, fee = buy(1000.0, 0.0, 0.0, 2.0, 100.0, 0.001)
    assert (cash, quantity, average, fee) == (799.8, 2.0, 100.0, 0.2)
    cash, quantity, average, realised, fee = sell(cash, quantity, average, 2.0, 110.0, 0.001)
    assert (quantity, average, realised) == (0.0, 0.0, 20.0)
    assert cash == pytest.approx(799.8 + 220.0 - 0.22)


def test_protection_is_rounded_away_from_the_entry() -> None:
    assert protection_prices(100.03, 0.05, 0.10, 0.1) == (95.0, 110.1)
    assert protection_prices(100.0, 0.0, 0.0, 0.1) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("candle", "kind", "price"),
    [
        ((100.0, 104.0, 96.0), NOT_HIT, 0.0),
        ((100.0, 104.0, 95.0), STOP_LOSS_HIT, 94.95),
        ((100.0, 120.0, 95.0), STOP_LOSS_HIT, 94.95),  # both within reach: the worse one
        ((90.0, 91.0, 89.0), STOP_LOSS_HIT, 89.95),  # a gap below the stop fills at the open
        ((100.0, 110.0, 96.0), TAKE_PROFIT_HIT, 110.0),
        ((115.0, 116.0, 96.0), TAKE_PROFIT_HIT, 115.0),  # a gap above it fills at the open
    ],
)
def test_protection_inside_a_candle(
    candle: tuple[float, float, float], kind: int, price: float
) -> None:
    open_price, high, low = candle
    assert protection_hit(open_price, high, low, 95.0, 110.0, 0.0005, 0.05) == (kind, price)


BOUNDS = np.array([15.0, 30.0, 100.0])
CAPS = np.array([0.9, 0.4, 0.2])


@pytest.mark.parametrize(
    ("equity", "cap"), [(14.99, 0.0), (15.0, 0.9), (29.99, 0.9), (30.0, 0.4), (1e9, 0.2)]
)
def test_tiers_are_half_open(equity: float, cap: float) -> None:
    assert exposure_cap(equity, BOUNDS, CAPS) == cap


def order(quantity: float, close: float, target: float, **changes: float) -> float:
    figures = {
        "equity": 1000.0,
        "cap": 0.5,
        "band": 0.1,
        "fee_rate": 0.001,
        "slippage": 0.0005,
        "lot": 0.001,
        "minimum_quantity": 0.001,
        "minimum_notional": 10.0,
    } | changes
    quantity_ordered, _ = sized_order(
        figures["equity"],
        quantity,
        close,
        target,
        figures["cap"],
        figures["band"],
        figures["fee_rate"],
        figures["slippage"],
        figures["lot"],
        figures["minimum_quantity"],
        figures["minimum_notional"],
    )
    return quantity_ordered


def test_a_target_becomes_a_quantity_that_its_cap_pays_for() -> None:
    bought = order(0.0, 100.0, 1.0)
    assert bought == 4.992
    assert bought * 100.0 * 1.0005 * 1.001 <= 500.0


def test_inside_the_band_nothing_is_traded_but_a_target_of_zero_closes() -> None:
    assert order(4.8, 100.0, 1.0) == 0.0
    assert order(4.0, 100.0, 1.0) == pytest.approx(0.992)
    assert order(0.3, 100.0, 0.0) == -0.3


def test_orders_below_the_minimums_are_none() -> None:
    assert order(0.0, 100.0, 1.0, minimum_notional=600.0) == 0.0
    assert order(0.05, 100.0, 0.0) == 0.0


def test_no_remainder_is_left_that_could_not_be_sold() -> None:
    assert order(0.3, 100.0, 0.045, cap=0.05, band=0.0, minimum_notional=10.0) == -0.3


@given(
    st.floats(0.0, 5000.0),
    st.floats(0.0, 50.0),
    st.floats(1.0, 500.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
def test_no_order_breaks_the_venues_rules_or_the_cap(
    cash: float, quantity: float, close: float, target: float, cap: float
) -> None:
    held = round_down(quantity, 0.001)
    equity = cash + held * close
    signed = order(held, close, target, equity=equity, cap=cap)
    assert signed >= -held
    if signed != 0.0:
        assert abs(signed) >= 0.001
        assert abs(signed) * close >= 10.0
    if signed > 0.0:
        assert (held + signed) * close <= cap * equity * (1.0 + 1e-9)


CANDLES = st.lists(
    st.tuples(
        st.floats(-0.08, 0.08), st.floats(-0.1, 0.1), st.floats(0.0, 0.05), st.floats(0.0, 0.05)
    ),
    min_size=2,
    max_size=60,
)


@given(CANDLES, st.data())
def test_the_ledger_of_an_account_adds_up_after_every_candle(
    moves: list[tuple[float, float, float, float]], data: st.DataObject
) -> None:
    row = np.zeros(ACCOUNT_COLUMNS)
    open_account(row, 1000.0)
    close = 100.0
    peak = 1000.0
    for bar, (gap, move, above, below) in enumerate(moves, start=1):
        opening = close * math.exp(gap)
        closing = opening * math.exp(move)
        high, low = max(opening, closing) * (1 + above), min(opening, closing) * (1 - below)
        target = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
        equity = step_account(
            row, close, opening, high, low, closing, bar, target,
            1.0, 0.1, 0.001, 0.0005, 1e-4, 0.01, 1e-4, 5.0, 0.05, 0.10,
        )  # fmt: skip
        close = closing
        peak = max(peak, equity)
        assert equity == pytest.approx(
            1000.0
            + row[REALISED]
            + (row[QUANTITY] * (close - row[AVERAGE]) if row[QUANTITY] else 0.0)
            - row[FEES],
            rel=1e-9,
        )
        assert row[CASH] >= -1e-6
        assert row[QUANTITY] >= 0.0
        assert row[PEAK] == peak
        assert row[EQUITY] == equity
        assert (row[OPENED] < 0.0) == (row[QUANTITY] == 0.0)
        # What guards a position is never already beyond the close it survived.
        if row[QUANTITY] > 0.0:
            assert row[STOP] < low
            assert row[TAKE_PROFIT] > high
        else:
            assert row[STOP] == row[TAKE_PROFIT] == 0.0


def test_a_stop_in_the_candle_of_the_entry_is_a_loss_of_both_sides() -> None:
    row = np.zeros(ACCOUNT_COLUMNS)
    open_account(row, 1000.0)
    equity = step_account(
        row, 100.0, 100.0, 101.0, 90.0, 100.0, 1, 1.0,
        1.0, 0.1, 0.001, 0.0, 0.01, 0.01, 0.01, 5.0, 0.05, 0.10,
    )  # fmt: skip
    assert row[LAST_HIT] == STOP_LOSS_HIT
    assert row[TRADES] == 1
    assert row[QUANTITY] == 0.0
    # 9.99 bought at 100 and sold at 95, 0.1 % of each side in fees.
    assert equity == pytest.approx(1000.0 - 9.99 * 5.0 - 0.001 * 9.99 * 195.0)


def test_the_agents_view_of_a_holding_is_scale_free() -> None:
    out, scaled = np.empty(7), np.empty(7)
    portfolio_vector(790.0, 2.0, 100.0, 95.0, 110.0, 1000.0, 1250.0, 0.5, 105.0, 10.0, out)
    portfolio_vector(
        7900.0, 2.0, 1000.0, 950.0, 1100.0, 10_000.0, 12_500.0, 0.5, 1050.0, 10.0, scaled
    )
    np.testing.assert_allclose(out, scaled)
    np.testing.assert_allclose(
        out, [0.79, 0.42, 0.05, 0.2, 1.0 - math.exp(-0.1), 1.0 - 95.0 / 105.0, 110.0 / 105.0 - 1.0]
    )
    portfolio_vector(1000.0, 0.0, 0.0, 0.0, 0.0, 1000.0, 1250.0, 0.5, 105.0, 0.0, out)
    np.testing.assert_allclose(out, [1.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0])
