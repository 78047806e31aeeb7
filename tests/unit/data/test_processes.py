"""The textbook processes have their published parameters, and earn what is published."""

import numpy as np
import pytest

from adan_core.data.processes import (
    FIRST_PRICE,
    PROCESSES,
    drift_signs,
    mean_reverting,
    random_walk,
    two_state_drift,
)
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe

FIVE = Timeframe.parse("5m")
COUNT = 200_000
COST = float(np.log1p(-0.0015))


def moves(series: CandleSeries) -> np.ndarray:
    return np.diff(np.log(series.close), prepend=np.log(FIRST_PRICE))


def test_the_reverting_part_has_its_deviation_and_half_life() -> None:
    series = mean_reverting("A/SIM", FIVE, 1, COUNT, walk=1e-9)
    level = np.log(series.close / FIRST_PRICE)
    assert level.std() == pytest.approx(0.015, rel=0.05)
    assert np.corrcoef(level[:-24], level[24:])[0, 1] == pytest.approx(0.5, abs=0.03)


def test_the_walk_below_the_reverting_part_has_its_deviation() -> None:
    level = np.log(mean_reverting("A/SIM", FIVE, 1, COUNT).close)
    # Over spans far beyond the half-life the reverting part's share of the variance is 2 * 0.015².
    span = 2_000
    variance = float(np.mean((level[span:] - level[:-span]) ** 2)) - 2 * 0.015**2
    assert variance / span == pytest.approx(0.0005**2, rel=0.3)


def test_a_drift_stays_and_pays_as_published() -> None:
    """Knowing the state earns 0.390 per 1000 candles net of costs."""
    log_return = moves(two_state_drift("A/SIM", FIVE, 3, COUNT))
    signs = drift_signs(np.random.default_rng(3), COUNT, 200.0)
    assert log_return.std() == pytest.approx(0.005, rel=0.02)
    assert np.diff(np.flatnonzero(np.diff(signs))).mean() == pytest.approx(200, rel=0.15)
    assert log_return[signs > 0].mean() == pytest.approx(0.0008, abs=5e-5)
    assert log_return[signs < 0].mean() == pytest.approx(-0.0008, abs=5e-5)
    held = (signs[:-1] > 0).astype(float)
    trades = np.abs(np.diff(held, prepend=0.0)).sum()
    earned = float((held * log_return[1:]).sum() + trades * COST)
    assert earned / COUNT * 1000 == pytest.approx(0.390, abs=0.05)


def test_a_random_walk_remembers_nothing() -> None:
    log_return = moves(random_walk("A/SIM", FIVE, 1, COUNT))
    assert log_return.std() == pytest.approx(0.005, rel=0.02)
    assert abs(log_return.mean()) < 3 * 0.005 / COUNT**0.5
    assert abs(np.corrcoef(log_return[1:], log_return[:-1])[0, 1]) < 0.01


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_seeded_synthetic_and_opens_where_it_closed(name: str) -> None:
    one, other = (PROCESSES[name]("A/SIM", Timeframe.parse("1h"), 4, 300) for _ in range(2))
    assert one.content_hash == other.content_hash
    assert one.content_hash != PROCESSES[name]("A/SIM", Timeframe.parse("1h"), 5, 300).content_hash
    assert one.synthetic
    assert len(one) == 300
    np.testing.assert_array_equal(one.open[1:], one.close[:-1])
    assert len(PROCESSES[name]("A/SIM", FIVE, 4, 1)) == 1
