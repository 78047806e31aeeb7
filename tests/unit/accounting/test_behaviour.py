"""The behaviour engine's kernel: bounded, monotone, silent on what it does not know."""

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adan_core.accounting.behaviour import (
    FACTORS,
    FIRST_FACTOR,
    MODE,
    OUT,
    RISK_MODES,
    SETTINGS,
    STOP_LOSS,
    TAKE_PROFIT,
    TARGET,
    modulate,
)
from adan_core.config.behaviour_settings import Behaviour
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.domain.market import Regime

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Circumstances:
    """What a wish meets; by default nothing is known and a full long is asked for."""

    regime: int = -1
    volatility: float = math.nan
    win_rate: float = math.nan
    drawdown: float = math.nan
    loss_streak: float = math.nan
    tier: int = -1
    target: float = 0.8
    stop_loss: float = 0.05
    take_profit: float = 0.10


def shipped_behaviour(tmp_path_factory: pytest.TempPathFactory) -> Behaviour:
    home = locate(tmp_path_factory.mktemp("home"), {})
    return load_settings(home, (), {}).settings.behaviour


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Behaviour:
    """Return the section as shipped."""
    return shipped_behaviour(tmp_path_factory)


def answer(settings: Behaviour | Floats, circumstances: Circumstances) -> Floats:
    figures = np.array(settings.as_tuple()) if isinstance(settings, Behaviour) else settings
    out = np.full(OUT, np.nan)
    one = circumstances
    modulate(
        figures,
        one.regime,
        one.volatility,
        one.win_rate,
        one.drawdown,
        one.loss_streak,
        one.tier,
        one.target,
        one.stop_loss,
        one.take_profit,
        out,
    )
    return out


SHARES = st.floats(0.0, 1.0)
KNOWN = st.builds(
    Circumstances,
    regime=st.integers(-1, 4),
    volatility=st.one_of(st.just(math.nan), st.just(math.inf), st.floats(0.0, 50.0)),
    win_rate=st.one_of(st.just(math.nan), SHARES),
    drawdown=st.one_of(st.just(math.nan), SHARES),
    loss_streak=st.one_of(st.just(math.nan), st.floats(0.0, 1e6)),
    tier=st.integers(-1, 8),
    target=st.floats(-1.0, 1.0),
    stop_loss=st.floats(0.005, 0.20),
    take_profit=st.floats(0.01, 0.50),
)


@given(one=KNOWN)
def test_nothing_is_moved_by_more_than_the_limit_nor_out_of_its_bounds(
    shipped: Behaviour, one: Circumstances
) -> None:
    out = answer(shipped, one)
    for given_figure, asked in (
        (out[TARGET], one.target),
        (out[STOP_LOSS], one.stop_loss),
        (out[TAKE_PROFIT], one.take_profit),
    ):
        assert abs(given_figure - asked) <= 0.15 * abs(asked) + 1e-12
    assert -1.0 <= out[TARGET] <= 1.0
    assert out[TARGET] * one.target >= 0.0  # never the other side of the market
    assert 0.005 <= out[STOP_LOSS] <= 0.20
    assert 0.01 <= out[TAKE_PROFIT] <= 0.50
    assert len(out[FIRST_FACTOR:]) == len(FACTORS)
    assert ((out[FIRST_FACTOR:] > 0.0) & (out[FIRST_FACTOR:] < 2.0)).all()


@given(one=KNOWN, more=st.floats(0.0, 5.0))
def test_more_volatility_drawdown_or_losses_never_raise_the_size(
    shipped: Behaviour, one: Circumstances, more: float
) -> None:
    for name in ("volatility", "drawdown", "loss_streak"):
        if math.isnan(getattr(one, name)):
            continue
        worse = replace(one, **{name: getattr(one, name) + more})
        size, smaller = answer(shipped, one)[TARGET], answer(shipped, worse)[TARGET]
        assert abs(smaller) <= abs(size) + 1e-12, name


@given(one=KNOWN, better=SHARES)
def test_a_higher_win_rate_never_lowers_the_size(
    shipped: Behaviour, one: Circumstances, better: float
) -> None:
    if math.isnan(one.win_rate):
        return
    improved = replace(one, win_rate=min(one.win_rate + better, 1.0))
    size = abs(answer(shipped, one)[TARGET])
    assert abs(answer(shipped, improved)[TARGET]) >= size - 1e-12


@given(one=KNOWN)
def test_a_wider_stop_never_puts_more_money_at_risk(shipped: Behaviour, one: Circumstances) -> None:
    out = answer(shipped, one)
    if out[STOP_LOSS] > one.stop_loss:
        risked = abs(out[TARGET]) * out[STOP_LOSS]
        assert risked <= abs(one.target) * one.stop_loss * (1.0 + 1e-12)


@given(one=KNOWN, more=st.floats(0.0, 5.0))
def test_protection_widens_with_volatility(
    shipped: Behaviour, one: Circumstances, more: float
) -> None:
    if math.isnan(one.volatility):
        return
    wilder = answer(shipped, replace(one, volatility=one.volatility + more))
    calm = answer(shipped, one)
    assert wilder[STOP_LOSS] >= calm[STOP_LOSS] - 1e-15
    assert wilder[TAKE_PROFIT] >= calm[TAKE_PROFIT] - 1e-15


