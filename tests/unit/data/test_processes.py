"""The textbook processes have their published parameters, and earn what is published."""

import numpy as np
import pytest

from adan_core.data.processes import (
    FIRST_PRICE,
    PROCESSES,
    MadePath,
    MeanReverting,
    RandomWalk,
    TwoStateDrift,
)
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe

FIVE = Timeframe.parse("5m")
COUNT = 200_000
COST = float(np.log1p(-0.0015))


def moves(series: CandleSeries) -> np.ndarray:
    return np.diff(np.log(series.close), prepend=np.log(FIRST_PRICE))


def test_the_reverting_part_has_its_deviation_and_half_life() -> None:
    series = MeanReverting(walk=1e-9).path("A/SIM", FIVE, 1, COUNT).series
    level = np.log(series.close / FIRST_PRICE)
    assert level.std() == pytest.approx(0.015, rel=0.05)
    assert np.corrcoef(level[:-24], level[24:])[0, 1] == pytest.approx(0.5, abs=0.03)


def test_the_walk_below_the_reverting_part_has_its_deviation() -> None:
    level = np.log(MeanReverting().path("A/SIM", FIVE, 1, COUNT).series.close)
    # Over spans far beyond the half-life the reverting part's share of the variance is 2 * 0.015².
    span = 2_000
    variance = float(np.mean((level[span:] - level[:-span]) ** 2)) - 2 * 0.015**2
    assert variance / span == pytest.approx(0.0005**2, rel=0.3)


def test_a_drift_stays_and_pays_as_published() -> None:
    """Knowing the state earns 0.390 per 1000 candles net of costs."""
    path = TwoStateDrift().path("A/SIM", FIVE, 3, COUNT)
    log_return, signs = moves(path.series), path.hidden
    assert log_return.std() == pytest.approx(0.005, rel=0.02)
    assert np.diff(np.flatnonzero(np.diff(signs))).mean() == pytest.approx(200, rel=0.15)
    assert log_return[signs > 0].mean() == pytest.approx(0.0008, abs=5e-5)
    assert log_return[signs < 0].mean() == pytest.approx(-0.0008, abs=5e-5)
    assert earned(path, path.best_exposures(-COST)) == pytest.approx(0.390, abs=0.05)


def earned(path: MadePath, exposures: np.ndarray) -> float:
    """Net log-return per 1000 candles of holding ``exposures`` over the candle after each close."""
    trades = np.abs(np.diff(exposures, prepend=0.0)).sum()
    held = float((exposures[:-1] * moves(path.series)[1:]).sum())
    return float((held + trades * COST) / len(exposures) * 1000)


@pytest.mark.slow
def test_the_best_action_earns_what_is_published_for_who_sees_the_hidden_state() -> None:
    """0.137 per 1000 candles for the mean-reverting process, of which several paths are averaged."""
    paths = [MeanReverting().path("A/SIM", FIVE, seed, COUNT) for seed in range(3)]
    best = [earned(path, path.best_exposures(-COST)) for path in paths]
    assert np.mean(best) == pytest.approx(0.137, abs=0.008)


@pytest.mark.parametrize("threshold", [0.0, 0.004, 0.008, 0.016, 0.03])
def test_no_threshold_beats_the_best_action(threshold: float) -> None:
    """Buy below minus the threshold, sell above it: a family that contains good rules."""
    path = MeanReverting().path("A/SIM", FIVE, 5, COUNT)
    wanted = np.where(path.hidden < -threshold, 1.0, np.where(path.hidden > threshold, 0.0, np.nan))
    known = np.maximum.accumulate(np.where(np.isfinite(wanted), np.arange(COUNT), 0))
    rule = np.nan_to_num(wanted[known])
    # Judged by the mean of each candle, without its luck; the grid costs the best rule a little.
    promised = path.expected[path.states] * 1000 / COUNT

    def worth(exposures: np.ndarray) -> float:
        trades = np.abs(np.diff(exposures, prepend=0.0)).sum()
        return float((exposures * promised).sum() + trades * COST * 1000 / COUNT)

    assert worth(path.best_exposures(-COST)) > worth(rule) - 1e-4


def test_without_costs_the_best_action_is_the_sign_and_costs_make_it_patient() -> None:
    path = MeanReverting().path("A/SIM", FIVE, 2, 20_000)
    free, dear = path.best_exposures(0.0), path.best_exposures(-COST)
    clear = np.abs(path.hidden) > 0.001
    np.testing.assert_array_equal(free[clear], (path.hidden < 0.0)[clear])
    assert np.abs(np.diff(dear)).sum() < 0.2 * np.abs(np.diff(free)).sum()


def test_nothing_is_to_be_done_on_a_random_walk() -> None:
    assert not RandomWalk().path("A/SIM", FIVE, 1, 5_000).best_exposures(-COST).any()


def test_a_random_walk_remembers_nothing() -> None:
    log_return = moves(RandomWalk().path("A/SIM", FIVE, 1, COUNT).series)
    assert log_return.std() == pytest.approx(0.005, rel=0.02)
    assert abs(log_return.mean()) < 3 * 0.005 / COUNT**0.5
    assert abs(np.corrcoef(log_return[1:], log_return[:-1])[0, 1]) < 0.01


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_seeded_synthetic_and_opens_where_it_closed(name: str) -> None:
    one, other = (
        PROCESSES[name].path("A/SIM", Timeframe.parse("1h"), 4, 300).series for _ in range(2)
    )
    assert one.content_hash == other.content_hash
    assert one.content_hash != (
        PROCESSES[name].path("A/SIM", Timeframe.parse("1h"), 5, 300).series.content_hash
    )
    assert one.synthetic
    assert len(one) == 300
    np.testing.assert_array_equal(one.open[1:], one.close[:-1])
    assert len(PROCESSES[name].path("A/SIM", FIVE, 4, 1).series) == 1
