"""Members made by hand: networks whose preferences are known, and the cards they need."""

from collections.abc import Sequence

import numpy as np

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.market import Regime
from adan_core.learning.calibration import uncalibrated
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.inference import Layer, Network
from adan_core.learning.member import Member, MemberCard
from adan_core.learning.votes import VotingRules

CANDLE = 300_000
"""Milliseconds of a candle of theirs."""

RULES = VotingRules(agreement=0.6, adaptation=0.05, sharpness=10.0, cost_rate=0.0015)


def member_card(name: str = "agent", horizon: int = 24) -> MemberCard:
    """Return the card of a member that goes all in or not at all."""
    return MemberCard(
        name=name,
        algorithm="PPO",
        horizon=horizon,
        columns=(),
        exposures=(0.0, 1.0),
        levels=(0.0, 1.0),
        stop_loss=0.05,
        take_profit=0.1,
        lowest_weight=0.15,
        highest_weight=0.35,
        seed=0,
        steps=1,
        selected_at=1,
        validation_score=0.1,
        calibration=uncalibrated(len(Regime)),
        settings={},
    )


def reader(card: MemberCard, place: int, inputs: int, gain: float = 1.0) -> Member:
    """Return a member that wants to be in exactly where the observation's ``place`` is positive.

    Its log-odds for being in are ``gain`` times what stands there; its value head says the same.
    """
    weight = np.zeros((2, inputs), dtype=np.float32)
    weight[1, place] = gain
    value = np.zeros((1, inputs), dtype=np.float32)
    value[0, place] = gain
    network = Network(
        (Layer(weight, np.zeros(2, dtype=np.float32)),),
        (Layer(value, np.zeros(1, dtype=np.float32)),),
    )
    return Member(card, network, np.arange(inputs))


def readers(cards: Sequence[MemberCard], rules: VotingRules = RULES) -> EnsemblePolicy:
    """Return an ensemble whose member ``k`` follows column ``k`` of the observation."""
    inputs = len(cards) + len(PORTFOLIO_COLUMNS)
    members = tuple(reader(card, place, inputs) for place, card in enumerate(cards))
    return EnsemblePolicy("readers", members, rules, inputs, CANDLE)


def observation(
    wishes: Sequence[float], held: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return an observation of ``wishes``, one per member, with ``held`` of the cap in position."""
    portfolio = np.zeros(len(PORTFOLIO_COLUMNS), dtype=np.float32)
    portfolio[PORTFOLIO_COLUMNS.index("exposure")] = held
    return np.concatenate([np.array(wishes, dtype=np.float32), portfolio])
