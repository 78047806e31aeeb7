"""Performance figures: N/A with its reason, and what must hold always."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adan_core.domain.time import DAY, HOUR
from adan_core.learning import metrics
from adan_core.learning.metrics import Floats, UncomputableError


def test_sortino_and_tail_by_hand() -> None:
    returns = np.array([0.02, -0.01, 0.03, -0.02] * 5)
    downside = np.sqrt((0.01**2 + 0.02**2) / 4.0)
    assert metrics.sortino_ratio(returns, 365.0) == pytest.approx(
        0.005 / downside * np.sqrt(365.0), rel=1e-12
    )
    assert metrics.value_at_risk(returns) == pytest.approx(-0.02)
    assert metrics.expected_shortfall(returns) == pytest.approx(-0.02)


def test_profit_factor_and_win_rate_are_on_money() -> None:
    pnl = np.array([30.0, -10.0, -5.0, 0.0])
    assert metrics.profit_factor(pnl) == 2.0
    assert metrics.win_rate(pnl) == 0.25


@pytest.mark.parametrize(
    ("compute", "why"),
    [
        (lambda: metrics.sharpe_ratio(np.full(9, 0.01), 252.0), "do not vary"),
        (lambda: metrics.sharpe_ratio(np.array([0.01]), 252.0), "fewer than two"),
        (lambda: metrics.sortino_ratio(np.array([0.01, 0.02]), 252.0), "no bar lost"),
        (lambda: metrics.calmar_ratio(np.array([1.0, 2.0]), 1.0), "no drawdown"),
        (lambda: metrics.profit_factor(np.array([1.0])), "no losing trade"),
        (lambda: metrics.win_rate(np.array([])), "no closed trade"),
        (lambda: metrics.value_at_risk(np.full(19, 0.01)), "fewer than 20"),
        (lambda: metrics.annual_return(np.array([1.0, 9.0]), 1e-3), "out of all proportion"),
        (lambda: metrics.bar_returns(np.array([1.0, 0.0])), "zero or below"),
    ],
)
def test_what_cannot_be_computed_says_why(compute: Callable[[], float], why: str) -> None:
    with pytest.raises(UncomputableError, match=why):
        compute()


def test_a_flat_account_has_no_ratios_and_no_sentinels() -> None:
    flat = metrics.measure(np.full(100, 10_000.0), np.array([]), np.zeros(99), 0.0, 0.0, HOUR)
    assert flat.total_return == 0.0
    assert flat.max_drawdown == 0.0
    for name in ("sharpe_ratio", "sortino_ratio", "calmar_ratio", "win_rate", "profit_factor"):
        assert getattr(flat, name) is None
        assert flat.unavailable[name]
    assert flat.composite_score is None
    assert flat.unavailable["composite_score"].endswith("is not available")
    assert set(flat.unavailable) == {name for name in flat.__slots__ if getattr(flat, name) is None}


def test_a_loss_of_next_to_nothing_makes_no_infinite_factor() -> None:
    equity = np.array([100.0, 101.0])
    found = metrics.measure(equity, np.array([-5e-324, 1.0]), np.zeros(1), 0.0, 0.0, DAY)
    assert found.profit_factor is None
    assert found.unavailable["profit_factor"] == "next to nothing was lost"


@given(
    arrays.arrays(np.float64, st.integers(2, 200), elements=st.floats(-0.3, 0.3)),
    arrays.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e4, 1e4)),
)
def test_bounds_hold_always(returns: Floats, pnl: Floats) -> None:
    equity = 10_000.0 * np.cumprod(np.concatenate([[1.0], 1.0 + returns]))
    found = metrics.measure(equity, pnl, np.abs(returns), 5.0, 1.0, DAY)
    assert found.max_drawdown is not None
    # 1.0 itself where next to nothing is left: 131 losses of a quarter leave less than a float tells.
    assert 0.0 <= found.max_drawdown <= 1.0
    assert found.log_return == pytest.approx(np.log(equity[-1] / equity[0]), abs=1e-9)
    assert found.win_rate is None or 0.0 <= found.win_rate <= 1.0
    assert found.profit_factor is None or found.profit_factor >= 0.0
    assert found.composite_score is None or -1.0 < found.composite_score < 1.0
    if found.expected_shortfall is not None and found.var_95 is not None:
        assert found.expected_shortfall <= found.var_95 + 1e-15
