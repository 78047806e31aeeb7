"""The capital tiers: one table, checked against itself when it is loaded."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from adan_core.config.policy import Section

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]

# Sums of decimal fractions are compared with room for their binary rounding.
_ROUNDING = 1e-9


class Tier(Section):
    """The limits of one span of capital; amounts in quote currency, shares as fractions of equity."""

    name: str
    lower: Annotated[float, Field(gt=0.0)]
    """Capital from which the tier applies, inclusive."""
    upper: float | None
    """Capital up to which it applies, exclusive; null: and up."""
    total_exposure: Fraction
    """All positions together."""
    position_cap: Fraction
    """One position."""
    positions: Annotated[int, Field(ge=1)]
    """Positions open at once."""
    risk_per_trade: Fraction
    """Loss of one position whose stop is hit, its costs included."""
    daily_loss: Fraction
    """Loss within one UTC day at which trading stops."""
    max_drawdown: Fraction
    """Fall from the equity peak at which trading stops."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.upper is not None and self.upper <= self.lower:
            raise ValueError(
                f"tier {self.name}: upper {self.upper:g} must exceed lower {self.lower:g}"
            )
        if self.position_cap > self.total_exposure + _ROUNDING:
            raise ValueError(
                f"tier {self.name}: position_cap {self.position_cap:g} must not exceed "
                f"total_exposure {self.total_exposure:g}"
            )
        if self.total_exposure > self.positions * self.position_cap + _ROUNDING:
            raise ValueError(
                f"tier {self.name}: total_exposure {self.total_exposure:g} cannot be reached; it must be "
                f"at most positions x position_cap = {self.positions * self.position_cap:g}"
            )
        if self.risk_per_trade * self.positions > self.daily_loss + _ROUNDING:
            raise ValueError(
                f"tier {self.name}: risk_per_trade x positions = "
                f"{self.risk_per_trade * self.positions:g} must not exceed daily_loss "
                f"{self.daily_loss:g}, or one round of stops ends the day"
            )
        if self.daily_loss > self.max_drawdown + _ROUNDING:
            raise ValueError(
                f"tier {self.name}: daily_loss {self.daily_loss:g} must not exceed max_drawdown "
                f"{self.max_drawdown:g}"
            )
        return self

    def smallest_position(self, smallest_exposure: float) -> float:
        """Return the notional of the smallest position the tier opens at its lower bound."""
        return self.lower * self.position_cap * smallest_exposure


def check_bounds(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Return ``tiers`` if they lie end to end; ValueError naming the first gap or overlap."""
    if not tiers:
        raise ValueError("at least one tier is needed; without one nothing may trade")
    for below, above in pairwise(tiers):
        if below.upper is None:
            raise ValueError(f"tier {below.name} has no upper bound, yet {above.name} follows it")
        if below.upper != above.lower:
            word = "a gap" if below.upper < above.lower else "an overlap"
            raise ValueError(
                f"{word} between tier {below.name} (upper {below.upper:g}) and tier {above.name} "
                f"(lower {above.lower:g}); bounds are half-open and must meet"
            )
    if tiers[-1].upper is not None:
        raise ValueError(f"tier {tiers[-1].name} is the last and must have no upper bound (null)")
    return tiers


def tier_at(tiers: Sequence[Tier], equity: float) -> Tier | None:
    """Return the tier of an account worth ``equity``; None below the lowest bound: no trading."""
    found = None
    for tier in tiers:
        if equity >= tier.lower:
            found = tier
    return found


def untradable(
    tiers: Sequence[Tier], minimum_notional: float, smallest_exposure: float = 1.0
) -> dict[str, str]:
    """Return, by name, the tiers that do not trade, each with the reason to show.

    At its lower bound a tier's smallest position must meet the venue's ``minimum_notional``;
    ``smallest_exposure`` is the smallest share of the position cap the agent may ask for.
    """
    return {
        tier.name: (
            f"tier {tier.name} does not trade: at {tier.lower:g} its smallest position "
            f"is {tier.smallest_position(smallest_exposure):g}, below the venue's minimum notional "
            f"{minimum_notional:g}"
        )
        for tier in tiers
        if tier.smallest_position(smallest_exposure) < minimum_notional
    }


def loosened_tiers(old: Sequence[Tier], new: Sequence[Tier]) -> tuple[str, ...]:
    """Return a sentence for each limit that ``new`` relaxes at some capital, compared with ``old``."""
    found: list[str] = []
    for capital in sorted({tier.lower for tier in (*old, *new)}):
        before, after = tier_at(old, capital), tier_at(new, capital)
        if after is None:
            continue
        if before is None:
            found.append(f"capital {capital:g} may trade, which it may not now")
            continue
        for name in (
            "total_exposure",
            "position_cap",
            "positions",
            "risk_per_trade",
            "daily_loss",
            "max_drawdown",
        ):
            was, is_now = getattr(before, name), getattr(after, name)
            if is_now > was:
                found.append(f"{name} at capital {capital:g}: {was:g} -> {is_now:g}")
    return tuple(found)
