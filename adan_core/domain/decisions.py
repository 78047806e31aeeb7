"""A decision with its confidence, its reasons and the verdict of the risk limits."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.market import Regime
from adan_core.domain.time import Milliseconds


class ActionType(StrEnum):
    """What a decision asks for."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True)
class Vote:
    """One member's opinion: the exposure it wants (fraction of the symbol's cap) and how sure it is.

    ``weight`` is the member's share of all votes; ``agrees`` whether the decision is on its side.
    Votes stored by versions of one member alone have neither and are read as the whole.
    """

    member: str
    target_exposure: float
    confidence: float
    weight: float = 1.0
    agrees: bool = True


def confidence_of(votes: tuple[Vote, ...]) -> float:
    """Return how sure all voters together are of the decision: the mean by weight.

    A voter on the decision's side counts with its confidence, one against it with what that leaves.
    """
    return sum(
        vote.weight * (vote.confidence if vote.agrees else 1.0 - vote.confidence) for vote in votes
    )


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """What a policy answers to one observation.

    ``target_exposure`` is a fraction of the symbol's exposure cap, NaN where the policy
    ``abstained``: then the position stays as it is. ``confidence`` lies in [0, 1] and follows from
    the votes (``confidence_of``). ``expected_return`` is the value head's estimate of the discounted
    net log-return from here, ``expected_drawdown`` the worst fall to expect (a positive fraction of
    the cap); ``stop_loss`` and ``take_profit`` are the agent's own fractions of the entry. None
    where the policy has none.
    """

    target_exposure: float
    confidence: float
    votes: tuple[Vote, ...]
    expected_return: float | None
    abstained: bool = False
    stop_loss: float | None = None
    take_profit: float | None = None
    expected_drawdown: float | None = None


@dataclass(frozen=True, slots=True)
class TradingActionWithConfidence:
    """What the agent wants for one symbol, why, and how sure it is.

    ``expected_return`` and ``expected_drawdown`` are the agent's own estimates, None (N/A) where
    it has none. ``reasoning`` is one sentence per driver. Where the agent ``abstained``,
    ``target_exposure`` is what is held.
    """

    action_type: ActionType
    symbol: str
    target_exposure: float
    confidence: float
    reasoning: tuple[str, ...]
    votes: tuple[Vote, ...]
    expected_return: float | None
    expected_drawdown: float | None
    abstained: bool = False


@dataclass(frozen=True, slots=True)
class RiskCheck:
    """One limit compared with one figure."""

    code: str
    passed: bool
    found: str
    limit: str


@dataclass(frozen=True, slots=True)
class RiskVerdict:
    """All limits, each compared; the order passes only if every one does."""

    allowed: bool
    checks: tuple[RiskCheck, ...]

    @property
    def denied_by(self) -> tuple[RiskCheck, ...]:
        """The limits that said no."""
        return tuple(check for check in self.checks if not check.passed)


@dataclass(frozen=True, slots=True)
class Factor:
    """One circumstance, the figure ``found`` for it (N/A: unknown) and what it multiplies the size by."""

    name: str
    found: str
    value: float


@dataclass(frozen=True, slots=True)
class BehaviourReading:
    """What the behaviour engine made of a wish, and why.

    ``asked`` and ``given`` are exposures (fractions of the symbol's cap), ``stop_loss`` and
    ``take_profit`` the fractions of the entry given with them. They were given at the close
    ``since``, on the ``factors`` of that close, and hold until the wish changes.
    """

    mode: str
    asked: float
    given: float
    stop_loss: float
    take_profit: float
    factors: tuple[Factor, ...]
    since: Milliseconds


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything known about one decision, as stored and as shown.

    ``observation_hash`` is the BLAKE2b-128 of the observation's float32 bytes, ``latency`` the
    milliseconds from candle to verdict; ``verdict`` is None where no order was asked for,
    ``behaviour`` where the behaviour engine had no say.
    """

    decision_id: str
    time: Milliseconds
    action: TradingActionWithConfidence
    regime: Regime
    verdict: RiskVerdict | None
    order_ids: tuple[str, ...]
    observation_hash: str
    model_id: str
    config_hash: str
    latency: float
    behaviour: BehaviourReading | None = None
