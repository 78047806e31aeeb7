"""Small markets for the learning tests."""

import numpy as np
import pytest

from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.market import Costs, MarketRules
from adan_core.learning.segments import Economics, Segment

RULES = MarketRules(
    symbol="BTC/SIM",
    base="BTC",
    quote="SIM",
    lot_step=1e-5,
    tick_size=0.01,
    minimum_quantity=1e-5,
    minimum_notional=10.0,
)


@pytest.fixture
def economics() -> Economics:
    """Usual costs and protection, the whole purse on one symbol."""
    return Economics(
        cap=1.0,
        band=0.1,
        costs=Costs(fee_rate=0.001, slippage_rate=0.0005),
        rules=RULES,
        stop_loss=0.05,
        take_profit=0.10,
    )


@pytest.fixture(scope="session")
def simulated() -> CandleSeries:
    """Two thousand five-minute candles of the simulated market."""
    return SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), 11).candles(0, 2_000)


def segment_of(series: CandleSeries, economics: Economics) -> Segment:
    """Return the series with two columns of state: the last move, and a constant."""
    moves = np.diff(np.log(series.close), prepend=np.log(series.close[0]))
    market = np.stack([moves * 100.0, np.ones(len(series))], axis=1).astype(np.float32)
    return Segment(series.open, series.high, series.low, series.close, market, economics)


@pytest.fixture
def segment(simulated: CandleSeries, economics: Economics) -> Segment:
    """The simulated candles, ready to be played."""
    return segment_of(simulated, economics)
