"""One to four members that decide together: the policy of every mode, with its memory."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.decisions import PolicyOutput, Vote, confidence_of
from adan_core.domain.errors import ModelError
from adan_core.domain.time import Milliseconds, iso
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
# What is kept of a vote until it can be scored; ``_CAST`` is the number of its candle, -1 for none.
_CLOSE, _DIRECTION, _MOVES, _CAST = range(4)
_PENDING_SHAPE = (PENDING + 1, 4)
_SKILL = "skill"
_VOTES = "votes:"
_SEEN = "seen:"
_CARRIED = "carried:"


class EnsemblePolicy:
    """Members that vote at each close, weighted by how much more often than by chance each was right.

    Every ``horizon / PENDING`` candles a member's vote is kept, and scored once its horizon has
    passed: a share of what follows is then known and nothing is asked of the future. Horizons are
    counted in the market's time: where more candles are missing than a member looks ahead, its
    votes from before are dropped and its memory is a new one. ``inputs`` is the length of the whole
    observation, ``candle`` the duration of one. ModelError if there is no member.
    """

    def __init__(
        self,
        model_id: str,
        members: tuple[Member, ...],
        rules: VotingRules,
        inputs: int,
        candle: Milliseconds,
    ) -> None:
        if not members:
            raise ModelError(f"model {model_id} without a member", "one at least")
        self.model_id = model_id
        self.members = members
        self.rules = rules
        self.opinions: tuple[Opinion, ...] = ()
        self._inputs = inputs
        self.candle = candle
        self._skill = np.array([one.card.calibration.skill for one in members])
        self._records: dict[str, NDArray[np.float64]] = {}
        # The numbers of the first and of the newest candle seen.
        self._seen: dict[str, tuple[int, int]] = {}
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
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        """Return what the members decide together, and each one's vote.

        They are asked in the order of time, once per candle of ``symbol``. ModelError if they are
        not, or if the observation has the wrong shape or is not finite.
        """
        if observation.shape != (self._inputs,):
            raise ModelError(f"an observation of shape {observation.shape}", f"({self._inputs},)")
        if not np.isfinite(observation).all():
            raise ModelError("an observation that is not finite", "finite numbers")
        exposure = float(observation[_EXPOSURE])
        held = min(self._levels, key=lambda level: abs(level - exposure))
        number = close_time // self.candle
        self._pass_to(symbol, number, close)
        self.opinions = self._ask(symbol, observation, held)
        self._keep(symbol, number, close)
        wanted = [opinion.exposure for opinion in self.opinions]
        counted = tally(wanted, self._weights, self.rules.agreement)
        return self._answer(counted, held, regime)

    def _ask(
        self, symbol: str, observation: NDArray[np.float32], held: float
    ) -> tuple[Opinion, ...]:
        """Return every member's opinion; what their networks carry on is kept."""
        carried = self._carried[symbol]
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

    def _pass_to(self, symbol: str, number: int, close: float) -> None:
        """Let time pass: score the votes whose horizon has ended, forget what an outage parted."""
        seen = self._seen.get(symbol)
        if seen is None:
            self._records[symbol] = np.full((len(self.members), *_PENDING_SHAPE), -1.0)
            self._carried[symbol] = np.zeros(sum(self._sizes), dtype=np.float32)
            # As if the candle before had been the newest, so that the first vote is kept.
            self._seen[symbol] = number, number - 1
            return
        first, newest = seen
        if number <= newest:
            raise ModelError(
                f"a decision about {symbol} at {iso(number * self.candle)}",
                f"one later than {iso(newest * self.candle)}, the newest that was asked for",
            )
        scored = False
        begin = 0
        for place, (member, size) in enumerate(zip(self.members, self._sizes, strict=True)):
            if number - newest - 1 > member.card.horizon:
                self._carried[symbol][begin : begin + size] = 0.0
            else:
                scored |= self._score(symbol, place, newest - first, number - first, close)
            begin += size
        if scored:
            self._weights = self._weigh()

    def _score(self, symbol: str, place: int, newest: int, number: int, close: float) -> bool:
        """Score one member's votes whose horizon ended after candle ``newest`` and by ``number``."""
        record, member = self._records[symbol][place], self.members[place]
        horizon, spacing = member.card.horizon, self._spacing[place]
        chance = member.card.calibration.chance
        after, last = newest - horizon, number - horizon
        scored = False
        for slot in range(max(after, 0) // spacing, last // spacing + 1):
            row = record[slot % len(record)]
            if not max(after, -1) < row[_CAST] <= last:
                continue
            paid = pays(row[_DIRECTION], math.log(close / row[_CLOSE]), self.rules.cost_rate)
            moved = bool(row[_MOVES])
            beyond = (paid is moved) - (chance if moved else 1.0 - chance)
            self._skill[place] += self.rules.adaptation * (beyond - self._skill[place])
            scored = True
        return scored

    def _keep(self, symbol: str, number: int, close: float) -> None:
        """Keep each member's first vote of every stretch of its spacing."""
        first, newest = self._seen[symbol]
        record = self._records[symbol]
        cast = number - first
        for place, opinion in enumerate(self.opinions):
            slot = cast // self._spacing[place]
            if slot > (newest - first) // self._spacing[place]:
                record[place, slot % record.shape[1]] = (
                    close,
                    opinion.direction,
                    opinion.moves,
                    cast,
                )
        self._seen[symbol] = first, number

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
            kept[_VOTES + symbol] = record.copy()
            kept[_SEEN + symbol] = np.array(self._seen[symbol], dtype=np.int64)
            kept[_CARRIED + symbol] = self._carried[symbol].copy()
        return kept

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken; ModelError if other members left it.

        Of what a version left that did not know when its votes were cast, the skills are taken.
        """
        size = (len(self.members), *_PENDING_SHAPE)
        symbols = [name.removeprefix(_VOTES) for name in sorted(memory) if name.startswith(_VOTES)]
        fits = (
            _SKILL in memory
            and memory[_SKILL].shape == (len(self.members),)
            and all(memory[_VOTES + symbol].shape == size for symbol in symbols)
            and all(_SEEN + symbol in memory for symbol in symbols)
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
        self._records = {symbol: memory[_VOTES + symbol].copy() for symbol in symbols}
        seen = {symbol: memory[_SEEN + symbol].tolist() for symbol in symbols}
        self._seen = {symbol: (first, newest) for symbol, (first, newest) in seen.items()}
        self._carried = {symbol: memory[_CARRIED + symbol].copy() for symbol in symbols}
        self._weights = self._weigh()


def _mean(weighted: list[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in weighted) / sum(weight for _, weight in weighted)
