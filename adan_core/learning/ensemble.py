"""One to four members that decide together: the policy of every mode, with its memory."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.decisions import PolicyOutput, Vote, confidence_of
from adan_core.domain.errors import ModelError
from adan_core.learning.calibration import pays
from adan_core.learning.member import Member, Opinion
from adan_core.learning.votes import (
    Tally,
    VotingRules,
    bounded_weights,
    side_of,
    tally,
)

PENDING: Final = 16
"""Votes of one member and symbol that wait for their horizon; they are spaced evenly over it."""

_EXPOSURE = PORTFOLIO_COLUMNS.index("exposure") - len(PORTFOLIO_COLUMNS)
# What is kept of a vote until it can be scored.
_CLOSE, _DIRECTION, _MOVES = range(3)
_PENDING_SHAPE = (PENDING + 1, 3)
_SKILL = "skill"
_RECORD = "record:"
_COUNT = "count:"
_CARRIED = "carried:"


class EnsemblePolicy:
    """Members that vote at each close, weighted by how much more often than by chance each was right.

    Every ``horizon / PENDING`` candles a member's vote is kept, and scored once its horizon has
    passed: a share of what follows is then known and nothing is asked of the future. ``inputs`` is
    the length of the whole observation. ModelError if there is no member.
    """

    def __init__(
        self, model_id: str, members: tuple[Member, ...], rules: VotingRules, inputs: int
    ) -> None:
        if not members:
            raise ModelError(f"model {model_id} without a member", "one at least")
        self.model_id = model_id
        self.members = members
        self.rules = rules
        self.opinions: tuple[Opinion, ...] = ()
        self._inputs = inputs
        self._skill = np.array([one.card.calibration.skill for one in members])
        self._records: dict[str, NDArray[np.float64]] = {}
        self._counts: dict[str, int] = {}
        self._sizes = [one.network.memory_size for one in members]
        self._carried: dict[str, NDArray[np.float32]] = {}
        self._levels = sorted({level for one in members for level in one.card.exposures})
        self._spacing = [max(1, -(-one.card.horizon // PENDING)) for one in members]
        self._weights = self._weigh()

    @property
    def weights(self) -> tuple[float, ...]:
        """Each member's share of the votes now."""
        return self._weights

    def decide(
        self, symbol: str, close: float, observation: NDArray[np.float32], regime: int
    ) -> PolicyOutput:
        """Return what the members decide together, and each one's vote.

        They are asked in the order of time, once per candle of ``symbol``. ModelError if the
        observation has the wrong shape or is not finite.
        """
        if observation.shape != (self._inputs,):
            raise ModelError(f"an observation of shape {observation.shape}", f"({self._inputs},)")
        if not np.isfinite(observation).all():
            raise ModelError("an observation that is not finite", "finite numbers")
        exposure = float(observation[_EXPOSURE])
        held = min(self._levels, key=lambda level: abs(level - exposure))
        self._score(symbol, close)
        self.opinions = self._ask(symbol, observation, held)
        self._keep(symbol, close)
        wanted = [opinion.exposure for opinion in self.opinions]
        counted = tally(wanted, self._weights, self.rules.agreement)
        return self._answer(counted, held, regime)

    def _ask(
        self, symbol: str, observation: NDArray[np.float32], held: float
    ) -> tuple[Opinion, ...]:
        """Return every member's opinion; what their networks carry on is kept."""
        carried = self._carried.get(symbol)
        if carried is None:
            carried = np.zeros(sum(self._sizes), dtype=np.float32)
            self._carried[symbol] = carried
        opinions = []
        first = 0
        for member, size in zip(self.members, self._sizes, strict=True):
            own = carried[first : first + size]
            opinion = member.opinion(observation, held, own[None, :])
            own[:] = opinion.memory[0]
            opinions.append(opinion)
            first += size
        return tuple(opinions)

    def _answer(self, counted: Tally, held: float, regime: int) -> PolicyOutput:
        abstained = counted.exposure is None
        target = held if counted.exposure is None else counted.exposure
        side = side_of(target)
        voters = tuple(zip(self.members, self.opinions, self._weights, strict=True))
        votes = tuple(
            Vote(
                member.card.name,
                opinion.exposure,
                opinion.confidence,
                weight,
                agrees=side_of(opinion.exposure) == side,
            )
            for member, opinion, weight in voters
        )
        agreeing = [
            (member, weight)
            for (member, _, weight), vote in zip(voters, votes, strict=True)
            if vote.agrees
        ]
        share = sum(weight for _, weight in agreeing)
        trades = not abstained and share > 0.0
        return PolicyOutput(
            target_exposure=math.nan if abstained else target,
            confidence=confidence_of(votes),
            votes=votes,
            expected_return=sum(weight * opinion.value for _, opinion, weight in voters),
            abstained=abstained,
            stop_loss=_mean([(one.card.stop_loss, weight) for one, weight in agreeing])
            if trades
            else None,
            take_profit=_mean([(one.card.take_profit, weight) for one, weight in agreeing])
            if trades
            else None,
            expected_drawdown=self._fall(target, regime),
        )

    def _fall(self, target: float, regime: int) -> float | None:
        """Return the worst fall to expect while ``target`` is held; None where nobody knows."""
        if target == 0.0:
            return 0.0
        if regime < 0:
            return None
        known = [
            (fall, weight)
            for member, weight in zip(self.members, self._weights, strict=True)
            if weight > 0.0 and (fall := member.card.calibration.falls[regime]) is not None
        ]
        return abs(target) * _mean(known) if known else None

    def _score(self, symbol: str, close: float) -> None:
        """Score the votes whose horizon ends at this close, and let the weights follow."""
        record = self._records.get(symbol)
        if record is None:
            return
        count = self._counts[symbol]
        scored = False
        for place, member in enumerate(self.members):
            cast_at = count - member.card.horizon
            spacing = self._spacing[place]
            if cast_at < 0 or cast_at % spacing:
                continue
            row = record[place, cast_at // spacing % record.shape[1]]
            gained = math.log(close / row[_CLOSE])
            paid = pays(row[_DIRECTION], gained, self.rules.cost_rate)
            moved = bool(row[_MOVES])
            chance = member.card.calibration.chance
            beyond = (paid is moved) - (chance if moved else 1.0 - chance)
            self._skill[place] += self.rules.adaptation * (beyond - self._skill[place])
            scored = True
        if scored:
            self._weights = self._weigh()

    def _keep(self, symbol: str, close: float) -> None:
        record = self._records.get(symbol)
        if record is None:
            record = np.zeros((len(self.members), *_PENDING_SHAPE), dtype=np.float64)
            self._records[symbol], self._counts[symbol] = record, 0
        count = self._counts[symbol]
        for place, opinion in enumerate(self.opinions):
            spacing = self._spacing[place]
            if count % spacing == 0:
                record[place, count // spacing % record.shape[1]] = (
                    close,
                    opinion.direction,
                    opinion.moves,
                )
        self._counts[symbol] = count + 1

    def _weigh(self) -> tuple[float, ...]:
        cards = [member.card for member in self.members]
        return bounded_weights(
            self._skill.tolist(),
            [card.lowest_weight for card in cards],
            [card.highest_weight for card in cards],
            self.rules.sharpness,
        )

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of the members' skills, of what their networks carry, of votes not yet scored."""
        kept: dict[str, NDArray[Any]] = {_SKILL: self._skill.copy()}
        for symbol, record in self._records.items():
            kept[_RECORD + symbol] = record.copy()
            kept[_COUNT + symbol] = np.array([self._counts[symbol]], dtype=np.int64)
            kept[_CARRIED + symbol] = self._carried[symbol].copy()
        return kept

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; ModelError if other members left it."""
        size = (len(self.members), *_PENDING_SHAPE)
        symbols = [
            name.removeprefix(_RECORD) for name in sorted(memory) if name.startswith(_RECORD)
        ]
        fits = (
            _SKILL in memory
            and memory[_SKILL].shape == (len(self.members),)
            and all(memory[_RECORD + symbol].shape == size for symbol in symbols)
            and all(_COUNT + symbol in memory for symbol in symbols)
            and all(
                _CARRIED + symbol in memory
                and memory[_CARRIED + symbol].shape == (sum(self._sizes),)
                for symbol in symbols
            )
        )
        if not fits:
            raise ModelError(
                f"the memory of another model than {self.model_id}", "what its own policy left"
            )
        self._skill = memory[_SKILL].copy()
        self._records = {symbol: memory[_RECORD + symbol].copy() for symbol in symbols}
        self._counts = {symbol: int(memory[_COUNT + symbol][0]) for symbol in symbols}
        self._carried = {symbol: memory[_CARRIED + symbol].copy() for symbol in symbols}
        self._weights = self._weigh()


def _mean(weighted: list[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in weighted) / sum(weight for _, weight in weighted)
