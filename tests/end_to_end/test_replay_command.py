"""`adan-core run --mode replay`, the command itself, ends with the backtest's own equity."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.features import FeatureSet
from adan_core.data.state import build_frame, observation_hash
from adan_core.data.store import CandleStore
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.time import Milliseconds
from adan_core.learning.backtest import run_policy
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.market import economics, feature_set, segment
from adan_core.learning.regime_features import WARM_UP
from adan_core.runtime.models import open_registry

pytestmark = pytest.mark.slow


def adan(*words: str) -> str:
    command = [sys.executable, "-m", "adan_core", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Witness:
    """The model's policy, and the hash of each observation it was shown."""

    def __init__(self, policy: EnsemblePolicy) -> None:
        self._policy = policy
        self.seen: list[str] = []

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        self.seen.append(observation_hash(observation))
        return self._policy.decide(symbol, close_time, close, observation, regime)


def test_the_replay_command_and_the_backtest_end_with_the_same_money(home: Path) -> None:
    adan("data", "sample", "--rows", "3000", "--seed", "44", "--name", "practice")
    shown: dict[str, Any] = json.loads(
        adan("run", "--mode", "replay", "--dataset", "practice", "--json")
    )
    locations = locate(home, {})
    settings = load_settings(locations).settings
    series = CandleStore(locations.datasets).read("practice")
    spec: FeatureSet = feature_set(settings, locations)
    ladder = settings.ladders[series.timeframe]
    model = open_registry(locations).default(spec.schema_hash(ladder))
    frame = build_frame(series, ladder, spec)
    costs = replace(economics(settings, series.symbol), tiered=True)
    first = max(frame.ready, WARM_UP)
    part = segment(series, frame, model.normaliser, costs, first, len(series))
    traded, witness = series.slice(first, len(series)), Witness(model.open_policy())
    backtest = run_policy(traded, part, witness, settings.account.starting_capital)
    assert shown["model"]["model_id"] == model.model_id
    assert shown["state"] == "RUNNING"
    assert shown["portfolio"]["equity"] == pytest.approx(backtest.equity[-1], rel=1e-9, abs=0.0)
    assert shown["portfolio"]["fees"] == pytest.approx(backtest.fees, rel=1e-9)
    assert len(backtest.trades) > 3
    # The bytes the agent was shown, too: time in position, distances to the stops and all.
    times = dict(zip(traded.close_time.tolist(), witness.seen, strict=False))
    shared = [one for one in shown["decisions"] if one["time"] in times]
    assert len(shared) > 30
    assert [one["observation_hash"] for one in shared] == [times[one["time"]] for one in shared]
    assert backtest.exposure[-len(shared) :].max() > 0.0  # a position was held meanwhile
