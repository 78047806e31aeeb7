"""Settings of what a process may use of the machine, and how the learner uses it."""

from typing import Annotated, Literal

from pydantic import Field

from adan_core.config.policy import Applies, Section

NOW = Applies.NOW


class Compute(Section):
    """Memory of each process, and what the learner's tensors run on."""

    memory_budget_gigabytes: Annotated[float, Field(gt=0.0), NOW]
    optimise: Annotated[Literal["as configured", "measured"], NOW]
    optimise_batch: Annotated[bool, NOW]
    device: Annotated[Literal["cpu", "cuda"], NOW]
    precision: Annotated[Literal["float32", "bfloat16"], NOW]
    compile: Annotated[bool, NOW]
