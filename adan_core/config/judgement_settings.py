"""How a way of learning is judged over the years."""

from typing import Annotated

from pydantic import Field

from adan_core.config.policy import Applies, Section

NOW = Applies.NOW

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Judgement(Section):
    """Walk-forward: folds in time, seeds, what is left out between them, and how chance is counted."""

    folds: Annotated[int, Field(ge=2), NOW]
    first_training: Annotated[Share, NOW]
    validation: Annotated[Share, NOW]
    expanding: Annotated[bool, NOW]
    embargo: Annotated[int, Field(ge=0), NOW]
    seeds: Annotated[int, Field(ge=2), NOW]
    bootstrap_samples: Annotated[int, Field(ge=100), NOW]
    confidence: Annotated[Share, NOW]
    random_draws: Annotated[int, Field(ge=20), NOW]
    stressed_fee: Annotated[float, Field(ge=1.0), NOW]
    stressed_slippage: Annotated[float, Field(ge=1.0), NOW]
