"""Fit the regime detector's weights on labelled simulated markets; a maintainer's command.

    .venv/bin/python -m tests.tools.fit_regimes

writes adan_core/learning/regime_weights.json (a few minutes; the same bytes each time, with the
libraries pinned and on processors for which numpy's BLAS has the same kernels) and prints the
macro-F1 on paths it was not fitted on. Nothing real goes in. Half of the markets are made rougher
than the generator's: their volatility shifts, clusters, follows the hours and has fat tails, as a
real market's does, and the labels stay: what is unusual there must be more unusual.

What a rough crisis counts for and the leads at which regimes are reported were chosen on further
simulated markets, seeds 70000-70027 and, roughened, 72000-72013. ``tests/tools/score_regimes.py``
judges on seeds that were used for neither.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.paths import stationary_autoregression
from adan_core.data.series import CandleSeries
from adan_core.data.synthetic import PARAMETERS, SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.market import Regime
from adan_core.learning.regime import detect_regimes
from adan_core.learning.regime_features import FEATURES, WARM_UP
from adan_core.learning.regime_levels import LEVELS, STEP, Levels
from adan_core.learning.regime_model import CLIP, REGIMES, STRONGEST, RegimeModel, blank_model
from tests.tools.regime_score import macro_f1

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

OUTPUT = Path(__file__).resolve().parents[2] / "adan_core" / "learning" / "regime_weights.json"
PLAIN_SEEDS: Final = range(9000, 9024)
LOUDER_SEEDS: Final = range(9100, 9104)
ROUGH_SEEDS: Final = range(9200, 9224)
CHECK_SEEDS: Final = range(9500, 9504)
CANDLES: Final = 40_960
LOUDER: Final = 1.4

UNITS: Final = 32
STEPS: Final = 1000
BATCH: Final = 192
STRETCH: Final = 384
BURN_IN: Final = 64
RATE: Final = 5e-3
ODDS_POWER: Final = 0.5
"""Rare regimes count for more than their share, not for all: between natural and equal odds."""
EARLY: Final = range(2, 20)
EARLY_WEIGHT: Final = 5.0
"""A crisis not recognised after a few candles is the costly mistake."""
ROUGH_WEIGHT: Final = 1.0
ROUGH_CRISIS_WEIGHT: Final = 0.02
"""In a rough market a false crisis is the likelier mistake: there the odds are far below natural."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Markets to fit on, m of n candles: features (m, n, features), labels and weights (m, n)."""

    features: Singles
    labels: Integers
    weights: Singles


def market(seed: int, deviations: float = 1.0) -> tuple[CandleSeries, Integers]:
    """Return a simulated market and its labels, all its regimes' deviations times a factor."""
    usual = dict(PARAMETERS)
    try:
        for regime, law in usual.items():
            PARAMETERS[regime] = replace(law, deviation=law.deviation * deviations)
        path = SimulatedMarket("BTC/SIM", Timeframe.parse("5m"), seed)
        return path.candles(0, CANDLES), path.regimes(0, CANDLES).astype(np.int64)
    finally:
        PARAMETERS.update(usual)


def roughened(series: CandleSeries, generator: np.random.Generator) -> CandleSeries:
    """Return the series with each candle stretched in log-price by a factor that wanders and jumps."""
    count = len(series)
    stretch = np.zeros(count)
    start = 0
    while start < count:
        stay = int(generator.geometric(1.0 / 5000.0))
        stretch[start : start + stay] = generator.uniform(-0.5, 0.5)
        start += stay
    for slow, fast in ((0.995, 0.98), (0.95, 0.8)):
        decay = generator.uniform(fast, slow)
        size = generator.uniform(0.0, 0.4)
        stretch += size * stationary_autoregression(generator.standard_normal(count), decay)
    stretch += generator.uniform(0.0, 0.4) * generator.standard_normal(count)
    day = float(generator.choice([24, 96, 288]))
    hours = np.sin(2.0 * np.pi * np.arange(count) / day)
    factor = np.exp(stretch + generator.uniform(0.0, 0.3) * hours)
    close = np.log(series.close)
    begin = np.concatenate((np.log(series.open[:1]), close[:-1]))
    end = begin[0] + np.cumsum((close - begin) * factor)
    opening = np.concatenate((begin[:1], end[:-1]))
    above = np.exp(opening + (np.log(series.high) - begin) * factor)
    below = np.exp(opening + (np.log(series.low) - begin) * factor)
    opening, end = np.exp(opening), np.exp(end)
    return replace(
        series,
        open=opening,
        high=np.maximum(above, np.maximum(opening, end)),
        low=np.minimum(below, np.minimum(opening, end)),
        close=end,
    )


