"""What the agent's reward weighs beside the money, and how that adapts; ``learning.reward`` does it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from adan_core.config.policy import Applies, Section

_NOW = Applies.NOW
Weight = Annotated[float, Field(ge=0.0), _NOW]
Strength = Annotated[float, Field(ge=0.0, lt=1.0), _NOW]


class RegimeWeights(Section):
    """What multiplies the weight of each shaped term in one regime."""

    drawdown: Weight
    turnover: Weight
    inaction: Weight
    consistency: Weight

    def as_tuple(self) -> tuple[float, ...]:
        """Return the multipliers in the order of ``learning.reward``'s terms."""
        return self.drawdown, self.turnover, self.inaction, self.consistency


class RegimesWeights(Section):
    """One set for every regime, in the order of ``domain.market.Regime``."""

    trend_up: RegimeWeights
    trend_down: RegimeWeights
    range: RegimeWeights
    high_volatility: RegimeWeights
    crisis: RegimeWeights


class Reward(Section):
    """The adaptive reward; a change takes effect with the next training run."""

    bound: Annotated[float, Field(gt=0.0), _NOW]
    adaptation_rate: Annotated[float, Field(gt=0.0, le=1.0), _NOW]
    drawdown: Weight
    turnover: Weight
    inaction: Weight
    consistency: Weight
    by_volatility: Strength
    by_performance: Strength
    lowest: Weight
    highest: Weight
    regimes: RegimesWeights

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not self.lowest <= 1.0 <= self.highest:
            raise ValueError(
                f"lowest {self.lowest:g} and highest {self.highest:g} must have 1 between them: "
                "every weight begins as it is set"
            )
        return self

    def as_tuple(self) -> tuple[float, ...]:
        """Return the figures in the order in which ``learning.reward.adaptive_reward`` reads them."""
        return (
            self.bound,
            self.adaptation_rate,
            self.drawdown,
            self.turnover,
            self.inaction,
            self.consistency,
            self.by_volatility,
            self.by_performance,
            self.lowest,
            self.highest,
            *self.regimes.trend_up.as_tuple(),
            *self.regimes.trend_down.as_tuple(),
            *self.regimes.range.as_tuple(),
            *self.regimes.high_volatility.as_tuple(),
            *self.regimes.crisis.as_tuple(),
        )
