"""Training, validation and test follow each other in time and share nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.split import Period, Split, split_by_fractions
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

FIVE = Timeframe.parse("5m")
SERIES = SimulatedMarket("BTC/SIM", FIVE, 1).candles(0, 1000)


@given(
    count=st.integers(3, 1000),
    training=st.floats(0.01, 0.98),
    validation=st.floats(0.01, 0.98),
)
def test_a_split_covers_everything_once_or_is_refused(
    count: int, training: float, validation: float
) -> None:
    series = SERIES.slice(0, count)
    try:
        split = split_by_fractions(series, training, validation)
    except DataError:
        return
    assert split.training.start == 0
    assert split.training.stop == split.validation.start
    assert split.validation.stop == split.test.start
    assert split.test.stop == count
    # Known at the end of training is nothing of the validation period.
    assert split.training.stop_time <= split.validation.start_time
    assert split.validation.stop_time <= split.test.start_time


def test_the_documented_shares() -> None:
    split = split_by_fractions(SERIES, 0.7, 0.1)
    assert (len(split.training), len(split.validation), len(split.test)) == (700, 100, 200)
    assert "700 candles" in str(split.training)


@pytest.mark.parametrize(("training", "validation"), [(0.7, 0.3), (0.0, 0.1), (0.9, -0.1)])
def test_shares_that_leave_nothing_are_refused(training: float, validation: float) -> None:
    with pytest.raises(DataError, match="shares"):
        split_by_fractions(SERIES, training, validation)


def test_overlap_is_refused_however_it_came_about() -> None:
    good = split_by_fractions(SERIES, 0.6, 0.2)
    late = Period(599, 800, int(SERIES.open_time[599]), good.validation.stop_time)
    with pytest.raises(DataError, match="do not overlap"):
        Split(good.training, late, good.test)
    with pytest.raises(DataError, match="do not overlap"):
        Split(good.test, good.validation, good.training)
    with pytest.raises(DataError, match="empty"):
        Split(Period(0, 0, 0, 0), good.validation, good.test)
