"""The behaviour engine: per symbol, on what the journal knows, and never in an agent's stead."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.accounting.behaviour import REGIME_SIZE
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.domain.decisions import BehaviourReading, PolicyOutput, Vote
from adan_core.domain.errors import DataError
from adan_core.domain.market import Regime, RegimeReading
from adan_core.domain.portfolio import ClosedTrade
from adan_core.runtime.assembly import behaviour_of, sizing_of
from adan_core.trading.behaviour import DynamicBehaviorEngine, Given, behaviour_reasons
from adan_core.trading.terms import Sizing

BTC, ETH = "BTC/SIM", "ETH/SIM"


def wish(
    target: float, stop_loss: float | None = None, take_profit: float | None = None
) -> PolicyOutput:
    return PolicyOutput(
        target,
        1.0,
        (Vote("one", target, 1.0),),
        None,
        abstained=math.isnan(target),
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def lost(symbol: str) -> ClosedTrade:
    return ClosedTrade(symbol, 1.0, 100.0, 95.0, 0, 1, -5.0, "stop loss")


class Bench:
    """A behaviour engine over a list of trades, asked in an account without drawdown."""

    def __init__(self, settings: NDArray[np.float64], sizing: Sizing) -> None:
        self.trades: list[ClosedTrade] = []
        self.sizing = sizing
        self.engine = DynamicBehaviorEngine(
            settings, lambda after: tuple(enumerate(self.trades, 1))[after:]
        )

    def give(
        self,
        output: PolicyOutput,
        quantity: float = 0.0,
        symbol: str = BTC,
        regime: Regime = Regime.RANGE,
        volatility: float = 1.0,
    ) -> Given:
        reading = RegimeReading(regime, (0.2,) * 5, (("volatility ratio", volatility),), 0)
        return self.engine.give(
            symbol, 60_000, reading, 10_000.0, 10_000.0, quantity, output, self.sizing
        )

    def reading(self, symbol: str = BTC) -> BehaviourReading:
        found = self.engine.reading(symbol)
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return an engine with the settings as shipped."""
    settings = load_settings(locate(tmp_path, {}), (), {}).settings
    return Bench(behaviour_of(settings), sizing_of(settings))


def test_an_agent_that_abstained_stays_and_forgets_nothing(bench: Bench) -> None:
    first = bench.give(wish(0.5))
    before = bench.engine.memory()[BTC]
    assert math.isnan(bench.give(wish(math.nan), quantity=1.0).target)
    np.testing.assert_array_equal(bench.engine.memory()[BTC], before)
    assert bench.give(wish(0.5), quantity=1.0, regime=Regime.CRISIS) == first


def test_the_agents_own_protection_goes_before_the_settings(bench: Bench) -> None:
    own = bench.give(wish(1.0, stop_loss=0.02, take_profit=0.04), volatility=2.0)
    # 0.06 further at twice the usual volatility; in a range the take-profit comes 3 % nearer.
    assert own.stop_loss == pytest.approx(0.02 * 1.06)
    assert own.take_profit == pytest.approx(0.04 * 1.06 * 0.97)
    assert bench.give(wish(1.0), symbol=ETH).stop_loss == pytest.approx(bench.sizing.stop_loss)


def test_each_symbol_answers_for_its_own_losses(bench: Bench) -> None:
    bench.trades += [lost(BTC)] * 3
    assert bench.give(wish(0.5)).target < bench.give(wish(0.5), symbol=ETH).target
    assert {f.name: f.found for f in bench.reading().factors}["loss streak"] == "3 not made good"
    assert {f.name: f.found for f in bench.reading(ETH).factors}["win rate"] == "N/A"


def test_a_stopped_out_wish_is_weighed_anew_and_comes_back_smaller(bench: Bench) -> None:
    first = bench.give(wish(0.5)).target
    assert bench.give(wish(0.5), quantity=1.0).target == first
    bench.trades.append(lost(BTC))
    assert bench.give(wish(0.5), quantity=0.0).target < first


def test_new_settings_count_from_the_next_wish_on(bench: Bench) -> None:
    first = bench.give(wish(0.5), regime=Regime.CRISIS)
    bench.engine.settings = np.zeros_like(bench.engine.settings)
    assert bench.give(wish(0.5), quantity=1.0) == first
    assert bench.give(wish(1.0), quantity=1.0).target == 1.0
    assert bench.engine.reading(BTC) is None  # switched off, it has nothing to say


def test_what_another_version_kept_is_weighed_anew(bench: Bench) -> None:
    bench.engine.restore({BTC: np.zeros(3), ETH: np.zeros(2)})
    assert bench.engine.reading(BTC) is None
    assert bench.give(wish(0.5), quantity=1.0).target > 0.0


def test_a_reading_that_lacks_a_figure_is_refused_rather_than_taken_for_usual(bench: Bench) -> None:
    nameless = RegimeReading(Regime.RANGE, (0.2,) * 5, (("volatility", 3.0),), 0)
    with pytest.raises(DataError, match="volatility ratio"):
        bench.engine.give(BTC, 0, nameless, 1.0, 1.0, 0.0, wish(1.0), bench.sizing)


def test_a_wish_for_the_whole_cap_is_not_enlarged_and_the_decision_says_why(bench: Bench) -> None:
    bench.engine.settings[REGIME_SIZE] = 1.15
    whole = bench.give(wish(1.0), regime=Regime.TREND_UP, volatility=0.5)
    assert (whole.target, bench.reading().mode) == (1.0, "confident")
    assert (
        "100% given for 100%, for more than the cap there is not"
        in behaviour_reasons(bench.reading())[0]
    )
    half = bench.give(wish(0.5), regime=Regime.TREND_UP, volatility=0.5)
    assert half.target > 0.5
    assert "than the cap" not in behaviour_reasons(bench.reading())[0]


def test_nothing_is_said_of_a_flat_wish(bench: Bench) -> None:
    bench.give(wish(0.0), regime=Regime.CRISIS)
    assert behaviour_reasons(bench.reading()) == ()
    assert bench.reading().mode == "defensive"