def fit_levels(markets: list[tuple[CandleSeries, Integers]]) -> Levels:
    """Return the levels' distances, spread and transitions as the labels have them."""
    sizes: list[list[Floats]] = [[] for _ in range(LEVELS)]
    counts = np.zeros((LEVELS, LEVELS))
    for series, labels in markets:
        previous, high, low = series.close[:-1], series.high[1:], series.low[1:]
        span = np.log(np.maximum(high, previous) / np.minimum(low, previous))
        size = np.log(span - 0.5 * np.abs(np.diff(np.log(series.close))))
        levels = np.maximum(labels - 1, 0)  # both trends are one level
        for level in range(LEVELS):
            sizes[level].append(size[levels[1:] == level])
        np.add.at(counts, (levels[:-1], levels[1:]), 1.0)
    means = np.array([np.concatenate(each).mean() for each in sizes])
    spread = float(np.mean([np.concatenate(each).std() for each in sizes]))
    return Levels(
        counts / counts.sum(axis=1, keepdims=True), np.rint((means - means[0]) / STEP), spread
    )


def examples(
    markets: list[tuple[CandleSeries, Integers]], model: RegimeModel, *, rough: bool
) -> Examples:
    """Return what ``model`` measures on the markets, less the warm-up, and what each candle counts."""
    features = np.stack(
        [detect_regimes(series, model).features[WARM_UP:] for series, _ in markets]
    ).astype(np.float32)
    labels = np.stack([labels[WARM_UP:] for _, labels in markets])
    shares = np.bincount(labels.ravel(), minlength=len(REGIMES)) / labels.size
    weights = shares ** (-ODDS_POWER)
    weighed = weights[labels]
    crisis = labels == REGIMES.index(Regime.CRISIS)
    if rough:
        weighed = np.where(crisis, ROUGH_CRISIS_WEIGHT, ROUGH_WEIGHT)
    else:
        for row, column in np.argwhere(crisis[:, 1:] & ~crisis[:, :-1]):
            early = slice(column + 1 + EARLY.start, column + 1 + EARLY.stop)
            weighed[row, early] *= np.where(crisis[row, early], EARLY_WEIGHT, 1.0)
    return Examples(features, labels, weighed.astype(np.float32))


@compiled
def filter_gradient(
    evidence: Floats,
    transitions: Floats,
    labels: Integers,
    weights: Floats,
    burn_in: int,
    by_evidence: Floats,
    by_transitions: Floats,
) -> float:
    """Return the weighted cross-entropy of the filtered probabilities; write its gradients.

    ``evidence`` (batch, time, regimes) are logarithms; the gradient by it has its shape. The
    forward recursion, and the same backwards.
    """
    batch, time, count = evidence.shape
    loss = 0.0
    for row in range(batch):
        filtered = np.empty((time + 1, count))
        filtered[0] = 1.0 / count
        moved = np.empty((time, count))
        totals = np.zeros(time)
        for step in range(time):
            for regime in range(count):
                chance = 0.0
                for before in range(count):
                    chance += filtered[step, before] * transitions[before, regime]
                moved[step, regime] = chance
                filtered[step + 1, regime] = chance * np.exp(evidence[row, step, regime])
                totals[step] += filtered[step + 1, regime]
            filtered[step + 1] /= totals[step]
        carried = np.zeros(count)
        for step in range(time - 1, -1, -1):
            if step >= burn_in:
                label = labels[row, step]
                chance = filtered[step + 1, label] + 1e-6
                loss -= weights[row, step] * np.log(chance)
                carried[label] -= weights[row, step] / chance
            mean = 0.0
            for regime in range(count):
                mean += carried[regime] * filtered[step + 1, regime]
            by_moved = np.empty(count)
            for regime in range(count):
                change = (carried[regime] - mean) / totals[step]
                chance = np.exp(evidence[row, step, regime])
                by_evidence[row, step, regime] = change * moved[step, regime] * chance
                by_moved[regime] = change * chance
            for before in range(count):
                carried[before] = 0.0
                for regime in range(count):
                    by_transitions[before, regime] += filtered[step, before] * by_moved[regime]
                    carried[before] += transitions[before, regime] * by_moved[regime]
    return loss


