"""What a change of a key asks for: when it may take effect, and whether it loosens a limit."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel


class Applies(StrEnum):
    """When a changed key takes effect."""

    NOW = "now"
    WHEN_FLAT = "when flat"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Limit:
    """Marks a risk limit; a larger value lets more be lost (or, with ``larger`` false, a smaller)."""

    larger: bool = True

    def loosened(self, old: float, new: float) -> bool:
        """Whether ``new`` allows more than ``old``."""
        return new > old if self.larger else new < old


class Section(BaseModel):
    """A part of the settings: strict, frozen, without keys nobody knows."""

    model_config = {
        "extra": "forbid",
        "frozen": True,
        "strict": True,
        "allow_inf_nan": False,
        "arbitrary_types_allowed": True,
    }


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """One key's marks."""

    applies: Applies
    limit: Limit | None


def key_policies(section: type[BaseModel], prefix: str = "") -> dict[str, KeyPolicy]:
    """Return the marks of every key of ``section``, by dotted name.

    TypeError if a key carries none: a key nobody thought about must not slip in.
    """
    found: dict[str, KeyPolicy] = {}
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        applies = [mark for mark in field.metadata if isinstance(mark, Applies)]
        limits = [mark for mark in field.metadata if isinstance(mark, Limit)]
        annotation = field.annotation
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        if applies:
            found[key] = KeyPolicy(applies[0], limits[0] if limits else None)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= key_policies(annotation, f"{key}.")
        else:
            raise TypeError(f"{key} must say when it applies: now, when flat or restart")
    return found
