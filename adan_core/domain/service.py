"""How the model in service does beside its own judgement, its challenger, and the market it learnt."""

from dataclasses import dataclass

from adan_core.domain.time import Milliseconds


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """A model on paper fills of its own, at the sizing it was judged with, since ``since``.

    ``candles`` counts instants, ``log_return`` and ``drawdown`` are those of all its symbols' purses.
    """

    model_id: str
    since: Milliseconds
    candles: int
    equity: float
    log_return: float
    drawdown: float


@dataclass(frozen=True, slots=True)
class DriftReading:
    """How far market and model have moved from what was learnt and judged; None is N/A.

    ``outside``: share of recent observations outside the training range. ``mix_distance``: total
    variation between the recent mix of actions and the judgement's; ``entropy`` of that mix and of
    the judgement's, in nats.
    """

    observations: int
    outside: float | None
    outside_limit: float
    mix_distance: float | None
    mix_limit: float | None
    entropy: float | None
    judged_entropy: float | None


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """What a challenger decided at a close, and its equity then; ``target`` None: it abstained."""

    time: Milliseconds
    symbol: str
    model_id: str
    target: float | None
    confidence: float
    equity: float


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The model in service and what watches over it; empty texts mean that there is nothing to say.

    ``floor`` is the log-return its judgement lets one expect at least by now, ``drawdown_limit`` the
    largest fall; None with ``band_note`` saying why. ``difference`` is the challenger's log-return
    minus the champion's over the candles of both; ``shadow`` are its newest decisions. ``aside`` says
    why nothing is traded.
    """

    champion: ModelStanding | None
    floor: float | None
    drawdown_limit: float | None
    band_note: str
    challenger: ModelStanding | None
    challenger_note: str
    difference: float | None
    shadow: tuple[ShadowDecision, ...]
    drift: DriftReading | None
    aside: str
