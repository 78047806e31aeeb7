"""How far circumstances may move what the agent asks for; ``accounting.behaviour`` does it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from adan_core.config.policy import Applies, Section

_NOW = Applies.NOW
Strength = Annotated[float, Field(ge=0.0, le=0.5), _NOW]
Half = Annotated[float, Field(gt=0.0), _NOW]
Factor = Annotated[float, Field(ge=0.85, le=1.15), _NOW]


class RegimeBehaviour(Section):
    """Factors of the size and of the take-profit's distance in one regime."""

    size: Factor
    take_profit: Factor


class RegimeBehaviours(Section):
    """One for every regime, in the order of ``domain.market.Regime``."""

    trend_up: RegimeBehaviour
    trend_down: RegimeBehaviour
    range: RegimeBehaviour
    high_volatility: RegimeBehaviour
    crisis: RegimeBehaviour


class Behaviour(Section):
    """The behaviour engine, between the agent and the hard limits."""

    enabled: Annotated[bool, _NOW]
    limit: Annotated[float, Field(gt=0.0, le=0.15), _NOW]
    volatility: Strength
    win_rate: Strength
    usual_win_rate: Annotated[float, Field(gt=0.0, lt=1.0), _NOW]
    drawdown: Strength
    half_drawdown: Half
    loss_streak: Strength
    half_streak: Half
    capital_tier: Strength
    protection: Strength
    defensive_below: Annotated[float, Field(ge=0.85, lt=1.0), _NOW]
    confident_above: Annotated[float, Field(gt=1.0, le=1.15), _NOW]
    regimes: RegimeBehaviours

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        lowest, highest = 1.0 - self.limit, 1.0 + self.limit
        if not (lowest <= self.defensive_below and self.confident_above <= highest):
            raise ValueError(
                f"defensive_below {self.defensive_below:g} and confident_above "
                f"{self.confident_above:g} must lie within 1 +/- limit {self.limit:g}, or no size "
                "ever reaches them"
            )
        return self

    def as_tuple(self) -> tuple[float, ...]:
        """Return the figures in the order in which ``accounting.behaviour.modulate`` reads them."""
        regimes = (
            self.regimes.trend_up,
            self.regimes.trend_down,
            self.regimes.range,
            self.regimes.high_volatility,
            self.regimes.crisis,
        )
        return (
            self.limit if self.enabled else 0.0,
            self.volatility,
            self.win_rate,
            self.usual_win_rate,
            self.drawdown,
            self.half_drawdown,
            self.loss_streak,
            self.half_streak,
            self.capital_tier,
            self.protection,
            self.defensive_below,
            self.confident_above,
            *(regime.size for regime in regimes),
            *(regime.take_profit for regime in regimes),
        )
