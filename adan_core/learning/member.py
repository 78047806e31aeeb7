"""One member of a model: a network, the columns it reads, and what it makes of an observation."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.errors import ModelError
from adan_core.learning.calibration import Calibration
from adan_core.learning.inference import REWARD_SCALE
from adan_core.learning.networks import DecisionNetwork


@dataclass(frozen=True, slots=True)
class MemberCard:
    """What one member is and how it was made.

    ``name`` is its profile's; ``horizon`` (candles) is how far it looks ahead; ``columns`` are those
    of the observation that it reads, in its order; ``exposures`` its discrete targets, fractions of
    the symbol's cap, and ``levels`` the network's own actions for them; ``stop_loss`` and
    ``take_profit`` fractions of the entry. Its share of all votes stays within ``lowest_weight`` and
    ``highest_weight``. ``validation_score`` is its net log-return per 1000 candles on the validation
    part, ``settings`` are those of its run, resolved.
    """

    name: str
    algorithm: str
    horizon: int
    columns: tuple[str, ...]
    exposures: tuple[float, ...]
    levels: tuple[float, ...]
    stop_loss: float
    take_profit: float
    lowest_weight: float
    highest_weight: float
    seed: int
    steps: int
    selected_at: int
    validation_score: float
    calibration: Calibration
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What a member makes of one observation.

    It wants ``exposure``: either it ``moves`` there from what is held, or it stays rather than make
    the likeliest move. ``direction`` is that move's, ``confidence`` the probability that its wish
    earns more, net, within its horizon than the other of both. ``value`` is its value head's estimate
    of the discounted net log-return, ``logits`` its preferences, one per exposure, ``memory`` what
    its network carries on.
    """

    exposure: float
    moves: bool
    direction: float
    confidence: float
    value: float
    logits: NDArray[np.float32]
    memory: NDArray[np.float32]


class Member:
    """A network in service; ``columns`` are the places of its inputs in the observation.

    Raises ModelError if network, columns and exposures do not fit each other.
    """

    def __init__(
        self, card: MemberCard, network: DecisionNetwork, columns: NDArray[np.intp]
    ) -> None:
        if network.actions != len(card.exposures):
            raise ModelError(
                f"a network with {network.actions} actions",
                f"{len(card.exposures)}, one per exposure of member {card.name}",
            )
        if network.inputs != len(columns):
            raise ModelError(
                f"a network of {network.inputs} inputs",
                f"{len(columns)}, the columns that member {card.name} reads",
            )
        self.card = card
        self.network = network
        self.columns = columns

    def opinion(
        self, observation: NDArray[np.float32], held: float, memory: NDArray[np.float32]
    ) -> Opinion:
        """Return what to do about ``held`` (a fraction of the cap), given a whole observation.

        ``memory`` (1, memory_size) is what the network carried here, zeros at first. ModelError if it
        answers with numbers that are not finite, as weights that have grown beyond bounds make it do.
        """
        seen = observation[self.columns][None, :]
        exposures = self.card.exposures
        logits, memory = self.network.act(seen, memory)
        value = float(self.network.value_of(seen, memory)[0]) / REWARD_SCALE
        if not (np.isfinite(logits).all() and math.isfinite(value)):
            raise ModelError(
                f"member {self.card.name} answers with numbers that are not finite",
                "preferences and a value",
                "take the model out of service: `adan-core models rollback`",
            )
        preferences: list[float] = logits[0].tolist()
        own = min(range(len(exposures)), key=lambda action: abs(exposures[action] - held))
        others = (action for action in range(len(exposures)) if action != own)
        move = max(others, key=preferences.__getitem__)
        margin = preferences[move] - preferences[own]
        # Of two equal preferences the first is taken, as numpy's argmax does.
        moves = margin > 0.0 or (margin == 0.0 and move < own)
        direction = exposures[move] - exposures[own]
        paying = self.card.calibration.paying(direction, margin)
        return Opinion(
            exposure=exposures[move if moves else own],
            moves=moves,
            direction=direction,
            confidence=paying if moves else 1.0 - paying,
            value=value,
            logits=logits[0],
            memory=memory,
        )


def places_of(columns: tuple[str, ...], market: tuple[str, ...]) -> NDArray[np.intp]:
    """Return where in an observation of ``market`` columns the ones called ``columns`` stand.

    ModelError if one of them is not there.
    """
    places = {name: place for place, name in enumerate((*market, *PORTFOLIO_COLUMNS))}
    unknown = [name for name in columns if name not in places]
    if unknown:
        raise ModelError(f"a member that reads {unknown[0]}", "columns of the observation")
    return np.array([places[name] for name in columns], dtype=np.intp)
