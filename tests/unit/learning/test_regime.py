"""The regime detector: causal, the same in a stream, scale-free, every regime reachable."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.learning.regime import (
    DRIVERS,
    WARM_UP,
    RegimeDetector,
    detect_regimes,
)
from adan_core.learning.regime_model import FEATURES, REGIMES, RegimeModel, regime_model

FIVE_MINUTES = Timeframe.parse("5m")


@pytest.fixture(scope="module")
def market() -> tuple[CandleSeries, np.ndarray[tuple[int], np.dtype[np.int8]]]:
    path = SimulatedMarket("ETH/SIM", FIVE_MINUTES, 424_242)
    return path.candles(0, 30_000), path.regimes(0, 30_000)


def scaled(series: CandleSeries, factor: float) -> CandleSeries:
    return dataclasses.replace(
        series,
        open=series.open * factor,
        high=series.high * factor,
        low=series.low * factor,
        close=series.close * factor,
    )


def test_streaming_is_bit_equal_to_batch(simulated: CandleSeries) -> None:
    history = detect_regimes(simulated)
    detector = RegimeDetector(simulated.timeframe)
    readings = 0
    for row in range(len(simulated)):
        reading = detector.push(simulated.candle(row))
        if reading is None:
            assert history.regimes[row] == -1
            continue
        readings += 1
        assert REGIMES.index(reading.regime) == history.regimes[row]
        assert reading.probabilities == tuple(history.probabilities[row])
        assert [name for name, _ in reading.drivers] == list(DRIVERS)
        assert [value for _, value in reading.drivers] == history.drivers[row].tolist()
        since = int(np.flatnonzero(history.regimes[: row + 1] != history.regimes[row])[-1]) + 1
        assert reading.since == simulated.close_time[since]
    assert readings == len(simulated) - WARM_UP


@pytest.mark.parametrize("pieces", [(0,), (5, WARM_UP - 1), (WARM_UP + 40, WARM_UP + 41)])
def test_many_candles_at_once_leave_the_state_that_one_by_one_leave(
    simulated: CandleSeries, pieces: tuple[int, ...]
) -> None:
    end = WARM_UP + 400
    slow, fast = RegimeDetector(simulated.timeframe), RegimeDetector(simulated.timeframe)
    one_by_one = [slow.push(simulated.candle(row)) for row in range(end)]
    for start, stop in zip((0, *pieces), (*pieces, end), strict=True):
        answer = fast.push_series(simulated.slice(start, stop))
        assert answer == (one_by_one[stop - 1] if stop else None)
    assert fast._state.tobytes() == slow._state.tobytes()
    later = range(end, end + 200)
    assert [fast.push(simulated.candle(row)) for row in later] == [
        slow.push(simulated.candle(row)) for row in later
    ]
    with pytest.raises(DataError):
        fast.push_series(simulated.slice(0, 10))


def test_probabilities_sum_to_one_and_every_regime_is_reached(
    market: tuple[CandleSeries, np.ndarray[tuple[int], np.dtype[np.int8]]],
) -> None:
    history = detect_regimes(market[0])
    known = history.regimes >= 0
    np.testing.assert_allclose(history.probabilities[known].sum(axis=1), 1.0, atol=1e-12)
    assert (history.probabilities[known] >= 0.0).all()
    assert set(history.regimes[known].tolist()) == set(range(len(REGIMES)))


def test_it_finds_the_regimes_of_an_unseen_path(
    market: tuple[CandleSeries, np.ndarray[tuple[int], np.dtype[np.int8]]],
) -> None:
    series, truth = market
    answer = detect_regimes(series).regimes
    known = answer >= 0
    scores = []
    for regime in range(len(REGIMES)):
        both = np.sum((answer == regime) & (truth == regime) & known)
        scores.append(2.0 * both / np.sum(((answer == regime) + 1.0 * (truth == regime))[known]))
    assert np.mean(scores) > 0.65, dict(zip(REGIMES, scores, strict=True))


def test_hysteresis_reports_fewer_changes_than_the_likeliest_regime_makes(
    market: tuple[CandleSeries, np.ndarray[tuple[int], np.dtype[np.int8]]],
) -> None:
    history = detect_regimes(market[0])
    known = history.regimes >= 0
    likeliest = np.argmax(history.probabilities[known], axis=1)
    reported = np.count_nonzero(np.diff(history.regimes[known]))
    assert reported < 0.8 * np.count_nonzero(np.diff(likeliest))


def test_the_price_level_does_not_matter(simulated: CandleSeries) -> None:
    own, other = detect_regimes(simulated), detect_regimes(scaled(simulated, 1024.0))
    np.testing.assert_allclose(own.probabilities, other.probabilities, rtol=0.0, atol=1e-9)


@given(cut=st.integers(WARM_UP, 1_990), seed=st.integers(0, 100))
def test_nothing_after_a_candle_changes_the_reading_at_it(
    simulated: CandleSeries, cut: int, seed: int
) -> None:
    other = SimulatedMarket("BTC/SIM", FIVE_MINUTES, 777 + seed).candles(0, len(simulated))
    mixed = dataclasses.replace(
        simulated,
        open=np.concatenate([simulated.open[:cut], other.open[cut:]]),
        high=np.concatenate([simulated.high[:cut], other.high[cut:]]),
        low=np.concatenate([simulated.low[:cut], other.low[cut:]]),
        close=np.concatenate([simulated.close[:cut], other.close[cut:]]),
    )
    whole, changed = detect_regimes(simulated), detect_regimes(mixed)
    np.testing.assert_array_equal(whole.regimes[:cut], changed.regimes[:cut])
    np.testing.assert_array_equal(whole.probabilities[:cut], changed.probabilities[:cut])


def test_a_market_that_stands_still_is_answered(simulated: CandleSeries) -> None:
    detector = RegimeDetector(FIVE_MINUTES)
    reading = None
    for row in range(WARM_UP + 10):
        reading = detector.push(Candle(int(simulated.open_time[row]), 5.0, 5.0, 5.0, 5.0, 0.0))
    assert reading is not None
    assert sum(reading.probabilities) == pytest.approx(1.0)
    assert dict(reading.drivers)["volatility ratio"] == 1.0


def test_a_candle_out_of_order_is_refused(simulated: CandleSeries) -> None:
    detector = RegimeDetector(simulated.timeframe)
    detector.push(simulated.candle(3))
    with pytest.raises(DataError, match="ascending"):
        detector.push(simulated.candle(2))


def test_the_shipped_weights_fit_the_code() -> None:
    model = regime_model()
    assert model.weights.shape == (len(REGIMES), len(FEATURES))
    blank = RegimeModel(np.zeros_like(model.weights), np.zeros_like(model.bias))
    assert not np.array_equal(blank.weights, model.weights)
