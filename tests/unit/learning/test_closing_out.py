"""What is open at a test's end is closed there, as the market would have closed it a moment later."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.data.series import CandleSeries
from adan_core.domain.market import Costs
from adan_core.learning.backtest import buy_and_hold_targets, flat_targets, run_targets
from adan_core.learning.closing_out import REASON, closed_out
from adan_core.learning.segments import Economics
from tests.unit.learning.conftest import RULES

CAPITAL = 10_000.0
COUNT = 60
TERMS = Economics(
    cap=1.0,
    band=0.1,
    costs=Costs(fee_rate=0.001, slippage_rate=0.0005),
    rules=RULES,
    stop_loss=0.0,
    take_profit=0.0,
    short=True,
)


def and_a_candle_at_the_last_close(series: CandleSeries) -> CandleSeries:
    """Return ``series`` with one candle more, which stands still where the last one closed."""
    last = series.close[-1:]
    return CandleSeries(
        symbol=series.symbol,
        timeframe=series.timeframe,
        open_time=np.append(series.open_time, series.open_time[-1] + series.timeframe.duration),
        open=np.append(series.open, last),
        high=np.append(series.high, last),
        low=np.append(series.low, last),
        close=np.append(series.close, last),
        volume=np.append(series.volume, 1.0),
        synthetic=series.synthetic,
    )


@given(targets=st.lists(st.sampled_from((-1.0, 0.0, 0.4, 1.0)), min_size=3, max_size=COUNT - 1))
def test_closing_out_comes_to_what_leaving_at_the_next_open_would(
    simulated: CandleSeries, targets: list[float]
) -> None:
    costs = TERMS
    series = simulated.slice(0, len(targets) + 1)
    found = closed_out(run_targets(series, np.array(targets), costs, CAPITAL), costs)
    left = run_targets(
        and_a_candle_at_the_last_close(series), np.array([*targets, 0.0]), costs, CAPITAL
    )
    assert found.equity[-1] == pytest.approx(left.equity[-1], rel=1e-12)
    assert found.fees == pytest.approx(left.fees, rel=1e-12)
    assert found.traded == pytest.approx(left.traded, rel=1e-12)
    assert len(found.trades) == len(left.trades)
    for own, other in zip(found.trades, left.trades, strict=True):
        assert own.pnl == pytest.approx(other.pnl, abs=1e-7)
        assert (own.exit_price, own.opened_at) == (other.exit_price, other.opened_at)
    # All that was earned is in closed trades now.
    earned = sum(trade.pnl for trade in found.trades)
    assert earned == pytest.approx(found.equity[-1] - CAPITAL, abs=1e-6)


def test_holding_pays_for_its_way_out_and_who_is_out_pays_nothing(
    simulated: CandleSeries,
) -> None:
    costs = TERMS
    held = run_targets(simulated, buy_and_hold_targets(simulated), costs, CAPITAL)
    found = closed_out(held, costs)
    paid = float(np.log(found.equity[-1] / held.equity[-1]))
    rate = costs.costs.fee_rate + costs.costs.slippage_rate
    assert paid == pytest.approx(-rate, rel=0.02)
    assert [trade.reason for trade in found.trades] == [REASON]
    dearer = replace(costs, costs=Costs(2 * costs.costs.fee_rate, costs.costs.slippage_rate))
    assert closed_out(held, dearer).equity[-1] < found.equity[-1]
    out = run_targets(simulated, flat_targets(simulated), costs, CAPITAL)
    assert closed_out(out, costs) is out
