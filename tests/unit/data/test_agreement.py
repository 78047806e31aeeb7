"""Two sources of the same candles are compared price by price, whichever is called the first."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.agreement import deviation
from adan_core.domain.candles import Candle

CANDLE = Candle(open_time=0, open=100.0, high=110.0, low=95.0, close=105.0, volume=1.0)
PRICES = ("open", "high", "low", "close")


@given(st.sampled_from(PRICES), st.floats(1.0, 50.0))
def test_the_deviation_is_the_largest_relative_difference_in_either_order(
    name: str, factor: float
) -> None:
    changed: dict[str, Any] = {name: getattr(CANDLE, name) * factor}
    other = dataclasses.replace(CANDLE, volume=7.0, **changed)
    assert deviation(CANDLE, other) == pytest.approx(factor - 1.0)
    assert deviation(other, CANDLE) == deviation(CANDLE, other)
    assert deviation(other, other) == 0.0


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", PRICES)
def test_what_is_no_price_agrees_with_nothing(name: str, price: float) -> None:
    changed: dict[str, Any] = {name: price}
    assert deviation(CANDLE, dataclasses.replace(CANDLE, **changed)) == math.inf