def softmax(rows: Floats) -> Floats:
    """Return each row's exponentials over their sum."""
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def fit(model: RegimeModel, parts: list[Examples], seed: int) -> RegimeModel:
    """Fit network and transitions together: Adam on the cross-entropy of the filter's answer."""
    generator = np.random.default_rng(seed)
    features = np.concatenate([part.features for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    count = len(REGIMES)
    flat = features.reshape(-1, features.shape[2])
    mean, deviation = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    stays = np.full((count, count), 1e-5)
    np.add.at(stays, (labels[:, :-1].ravel(), labels[:, 1:].ravel()), 1.0)
    values = {
        "inner": generator.standard_normal((UNITS, flat.shape[1])) / flat.shape[1] ** 0.5,
        "inner_bias": np.zeros(UNITS),
        "outer": generator.standard_normal((count, UNITS)) / UNITS**0.5,
        "outer_bias": np.zeros(count),
        "transitions": np.log(stays / stays.sum(axis=1, keepdims=True) + 1e-5),
    }
    first = {name: np.zeros_like(value) for name, value in values.items()}
    second = {name: np.zeros_like(value) for name, value in values.items()}
    centre, width = mean.astype(np.float32), deviation.astype(np.float32)
    for step in range(1, STEPS + 1):
        rows = generator.integers(0, len(features), (BATCH, 1))
        columns = generator.integers(0, features.shape[1] - STRETCH, (BATCH, 1)) + np.arange(
            STRETCH
        )
        scaled = np.clip((features[rows, columns] - centre) / width, -CLIP, CLIP)
        scaled = scaled.reshape(-1, scaled.shape[2])
        inner, outer = values["inner"].astype(np.float32), values["outer"].astype(np.float32)
        active = np.tanh(scaled @ inner.T + values["inner_bias"].astype(np.float32))
        bounded = np.tanh((active @ outer.T + values["outer_bias"]) / STRONGEST)
        evidence = (STRONGEST * bounded).reshape(BATCH, STRETCH, count).astype(np.float64)
        transitions = softmax(values["transitions"])
        chosen = weights[rows, columns].astype(np.float64)
        chosen /= chosen[:, BURN_IN:].sum()
        by_evidence, by_transitions = np.zeros_like(evidence), np.zeros_like(transitions)
        loss = filter_gradient(
            evidence,
            transitions,
            labels[rows, columns],
            chosen,
            BURN_IN,
            by_evidence,
            by_transitions,
        )
        by_outer = by_evidence.reshape(-1, count) * (1.0 - bounded**2)
        by_inner = (by_outer.astype(np.float32) @ outer) * (1.0 - active**2)
        gradients: dict[str, Floats] = {
            "inner": (by_inner.T @ scaled).astype(np.float64),
            "inner_bias": by_inner.sum(axis=0, dtype=np.float64),
            "outer": by_outer.T @ active,
            "outer_bias": by_outer.sum(axis=0),
            "transitions": transitions
            * (by_transitions - np.sum(by_transitions * transitions, axis=1, keepdims=True)),
        }
        size = sum(float(np.sum(each**2)) for each in gradients.values()) ** 0.5
        pace = RATE * min(1.0, step / 30.0) * (1.0 - (step - 1) / STEPS)
        for name, gradient in gradients.items():
            clipped = gradient / max(size, 1.0)
            first[name] += 0.1 * (clipped - first[name])
            second[name] += 0.001 * (clipped**2 - second[name])
            change = first[name] / (1.0 - 0.9**step)
            change /= np.sqrt(second[name] / (1.0 - 0.999**step)) + 1e-8
            values[name] -= pace * (2.0 if name == "transitions" else 1.0) * change
        if step % 100 == 0:
            print(f"step {step} of {STEPS}: cross-entropy {loss:.4f}", flush=True)
    values["transitions"] = softmax(values["transitions"])
    return model._replace(mean=mean, deviation=deviation, **values)


def written(model: RegimeModel) -> str:
    """Return the weights' file."""
    levels, *arrays = model
    content = {
        "schema_version": 2,
        "fitted_on": f"simulated market, 5m, BTC/SIM, {CANDLES} candles a seed: seeds "
        f"{PLAIN_SEEDS.start}-{PLAIN_SEEDS.stop - 1}; deviations x{LOUDER}, seeds "
        f"{LOUDER_SEEDS.start}-{LOUDER_SEEDS.stop - 1}; roughened, seeds "
        f"{ROUGH_SEEDS.start}-{ROUGH_SEEDS.stop - 1}",
        "features": FEATURES,
        "regimes": [str(regime) for regime in REGIMES],
        "level_transitions": levels.transitions.tolist(),
        "level_distances": levels.distances.tolist(),
        "level_spread": levels.spread,
        **{
            name: array.tolist()
            for name, array in zip(RegimeModel._fields[1:], arrays, strict=True)
        },
    }
    return json.dumps(content, indent=1) + "\n"


def main() -> None:
    """Fit, check, write."""
    plain = [market(seed) for seed in PLAIN_SEEDS]
    louder = [market(seed, LOUDER) for seed in LOUDER_SEEDS]
    rough = []
    for seed in ROUGH_SEEDS:
        series, labels = market(seed)
        rough.append((roughened(series, np.random.default_rng(seed)), labels))
    blank = blank_model(UNITS, fit_levels(plain))
    parts = [
        examples(plain, blank, rough=False),
        examples(louder, blank, rough=False),
        examples(rough, blank, rough=True),
    ]
    model = fit(blank, parts, PLAIN_SEEDS.start)
    scores = []
    for seed in CHECK_SEEDS:
        series, labels = market(seed)
        answer = detect_regimes(series, model).regimes
        scores.append(macro_f1(labels[WARM_UP:], answer[WARM_UP:]))
    print(
        f"macro-F1 on fresh paths: {np.mean(scores):.3f} (worst of {len(scores)}: {min(scores):.3f})"
    )
    OUTPUT.write_text(written(model), encoding="utf-8")


if __name__ == "__main__":
    main()
