"""TA-Lib is the oracle of every indicator it has: 1e-9 relative, defined as early as its own.

Where the two say different things on purpose, the oracle's answer is converted here: TA-Lib counts
the first candle's volume as on-balance volume, and has our shares and distances as percentages.
"""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tests.unit.indicators.market import Columns, Floats, random_candles, values

Oracle = Callable[[Columns], Floats]

ORACLES: dict[str, tuple[tuple[float, ...], Oracle]] = {
    "simple_mean": ((20,), lambda m: talib.SMA(m.close, 20)),
    "exponential_mean": ((20,), lambda m: talib.EMA(m.close, 20)),
    "weighted_mean": ((20,), lambda m: talib.WMA(m.close, 20)),
    "mean_distance": ((20,), lambda m: np.log(m.close / talib.EMA(m.close, 20))),
    "convergence_line": ((12, 26), lambda m: talib.MACD(m.close, 12, 26, 1)[0]),
    "convergence_signal": ((12, 26, 9), lambda m: talib.MACD(m.close, 12, 26, 9)[1]),
    "convergence_histogram": ((12, 26, 9), lambda m: talib.MACD(m.close, 12, 26, 9)[2]),
    "convergence_share": ((12, 26, 9), lambda m: talib.MACD(m.close, 12, 26, 9)[2] / m.close),
    "upward_direction": ((14,), lambda m: talib.PLUS_DI(m.high, m.low, m.close, 14)),
    "downward_direction": ((14,), lambda m: talib.MINUS_DI(m.high, m.low, m.close, 14)),
    "direction": (
        (14,),
        lambda m: (
            (talib.PLUS_DI(m.high, m.low, m.close, 14) - talib.MINUS_DI(m.high, m.low, m.close, 14))
            / 100.0
        ),
    ),
    "directional_index": ((14,), lambda m: talib.ADX(m.high, m.low, m.close, 14)),
    "trend_strength": ((14,), lambda m: talib.ADX(m.high, m.low, m.close, 14) / 100.0),
    "parabolic_stop": ((0.02, 0.2), lambda m: talib.SAR(m.high, m.low, 0.02, 0.2)),
    "parabolic_distance": (
        (0.02, 0.2),
        lambda m: np.log(m.close / talib.SAR(m.high, m.low, 0.02, 0.2)),
    ),
    "log_return": ((5,), lambda m: np.log(talib.ROCR(m.close, 5))),
    "rate_of_change": ((5,), lambda m: talib.ROC(m.close, 5)),
    "relative_strength": ((14,), lambda m: talib.RSI(m.close, 14)),
    "strength_balance": ((14,), lambda m: talib.RSI(m.close, 14) / 50.0 - 1.0),
    "strength_stochastic": (
        (14, 10),
        lambda m: talib.STOCHRSI(m.close, 14, 10, 1)[0],
    ),
    "strength_stochastic_mean": (
        (14, 10, 3),
        lambda m: talib.STOCHRSI(m.close, 14, 10, 3)[1],
    ),
    "stochastic": ((14,), lambda m: talib.STOCHF(m.high, m.low, m.close, 14, 1)[0]),
    "stochastic_mean": ((14, 3), lambda m: talib.STOCHF(m.high, m.low, m.close, 14, 3)[1]),
    "stochastic_signal": (
        (14, 3, 5),
        lambda m: talib.STOCH(m.high, m.low, m.close, 14, 3, slowd_period=5)[1],
    ),
    "williams_range": ((14,), lambda m: talib.WILLR(m.high, m.low, m.close, 14)),
    "range_position": ((14,), lambda m: talib.WILLR(m.high, m.low, m.close, 14) / 50.0 + 1.0),
    "commodity_channel": ((20,), lambda m: talib.CCI(m.high, m.low, m.close, 20)),
    "upper_band": ((20, 2.5), lambda m: talib.BBANDS(m.close, 20, 2.5, 2.5)[0]),
    "lower_band": ((20, 2.5), lambda m: talib.BBANDS(m.close, 20, 2.5, 2.5)[2]),
    # The level is taken out first, because the oracle loses digits to it.
    "deviation": ((20,), lambda m: talib.STDDEV(m.close - 30_000.0, 20)),
    "true_range": ((), lambda m: talib.TRANGE(m.high, m.low, m.close)),
    "average_true_range": ((14,), lambda m: talib.ATR(m.high, m.low, m.close, 14)),
    "true_range_share": ((14,), lambda m: talib.NATR(m.high, m.low, m.close, 14) / 100.0),
    "channel_high": ((20,), lambda m: talib.MAX(m.high, 20)),
    "channel_low": ((20,), lambda m: talib.MIN(m.low, 20)),
    "on_balance_volume": ((), lambda m: talib.OBV(m.close, m.volume) - m.volume[0]),
    "money_flow_index": ((14,), lambda m: talib.MFI(m.high, m.low, m.close, m.volume, 14)),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(
    ("seed", "count"), [(1, 600), (2, 600), pytest.param(3, 1_000_000, marks=pytest.mark.slow)]
)
def test_agrees_with_the_oracle(name: str, seed: int, count: int) -> None:
    columns = random_candles(seed, count)
    parameters, oracle = ORACLES[name]
    ours = values(name, parameters, columns)
    theirs = oracle(columns)
    defined = ~np.isnan(theirs)
    assert defined.sum() > 500
    assert np.array_equal(np.isnan(ours), ~defined)
    np.testing.assert_allclose(
        ours[defined], theirs[defined], rtol=1e-9, atol=1e-12 * np.nanmax(np.abs(theirs))
    )
