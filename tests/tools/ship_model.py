"""Train, choose, judge and seal the model that ships with ADAN; a maintainer's command.

    make ship-model        (or: .venv/bin/python -m tests.tools.ship_model [--steps N] [--seeds 0 1])

Per seed it trains the four profiles on the simulated market of the shipped settings, keeps the four
that earn most on validation paths none of them trained on, judges them as one model on fresh paths
that nothing was chosen by, and seals it with a fresh Ed25519 key. The public half goes into the
package; the private half is never written anywhere, so no other model can ever be passed off as this
one.
"""

import argparse
import shutil
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.profile_settings import PROFILES
from adan_core.config.settings import Settings
from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state import build_frame
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.time import SystemClock
from adan_core.domain.training import TrainingProgress
from adan_core.learning.backtest import Backtest
from adan_core.learning.baselines import FLAT
from adan_core.learning.bundle import ServiceModel
from adan_core.learning.evaluation import Evaluation, evaluated_run
from adan_core.learning.expectation import Expectation, expect
from adan_core.learning.inference import Network
from adan_core.learning.lessons import Lesson, ensemble_name, member_card, new_lesson, seal_members
from adan_core.learning.market import (
    economics,
    feature_text,
    market_rules,
    segment,
    simulated_training_series,
)
from adan_core.learning.member import places_of
from adan_core.learning.registry import ModelRegistry
from adan_core.learning.runs import RunFolder
from adan_core.learning.selection import Validator
from adan_core.learning.training import TrainingJob
from adan_core.learning.training_plan import TrainingOutcome
from adan_core.resilience.deadline import Deadline
from adan_core.security.public_keys import write_public_key

SHIPPED = Path(__file__).resolve().parents[2] / "adan_core" / "shipped_models"
# No run trains on these: seeds of the market itself, far from what market.py derives for training.
JUDGING_SEEDS = (881_001, 881_002, 881_003, 881_004)
CHOOSING_SEEDS = (882_001, 882_002)
PATH_CANDLES = 60_000


Learnt = list[tuple[Lesson, TrainingOutcome]]


def train(settings: Settings, features: str, seed: int, steps: int, folder: Path) -> Learnt:
    """Train the four members of one seed and return what came of them."""
    clock = SystemClock()
    now = clock.now()
    series = simulated_training_series(settings, seed)
    name = ensemble_name(None, seed, now)
    learnt = []
    for profile in PROFILES:
        lesson = new_lesson(
            settings,
            features,
            series,
            None,
            steps,
            seed,
            now,
            profile=profile,
            ensemble=name,
        )
        run = RunFolder.create(folder, lesson.record)
        deadline = Deadline(clock, None)
        job = TrainingJob(lesson.plan, run, clock, deadline, threading.Event(), _quiet)
        learnt.append((lesson, job.run()))
    return learnt


def _quiet(_progress: TrainingProgress) -> None:
    """Say nothing."""


def fresh_paths(settings: Settings, seeds: tuple[int, ...]) -> list[CandleSeries]:
    """Return paths of every symbol's market, one per seed."""
    return [
        SimulatedMarket(
            symbol, settings.market.timeframe, seed, market_rules(settings, symbol).tick_size
        ).candles(0, PATH_CANDLES)
        for symbol in settings.market.symbols
        for seed in seeds
    ]


