"""The tier table: mended, checked at load, and honest about who may not trade."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.risk_tiers import (
    Tier,
    check_bounds,
    loosened_tiers,
    tier_at,
    untradable,
)
from adan_core.config.settings import Settings

SHIPPED: Settings = load_settings(locate(Path("nowhere"), {})).settings
TIERS = SHIPPED.risk.tiers


def changed(tier: Tier, **values: float | None) -> Tier:
    return Tier.model_validate(tier.model_dump() | values)


def test_the_shipped_table_keeps_every_rule_of_its_kind() -> None:
    for tier in TIERS:
        assert tier.total_exposure <= 1.0
        assert tier.total_exposure == pytest.approx(tier.positions * tier.position_cap)
        assert tier.risk_per_trade * tier.positions <= tier.daily_loss <= tier.max_drawdown
    assert not untradable(TIERS, SHIPPED.rules.minimum_notional)
    assert not untradable(TIERS, 11.0)


def test_one_stop_latches_no_account() -> None:
    for tier in TIERS:
        loss = tier.position_cap * (SHIPPED.risk.stop_loss + 0.003)
        assert loss * tier.positions < tier.daily_loss
        assert loss < tier.max_drawdown / 2


def test_a_typical_account_may_hold_five_positions_of_fifteen_percent() -> None:
    tier = tier_at(TIERS, 10_000.0)
    assert tier is not None
    assert tier.positions >= 5
    assert tier.position_cap >= 0.15


@given(equity=st.floats(0.0, 1e7))
def test_exactly_one_tier_holds_from_the_lowest_bound_up(equity: float) -> None:
    holding = [
        tier
        for tier in TIERS
        if tier.lower <= equity and (tier.upper is None or equity < tier.upper)
    ]
    assert tier_at(TIERS, equity) == (holding[0] if holding else None)
    assert len(holding) <= 1
    assert bool(holding) == (equity >= TIERS[0].lower)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"total_exposure": 0.9}, "cannot be reached"),
        ({"total_exposure": 1.2}, "less than or equal to 1"),
        ({"position_cap": 0.8}, "must not exceed total_exposure"),
        ({"risk_per_trade": 0.03}, "risk_per_trade x positions"),
        ({"daily_loss": 0.2}, "must not exceed max_drawdown"),
        ({"upper": 30.0}, "must exceed lower"),
    ],
)
def test_a_tier_that_contradicts_itself_does_not_load(
    values: dict[str, float], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        changed(TIERS[1], **values)


def test_bounds_meet_without_gap_or_overlap() -> None:
    with pytest.raises(ValueError, match="a gap between tier micro"):
        check_bounds((changed(TIERS[0], upper=29.0), *TIERS[1:]))
    with pytest.raises(ValueError, match="an overlap between tier micro"):
        check_bounds((changed(TIERS[0], upper=31.0), *TIERS[1:]))
    with pytest.raises(ValueError, match="no upper bound, yet"):
        check_bounds((changed(TIERS[0], upper=None), *TIERS[1:]))
    with pytest.raises(ValueError, match="is the last"):
        check_bounds(TIERS[:-1])
    with pytest.raises(ValueError, match="at least one"):
        check_bounds(())


def test_a_tier_below_the_venues_minimum_does_not_trade_and_says_so() -> None:
    closed = untradable(TIERS, 12.0)
    assert set(closed) == {"micro", "small"}
    assert "11.25" in closed["micro"]
    assert "12" in closed["micro"]


def test_loosening_is_seen_at_whatever_capital_it_happens() -> None:
    assert loosened_tiers(TIERS, TIERS) == ()
    tighter = (*TIERS[:-1], changed(TIERS[-1], daily_loss=0.045))
    assert loosened_tiers(TIERS, tighter) == ()
    assert loosened_tiers(tighter, TIERS) == ("daily_loss at capital 1000: 0.045 -> 0.05",)
    earlier = (changed(TIERS[0], lower=10.0), *TIERS[1:])
    assert any("capital 10 may trade" in reason for reason in loosened_tiers(TIERS, earlier))
    moved = (*TIERS[:3], changed(TIERS[3], upper=900.0), changed(TIERS[4], lower=900.0))
    assert loosened_tiers(TIERS, moved) == ("positions at capital 900: 4 -> 5",)
