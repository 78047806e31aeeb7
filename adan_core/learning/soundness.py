"""What a sealed model says of itself, held to what the program itself could have made.

A signature says who made a model, not that it is sound: one of another version, or of a program that
is not this one, may be whole and signed and still size a position by a stop that is none.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from adan_core.data.normaliser import Normaliser
from adan_core.domain.errors import ModelError
from adan_core.learning.calibration import MoveOdds
from adan_core.learning.member import MemberCard

if TYPE_CHECKING:
    from adan_core.learning.bundle import ModelCard

_LAST_TIME: Final = 253_402_300_799_999
"""The end of the year 9999 in ms since 1970: what a date can be written of."""


def check_card(card: "ModelCard") -> None:
    """Refuse (ModelError) a card whose figures no training of this program could have written."""
    if not 0 <= card.created_at <= _LAST_TIME:
        raise ModelError(
            f"model {card.model_id}, made at {card.created_at} ms", "a time since 1970"
        )
    for member in card.members:
        oddity = next(_oddities(member), None)
        if oddity is not None:
            what, expected = oddity
            raise ModelError(f"model {card.model_id}: member {member.name} {what}", expected)


def check_normaliser(model_id: str, normaliser: Normaliser, columns: int) -> None:
    """Refuse (ModelError) statistics that are not of ``columns`` columns, or cannot be divided by."""
    for values in (normaliser.mean, normaliser.deviation):
        if values.shape != (columns,):
            raise ModelError(
                f"model {model_id} with a normaliser of {values.size} columns",
                f"{columns}, those of the state it reads",
            )
    if not (normaliser.deviation > 0.0).all() or not np.isfinite(normaliser.mean).all():
        raise ModelError(
            f"model {model_id} with a normaliser of deviations that are not positive",
            "what a training period had",
        )


def _oddities(member: MemberCard) -> Iterator[tuple[str, str]]:
    """Yield what is odd about ``member``, each with what was expected."""
    exposures = member.exposures
    if (
        sorted(set(exposures)) != list(exposures)
        or 0.0 not in exposures
        or not -1.0 <= exposures[0] < exposures[-1] <= 1.0
    ):
        yield f"wants exposures {list(exposures)}", "ascending shares of the cap, 0 among them"
    if len(set(member.columns)) != len(member.columns):
        yield "reads a column twice", "each once"
    if not 1 <= member.horizon <= _LAST_TIME:
        yield f"looks {member.horizon} candles ahead", "one candle at least"
    if not (0.0 < member.stop_loss < 1.0 and member.take_profit > 0.0):
        yield (
            f"protects itself at {member.stop_loss:g} and {member.take_profit:g}",
            "a stop-loss between 0 and 1 and a take-profit above 0",
        )
    if not 0.0 <= member.lowest_weight <= member.highest_weight <= 1.0:
        yield (
            f"has a weight from {member.lowest_weight:g} to {member.highest_weight:g}",
            "bounds within 0 and 1",
        )
    for odds in (member.calibration.up, member.calibration.down):
        if not _says_a_probability(odds):
            yield (
                "has odds of moves that are no probabilities",
                "margins that ascend, each with a probability that does not fall",
            )


def _says_a_probability(odds: MoveOdds) -> bool:
    if len(odds.margins) != len(odds.likely):
        return False
    margins, likely = np.array(odds.margins), np.array(odds.likely)
    plain = (odds.intercept, odds.slope, *odds.margins, *odds.likely)
    return bool(
        np.isfinite(plain).all()
        and (np.diff(margins) > 0.0).all()
        and (np.diff(likely) >= 0.0).all()
        and ((likely >= 0.0) & (likely <= 1.0)).all()
    )
