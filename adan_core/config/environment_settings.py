"""How the market is played while the agent learns: whose purse, what size, which actions, what luck."""

from typing import Annotated, Literal

from pydantic import Field

from adan_core.config.policy import Applies, Section

_NOW = Applies.NOW


class Playing(Section):
    """The keys of ``learning`` that the environment reads."""

    purse: Annotated[Literal["own", "shared"], _NOW]
    sizing: Annotated[Literal["research", "tiers"], _NOW]
    action: Annotated[Literal["discrete", "continuous"], _NOW]
    dead_band: Annotated[float, Field(gt=0.0, lt=0.5), _NOW]
    observation_noise: Annotated[float, Field(ge=0.0), _NOW]
    cost_randomisation: Annotated[float, Field(ge=0.0, le=1.0), _NOW]
