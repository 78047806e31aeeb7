"""How long the behaviour engine takes over one wish, beside the 100 ms that were once allowed for it."""

import tempfile
import time
from pathlib import Path

import numpy as np

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.domain.decisions import PolicyOutput, Vote
from adan_core.domain.market import Regime, RegimeReading
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.time import MINUTE, ManualClock
from adan_core.runtime.assembly import behaviour_of, sizing_of
from adan_core.trading.behaviour import DynamicBehaviorEngine, behaviour_reasons
from adan_core.trading.database import Durability
from adan_core.trading.journal import Journal
from tests.benchmarks.rows import Row

_DECISIONS = 20_000
_TRADES = 200
_TARGET_MILLISECONDS = 1.0
_PRICE = 1_000.0


def behaviour_latency() -> Row:
    """Weigh wishes that change each time, on a journal of closed trades; p99 on one thread.

    Everything a decision asks of it is in: trades read, factors weighed, reading and sentences made.
    """
    settings = load_settings(locate(Path("unused"), {}), (), {}).settings
    sizing = sizing_of(settings)
    readings = [
        RegimeReading(regime, (0.2,) * len(Regime), (("volatility ratio", 0.5 + place),), 0)
        for place, regime in enumerate(Regime)
    ]
    wishes = [PolicyOutput(side, 1.0, (Vote("one", side, 1.0),), None) for side in (1.0, 0.0)]
    taken = np.empty(_DECISIONS)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite", "paper", ManualClock(), Durability.OFF)
        engine = DynamicBehaviorEngine(behaviour_of(settings), journal.history.trades_after)
        for number in range(_DECISIONS):
            if number % (_DECISIONS // _TRADES) == 0:
                pnl = 1.0 if number % 3 else -1.0
                journal.history.record_trade(
                    ClosedTrade("BTC/SIM", 1.0, _PRICE, _PRICE, number, number, pnl, "exit")
                )
            began = time.perf_counter()
            engine.give(
                "BTC/SIM",
                number * MINUTE,
                readings[number % len(readings)],
                9_000.0 + number % 1_000,
                10_000.0,
                float(number % 2),
                wishes[number % 2],
                sizing,
            )
            reading = engine.reading("BTC/SIM")
            assert reading is not None
            behaviour_reasons(reading)
            taken[number] = (time.perf_counter() - began) * 1e3
        journal.close()
    # The first one compiles, or reads what was compiled before.
    p99 = float(np.percentile(taken[1:], 99.0))
    return Row("behaviour, one wish, p99", p99, "ms", None, _TARGET_MILLISECONDS)
