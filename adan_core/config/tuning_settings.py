"""What a search for better settings may change, and how long it tries."""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from adan_core.config.policy import Applies, Section

NOW = Applies.NOW
Count = Annotated[int, Field(ge=1)]


class Range(Section):
    """What one setting may become: a number between two, or one of a few.

    ``log`` searches the powers of ten, ``whole`` whole numbers.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[float | int | str, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        bounded = self.low is not None and self.high is not None
        if bounded == bool(self.choices) or (self.low is None) != (self.high is None):
            raise ValueError("give either low and high, or choices")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low {self.low:g} must lie below high {self.high:g}")
            if self.log and self.low <= 0.0:
                raise ValueError(f"low {self.low:g} must be above 0 where log is true")
            if self.whole and not (self.low.is_integer() and self.high.is_integer()):
                raise ValueError("low and high must be whole where whole is true")
        elif len(self.choices) < 2 or self.log or self.whole:
            raise ValueError("choices are two or more, without log and whole")
        return self


# What a trial is judged by (costs, candles, folds, hard limits) is no part of what may be searched;
# profiles and their votes are not, as a trial is one agent of the settings'.
SEARCHED: Final = ("behaviour", "learning", "reward")


class Tuning(Section):
    """`adan-core tune`: trials, how each is judged within the training part, and the space."""

    trials: Annotated[Count, NOW]
    folds: Annotated[int, Field(ge=2), NOW]
    seeds: Annotated[Count, NOW]
    steps: Annotated[Count, NOW]
    unpruned_trials: Annotated[Count, NOW]
    space: Annotated[dict[str, Range], Field(min_length=1), NOW]

    @model_validator(mode="after")
    def _searches_what_is_learnt(self) -> Self:
        for key in self.space:
            if key.partition(".")[0] not in SEARCHED:
                searched = ", ".join(f"{one}.*" for one in SEARCHED)
                raise ValueError(
                    f"space: found {key}, expected one of {searched}; a trial that moved its own costs or "
                    "candles would be judged by other rules than the rest"
                )
        return self
