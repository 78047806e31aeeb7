"""Which algorithm learns, and what only some algorithms need to know."""

from typing import Annotated, Literal

from pydantic import Field

from adan_core.config.policy import Applies, Section

_NOW = Applies.NOW
_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Replay(Section):
    """What QRDQN and SAC, which learn from the past, need beside the common settings."""

    size: Annotated[_Count, _NOW]
    first_steps: Annotated[int, Field(ge=0), _NOW]
    updates: Annotated[_Count, _NOW]
    target_update: Annotated[_Share, _NOW]
    exploration_share: Annotated[_Share, _NOW]
    exploration_end: Annotated[float, Field(ge=0.0, le=1.0), _NOW]
    quantiles: Annotated[_Count, _NOW]


class Algorithm(Section):
    """The learner: its name, its networks, and what is its own."""

    name: Annotated[Literal["PPO", "RecurrentPPO", "A2C", "QRDQN", "SAC"], _NOW]
    hidden: Annotated[tuple[_Count, ...], Field(min_length=1), _NOW]
    recurrent_size: Annotated[_Count, _NOW]
    replay: Replay
