"""The simulated market is stable, resumable, honest, labelled, and can be earned from after costs."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adan_core.data.paths import EPOCH, decayed_sum, stationary_autoregression
from adan_core.data.synthetic import CHUNK, REGIMES, SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import Regime

FIVE = Timeframe.parse("5m")
COST = float(np.log1p(-0.0015))


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket("BTC/SIM", FIVE, 7)


@given(start=st.integers(0, 3 * CHUNK), count=st.integers(0, 500), seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_any_stretch_equals_the_same_stretch_of_a_longer_run(
    start: int, count: int, seed: int
) -> None:
    fresh = SimulatedMarket("ETH/SIM", FIVE, seed).candles(start, count)
    longer = SimulatedMarket("ETH/SIM", FIVE, seed).candles(max(0, start - 700), count + 1400)
    skipped = start - max(0, start - 700)
    assert fresh.content_hash == longer.slice(skipped, skipped + count).content_hash
    assert fresh.synthetic


def test_single_candles_are_those_of_the_stretch(market: SimulatedMarket) -> None:
    stretch = market.candles(CHUNK - 2, 4)
    assert [market.candle(CHUNK - 2 + i) for i in range(4)] == [stretch.candle(i) for i in range(4)]


def test_symbols_seeds_and_timeframes_differ() -> None:
    hashes = {
        SimulatedMarket(symbol, Timeframe.parse(span), seed).candles(0, 50).close.tobytes()
        for symbol in ("BTC/SIM", "NEW/SIM")
        for span in ("5m", "1h")
        for seed in (1, 2)
    }
    assert len(hashes) == 8


def test_candles_continue_each_other_across_chunks_and_lie_on_the_tick(
    market: SimulatedMarket,
) -> None:
    series = market.candles(0, 3 * CHUNK)
    assert np.array_equal(series.open[1:], series.close[:-1])
    for column in (series.open, series.high, series.low, series.close):
        assert np.array_equal(column, np.round(column, 2))
    assert int(series.open_time[0]) == EPOCH
    assert set(np.diff(series.open_time)) == {FIVE.duration}
    assert (series.volume > 0).all()
    # A path inside the candle, not a wick of fixed length: most candles reach beyond their body.
    body = np.abs(series.close - series.open)
    assert np.mean(series.high - series.low > body) > 0.85
    assert 1.2 < np.median((series.high - series.low) / np.maximum(body, 0.01)) < 4.0


def test_every_regime_occurs_with_the_law_it_is_documented_with(market: SimulatedMarket) -> None:
    count = 40 * CHUNK
    regime = market.regimes(0, count)
    log_return = np.diff(np.log(market.candles(0, count).close), prepend=np.log(40_000.0))
    expected = {
        # share of time, drift, deviation per candle (with the slow volatility's 1.5 % on top)
        Regime.TREND_UP: (0.27, 0.0005, 0.0018),
        Regime.TREND_DOWN: (0.23, -0.0005, 0.0018),
        Regime.RANGE: (0.37, 0.0, 0.0033),
        Regime.HIGH_VOLATILITY: (0.11, 0.0, 0.0055),
        Regime.CRISIS: (0.015, -0.001, 0.0095),
    }
    for code, name in enumerate(REGIMES):
        share, drift, deviation = expected[name]
        chosen = log_return[regime == code]
        assert chosen.size / count == pytest.approx(share, abs=0.05)
        assert chosen.mean() == pytest.approx(drift, abs=6 * deviation / chosen.size**0.5)
        assert chosen.std() == pytest.approx(deviation, rel=0.12)


def test_levels_stay_within_bounds_for_years(market: SimulatedMarket) -> None:
    far = market.candles(50 * 105_120, 1000)  # fifty simulated years on, made at once
    assert far.close.min() > 400.0
    assert far.close.max() < 4_000_000.0


@pytest.mark.slow
def test_a_causal_rule_earns_after_costs_and_holding_does_not() -> None:
    """A linear forecast fitted on the first half, traded on the second, net of fee and slippage."""
    earned = []
    for symbol in ("BTC/SIM", "ETH/SIM"):
        count = 100_000
        close = np.log(SimulatedMarket(symbol, FIVE, 7).candles(0, count).close)
        rows, log_return = _features(close)
        half, ahead = count // 2, 12
        future = np.concatenate((close[ahead:] - close[:-ahead], np.zeros(ahead)))
        weights = np.linalg.lstsq(rows[500 : half - ahead], future[500 : half - ahead], rcond=None)[
            0
        ]
        exposure = _with_hysteresis(rows[half:] @ weights)
        earned.append(_net(exposure, log_return[half:]) / (count - half) * 1000)
        held = _net(np.ones(count), log_return) / count * 1000
        assert abs(held) < 0.02
    assert min(earned) > 0.05


def _features(close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    log_return = np.diff(close, prepend=close[0])
    spread = np.sqrt(decayed_sum(log_return**2 / 100.0, 0.99) + 1e-8)
    columns = []
    for length in (3, 6, 12, 24, 48, 96, 192):
        decay = 1.0 - 2.0 / (length + 1.0)
        average = close[0] + decayed_sum((1.0 - decay) * (close - close[0]), decay)
        columns.append(np.tanh((close - average) / spread / length**0.5))
    crossed = [columns[i] * np.abs(columns[j]) for i in (3, 5) for j in (2, 4, 6)]
    cubes = [column**3 for column in columns]
    return np.stack([*columns, *crossed, *cubes, np.ones_like(close)], axis=1), log_return


def _with_hysteresis(score: np.ndarray) -> np.ndarray:
    exposure = np.zeros_like(score)
    holding = 0.0
    for i, value in enumerate(score):
        if value > 0.002:
            holding = 1.0
        elif value < -0.002:
            holding = 0.0
        exposure[i] = holding
    return exposure


def _net(exposure: np.ndarray, log_return: np.ndarray) -> float:
    held = exposure[:-1]
    trades = np.abs(np.diff(held, prepend=0.0)).sum()
    return float((held * log_return[1:]).sum() + trades * COST)


@pytest.mark.parametrize("seed", [-1])
def test_a_market_refuses_what_it_cannot_be(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        SimulatedMarket("BTC/SIM", FIVE, seed)
    with pytest.raises(ValueError, match="tick"):
        SimulatedMarket("BTC/SIM", FIVE, 1, tick_size=0.0)
    with pytest.raises(DataError):
        SimulatedMarket("bitcoin", FIVE, 1)
    with pytest.raises(ValueError, match="candle 0"):
        SimulatedMarket("BTC/SIM", FIVE, 1).candles(-1, 5)


def test_index_after_is_where_a_resumed_feed_goes_on(market: SimulatedMarket) -> None:
    for index in (0, 5, CHUNK):
        close_time = market.open_time(index) + FIVE.duration
        assert market.index_after(close_time) == index + 1
    assert market.index_after(0) == 0


def test_recurrences_equal_their_loops() -> None:
    generator = np.random.default_rng(0)
    innovation = generator.standard_normal(5000)
    for decay in (0.01, 0.5, 0.97, 0.9999):
        expected = np.empty(5000)
        value = 0.0
        for i, each in enumerate(innovation):
            value = decay * value + each
            expected[i] = value
        assert np.allclose(decayed_sum(innovation, decay), expected, rtol=1e-9, atol=1e-9)
    path = stationary_autoregression(generator.standard_normal(200_000), 0.9)
    assert path.std() == pytest.approx(1.0, rel=0.02)
    assert all(abs(b - a) < 6 for a, b in pairwise(path[:1000]))
