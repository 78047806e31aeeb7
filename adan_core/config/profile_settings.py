"""Profiles: how far ahead each member of a model looks, what it reads, and what it may risk."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from adan_core.config.policy import Applies, Section
from adan_core.config.risk_tiers import Fraction

NOW = Applies.NOW

ProfileName = Literal["scalper", "intraday", "swing", "position"]
PROFILES: Final[tuple[ProfileName, ...]] = ("scalper", "intraday", "swing", "position")
ALL_PROFILES: Final = "all"
"""Stands for the four that vote together."""


class Profile(Section):
    """One member's way of trading; a change takes effect with the next training run."""

    horizon: Annotated[int, Field(ge=2), NOW]
    rungs: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), NOW]
    episode_length: Annotated[int, Field(ge=2), NOW]
    stop_loss: Annotated[float, Field(ge=0.005, le=0.20), NOW]
    take_profit: Annotated[float, Field(ge=0.01, le=0.50), NOW]
    largest_share: Annotated[Fraction, NOW]
    lowest_weight: Annotated[float, Field(ge=0.0, le=1.0), NOW]
    highest_weight: Annotated[float, Field(ge=0.0, le=1.0), NOW]

    @property
    def gamma(self) -> float:
        """The discount whose mean delay is the horizon."""
        return 1.0 - 1.0 / self.horizon


class Profiles(Section):
    """The four ways of trading that together make a model."""

    scalper: Profile
    intraday: Profile
    swing: Profile
    position: Profile

    @model_validator(mode="after")
    def _weights_can_reach_one(self) -> Self:
        own = [self.of(name) for name in PROFILES]
        for name in PROFILES:
            profile = self.of(name)
            if profile.lowest_weight > profile.highest_weight:
                raise ValueError(f"{name}: lowest_weight must not exceed highest_weight")
        if not sum(p.lowest_weight for p in own) <= 1.0 <= sum(p.highest_weight for p in own):
            raise ValueError("no weights within these bounds come to 1 in all")
        return self

    def of(self, name: ProfileName) -> Profile:
        """Return the profile called ``name``."""
        found: Profile = getattr(self, name)
        return found


class Voting(Section):
    """How the members of a model decide together; sealed with the model."""

    agreement: Annotated[float, Field(ge=0.5, le=1.0), NOW]
    adaptation: Annotated[float, Field(ge=0.0, lt=1.0), NOW]
    sharpness: Annotated[float, Field(ge=0.0, le=100.0), NOW]
