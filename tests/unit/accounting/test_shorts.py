"""Shorts: what is sold before it is bought, to the cent; worst case first; funding; no lending."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    AVERAGE,
    CASH,
    DENIED,
    EQUITY,
    FEES,
    FUNDING,
    LAST_HIT,
    LAST_HIT_PRICE,
    LAST_HIT_QUANTITY,
    LOSS_STREAK,
    OPENED,
    QUANTITY,
    REALISED,
    STOP,
    TAKE_PROFIT,
    TRADES,
    WIN_RATE,
    open_account,
    portfolio_vector,
)
from adan_core.accounting.fills import cover, sell_short
from adan_core.accounting.sizing import BELOW_BAND, BELOW_MINIMUM, NOT_DENIED, sized_order
from adan_core.accounting.stops import NOT_HIT, STOP_LOSS_HIT, TAKE_PROFIT_HIT
from tests.accounts import Floats, step_account

FEE = 0.001
# cap, band, fee, slippage, lot, tick, minimum quantity, minimum notional, stop-loss, take-profit
TERMS = (1.0, 0.1, FEE, 0.0, 0.01, 0.01, 0.01, 5.0, 0.05, 0.10)


def opened(capital: float = 1_000.0) -> Floats:
    row = np.zeros(ACCOUNT_COLUMNS)
    open_account(row, capital)
    return row


def test_a_short_by_hand() -> None:
    row = opened()
    # 1000 / (100 x 1.001) = 9.99 in whole lots, sold at 100: 999.00, 0.999 of it as fee.
    equity = step_account(row, 100.0, 100.0, 101.0, 99.0, 98.0, 1, -1.0, *TERMS)
    assert row[QUANTITY] == -9.99
    assert row[AVERAGE] == 100.0
    assert row[CASH] == pytest.approx(1_000.0 + 999.0 - 0.999, abs=1e-12)
    assert (row[STOP], row[TAKE_PROFIT], row[OPENED]) == (105.0, 90.0, 1.0)
    # The price fell by 2: 19.98 gained.
    assert equity == pytest.approx(1_000.0 - 0.999 + 19.98, abs=1e-9)
    # Bought back at 97: 29.97 gained, 0.969 in fees.
    equity = step_account(row, 98.0, 97.0, 97.0, 97.0, 97.0, 2, 0.0, *TERMS)
    assert row[QUANTITY] == row[AVERAGE] == row[STOP] == row[TAKE_PROFIT] == 0.0
    assert row[REALISED] == pytest.approx(29.97, abs=1e-9)
    assert row[FEES] == pytest.approx(0.999 + 9.99 * 97.0 * FEE, abs=1e-12)
    assert equity == pytest.approx(1_000.0 + 29.97 - row[FEES], abs=1e-9)
    assert (row[TRADES], row[WIN_RATE], row[LOSS_STREAK], row[OPENED]) == (1.0, 0.55, 0.0, -1.0)


@pytest.mark.parametrize(
    ("candle", "kind", "price"),
    [
        ((100.0, 104.0, 91.0), NOT_HIT, 0.0),
        ((100.0, 105.0, 91.0), STOP_LOSS_HIT, 105.06),  # 105 and 5 bp of slippage, up to the tick
        ((100.0, 105.0, 80.0), STOP_LOSS_HIT, 105.06),  # both within reach: the worse one
        ((110.0, 111.0, 109.0), STOP_LOSS_HIT, 110.06),  # a gap above the stop fills at the open
        ((100.0, 104.0, 90.0), TAKE_PROFIT_HIT, 90.0),
        ((85.0, 86.0, 84.0), TAKE_PROFIT_HIT, 85.0),  # a gap below it fills at the open
    ],
)
def test_a_short_s_protection_inside_a_candle(
    candle: tuple[float, float, float], kind: int, price: float
) -> None:
    terms = (*TERMS[:3], 0.0005, *TERMS[4:])
    row = opened()
    step_account(row, 100.05, 100.05, 100.05, 100.05, 100.05, 1, -1.0, *terms)
    row[STOP], row[TAKE_PROFIT] = 105.0, 90.0
    held = row[QUANTITY]
    opening, high, low = candle
    step_account(row, 100.05, opening, high, low, low, 2, math.nan, *terms)
    assert row[LAST_HIT] == kind
    assert row[LAST_HIT_PRICE] == pytest.approx(price, abs=1e-9)
    assert row[LAST_HIT_QUANTITY] == (held if kind != NOT_HIT else 0.0)
    assert (row[QUANTITY] == 0.0) == (kind != NOT_HIT)


def test_longs_pay_funding_and_shorts_receive_it() -> None:
    for target, sign in ((1.0, 1.0), (-1.0, -1.0)):
        row = opened()
        step_account(row, 100.0, 100.0, 100.0, 100.0, 100.0, 1, target, *TERMS, funding=0.0001)
        assert row[FUNDING] == pytest.approx(sign * 9.99 * 100.0 * 0.0001, abs=1e-12)
        assert row[EQUITY] == pytest.approx(1_000.0 - row[FEES] - row[FUNDING], abs=1e-9)


def test_a_position_is_closed_before_its_opposite_is_opened() -> None:
    row = opened()
    held = []
    for bar, target in enumerate((1.0, -1.0, -1.0, 1.0, 1.0), start=1):
        step_account(row, 100.0, 100.0, 100.0, 100.0, 100.0, bar, target, *TERMS)
        held.append(math.copysign(1.0, row[QUANTITY]) if row[QUANTITY] else 0.0)
    assert held == [1.0, 0.0, -1.0, 0.0, 1.0]


def test_no_more_is_sold_than_the_equity_covers_after_a_gap() -> None:
    row = opened()
    # Ordered at 100, filled at 200: half as many are covered.
    step_account(row, 100.0, 200.0, 200.0, 200.0, 200.0, 1, -1.0, *TERMS)
    assert row[QUANTITY] == pytest.approx(-4.99)
    assert abs(row[QUANTITY]) * 200.0 <= row[EQUITY] + 1.0


@pytest.mark.parametrize(
    ("capital", "target", "why"),
    [(1_000.0, -0.05, BELOW_BAND), (20.0, -0.2, BELOW_MINIMUM), (1_000.0, -0.2, NOT_DENIED)],
)
def test_too_small_a_short_is_denied(capital: float, target: float, why: int) -> None:
    row = opened(capital)
    step_account(row, 100.0, 100.0, 100.0, 100.0, 100.0, 1, target, *TERMS)
    assert (row[QUANTITY] < 0.0, row[DENIED]) == (why == NOT_DENIED, why)


def test_a_bankrupt_short_is_bought_back() -> None:
    row = opened()
    bare = (*TERMS[:8], 0.0, 0.0)
    step_account(row, 100.0, 100.0, 100.0, 100.0, 250.0, 1, -1.0, *bare)
    assert row[EQUITY] < 0.0
    step_account(row, 250.0, 250.0, 250.0, 250.0, 250.0, 2, -1.0, *bare)
    assert row[QUANTITY] == 0.0


def test_an_order_for_a_short_is_that_for_a_long_in_a_mirror() -> None:
    figures = (0.1, 0.001, 0.0005, 0.001, 0.001, 10.0)
    for quantity, target in ((0.0, 1.0), (3.0, 1.0), (3.0, 0.1), (3.0, 0.0), (9.0, 1.0)):
        long, denied = sized_order(1_000.0, quantity, 100.0, target, 1.0, *figures)
        short = sized_order(1_000.0, -quantity, 100.0, -target, 1.0, *figures)
        assert short == (-long, denied)


def test_the_agent_sees_a_short_as_a_negative_exposure() -> None:
    out = np.empty(7)
    portfolio_vector(1_200.0, -2.0, 100.0, 105.0, 90.0, 1_000.0, 1_250.0, 0.5, 95.0, 10.0, out)
    expected = [1.2, -0.38, 0.05, 0.2, 1.0 - math.exp(-0.1), 105.0 / 95.0 - 1.0, 1.0 - 90.0 / 95.0]
    np.testing.assert_allclose(out, expected)


MOVES = st.lists(
    st.tuples(
        st.floats(-0.08, 0.08), st.floats(-0.1, 0.1), st.floats(0.0, 0.05), st.floats(0.0, 0.05)
    ),
    min_size=2,
    max_size=50,
)


@given(MOVES, st.floats(-0.001, 0.001), st.data())
def test_no_money_is_made_or_lost_whichever_way_an_account_goes(
    moves: list[tuple[float, float, float, float]], funding: float, data: st.DataObject
) -> None:
    row, close = opened(), 100.0
    for bar, (gap, move, above, below) in enumerate(moves, start=1):
        opening = close * math.exp(gap)
        closing = opening * math.exp(move)
        high, low = max(opening, closing) * (1 + above), min(opening, closing) * (1 - below)
        target = data.draw(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, math.nan]))
        terms = (*TERMS[:3], 0.0005, *TERMS[4:])
        equity = step_account(
            row, close, opening, high, low, closing, bar, target, *terms, funding=funding
        )
        close = closing
        unrealised = row[QUANTITY] * (close - row[AVERAGE])
        explained = 1_000.0 + row[REALISED] + unrealised - row[FEES] - row[FUNDING]
        assert equity == pytest.approx(explained, rel=1e-9)
        assert equity == row[CASH] + row[QUANTITY] * close
        if row[QUANTITY] == 0.0:
            assert row[STOP] == row[TAKE_PROFIT] == 0.0
        else:
            side = math.copysign(1.0, row[QUANTITY])
            assert side * row[STOP] < side * (low if side > 0.0 else high)
            assert side * row[TAKE_PROFIT] > side * (high if side > 0.0 else low)


@given(st.lists(st.tuples(st.floats(0.001, 5.0), st.floats(1.0, 1_000.0)), min_size=1, max_size=20))
def test_a_short_sold_and_bought_back_leaves_its_gain_and_nothing_else(
    fills: list[tuple[float, float]],
) -> None:
    cash, quantity, average, fees = 0.0, 0.0, 0.0, 0.0
    for sold, price in fills:
        cash, quantity, average, fee = sell_short(cash, quantity, average, sold, price, FEE)
        fees += fee
    assert cash + fees == pytest.approx(sum(sold * price for sold, price in fills), rel=1e-12)
    last = fills[-1][1]
    left, quantity, average, realised, fee = cover(cash, quantity, average, -quantity, last, FEE)
    assert (quantity, average) == (0.0, 0.0)
    assert left == pytest.approx(realised - fees - fee, rel=1e-9, abs=1e-6)
