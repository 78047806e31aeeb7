"""How a model in service is watched: its challenger, its own band, and how the market drifts."""

from typing import Annotated

from pydantic import Field

from adan_core.config.policy import Applies, Section

NOW, RESTART = Applies.NOW, Applies.RESTART

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Service(Section):
    """The model in service and the one that may decide in its shadow."""

    challenger: Annotated[str | None, RESTART]
    demotion: Annotated[bool, NOW]
    outside_deviations: Annotated[float, Field(gt=0.0, lt=10.0), NOW]
    outside_columns: Annotated[Share, NOW]
    outside_share: Annotated[Share, NOW]
    mix_distance: Annotated[Share, NOW]
