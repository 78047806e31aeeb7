"""Programs: any cut of the candles gives the same bits, still markets are neutral, errors teach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import DataError
from adan_core.indicators.program import assemble, run_batch, run_rows
from adan_core.indicators.runners import addresses_of
from adan_core.indicators.table import INDICATORS, REAL_PARAMETERS
from tests.unit.indicators.market import EVERY, Floats, random_candles

# Sizes around the block that the compiled loop works in are the ones that could go wrong.
_SIZES = st.integers(1, 60) | st.sampled_from([255, 256, 257, 600])


@given(seed=st.integers(0, 10_000), sizes=st.lists(_SIZES, min_size=1, max_size=6))
def test_any_cut_of_the_candles_gives_the_same_bits(seed: int, sizes: list[int]) -> None:
    market = random_candles(seed, sum(sizes))
    program = assemble(EVERY)
    state = np.zeros(program.state_size)
    wide = np.full((sum(sizes), len(program) + 3), -1.0)
    inside = wide[:, 2:-1]
    for start, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        _continue(state, [column[start : start + size] for column in (*market, inside)])
    assert inside.tobytes() == run_batch(program, *market).tobytes()
    assert (wide[:, [0, 1, -1]] == -1.0).all()


def test_one_candle_at_a_time_gives_the_bits_of_all_at_once() -> None:
    market = random_candles(11, 700)
    program = assemble(EVERY)
    state = np.zeros(program.state_size)
    rows = np.empty((700, len(program)))
    for row in range(700):
        _continue(state, [column[row : row + 1] for column in (*market, rows)])
    assert rows.tobytes() == run_batch(program, *market).tobytes()


def _continue(state: Floats, columns: list[Floats]) -> None:
    program = assemble(EVERY)
    run_rows(addresses_of(program.names), 0, program.parameters, program.offsets, state, *columns)


def test_entries_do_not_touch_each_other() -> None:
    """A column is the same alone, beside every other one, and twice in a program."""
    market = random_candles(12, 300)
    together = run_batch(assemble([*EVERY, *EVERY[::-1]]), *market)
    for position, entry in enumerate(EVERY):
        alone = run_batch(assemble([entry]), *market)[:, 0]
        assert together[:, position].tobytes() == alone.tobytes()
        assert together[:, -1 - position].tobytes() == alone.tobytes()


@given(data=st.data(), seed=st.integers(0, 10_000), count=st.integers(1, 80))
def test_no_indicator_writes_outside_its_own_state(
    data: st.DataObject, seed: int, count: int
) -> None:
    """Compiled code does not check bounds: the cells around each state must stay as they were."""
    name = data.draw(st.sampled_from(list(INDICATORS)))
    parameters = [
        data.draw(st.floats(1e-3, 10.0) if each in REAL_PARAMETERS else st.integers(1, 12))
        for each in INDICATORS[name].parameters
    ]
    if "fast" in INDICATORS[name].parameters:
        parameters[1] += parameters[0]
    program = assemble([(name, parameters)])
    market = random_candles(seed, count)
    state = np.full(program.state_size + 40, -7.0)
    inside = slice(20, -20)
    state[inside] = 0.0
    out = np.full((count + 2, 3), -7.0)
    rows = out[1:-1, 1:2]
    run_rows(
        addresses_of(program.names),
        0,
        program.parameters,
        program.offsets + 20,
        state,
        *market,
        rows,
    )
    assert (state[:20] == -7.0).all()
    assert (state[-20:] == -7.0).all()
    assert np.isfinite(state[inside]).all()
    assert (out[:, [0, 2]] == -7.0).all()
    assert (out[[0, -1]] == -7.0).all()
    # Once defined, always defined.
    defined = ~np.isnan(rows[:, 0])
    assert (np.diff(defined.astype(int)) >= 0).all()


@pytest.mark.parametrize("volume", [0.0, 3.0])
def test_a_still_market_gives_neutral_values_and_no_division_by_zero(volume: float) -> None:
    still = np.full(60, 100.0)
    market = run_batch(assemble(EVERY), still, still, still, still, np.full(60, volume))[-1]
    last = dict(zip(INDICATORS, market, strict=True))
    price = {"simple_mean", "exponential_mean", "weighted_mean", "parabolic_stop"}
    price |= {"upper_band", "lower_band", "channel_high", "channel_low", "channel_middle"}
    price |= {"volume_weighted_mean", "volume_weighted_mean_to_date"}
    middle = {"relative_strength", "stochastic", "stochastic_mean", "stochastic_signal"}
    middle |= {"strength_stochastic", "strength_stochastic_mean", "money_flow_index"}
    expected = dict.fromkeys(INDICATORS, 0.0)
    expected |= dict.fromkeys(price, 100.0) | dict.fromkeys(middle, 50.0)
    expected |= {"williams_range": -50.0, "band_share": 0.5}
    assert last == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_short_history_is_not_yet_defined_and_nothing_worse(count: int) -> None:
    program = assemble([("deviation", (20,)), ("directional_index", (14,))])
    assert np.isnan(run_batch(program, *random_candles(1, count))).all()


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("rsi", (14,), "relative_strength: Wilder's relative strength index"),
        ("ADX", (14,), "directional_index"),
        ("simple_means", (14,), "simple_mean"),
        ("relative_strength", (), "0 parameters"),
        ("relative_strength", (0,), "period 0"),
        ("relative_strength", (2.5,), "period 2.5"),
        ("relative_strength", (float("nan"),), "period nan"),
        ("simple_mean", (10**9,), "a whole number from 1 to 100,000"),
        ("upper_band", (20, 0.0), "deviations 0.0"),
        ("parabolic_stop", (0.02, float("inf")), "maximum inf"),
        ("convergence_line", (26, 12), "a fast one below the slow one"),
    ],
)
def test_refuses_what_it_does_not_know(name: str, parameters: tuple[float, ...], said: str) -> None:
    with pytest.raises(DataError) as error:
        assemble([(name, parameters)])
    assert said in str(error.value)
