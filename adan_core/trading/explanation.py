"""Why a decision is what it is, in sentences a person can check."""

from adan_core.domain.decisions import (
    ActionType,
    BehaviourReading,
    PolicyOutput,
    RiskVerdict,
    TradingActionWithConfidence,
)
from adan_core.domain.market import Regime, RegimeReading
from adan_core.domain.orders import Order, Side
from adan_core.trading.behaviour import behaviour_reasons


def explained_action(
    symbol: str,
    output: PolicyOutput,
    reading: RegimeReading,
    order: Order | None,
    verdict: RiskVerdict | None,
    cap: float,
    held: float,
    behaviour: BehaviourReading | None,
    denied: str,
) -> TradingActionWithConfidence:
    """Return the action that ``order`` (None: hold) carries out, with the agent's own estimates.

    ``cap`` is the symbol's largest share of equity, ``held`` the share of it that is held and ``behaviour``
    what the behaviour engine made of the wish, None where it had no say. ``denied`` says why nothing
    could be ordered although something was asked for, empty where it was not so.
    """
    kind = ActionType.HOLD
    if order is not None:
        kind = ActionType.BUY if order.side is Side.BUY else ActionType.SELL
    return TradingActionWithConfidence(
        action_type=kind,
        symbol=symbol,
        target_exposure=held if output.abstained else output.target_exposure,
        confidence=output.confidence,
        reasoning=reasons(output, reading, order, verdict, cap, behaviour, denied),
        votes=output.votes,
        expected_return=output.expected_return,
        expected_drawdown=output.expected_drawdown,
        abstained=output.abstained,
    )


def reasons(
    output: PolicyOutput,
    reading: RegimeReading,
    order: Order | None,
    verdict: RiskVerdict | None,
    cap: float,
    behaviour: BehaviourReading | None,
    denied: str,
) -> tuple[str, ...]:
    """Return one sentence per driver: the agent, the regime, the trade, and each limit that said no."""
    share = f"{output.target_exposure:.0%} of its cap ({cap:.1%} of equity)"
    wish = f"the agent wants {share}" if output.target_exposure else "the agent wants to be flat"
    reasons = [
        _disagreement(output) if output.abstained else wish + _agreement(output),
        f"{reading.regime} ({reading.probabilities[tuple(Regime).index(reading.regime)]:.0%}): "
        + ", ".join(f"{name} {value:.2f}" for name, value in reading.drivers),
    ]
    if behaviour is not None:
        reasons += behaviour_reasons(behaviour)
    if denied:
        reasons.append(f"nothing is ordered: {denied}")
    elif order is None:
        reasons.append("the position is where it should be: nothing to trade")
    else:
        reasons.append(f"{order.side} {order.quantity:g}")
    if verdict is not None:
        reasons += [
            f"denied by {check.code}: {check.found} against {check.limit}"
            for check in verdict.denied_by
        ]
    return tuple(reasons)


def _agreement(output: PolicyOutput) -> str:
    """Say how many members want it, where there are several."""
    if len(output.votes) < 2:
        return ""
    agreeing = [vote.weight for vote in output.votes if vote.agrees]
    return f": {len(agreeing)} of {len(output.votes)} members, {sum(agreeing):.0%} of the votes"


def _disagreement(output: PolicyOutput) -> str:
    """Say who wants what, where too few agree to change anything."""
    shares: dict[float, float] = {}
    for vote in output.votes:
        shares[vote.target_exposure] = shares.get(vote.target_exposure, 0.0) + vote.weight
    wishes = ", ".join(f"{share:.0%} for {wanted:.0%}" for wanted, share in sorted(shares.items()))
    return f"the members disagree ({wishes} of the cap): the position stays as it is"
