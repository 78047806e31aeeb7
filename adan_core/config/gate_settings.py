"""What a model has to show before it may go into service."""

from typing import Annotated

from pydantic import Field

from adan_core.config.policy import Applies, Section

NOW = Applies.NOW

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Gates(Section):
    """The promotion gates; a figure that is not known passes none."""

    minimum_seeds: Annotated[int, Field(ge=1), NOW]
    minimum_excess: Annotated[float, Field(ge=0.0), NOW]
    maximum_drawdown: Annotated[Share, NOW]
    minimum_deflated_sharpe: Annotated[Share, NOW]
    minimum_trades: Annotated[int, Field(ge=0), NOW]
    minimum_paper_days: Annotated[float, Field(ge=0.0), NOW]
