"""The backtest: every unit of money in it exactly once, trades told apart, baselines as named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds
from adan_core.learning.backtest import (
    SMA_SLOW,
    UNKNOWN,
    buy_and_hold_targets,
    flat_targets,
    run_policy,
    run_targets,
    sma_cross_targets,
)
from adan_core.learning.segments import Economics, Segment

CAPITAL = 10_000.0


def candles(*bodies: tuple[float, float, float, float]) -> CandleSeries:
    opens, highs, lows, closes = np.array(bodies, dtype=np.float64).T
    return CandleSeries(
        "BTC/SIM",
        Timeframe.parse("5m"),
        np.arange(len(bodies), dtype=np.int64) * 300_000,
        opens,
        highs,
        lows,
        closes,
        np.ones(len(bodies)),
        synthetic=True,
    )


@given(seed=st.integers(0, 500), switch=st.floats(0.01, 0.8))
def test_trades_and_the_open_position_are_all_of_the_change(
    simulated: CandleSeries, economics: Economics, seed: int, switch: float
) -> None:
    rng = np.random.default_rng(seed)
    flips = rng.random(len(simulated) - 1) < switch
    targets = (np.cumsum(flips) % 2).astype(np.float64)
    targets[-2:] = 0.0  # flat at the end: then the trades are everything
    played = run_targets(simulated, targets, economics, CAPITAL)
    closed = sum(trade.pnl for trade in played.trades)
    assert closed == pytest.approx(played.equity[-1] - CAPITAL, abs=1e-6)
    assert all(trade.closed_at >= trade.opened_at for trade in played.trades)


def test_one_round_trip_by_hand(economics: Economics) -> None:
    series = candles(
        (100, 101, 99, 100), (100, 101, 99, 100), (101, 104, 101, 103), (104, 104, 103, 103)
    )
    played = run_targets(series, np.array([1.0, 0.0, 0.0]), economics, CAPITAL)
    (trade,) = played.trades
    assert trade.entry_price == pytest.approx(100.05)
    assert trade.exit_price == pytest.approx(100.94)  # 101 less 5 bp, cut to the tick
    bought, sold = trade.quantity * trade.entry_price, trade.quantity * trade.exit_price
    assert trade.pnl == pytest.approx(sold - bought - 0.001 * (bought + sold), abs=1e-9)
    assert played.fees == pytest.approx(0.001 * (bought + sold))
    assert played.traded == pytest.approx(bought + sold)
    assert trade.reason == "signal"
    assert (trade.opened_at, trade.closed_at) == (series.open_time[1], series.open_time[2])


def test_a_losing_stop_is_in_the_account_once(economics: Economics) -> None:
    series = candles((100, 100, 100, 100), (100, 100, 90, 92), (92, 93, 91, 92))
    played = run_targets(series, np.array([1.0, 0.0]), economics, CAPITAL)
    (trade,) = played.trades
    assert trade.reason == "stop loss"
    assert trade.exit_price < 95.1
    assert played.equity[-1] == pytest.approx(CAPITAL + trade.pnl)
    assert trade.pnl < -0.05 * trade.quantity * 100.0


def test_a_take_profit_is_told_apart(economics: Economics) -> None:
    series = candles((100, 100, 100, 100), (100, 112, 99.9, 111), (111, 111, 111, 111))
    (trade,) = run_targets(series, np.array([1.0, 0.0]), economics, CAPITAL).trades
    assert trade.reason == "take profit"
    assert trade.pnl > 0.0


def test_flat_stays_flat(simulated: CandleSeries, economics: Economics) -> None:
    played = run_targets(simulated, flat_targets(simulated), economics, CAPITAL)
    assert (played.equity == CAPITAL).all()
    assert played.trades == ()
    assert played.fees == 0.0


def test_buy_and_hold_follows_the_price_less_one_entry(
    simulated: CandleSeries, economics: Economics
) -> None:
    plain = economics.unprotected()
    played = run_targets(simulated, buy_and_hold_targets(simulated), plain, CAPITAL)
    growth = simulated.close[-1] / (simulated.open[1] * 1.0005) / 1.001
    assert played.equity[-1] / CAPITAL == pytest.approx(growth, rel=1e-4)
    assert played.trades == ()


def test_fees_are_charged(simulated: CandleSeries, economics: Economics) -> None:
    targets = (np.arange(len(simulated) - 1) // 10 % 2).astype(np.float64)
    played = run_targets(simulated, targets, economics, CAPITAL)
    assert played.fees == pytest.approx(0.001 * played.traded)
    assert played.equity[-1] < 0.9 * CAPITAL


def test_sma_cross_knows_nothing_before_it_is_warm_nor_of_the_future(
    simulated: CandleSeries,
) -> None:
    targets = sma_cross_targets(simulated)
    assert (targets[: SMA_SLOW - 1] == 0.0).all()
    assert set(np.unique(targets)) == {0.0, 1.0}
    np.testing.assert_array_equal(sma_cross_targets(simulated.slice(0, 1_500)), targets[:1_499])
    np.testing.assert_array_equal(sma_cross_targets(simulated, 700), targets[700:])


EXPOSURE = PORTFOLIO_COLUMNS.index("exposure")


class Momentum:
    """Holds after a rise, and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []
        self.times: list[Milliseconds] = []

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        assert symbol == "BTC/SIM"
        assert close > 0.0
        assert not self.times or close_time > self.times[-1]
        self.times.append(close_time)
        assert regime == UNKNOWN
        self.seen.append(observation.copy())
        return PolicyOutput(float(observation[0] > 0.0), 1.0, (), None)


def test_a_policy_sees_its_own_position_and_its_run_is_that_of_its_targets(
    simulated: CandleSeries, segment: Segment, economics: Economics
) -> None:
    policy = Momentum()
    played = run_policy(simulated, segment, policy, CAPITAL)
    rises = (segment.market[:-1, 0] > 0.0).astype(np.float64)
    again = run_targets(simulated, rises, economics, CAPITAL)
    np.testing.assert_array_equal(played.targets, rises)
    np.testing.assert_array_equal(played.equity, again.equity)
    seen = np.array(policy.seen)
    held = seen[1:, segment.market.shape[1] + EXPOSURE] > 0.5
    np.testing.assert_array_equal(held, played.exposure[:-1] > 0.5)


def test_targets_must_fit(simulated: CandleSeries, economics: Economics) -> None:
    with pytest.raises(DataError, match="targets"):
        run_targets(simulated, np.zeros(5), economics, CAPITAL)
