"""A policy under observation: how undecided it was, how sure, and whether it was right."""

import math

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.time import Milliseconds
from adan_core.learning.calibration import Reliability, pays, reliability
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.horizons import outcome_places
from adan_core.learning.inference import probabilities

Floats = NDArray[np.float64]


class Witness:
    """Asks a policy in one symbol's candles and remembers what is needed to judge its answers."""

    def __init__(self, policy: EnsemblePolicy) -> None:
        self._policy = policy
        self._times: list[Milliseconds] = []
        self._closes: list[float] = []
        self._confidences: list[float] = []
        self._votes: list[list[tuple[float, float, bool, bool]]] = []
        self.entropies: list[float] = []
        self.abstentions = 0

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        """Return the policy's answer."""
        weights = self._policy.weights
        answer = self._policy.decide(symbol, close_time, close, observation, regime)
        opinions = self._policy.opinions
        own = [_entropy(probabilities(opinion.logits)) for opinion in opinions]
        self.entropies.append(float(np.average(own, weights=weights)))
        self._times.append(close_time)
        self._closes.append(close)
        self._confidences.append(answer.confidence)
        self._votes.append(
            [
                (vote.weight, opinion.direction, opinion.moves, vote.agrees)
                for vote, opinion in zip(answer.votes, opinions, strict=True)
            ]
        )
        self.abstentions += answer.abstained
        return answer

    def reliability(self) -> Reliability:
        """Return how often its decisions were right, by how sure it was of them.

        A decision is as right as the votes make it: each member sees, at the end of its own horizon,
        whether the move that it considered has paid, and counts by its weight. The last decisions,
        whose horizons reach beyond the candles, are left out, and so are those that an outage longer
        than a horizon parts from their outcome.
        """
        members = self._policy.members
        horizons = [member.card.horizon for member in members]
        cost_rate = self._policy.rules.cost_rate
        times = np.array(self._times, dtype=np.int64)
        ends = np.stack([outcome_places(times, own, self._policy.candle) for own in horizons])
        scored = np.flatnonzero((ends >= 0).all(axis=0))
        right = np.zeros(len(scored), dtype=np.float64)
        for row, place in enumerate(scored.tolist()):
            for end, vote in zip(ends[:, place].tolist(), self._votes[place], strict=True):
                weight, direction, moves, agrees = vote
                gained = math.log(self._closes[end] / self._closes[place])
                correct = pays(direction, gained, cost_rate) is moves
                right[row] += weight * (correct is agrees)
        return reliability(np.array(self._confidences)[scored], right)


def _entropy(distribution: Floats) -> float:
    sure = distribution[distribution > 0.0]
    return float(-np.sum(sure * np.log(sure)))
