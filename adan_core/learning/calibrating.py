"""Trying a member on its validation part: what its preferences are worth, for its calibration."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.market import Regime
from adan_core.learning.calibration import Calibration, fit_odds, paying_moves
from adan_core.learning.environment_kernel import EnvironmentKernel
from adan_core.learning.moves import (
    Moves,
    likeliest_moves,
    outcome_rows,
    returns_ahead,
    stacked_moves,
)
from adan_core.learning.networks import DecisionNetwork
from adan_core.learning.segments import Segment
from adan_core.learning.selection import validation_windows

Floats = NDArray[np.float64]

LEAST_SPANS: Final = 5
"""Spans of a horizon's length that a regime must fill before a fall in it is expected."""

_EXPOSURE = PORTFOLIO_COLUMNS.index("exposure") - len(PORTFOLIO_COLUMNS)
_PASSES: Final = 2
# A skill is believed as far as more votes than these stand behind it.
_PRIOR_VOTES: Final = 20.0
_SEED: Final = 5


def calibrate(
    network: DecisionNetwork,
    exposures: tuple[float, ...],
    horizon: int,
    parts: tuple[Segment, ...],
    capital: float,
    cost_rate: float,
) -> Calibration:
    """Return what the preferences of ``network`` were worth over ``parts``, which trained nothing.

    It is asked twice at each close: with what it would hold itself, and with what somebody holds
    who decides by chance, for among others it must judge positions that it would not have taken.
    ``cost_rate`` is what a unit of exposure costs to change.
    """
    windows = validation_windows(parts)
    returns = _cut(parts, [returns_ahead(part, horizon) for part in parts])
    levels = np.array(exposures, dtype=np.float64)
    own, others = (
        _ask(network, levels, windows, capital, wander=wander, spell=horizon)
        for wander in (False, True)
    )
    margins = np.stack((own.margins, others.margins))
    directions = np.stack((own.directions, others.directions))
    made = np.stack((own.made, others.made))
    paid = paying_moves(directions, returns, cost_rate)
    known = np.broadcast_to(np.isfinite(returns), paid.shape)
    weight = 1.0 / (_PASSES * horizon)
    size = np.abs(returns[np.isfinite(returns)])
    # On a market without memory up and down are alike: half of the moves large enough pay.
    chance = 0.5 * float(np.mean(size > cost_rate)) if len(size) else 0.5
    up, down = (
        fit_odds(margins[chosen], paid[chosen], chance, weight)
        for chosen in (known & (directions > 0.0), known & (directions < 0.0))
    )
    beyond = np.where(made, paid - chance, ~paid - (1.0 - chance))[known]
    votes = weight * len(beyond)
    return Calibration(
        up=up,
        down=down,
        chance=chance,
        skill=float(beyond.sum()) * weight / (votes + _PRIOR_VOTES),
        falls=_falls(parts, windows, own.wanted, horizon),
        samples=votes,
    )


def _ask(
    network: DecisionNetwork,
    levels: Floats,
    windows: tuple[Segment, ...],
    capital: float,
    *,
    wander: bool,
    spell: int,
) -> Moves:
    """Return the moves considered at each close, shape (steps, windows)."""
    steps, copies = len(windows[0]) - 1, len(windows)
    kernel = EnvironmentKernel(windows, copies, capital, steps, 0)
    kernel.begin_in_order()
    luck = np.random.default_rng(_SEED)
    memory = np.zeros((copies, network.memory_size), dtype=np.float32)
    targets = levels[luck.integers(len(levels), size=copies)]
    seen: list[Moves] = []
    for _ in range(steps):
        logits, memory = network.act(kernel.observations, memory)
        held = kernel.observations[:, _EXPOSURE].astype(np.float64)
        moves = likeliest_moves(logits, held, levels)
        seen.append(moves)
        if wander:
            turned = luck.random(copies) < 2.0 / spell
            targets = np.where(turned, levels[luck.integers(len(levels), size=copies)], targets)
        else:
            targets = moves.wanted
        kernel.step(targets)
    return stacked_moves(seen)


def worst_falls(part: Segment, horizon: int) -> Floats:
    """Return the worst fall below each close within the next ``horizon``, NaN where unknown."""
    ends = outcome_rows(part, horizon)
    known = np.flatnonzero(ends >= 0)
    found = np.full(len(part), np.nan)
    if len(known):
        # Every second stretch, from behind a close to the end of its horizon, is asked for.
        stretches = np.stack((known + 1, ends[known] + 1), axis=-1).ravel()
        lows = np.append(part.low, np.inf)
        lowest = np.minimum.reduceat(lows, stretches)[::2]
        found[known] = np.maximum(1.0 - lowest / part.close[known], 0.0)
    return found


def _cut(parts: tuple[Segment, ...], figures: list[Floats]) -> Floats:
    """Return ``figures``, one array per part, as the windows see them: shape (steps, windows)."""
    length = len(validation_windows(parts)[0])
    return np.stack(
        [
            own[start : start + length - 1]
            for own in figures
            for start in range(0, len(own) - length + 1, length)
        ],
        axis=-1,
    )


def _falls(
    parts: tuple[Segment, ...], windows: tuple[Segment, ...], wanted: Floats, horizon: int
) -> tuple[float | None, ...]:
    """Return the median worst fall after votes to hold something, by regime."""
    falls = _cut(parts, [worst_falls(part, horizon) for part in parts])
    regimes = np.stack([window.tape().regime[:-1] for window in windows], axis=-1)
    counted = (wanted != 0.0) & np.isfinite(falls)
    medians: list[float | None] = []
    for code in range(len(Regime)):
        chosen = falls[counted & (regimes == code)]
        enough = len(chosen) >= LEAST_SPANS * horizon
        medians.append(float(np.median(chosen)) if enough else None)
    return tuple(medians)
