"""Fit the regime detector's weights on labelled simulated markets; a maintainer's command.

    .venv/bin/python -m tests.tools.fit_regimes

writes adan_core/learning/regime_weights.json and prints the macro-F1 on paths it was not fitted on.
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_model import FEATURES, REGIMES, RegimeModel

OUTPUT = Path(__file__).resolve().parents[2] / "adan_core" / "learning" / "regime_weights.json"
TRAINING_SEEDS = range(9000, 9012)
CHECK_SEEDS = range(9500, 9504)
CANDLES = 40_000
STEPS = 400
PENALTY = 1e-4
_BLANK = RegimeModel(np.zeros((len(REGIMES), len(FEATURES))), np.zeros(len(REGIMES)))


def examples(seeds: range) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features and labels of every warmed-up candle of the seeds' markets."""
    inputs, labels = [], []
    for seed in seeds:
        market = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), seed)
        features = detect_regimes(market.candles(0, CANDLES), _BLANK).features
        ready = np.isfinite(features).all(axis=1)
        inputs.append(features[ready])
        labels.append(market.regimes(0, CANDLES)[ready].astype(np.int64))
    return np.concatenate(inputs), np.concatenate(labels)


def macro_f1(truth: NDArray[np.int64], answer: NDArray[np.int64]) -> float:
    """Return the unweighted mean of the regimes' F1 scores."""
    scores = []
    for regime in range(len(REGIMES)):
        both = np.sum((truth == regime) & (answer == regime))
        scores.append(2.0 * both / max(np.sum(truth == regime) + np.sum(answer == regime), 1))
    return float(np.mean(scores))


def main() -> None:
    """Fit, check, write."""
    inputs, labels = examples(TRAINING_SEEDS)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    scaled = torch.from_numpy((inputs - mean) / deviation)
    targets = torch.from_numpy(labels)
    counts = np.bincount(labels, minlength=len(REGIMES))
    # Between natural and equal odds: rare regimes count for more than their share, not for all.
    importance = torch.from_numpy((counts.sum() / counts) ** 0.5)
    weights = torch.zeros(len(REGIMES), len(FEATURES), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(REGIMES), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(scaled @ weights.T + bias, targets, importance)
        value = value + PENALTY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted, offset = weights.detach().numpy(), bias.detach().numpy()
    check, truth = examples(CHECK_SEEDS)
    answer = np.argmax((check - mean) / deviation @ fitted.T + offset, axis=1)
    print(f"macro-F1 on fresh paths: {macro_f1(truth, answer):.3f}")
    print("share of each answer:", np.bincount(answer, minlength=len(REGIMES)) / len(answer))
    content = {
        "schema_version": 1,
        "fitted_on": f"simulated market, 5m, BTC/SIM, seeds {TRAINING_SEEDS.start}-"
        f"{TRAINING_SEEDS.stop - 1}, {CANDLES} candles each",
        "features": FEATURES,
        "regimes": [str(regime) for regime in REGIMES],
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "weights": fitted.tolist(),
        "bias": offset.tolist(),
    }
    OUTPUT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
