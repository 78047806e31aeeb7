"""How long the behaviour engine takes over one wish, and with it four members that vote before it."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.market_state import EnhancedMarketState
from adan_core.data.normaliser import Normaliser
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.market import Regime, RegimeReading
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.time import MINUTE, ManualClock
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.inference import Layer, Network
from adan_core.learning.market import feature_set
from adan_core.learning.member import Member
from adan_core.runtime.assembly import behaviour_of, sizing_of
from adan_core.trading.behaviour import DynamicBehaviorEngine, behaviour_reasons
from adan_core.trading.database import Durability
from adan_core.trading.journal import Journal
from tests.benchmarks.rows import Row
from tests.members import RULES, member_card

_DECISIONS = 10_000
_TRADES = 200
_WISH_MILLISECONDS = 1.0
_DECISION_MILLISECONDS = 5.0
_PRICE = 1_000.0
_WIDTH = 64
_HORIZONS = {"scalper": 3, "intraday": 12, "swing": 48, "position": 200}
_SYMBOL = "BTC/SIM"
_CANDLE = 5 * MINUTE

Floats = NDArray[np.float32]


def behaviour_latency() -> Row:
    """Weigh wishes that change each time, on a journal of closed trades; p99 on one thread."""
    wishes = [PolicyOutput(side, 1.0, (Vote("one", side, 1.0),), None) for side in (1.0, 0.0)]
    p99 = _p99(lambda number, _: wishes[number % 2], 1)
    return Row("behaviour, one wish, p99", p99, "ms", None, _WISH_MILLISECONDS)


def decision_latency() -> Row:
    """Let four members of the shipped size vote on the shipped state first; p99 on one thread."""
    locations = locate(Path("unused"), {})
    settings = load_settings(locations, (), {}).settings
    ladder = settings.ladders[settings.market.timeframe]
    inputs = len(feature_set(settings, locations).columns(ladder)) + len(PORTFOLIO_COLUMNS)
    random = np.random.default_rng(1)
    members = tuple(
        Member(member_card(name, horizon), _network(random, inputs), np.arange(inputs))
        for name, horizon in _HORIZONS.items()
    )
    policy = EnsemblePolicy("four", members, RULES, inputs, _CANDLE)

    def vote(number: int, observation: Floats) -> PolicyOutput:
        return policy.decide(
            _SYMBOL, number * _CANDLE, _PRICE + number % 7, observation, number % len(Regime)
        )

    p99 = _p99(vote, inputs)
    return Row("decision, four members and behaviour, p99", p99, "ms", None, _DECISION_MILLISECONDS)


def votes_latency() -> Row:
    """Make the observation of the shipped state and let four members vote on it; p99 on one thread."""
    locations = locate(Path("unused"), {})
    settings = load_settings(locations, (), {}).settings
    ladder = settings.ladders[settings.market.timeframe]
    spec = feature_set(settings, locations)
    columns = spec.columns(ladder)
    inputs = len(columns) + len(PORTFOLIO_COLUMNS)
    random = np.random.default_rng(1)
    members = tuple(
        Member(member_card(name, horizon), _network(random, inputs), np.arange(inputs))
        for name, horizon in _HORIZONS.items()
    )
    policy = EnsemblePolicy("four", members, RULES, inputs, _CANDLE)
    schema = spec.schema_hash(ladder)
    plain = np.zeros(len(columns)), np.ones(len(columns))
    normaliser = Normaliser(*plain, 0, 1, "", schema)
    rows = random.standard_normal((_DECISIONS, inputs))
    closes = _PRICE * np.exp(np.cumsum(random.normal(0.0, 0.003, _DECISIONS)))
    taken = np.empty(_DECISIONS)
    for number, (row, close) in enumerate(zip(rows, closes.tolist(), strict=True)):
        began = time.thread_time()
        state = EnhancedMarketState(
            _SYMBOL, number, columns, row[: len(columns)], row[len(columns) :], schema
        )
        observation = state.validate().to_tensor(normaliser)
        policy.decide(_SYMBOL, number * _CANDLE, close, observation, number % len(Regime))
        taken[number] = (time.thread_time() - began) * 1e3
    p99 = float(np.percentile(taken[1:], 99.0))
    return Row("decision, four members and their observation, p99", p99, "ms", None, 2.0)


def _network(random: np.random.Generator, inputs: int) -> Network:
    def layer(outputs: int, wide: int) -> Layer:
        weight = random.standard_normal((outputs, wide)) / wide**0.5
        return Layer(weight.astype(np.float32), np.zeros(outputs, dtype=np.float32))

    body = (layer(_WIDTH, inputs), layer(_WIDTH, _WIDTH))
    return Network((*body, layer(2, _WIDTH)), (*body, layer(1, _WIDTH)))


def _p99(decide: Callable[[int, Floats], PolicyOutput], inputs: int) -> float:
    """Return milliseconds per decision: the agent's answer, and all that is asked of the behaviour engine.

    That is: trades read, factors weighed, the reading and its sentences made. It is the thread's own
    time on its core, so that whatever else the machine does is not in it.
    """
    settings = load_settings(locate(Path("unused"), {}), (), {}).settings
    sizing = sizing_of(settings)
    readings = [
        RegimeReading(regime, (0.2,) * len(Regime), (("volatility ratio", 0.5 + place),), 0)
        for place, regime in enumerate(Regime)
    ]
    observations = np.random.default_rng(2).standard_normal((_DECISIONS, inputs), dtype=np.float32)
    taken = np.empty(_DECISIONS)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite", "paper", ManualClock(), Durability.OFF)
        engine = DynamicBehaviorEngine(behaviour_of(settings), journal.history.trades_after)
        for number in range(_DECISIONS):
            if number % (_DECISIONS // _TRADES) == 0:
                pnl = 1.0 if number % 3 else -1.0
                journal.history.record_trade(
                    ClosedTrade(_SYMBOL, 1.0, _PRICE, _PRICE, number, number, pnl, "exit")
                )
            equity, held = 9_000.0 + number % 1_000, float(number % 2)
            reading = readings[number % len(readings)]
            began = time.thread_time()
            output = decide(number, observations[number])
            engine.give(_SYMBOL, number * MINUTE, reading, equity, 10_000.0, held, output, sizing)
            made = engine.reading(_SYMBOL)
            if made is not None:
                behaviour_reasons(made)
            taken[number] = (time.thread_time() - began) * 1e3
        journal.close()
    # The first one compiles, or reads what was compiled before.
    return float(np.percentile(taken[1:], 99.0))
