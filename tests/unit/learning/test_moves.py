"""Many accounts read at once say what a member says, and outcomes are told in the market's time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adan_core.domain.market import Costs, MarketRules
from adan_core.learning.calibrating import worst_falls
from adan_core.learning.calibration import Calibration, MoveOdds, paying_moves, pays
from adan_core.learning.moves import likeliest_moves, outcome_rows, returns_ahead
from adan_core.learning.segments import Economics, Segment
from tests.members import RULES, member_card, observation, reader

CANDLE = 300_000
ECONOMICS = Economics(
    cap=0.9,
    band=0.0,
    costs=Costs(0.001, 0.0005),
    rules=MarketRules("A/SIM", "A", "SIM", 0.01, 0.0001, 0.0, 0.0),
    stop_loss=0.0,
    take_profit=0.0,
    candle=CANDLE,
)

MARGINS = arrays.arrays(np.float32, 8, elements=st.floats(-30.0, 30.0, width=32))
HELD = arrays.arrays(np.float64, 8, elements=st.sampled_from([0.0, 1.0, 0.93, 0.04]))
BEFORE = st.builds(MoveOdds, st.floats(-3.0, 3.0), st.floats(0.0, 3.0))
CURVES = st.builds(
    lambda margins, likely: MoveOdds(
        0.0, 0.0, tuple(sorted(margins)), tuple(sorted(likely)[: len(margins)])
    ),
    st.sets(st.integers(-30, 30), min_size=1, max_size=10),
    st.lists(st.floats(0.0, 1.0), min_size=10, max_size=10),
)
ODDS = BEFORE | CURVES


@given(margins=MARGINS, held=HELD, up=ODDS, down=ODDS)
def test_many_accounts_are_read_as_a_member_reads_one(
    margins: np.ndarray, held: np.ndarray, up: MoveOdds, down: MoveOdds
) -> None:
    known = Calibration(up, down, 0.5, 0.0, (None,) * 5, 1.0)
    plain = reader(member_card(), 0, 1 + len(observation(())))
    levels = np.array(plain.card.exposures)
    logits = np.stack((np.zeros_like(margins), margins), axis=-1)
    found = likeliest_moves(logits, held, levels)
    likely = known.paying_each(found.directions, found.margins)
    for place in range(len(margins)):
        seen = observation([margins[place]], float(held[place]))
        opinion = plain.opinion(seen, float(held[place]), np.zeros((1, 0), dtype=np.float32))
        assert found.wanted[place] == opinion.exposure
        assert found.made[place] == opinion.moves
        assert found.directions[place] == opinion.direction
        said = known.paying(float(found.directions[place]), float(found.margins[place]))
        assert likely[place] == pytest.approx(said, abs=1e-12)
        assert 0.0 <= likely[place] <= 1.0


@given(
    arrays.arrays(np.float64, 6, elements=st.floats(-0.01, 0.01)),
    arrays.arrays(np.float64, 6, elements=st.sampled_from([-1.0, 0.5, 1.0])),
)
def test_many_moves_pay_as_one_does(gained: np.ndarray, directions: np.ndarray) -> None:
    found = paying_moves(directions, gained, RULES.cost_rate)
    for place in range(len(gained)):
        assert found[place] == pays(directions[place], gained[place], RULES.cost_rate)
    assert not paying_moves(directions, np.full(6, np.nan), RULES.cost_rate).any()


def part_of(gaps: list[int], *, timed: bool = True) -> Segment:
    """Return candles of a walk, after each of which ``gaps`` are missing."""
    rng = np.random.default_rng(len(gaps))
    numbers = np.cumsum(np.array(gaps) + 1)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(gaps))))
    low = close * (1.0 - rng.random(len(gaps)) * 0.02)
    market = np.zeros((len(gaps), 1), dtype=np.float32)
    times = (numbers + 1) * CANDLE if timed else None
    return Segment(close, close, low, close, market, ECONOMICS, close_time=times)


@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 0, 1, 4, 30]), min_size=1, max_size=40),
    horizon=st.integers(1, 12),
)
def test_outcomes_and_falls_are_those_of_the_time_ahead(gaps: list[int], horizon: int) -> None:
    part = part_of(gaps)
    assert part.close_time is not None
    numbers = (part.close_time // CANDLE).tolist()
    found, falls = returns_ahead(part, horizon), worst_falls(part, horizon)
    for row, number in enumerate(numbers):
        later = [place for place, own in enumerate(numbers) if own >= number + horizon]
        end = later[0] if later else -1
        if end < 0 or numbers[end] - numbers[end - 1] - 1 > horizon:
            assert math.isnan(found[row])
            assert math.isnan(falls[row])
            continue
        assert found[row] == pytest.approx(math.log(part.close[end] / part.close[row]))
        lowest = min(part.low[row + 1 : end + 1])
        assert falls[row] == pytest.approx(max(1.0 - lowest / part.close[row], 0.0))


def test_without_a_time_candles_are_counted() -> None:
    assert outcome_rows(part_of([0, 30, 0], timed=False), 2).tolist() == [2, -1, -1]
