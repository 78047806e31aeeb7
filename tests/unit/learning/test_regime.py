"""The regime detector: causal, the same in a stream, scale-free, every regime reachable."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import Regime
from adan_core.learning.regime import RegimeDetector, detect_regimes
from adan_core.learning.regime_features import DRIVERS, FEATURES, WARM_UP
from adan_core.learning.regime_model import REGIMES, STRONGEST, believe, blank_model, regime_model

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


def stretched(series: CandleSeries, factor: float) -> CandleSeries:
    """Return the series with every move times ``factor``."""
    first = series.open[0]

    def moved(prices: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = first * np.exp(factor * np.log(prices / first))
        return result

    return dataclasses.replace(
        series,
        open=moved(series.open),
        high=moved(series.high),
        low=moved(series.low),
        close=moved(series.close),
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


def test_hysteresis_reports_fewer_changes_than_the_likeliest_regime_makes(
    market: tuple[CandleSeries, np.ndarray[tuple[int], np.dtype[np.int8]]],
) -> None:
    history = detect_regimes(market[0])
    known = history.regimes >= 0
    likeliest = np.argmax(history.probabilities[known], axis=1)
    reported = np.count_nonzero(np.diff(history.regimes[known]))
    assert reported < np.count_nonzero(np.diff(likeliest))
    # The truth of this market changes 4 to 5 times in 1000 candles.
    assert reported < 15 * np.count_nonzero(known) / 1000


def test_neither_does_how_volatile_the_market_is_in_general(simulated: CandleSeries) -> None:
    own, other = detect_regimes(simulated), detect_regimes(stretched(simulated, 3.0))
    # The scale lies between other cells now: hence a tolerance.
    np.testing.assert_allclose(own.probabilities, other.probabilities, rtol=0.0, atol=0.02)


def test_one_candle_never_decides_alone_against_all_before_it(simulated: CandleSeries) -> None:
    """However far a candle goes, its evidence is bounded: probabilities move, they do not jump to 1."""
    model = regime_model()
    belief = np.full(len(REGIMES), 1e-6)
    belief[0] = 1.0 - 4e-6
    features = np.full(len(FEATURES), 1e9)
    before = belief @ model.transitions
    believe(model, features, belief)
    bound = np.exp(2.0 * STRONGEST)
    odds = (belief / (1.0 - belief)) / (before / (1.0 - before))
    assert (odds <= bound).all()
    assert (odds >= 1.0 / bound).all()


@given(seed=st.integers(0, 1000), cut=st.integers(1, 900))
def test_a_memory_taken_anywhere_goes_on_to_the_bit(
    simulated: CandleSeries, seed: int, cut: int
) -> None:
    whole, first, second = (RegimeDetector(FIVE_MINUTES) for _ in range(3))
    whole.push_series(simulated.slice(0, 1000))
    first.push_series(simulated.slice(0, cut))
    second.push_series(simulated.slice(0, seed % 600))
    second.restore(first.memory())
    assert second.push_series(simulated.slice(cut, 1000)) == whole.push_series(
        simulated.slice(1000, 1000)
    )
    for name, array in whole.memory().items():
        assert second.memory()[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("factor", [1024.0, 1e-10, 1e10])
def test_the_price_level_does_not_matter(simulated: CandleSeries, factor: float) -> None:
    own, other = detect_regimes(simulated), detect_regimes(scaled(simulated, factor))
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


def test_a_market_that_stands_still_is_in_a_range(simulated: CandleSeries) -> None:
    detector = RegimeDetector(FIVE_MINUTES)
    reading = None
    for row in range(WARM_UP + 10):
        reading = detector.push(Candle(int(simulated.open_time[row]), 5.0, 5.0, 5.0, 5.0, 0.0))
    assert reading is not None
    assert reading.regime is Regime.RANGE
    assert sum(reading.probabilities) == pytest.approx(1.0)
    assert dict(reading.drivers)["volatility ratio"] == 1.0


def test_a_halt_is_a_range_and_what_was_known_before_it_is_known_after_it(
    simulated: CandleSeries,
) -> None:
    """Trading stops for 1000 candles and goes on as it was: no crash is seen in its first move."""
    at, still = 1200, 1000
    times = simulated.open_time[0] + FIVE_MINUTES.duration * np.arange(len(simulated) + still)

    def halted(prices: NDArray[np.float64]) -> NDArray[np.float64]:
        halt = np.full(still, simulated.close[at - 1])
        return np.concatenate((prices[:at], halt, prices[at:]))

    history = detect_regimes(
        dataclasses.replace(
            simulated,
            open_time=times,
            open=halted(simulated.open),
            high=halted(simulated.high),
            low=halted(simulated.low),
            close=halted(simulated.close),
            volume=np.concatenate((simulated.volume[:at], np.zeros(still), simulated.volume[at:])),
        )
    )
    assert (history.regimes[at + 40 : at + still] == REGIMES.index(Regime.RANGE)).all()
    own = detect_regimes(simulated).regimes[at:]
    after = history.regimes[at + still :]
    crisis = REGIMES.index(Regime.CRISIS)
    assert not ((after == crisis) & (own != crisis)).any()
    assert np.mean(after == own) > 0.7


def test_a_hole_in_time_is_not_seen(simulated: CandleSeries) -> None:
    """Candles count, not hours: what comes after a hole follows what came before it."""
    later = simulated.open_time + np.where(np.arange(len(simulated)) < 900, 0, 86_400_000)
    own, other = (
        detect_regimes(simulated),
        detect_regimes(dataclasses.replace(simulated, open_time=later)),
    )
    assert own.probabilities.tobytes() == other.probabilities.tobytes()


@given(count=st.integers(0, 50))
def test_a_handful_of_candles_is_not_answered(simulated: CandleSeries, count: int) -> None:
    few = simulated.slice(0, count)
    assert (detect_regimes(few).regimes == -1).all()
    assert RegimeDetector(FIVE_MINUTES).push_series(few) is None


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 20.0]),
    dead=st.sampled_from([0.0, 0.5, 0.99]),
)
def test_whatever_a_market_does_it_is_answered_alike_in_a_stream_and_at_once(
    simulated: CandleSeries, seed: int, size: float, dead: float
) -> None:
    """Prices from 1e-8 to 1e12, moves of nothing or of e to the 20, candles without a range."""
    generator = np.random.default_rng(seed)
    count = WARM_UP + 60
    moves = size * generator.standard_normal(count) * (generator.random(count) >= dead)
    close = np.exp(np.clip(np.cumsum(moves), np.log(1e-8), np.log(1e12)))
    opened = np.concatenate((close[:1], close[:-1]))
    series = dataclasses.replace(
        simulated.slice(0, count),
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=np.zeros(count),
    )
    history = detect_regimes(series)
    assert np.isfinite(history.drivers[WARM_UP:]).all()
    np.testing.assert_allclose(history.probabilities[WARM_UP:].sum(axis=1), 1.0, atol=1e-9)
    detector = RegimeDetector(FIVE_MINUTES)
    assert detector.push_series(series.slice(0, WARM_UP)) is None
    for row in range(WARM_UP, count):
        reading = detector.push(series.candle(row))
        assert reading is not None
        assert reading.probabilities == tuple(history.probabilities[row])


def test_a_candle_out_of_order_is_refused(simulated: CandleSeries) -> None:
    detector = RegimeDetector(simulated.timeframe)
    detector.push(simulated.candle(3))
    with pytest.raises(DataError, match="ascending"):
        detector.push(simulated.candle(2))


def test_the_shipped_weights_fit_the_code() -> None:
    model = regime_model()
    units = len(model.inner_bias)
    assert model.inner.shape == (units, len(FEATURES))
    np.testing.assert_allclose(model.transitions.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.levels.transitions.sum(axis=1), 1.0)
    assert not np.array_equal(blank_model(units).inner, model.inner)