def choice_score(settings: Settings, learnt: Learnt) -> float:
    """Return what candidates earn per 1000 candles on common paths: the mean of the four."""
    ladder = settings.ladders[settings.market.timeframe]
    spec = FeatureSet.parse(learnt[0][0].record.features, "features")
    paths = [
        (series, build_frame(series, ladder, spec))
        for series in fresh_paths(settings, CHOOSING_SEEDS)
    ]
    scores = []
    for lesson, outcome in learnt:
        terms = lesson.terms
        columns = places_of(terms.columns, spec.columns(ladder))[: -len(PORTFOLIO_COLUMNS)]
        parts = []
        for series, frame in paths:
            costs = terms.economics(economics(settings, series.symbol))
            part = segment(series, frame, lesson.normaliser, costs, 0, len(series))
            parts.append(replace(part, market=np.ascontiguousarray(part.market[:, columns])))
        validator = Validator(tuple(parts), terms.learning.exposures, lesson.plan.capital)
        scores.append(validator.score(Network.from_weights(outcome.weights)))
        print(f"  {terms.name}: {scores[-1]:+.4f}", flush=True)
    return sum(scores) / len(scores)


def judge(model: ServiceModel, settings: Settings) -> list[tuple[Evaluation, Backtest]]:
    """Judge ``model`` on every fresh path."""
    return [
        evaluated_run(model, series, settings, f"fresh simulated path {place}")
        for place, series in enumerate(fresh_paths(settings, JUDGING_SEEDS))
    ]


def laid_end_to_end(runs: list[Backtest]) -> Expectation:
    """Return what all ``runs`` together let one expect of the model."""
    returns = np.concatenate([np.diff(np.log(run.equity)) for run in runs])
    equity = np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    return expect(equity, np.concatenate([run.targets for run in runs]))


def main() -> int:
    """Ship, or refuse to ship a model that does not beat flat on most fresh paths."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=600_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output", type=Path, default=SHIPPED)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Path(scratch)
        home = locate(workshop / "home", {})
        settings = load_settings(home, (), {}).settings
        features = feature_text(settings, home)
        runs = []
        for seed in chosen.seeds:
            learnt = train(settings, features, seed, chosen.steps, workshop / "runs")
            score = choice_score(settings, learnt)
            print(f"seed {seed}: {score:+.4f} per 1000 candles, to choose by", flush=True)
            runs.append((score, learnt))
        _, learnt = max(runs, key=lambda run: run[0])
        lesson = learnt[0][0]
        members = [(member_card(own, outcome), outcome.weights) for own, outcome in learnt]
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        # Sealed once to be judged exactly as it will be loaded, then again with its judgement.
        trial = workshop / "trial"
        now = lesson.record.created_at
        trial_card = seal_members(lesson, members, trial, key, now)
        model = ModelRegistry(trial, workshop / "none", {"shipped": public}).load(
            trial_card.model_id
        )
        trials = judge(model, settings)
        judged = [one for one, _ in trials]
        margins = sorted(one.excess[FLAT] or 0.0 for one in judged)
        for one in judged:
            print(
                f"{one.symbol} {one.dataset}: {one.results[0].metrics.log_return:+.4f} {one.verdict}"
            )
        median = margins[len(margins) // 2]
        saturated = any(one.saturation.saturated for one in judged)
        errors = [one.calibration.expected_error or 0.0 for one in judged]
        print(f"expected calibration error: worst {max(errors):.3f}")
        print(f"log-return beyond flat: worst {margins[0]:+.4f}, median {median:+.4f}")
        if median <= 0.0 or margins[len(margins) // 4] <= 0.0 or saturated:
            print("not shipped: it does not beat flat on three quarters of the fresh paths")
            return 1
        evaluation = {
            "schema_version": 1,
            "expectation": msgspec.to_builtins(laid_end_to_end([run for _, run in trials])),
            "paths": msgspec.to_builtins(judged),
            "verdict": f"On {len(judged)} fresh simulated paths, net of costs: log-return beyond "
            f"flat {margins[0]:+.4f} at worst, {median:+.4f} in the median.",
        }
        chosen.output.mkdir(parents=True, exist_ok=True)
        for former in chosen.output.iterdir():
            if former.is_dir():
                shutil.rmtree(former)
        card = seal_members(lesson, members, chosen.output, key, now, evaluation)
        write_public_key(chosen.output / "public_key.json", public)
        print(f"shipped {card.model_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
