"""A shadow account, candle by candle: the very account, and the very view of it, of a backtest."""

import numpy as np
import pytest

from adan_core.accounting.account import ACCOUNT_COLUMNS, EQUITY, open_account
from adan_core.accounting.purse import position_cap, step_purses
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import ModelError
from adan_core.learning.environment_episodes import PORTFOLIO_SIZE, write_portfolio
from adan_core.learning.market import economics
from adan_core.learning.segments import Segment
from adan_core.learning.shadow import ShadowAccount

SETTINGS = load_settings(locate(None, {"ADAN_HOME": "/nonexistent"})).settings
TIMEFRAME = Timeframe.parse("5m")
TERMS = economics(SETTINGS, "BTC/SIM").on(TIMEFRAME)
COUNT = 400
CAPITAL = 10_000.0


@pytest.mark.parametrize("restarts", [False, True])
def test_every_candle_of_a_shadow_is_the_backtest_s_and_a_restart_changes_nothing(
    restarts: bool,
) -> None:
    series = SimulatedMarket("BTC/SIM", TIMEFRAME, 11).candles(0, COUNT)
    rng = np.random.default_rng(4)
    regimes = rng.integers(-1, 5, COUNT).astype(np.int8)
    volatility = rng.uniform(0.5, 2.0, COUNT)
    # Wishes that last for a while, some of them to stay; the agent's own protection with each.
    wishes = rng.choice([0.0, 1.0, np.nan], COUNT // 4).repeat(4)
    stops, gains = rng.uniform(0.005, 0.05, COUNT), rng.uniform(0.01, 0.1, COUNT)
    segment = Segment(
        series.open,
        series.high,
        series.low,
        series.close,
        np.zeros((COUNT, 1), dtype=np.float32),
        TERMS,
        regimes,
        volatility,
    )
    tape, limits, figures = segment.tape(), TERMS.limits(), TERMS.as_array()[None, :]
    rows = np.zeros((1, ACCOUNT_COLUMNS), dtype=np.float64)
    open_account(rows[0], CAPITAL)
    place, view = np.zeros((1, 1), dtype=np.int64), np.zeros(PORTFOLIO_SIZE)
    account = ShadowAccount(TERMS, CAPITAL)
    traded = 0
    for bar in range(COUNT):
        if bar:
            place[0, 0] = bar - 1
            wish = slice(bar - 1, bar)
            step_purses(
                rows, place, figures, tape, limits, wishes[wish], stops[wish], gains[wish], 1
            )
        account.candle(series.candle(bar), int(regimes[bar]), float(volatility[bar]))
        cap = position_cap(rows[0, EQUITY], limits.tiers, TERMS.cap)
        write_portfolio(rows[0], cap, series.close[bar], bar, view)
        assert account.equity == rows[0, EQUITY]
        np.testing.assert_array_equal(account.portfolio(), view)
        traded += rows[0, EQUITY] != CAPITAL
        account.wish(
            PolicyOutput(
                float(wishes[bar]),
                1.0,
                (),
                None,
                stop_loss=float(stops[bar]),
                take_profit=float(gains[bar]),
            )
        )
        if restarts:
            again = ShadowAccount(TERMS, CAPITAL)
            again.restore(account.memory())
            account = again
    assert traded > COUNT // 2


def test_what_another_version_left_is_refused() -> None:
    with pytest.raises(ModelError, match="a shadow account of another version"):
        ShadowAccount(TERMS, CAPITAL).restore(np.zeros(3))