@given(target=st.floats(-1.0, 1.0), stop=st.floats(0.005, 0.2), gain=st.floats(0.01, 0.5))
def test_what_is_not_known_moves_nothing(
    shipped: Behaviour, target: float, stop: float, gain: float
) -> None:
    unknown = Circumstances(target=target, stop_loss=stop, take_profit=gain)
    out = answer(shipped, unknown)
    np.testing.assert_array_equal(out[FIRST_FACTOR:], 1.0)
    np.testing.assert_array_equal(out[:MODE], [target, stop, gain])
    assert RISK_MODES[int(out[MODE])] == "normal"


@given(one=KNOWN)
def test_switched_off_it_is_not_there(shipped: Behaviour, one: Circumstances) -> None:
    for settings in (shipped.model_copy(update={"enabled": False}), np.empty(0)):
        out = answer(settings, one)
        np.testing.assert_array_equal(out[:MODE], [one.target, one.stop_loss, one.take_profit])
        np.testing.assert_array_equal(out[FIRST_FACTOR:], 1.0)


def test_to_stay_and_to_have_no_protection_are_left_alone(shipped: Behaviour) -> None:
    out = answer(
        shipped,
        Circumstances(volatility=3.0, target=math.nan, stop_loss=0.0, take_profit=0.0),
    )
    assert math.isnan(out[TARGET])
    assert out[STOP_LOSS] == 0.0
    assert out[TAKE_PROFIT] == 0.0


def test_size_comes_back_as_losses_are_made_good(shipped: Behaviour) -> None:
    # After five losses in a row the streak halves with each win and the drawdown heals step by step.
    sizes = [
        answer(
            shipped,
            Circumstances(
                win_rate=0.25 + 0.05 * wins, drawdown=0.06 * 0.7**wins, loss_streak=5.0 * 0.5**wins
            ),
        )[TARGET]
        for wins in range(8)
    ]
    assert sizes == sorted(sizes)
    assert np.diff(sizes).max() < 0.04 * 0.8  # no win brings all of it back
    assert sizes[0] < 0.92 * 0.8 < 0.99 * 0.8 < sizes[-1] + 0.008


def test_a_drawdown_of_four_percent_costs_seven_percent_of_the_size(shipped: Behaviour) -> None:
    # 1 - 0.25 / (1 + 0.10 / 0.041), by hand.
    assert answer(shipped, Circumstances(drawdown=0.041))[FIRST_FACTOR + 3] == pytest.approx(
        0.92730, abs=1e-5
    )
    assert answer(shipped, Circumstances(volatility=2.0))[FIRST_FACTOR + 1] == pytest.approx(0.964)
    assert answer(shipped, Circumstances(loss_streak=4.0))[FIRST_FACTOR + 4] == pytest.approx(0.94)
    assert answer(shipped, Circumstances(win_rate=0.7))[FIRST_FACTOR + 2] == pytest.approx(1.02)


def test_every_risk_mode_and_every_regime_has_its_effect(shipped: Behaviour) -> None:
    modes = set()
    by_regime = {}
    for place, regime in enumerate(Regime):
        for volatility, drawdown in product((0.5, 1.0, 3.0), (0.0, 0.08)):
            one = Circumstances(
                regime=place, volatility=volatility, win_rate=0.6, drawdown=drawdown, tier=4
            )
            modes.add(RISK_MODES[int(answer(shipped, one)[MODE])])
        out = answer(shipped, Circumstances(regime=place))
        by_regime[regime] = (out[TARGET], out[TAKE_PROFIT])
    assert modes == set(RISK_MODES)
    assert len(set(by_regime.values())) == len(Regime)
    assert RISK_MODES[int(answer(shipped, Circumstances(regime=4, volatility=0.1))[MODE])] == (
        "defensive"
    )


def test_a_falling_market_is_to_a_short_what_a_rising_one_is_to_a_long(shipped: Behaviour) -> None:
    for here, there in ((0, 1), (1, 0), (2, 2), (3, 3), (4, 4)):
        long = answer(shipped, Circumstances(regime=here, volatility=1.3))
        short = answer(shipped, Circumstances(regime=there, volatility=1.3, target=-0.8))
        assert short[TARGET] == -long[TARGET]
        np.testing.assert_array_equal(short[STOP_LOSS:], long[STOP_LOSS:])


def _changed(section: Behaviour) -> dict[str, Behaviour]:
    """Return the section with one key changed, for each of its keys."""
    found: dict[str, Behaviour] = {}
    for name in type(section).model_fields:
        if name == "regimes":
            for regime in type(section.regimes).model_fields:
                for figure in ("size", "take_profit"):
                    own: Any = getattr(section.regimes, regime)
                    other = own.model_copy(update={figure: getattr(own, figure) + 0.03})
                    regimes = section.regimes.model_copy(update={regime: other})
                    found[f"{regime}.{figure}"] = section.model_copy(update={"regimes": regimes})
        else:
            value = getattr(section, name)
            moved = not value if isinstance(value, bool) else value * 0.98
            found[name] = section.model_copy(update={name: moved})
    return found


def test_every_key_has_an_effect(shipped: Behaviour) -> None:
    assert len(shipped.as_tuple()) == SETTINGS
    # The last three sets lie at a bound and just within the two thresholds of the risk mode.
    met = [Circumstances(regime, 1.4, 0.65, 0.05, 1.0, 1, target=0.5) for regime in range(5)] + [
        Circumstances(1, 9.0, 0.0, 0.9, 50.0, 0),
        Circumstances(drawdown=0.0563),
        Circumstances(),
    ]
    as_shipped = [answer(shipped, one) for one in met]
    for name, section in _changed(shipped).items():
        moved = [answer(section, one) for one in met]
        assert any((a != b).any() for a, b in zip(as_shipped, moved, strict=True)), name
