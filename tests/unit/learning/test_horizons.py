"""Horizons are counted in the market's time, not in the candles that happened to come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adan_core.learning.horizons import outcome_places

CANDLE = 300_000


@given(
    numbers=st.lists(st.integers(0, 120), unique=True, max_size=60).map(sorted),
    horizon=st.integers(1, 20),
)
def test_an_outcome_is_the_first_close_that_is_late_enough_unless_an_outage_lies_before_it(
    numbers: list[int], horizon: int
) -> None:
    found = outcome_places(np.array(numbers, dtype=np.int64) * CANDLE, horizon, CANDLE)
    for number, place in zip(numbers, found.tolist(), strict=True):
        later = [at for at, other in enumerate(numbers) if other >= number + horizon]
        answered = bool(later) and numbers[later[0]] - numbers[later[0] - 1] - 1 <= horizon
        assert place == (later[0] if answered else -1)
