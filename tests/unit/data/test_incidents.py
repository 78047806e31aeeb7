"""Incidents are planted where they are said to be, and leave everything else as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.incidents import Incident, Incidents, Planted, plant
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import UsageError

FIVE = Timeframe.parse("5m")


def market(count: int = 3000) -> CandleSeries:
    return SimulatedMarket("BTC/SIM", FIVE, 9).candles(0, count)


def planted(seed: int, **per_thousand: float) -> Planted:
    return plant(market(), Incidents(**per_thousand), np.random.default_rng(seed), 0.01)


def test_without_incidents_nothing_changes() -> None:
    made = planted(1)
    assert made.series.content_hash == market().content_hash
    assert not (made.incident != Incident.NONE).any()


@given(st.integers(0, 10_000))
def test_gaps_leave_candles_out_and_the_next_one_says_so(seed: int) -> None:
    made, whole = planted(seed, gaps=5.0), market()
    assert made.series.open_time.tolist() == whole.open_time[made.kept].tolist()
    assert made.series.close.tolist() == whole.close[made.kept].tolist()
    after_hole = np.flatnonzero(np.diff(made.series.open_time) > FIVE.duration) + 1
    assert np.flatnonzero(made.incident == Incident.GAP).tolist() == after_hole.tolist()
    assert (made.kept[0], made.kept[-1]) == (0, len(whole) - 1)


@given(st.integers(0, 10_000))
def test_an_outage_is_quiet_then_a_hole_then_a_burst(seed: int) -> None:
    made, whole = planted(seed, outages=2.0), market()
    quiet = made.incident == Incident.QUIET
    assert (made.series.volume[quiet] == 0.0).all()
    assert (made.series.high[quiet] == made.series.low[quiet]).all()
    resumed = np.flatnonzero(made.incident == Incident.RESUMED)
    assert resumed.size or (np.diff(made.series.open_time) == FIVE.duration).all()
    assert (made.series.volume[resumed] > 4.0 * whole.volume[made.kept[resumed]]).all()
    untouched = made.incident == Incident.NONE
    assert made.series.close[untouched].tolist() == whole.close[made.kept[untouched]].tolist()


@given(st.integers(0, 10_000))
def test_a_jump_moves_the_level_within_its_candle_and_stays(seed: int) -> None:
    made, whole = planted(seed, jumps=2.0), market()
    ratio = np.log(made.series.close / whole.close)
    jumped = np.flatnonzero(made.incident == Incident.JUMP)
    steps = np.diff(ratio, prepend=0.0)
    assert (np.abs(steps[jumped]) > 0.045).all()
    others = np.ones(len(whole), dtype=bool)
    others[jumped] = False
    assert np.abs(steps[others]).max() < 1e-4  # the tick's rounding
    assert (made.series.open[1:] == made.series.close[:-1]).all()
    assert made.series.synthetic


@pytest.mark.parametrize("value", [-1.0, 11.0, float("nan")])
def test_an_impossible_rate_is_refused(value: float) -> None:
    with pytest.raises(UsageError):
        Incidents(jumps=value)
