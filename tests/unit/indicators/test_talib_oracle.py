"""TA-Lib is the oracle of every textbook recurrence."""

from collections.abc import Callable

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.domain.errors import DataError
from adan_core.indicators.program import assemble, run_batch, run_rows

Floats = NDArray[np.float64]


def candles(seed: int, count: int = 600) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    close = 30_000.0 * np.exp(np.cumsum(random.standard_normal(count) * 0.01))
    open_price = np.concatenate([[30_000.0], close[:-1]])
    spread = np.abs(random.standard_normal((2, count))) * 0.004
    high = np.maximum(open_price, close) * (1.0 + spread[0])
    low = np.minimum(open_price, close) * (1.0 - spread[1])
    return open_price, high, low, close, random.lognormal(2.0, 1.0, count)


ORACLES: dict[str, tuple[tuple[int, ...], Callable[..., Floats]]] = {
    "exponential_mean": ((20,), lambda _o, _h, _l, c, _v: talib.EMA(c, 20)),
    "simple_mean": ((20,), lambda _o, _h, _l, c, _v: talib.SMA(c, 20)),
    "deviation": ((20,), lambda _o, _h, _l, c, _v: talib.STDDEV(c, 20)),
    "relative_strength": ((14,), lambda _o, _h, _l, c, _v: talib.RSI(c, 14)),
    "average_true_range": ((14,), lambda _o, h, low, c, _v: talib.ATR(h, low, c, 14)),
    "directional_index": ((14,), lambda _o, h, low, c, _v: talib.ADX(h, low, c, 14)),
    "convergence_histogram": ((12, 26, 9), lambda _o, _h, _l, c, _v: talib.MACD(c, 12, 26, 9)[2]),
    "log_return": ((5,), lambda _o, _h, _l, c, _v: np.log(talib.ROCR(c, 5))),
    "true_range_share": ((14,), lambda _o, h, low, c, _v: talib.NATR(h, low, c, 14) / 100.0),
    "direction": (
        (14,),
        lambda _o, h, low, c, _v: (
            (talib.PLUS_DI(h, low, c, 14) - talib.MINUS_DI(h, low, c, 14)) / 100.0
        ),
    ),
    "range_position": (
        (14,),
        lambda _o, h, low, c, _v: -talib.WILLR(h, low, c, 14) / -50.0 + 1.0,
    ),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("seed", [1, 2])
def test_agrees_with_the_oracle(name: str, seed: int) -> None:
    columns = candles(seed)
    parameters, oracle = ORACLES[name]
    ours = run_batch(assemble([(name, parameters)]), *columns)[:, 0]
    theirs = oracle(*columns)
    defined = ~np.isnan(ours)
    assert defined.sum() > 500
    # The oracle itself loses digits in its running sums; ours are rebuilt once per window.
    tolerance = 1e-7 if name == "deviation" else 1e-9
    np.testing.assert_allclose(
        ours[defined], theirs[defined], rtol=tolerance, atol=1e-9 * np.nanmax(np.abs(theirs))
    )


@pytest.mark.parametrize("name", ["relative_strength", "exponential_mean", "deviation"])
def test_is_defined_as_early_as_the_oracle(name: str) -> None:
    columns = candles(3)
    parameters, oracle = ORACLES[name]
    ours = run_batch(assemble([(name, parameters)]), *columns)[:, 0]
    assert np.array_equal(np.isnan(ours), np.isnan(oracle(*columns)))


ALL = [
    ("exponential_mean", (5,)),
    ("deviation", (4,)),
    ("relative_strength", (3,)),
    ("average_true_range", (3,)),
    ("directional_index", (3,)),
    ("convergence_share", (3, 6, 4)),
    ("log_return", (2,)),
    ("mean_distance", (4,)),
    ("strength_balance", (4,)),
    ("trend_strength", (4,)),
    ("band_position", (5,)),
    ("volatility", (5,)),
    ("volatility_ratio", (3, 9)),
    ("range_position", (7,)),
    ("volume_balance", (4,)),
    ("candle_body", ()),
]


@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(
        st.integers(1, 60) | st.sampled_from([255, 256, 257, 600]), min_size=1, max_size=6
    ),
)
def test_any_cut_of_the_candles_gives_the_same_bits(seed: int, sizes: list[int]) -> None:
    count = sum(sizes)
    columns = candles(seed, count)
    program = assemble(ALL)
    state = np.zeros(program.state_size)
    wide = np.full((count, len(program) + 3), -1.0)
    for start, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        rows = slice(start, start + size)
        run_rows(
            program.codes,
            program.parameters,
            program.offsets,
            state,
            *[column[rows] for column in (*columns, wide[:, 2:-1])],
        )
    assert wide[:, 2:-1].tobytes() == run_batch(program, *columns).tobytes()
    assert (wide[:, [0, 1, -1]] == -1.0).all()


@given(period=st.integers(1, 12), prices=st.lists(st.floats(1.0, 1e5), min_size=13, max_size=60))
def test_extremes_are_those_of_the_window(period: int, prices: list[float]) -> None:
    close = np.array(prices)
    program = assemble([("range_position", (period,))])
    ours = run_batch(program, close, close, close, close, close)[:, 0]
    for row in range(period - 1, len(close)):
        window = close[row - period + 1 : row + 1]
        span = window.max() - window.min()
        expected = 0.0 if span == 0.0 else 2.0 * (close[row] - window.min()) / span - 1.0
        assert ours[row] == pytest.approx(expected, abs=1e-9)


def test_a_still_market_gives_neutral_values_and_no_division_by_zero() -> None:
    still = np.full(60, 100.0)
    nothing = np.zeros(60)
    values = run_batch(assemble(ALL), still, still, still, still, nothing)[-1]
    assert np.isfinite(values).all()
    assert values[2] == 50.0
    assert values[-3] == 0.0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("rsi", (14,)), ("relative_strength", ()), ("relative_strength", (0,))],
)
def test_refuses_what_it_does_not_know(name: str, parameters: tuple[int, ...]) -> None:
    with pytest.raises(DataError):
        assemble([(name, parameters)])
