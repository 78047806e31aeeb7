"""`adan-core data features` writes the bytes that a running core shows its model."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.data.state import observation_hash
from adan_core.data.store import CandleStore
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.time import Milliseconds
from adan_core.learning.backtest import run_policy
from adan_core.learning.ensemble import EnsemblePolicy
from adan_core.learning.market import economics
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_features import DRIVERS, WARM_UP
from adan_core.learning.segments import Segment
from adan_core.runtime.models import open_registry

pytestmark = pytest.mark.slow


def adan(*words: str) -> str:
    command = [sys.executable, "-m", "adan_core", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Witness:
    """The model's policy, and the observations it was shown."""

    def __init__(self, policy: EnsemblePolicy) -> None:
        self._policy = policy
        self.seen: list[NDArray[np.float32]] = []

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        self.seen.append(observation.copy())
        return self._policy.decide(symbol, close_time, close, observation, regime)


def test_a_replay_decides_on_the_bytes_in_the_file(home: Path, tmp_path: Path) -> None:
    """The file's market half, with the account's half of a backtest, hashes as in the replay."""
    adan("data", "sample", "--rows", "3000", "--seed", "31", "--name", "practice")
    shown: dict[str, Any] = json.loads(
        adan("run", "--mode", "replay", "--dataset", "practice", "--json")
    )
    model = open_registry(locate(home, {})).load(shown["model"]["model_id"])
    path = tmp_path / "seen.parquet"
    adan("data", "features", "practice", "--output", str(path), "--model", model.model_id)
    file = pl.read_parquet(path)
    read = file.select(pl.col("^normalised:.*$")).to_numpy()
    assert read.dtype == np.float32

    settings = load_settings(locate(home, {})).settings
    series = CandleStore(locate(home, {}).datasets).read("practice")
    costs = replace(economics(settings, series.symbol), tiered=True)
    regimes = detect_regimes(series)
    first = max(file["ready"].to_list().index(True), WARM_UP)
    traded, witness = series.slice(first, len(series)), Witness(model.open_policy())
    # The agent is played on the file's columns alone: no state is computed here.
    part = Segment(
        traded.open,
        traded.high,
        traded.low,
        traded.close,
        read[first:],
        costs,
        regimes.regimes[first:].astype(np.int8),
        regimes.drivers[first:, DRIVERS.index("volatility ratio")],
    )
    run_policy(traded, part, witness, settings.account.starting_capital)
    hashes = {
        int(time): observation_hash(observation)
        for time, observation in zip(traded.close_time, witness.seen, strict=False)
    }
    shared = [one for one in shown["decisions"] if one["time"] in hashes]
    assert len(shared) > 30
    assert [one["observation_hash"] for one in shared] == [hashes[one["time"]] for one in shared]
    assert file["time"].dt.timestamp("ms").to_list() == series.close_time.tolist()
