"""What TA-Lib does not have is held to its formula, window by window."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from adan_core.indicators.table import INDICATORS
from tests.unit.indicators.market import Columns, Floats, random_candles, values
from tests.unit.indicators.test_talib_oracle import ORACLES


def windows(column: Floats, period: int) -> Floats:
    """Return the windows that end at each row, those before the first whole one left out."""
    return sliding_window_view(column, period)


def padded(column: Floats, count: int) -> Floats:
    return np.concatenate([np.full(count - len(column), np.nan), column])


def _mean(m: Columns) -> Floats:
    return np.asarray(windows(m.close, 20).mean(axis=1))


def _spread(m: Columns) -> Floats:
    return np.asarray(windows(m.close, 20).std(axis=1))


def _highest(m: Columns) -> Floats:
    return np.asarray(windows(m.high, 20).max(axis=1))


def _lowest(m: Columns) -> Floats:
    return np.asarray(windows(m.low, 20).min(axis=1))


def _volatility(m: Columns, period: int) -> Floats:
    return np.asarray(windows(np.log(m.close[1:] / m.close[:-1]), period).std(axis=1))


def _typical(m: Columns) -> Floats:
    return np.asarray((m.high + m.low + m.close) / 3.0)


def _weighted(m: Columns) -> Floats:
    money = windows(_typical(m) * m.volume, 20).sum(axis=1)
    return np.asarray(money / windows(m.volume, 20).sum(axis=1))


def _balance(m: Columns) -> Floats:
    signed = windows(np.sign(np.diff(m.close)) * m.volume[1:], 20).sum(axis=1)
    return np.asarray(signed / windows(m.volume[1:], 20).sum(axis=1))


FORMULAS: dict[str, tuple[tuple[float, ...], Callable[[Columns], Floats]]] = {
    "band_width": ((20, 2.5), lambda m: 5.0 * _spread(m) / _mean(m)),
    "band_share": (
        (20, 2.5),
        lambda m: (m.close[19:] - _mean(m) + 2.5 * _spread(m)) / (5.0 * _spread(m)),
    ),
    "band_position": ((20,), lambda m: (m.close[19:] - _mean(m)) / _spread(m)),
    "channel_middle": ((20,), lambda m: (_highest(m) + _lowest(m)) / 2.0),
    "channel_width": (
        (20,),
        lambda m: (_highest(m) - _lowest(m)) / ((_highest(m) + _lowest(m)) / 2.0),
    ),
    "volatility": ((20,), lambda m: _volatility(m, 20)),
    "volatility_ratio": (
        (12, 96),
        lambda m: np.log(_volatility(m, 12)[84:] / _volatility(m, 96)),
    ),
    "volume_balance": (
        (20,),
        lambda m: (
            (m.volume[19:] - windows(m.volume, 20).mean(axis=1))
            / (m.volume[19:] + windows(m.volume, 20).mean(axis=1))
        ),
    ),
    "on_balance_share": ((20,), _balance),
    "volume_weighted_mean": ((20,), _weighted),
    "volume_weighted_distance": ((20,), lambda m: np.log(m.close[19:] / _weighted(m))),
    "volume_weighted_mean_to_date": (
        (),
        lambda m: np.cumsum(_typical(m) * m.volume) / np.cumsum(m.volume),
    ),
    "candle_body": ((), lambda m: (m.close - m.open) / (m.high - m.low)),
}


def test_every_indicator_has_an_oracle_or_a_formula() -> None:
    assert {*ORACLES, *FORMULAS} == set(INDICATORS)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("count", [600, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_is_what_its_formula_says(name: str, count: int) -> None:
    market = random_candles(4, count)
    parameters, formula = FORMULAS[name]
    expected = padded(formula(market), count)
    ours = values(name, parameters, market)
    assert np.array_equal(np.isnan(ours), np.isnan(expected))
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12 * np.nanmax(np.abs(expected)))


def of_closes(closes: list[float] | Floats) -> Columns:
    """Return candles without any range, one unit of volume each."""
    column = np.array(closes, dtype=np.float64)
    return Columns(column, column, column, column, np.ones(len(column)))


# Prices of one market leap, but not by more than three orders of magnitude.
leaping = st.lists(st.floats(10.0, 1e4), min_size=1, max_size=60)


@given(period=st.integers(1, 12), closes=leaping)
def test_windows_hold_exactly_the_last_values(period: int, closes: list[float]) -> None:
    market = of_closes(closes)
    results = {
        name: values(name, (period,), market)
        for name in ("simple_mean", "weighted_mean", "deviation", "channel_high", "channel_low")
    }
    for row in range(len(closes)):
        if row + 1 < period:
            assert all(np.isnan(column[row]) for column in results.values())
            continue
        window = closes[row + 1 - period : row + 1]
        mean = math.fsum(window) / period
        weights = period * (period + 1) / 2
        weighted = math.fsum(value * (i + 1) for i, value in enumerate(window)) / weights
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in window) / period)
        assert results["simple_mean"][row] == pytest.approx(mean, rel=1e-12)
        assert results["weighted_mean"][row] == pytest.approx(weighted, rel=1e-12)
        assert results["deviation"][row] == pytest.approx(spread, rel=1e-9, abs=1e-10)
        assert results["channel_high"][row] == max(window)
        assert results["channel_low"][row] == min(window)


@given(period=st.integers(2, 12), before=leaping, price=st.floats(10.0, 1e4))
def test_a_market_that_comes_to_rest_has_no_deviation_left(
    period: int, before: list[float], price: float
) -> None:
    market = of_closes([*before, *[price] * period])
    assert values("deviation", (period,), market)[-1] == 0.0
    assert values("band_position", (period,), market)[-1] == 0.0
    assert values("commodity_channel", (period,), market)[-1] == 0.0


@given(leap=st.floats(1e-3, 1e3), shift=st.integers(0, 30))
def test_a_deviation_keeps_its_digits_after_a_leap(leap: float, shift: int) -> None:
    """The quiet prices after a leap are told apart as well as if it had never been."""
    random = np.random.default_rng(5)
    quiet = 1.0 + 1e-6 * random.random(100)
    market = of_closes(np.concatenate([np.full(20 + shift, leap), quiet]))
    np.testing.assert_allclose(
        values("deviation", (20,), market)[-80:], windows(quiet, 20).std(axis=1)[1:], rtol=1e-9
    )
