"""What the leak checker looks into: the stages from candles to reward, as one replaceable record."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.split import Split
from adan_core.data.state import StateFrame, build_frame
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.learning.backtest import Decider
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.calibration import uncalibrated
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.environment_episodes import PORTFOLIO_SIZE
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.inference import Layer, Network
from adan_core.learning.leakcheck_changes import History
from adan_core.learning.lessons import voting_rules
from adan_core.learning.market import Prepared, economics, fit_normaliser
from adan_core.learning.member import Member, MemberCard, places_of
from adan_core.learning.profiles import terms_of
from adan_core.learning.regime import RegimeHistory, detect_regimes
from adan_core.learning.regime_model import REGIMES
from adan_core.learning.reward import REWARD_TERMS
from adan_core.learning.segments import Economics, Segment

Floats = NDArray[np.float64]

ACTION_COLUMNS: Final = ("confidence", "target_exposure", "expected_return")
REWARD_COLUMNS: Final = ("reward", *REWARD_TERMS, "equity")
REGIME_COLUMNS: Final = ("regime", *REGIMES)


class Stage(StrEnum):
    """Where a leak can be, each fed by those before it."""

    STATE = "state"
    NORMALISER = "normaliser"
    REGIME = "regime"
    ACTION = "action"
    REWARD = "reward"


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An account played over a segment of n rows.

    ``actions`` (n, ``ACTION_COLUMNS``): what was decided at each close; ``rewards`` (n - 1,
    ``REWARD_COLUMNS``): what the step that ended at each close but the first gave. float64.
    """

    actions: Floats
    rewards: Floats


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, each a function that can be replaced by one with a leak.

    ``normaliser`` is given candles, their state and the split whose training part it may use;
    ``sealed`` is the normaliser that a model brings with it, None where the fitted one serves.
    """

    state: Callable[[History], StateFrame]
    normaliser: Callable[[History, StateFrame, Split], Normaliser]
    regime: Callable[[CandleSeries], RegimeHistory]
    play: Callable[[Segment], Played]
    economics: Economics
    sealed: Normaliser | None


def program_pipeline(
    settings: Settings,
    symbol: str,
    ladder: tuple[Timeframe, ...],
    spec: FeatureSet,
    model: ServiceModel | None,
) -> Pipeline:
    """Return the stages as training, backtest and trading run them.

    Without a ``model`` a network with fixed random weights decides: it looks at every column.
    """

    def opened() -> Decider:
        return model.open_policy() if model else random_policy(settings, spec, ladder)

    capital = settings.account.starting_capital
    return Pipeline(
        state=lambda history: build_frame(
            history.series, ladder, spec.with_external(history.external)
        ),
        normaliser=lambda history, frame, split: fit_normaliser(
            (Prepared(history.series, frame, split),)
        ),
        regime=detect_regimes,
        # A policy has a memory: each walk over the candles begins with a new one.
        play=lambda segment: play(segment, opened(), symbol, capital),
        economics=economics(settings, symbol),
        sealed=model.normaliser if model else None,
    )


def play(segment: Segment, policy: Decider, symbol: str, capital: float) -> Played:
    """Let ``policy`` trade ``symbol`` on one account over ``segment`` in the environment it learns in.

    DataError if there are fewer than two rows, or if nobody has said when they closed.
    """
    rows, tape, times = len(segment), segment.tape(), segment.close_time
    if times is None:
        raise DataError("candles without a time", "when each closed")
    kernel = EnvironmentKernel((segment,), 1, capital, rows, 0)
    kernel.begin_in_order()
    actions = np.empty((rows, len(ACTION_COLUMNS)), dtype=np.float64)
    rewards = np.empty((rows - 1, len(REWARD_COLUMNS)), dtype=np.float64)
    for row in range(rows):
        close, regime = float(tape.close[row]), int(tape.regime[row])
        answer = policy.decide(symbol, int(times[row]), close, kernel.observations[0], regime)
        expected = np.nan if answer.expected_return is None else answer.expected_return
        actions[row] = answer.confidence, answer.target_exposure, expected
        if row < rows - 1:
            kernel.step(actions[row, 1:2])
            rewards[row] = kernel.rewards[0], *kernel.terms[0], kernel.equity(0)
    return Played(actions, rewards)


def random_policy(
    settings: Settings, spec: FeatureSet, ladder: tuple[Timeframe, ...]
) -> EnsemblePolicy:
    """Return a policy that nobody trained: fixed random weights over the state and the portfolio."""
    columns = spec.columns(ladder)
    rng = np.random.default_rng(1)
    exposures = settings.learning.exposures

    def layer(outputs: int, inputs: int) -> Layer:
        weight = rng.normal(0.0, 2.0 / inputs**0.5, (outputs, inputs))
        return Layer(weight.astype(np.float32), np.zeros(outputs, dtype=np.float32))

    inputs = len(columns) + PORTFOLIO_SIZE
    network = Network(
        (layer(32, inputs), layer(len(exposures), 32)), (layer(32, inputs), layer(1, 32))
    )
    terms = terms_of(settings, "", columns, ())
    card = MemberCard(
        name=terms.name,
        algorithm="PPO",
        horizon=terms.horizon,
        columns=terms.columns,
        exposures=exposures,
        levels=exposures,
        stop_loss=terms.stop_loss,
        take_profit=terms.take_profit,
        lowest_weight=terms.lowest_weight,
        highest_weight=terms.highest_weight,
        seed=1,
        steps=0,
        selected_at=0,
        validation_score=0.0,
        calibration=uncalibrated(len(REGIMES)),
        settings={},
    )
    member = Member(card, network, places_of(terms.columns, columns))
    rules = voting_rules(settings)
    return EnsemblePolicy("random weights", (member,), rules, inputs, ladder[0].duration)
