"""Trying a member on its validation part: what its preferences are worth, for its calibration."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import PORTFOLIO_COLUMNS
from adan_core.domain.market import Regime
from adan_core.learning.calibration import Calibration, fit_odds
from adan_core.learning.environment_kernel import EnvironmentKernel
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
    returns = _cut(parts, [_returns(part.close, horizon) for part in parts])
    levels = np.array(exposures, dtype=np.float64)
    tries = [
        _ask(network, levels, windows, capital, wander=wander, spell=horizon)
        for wander in (False, True)
    ]
    margins = np.stack([margin for margin, _, _ in tries])
    directions = np.stack([direction for _, direction, _ in tries])
    wanted = np.stack([level for _, _, level in tries])
    paid = np.where(directions > 0.0, 1.0, -1.0) * returns > cost_rate
    known = np.broadcast_to(np.isfinite(returns), paid.shape)
    weight = 1.0 / (_PASSES * horizon)
    size = np.abs(returns[np.isfinite(returns)])
    # On a market without memory up and down are alike: half of the moves large enough pay.
    chance = 0.5 * float(np.mean(size > cost_rate)) if len(size) else 0.5
    up, down = (
        fit_odds(margins[chosen], paid[chosen], chance, weight)
        for chosen in (known & (directions > 0.0), known & (directions < 0.0))
    )
    moves = margins > 0.0
    beyond = np.where(moves, paid - chance, ~paid - (1.0 - chance))[known]
    votes = weight * len(beyond)
    return Calibration(
        up=up,
        down=down,
        chance=chance,
        skill=float(beyond.sum()) * weight / (votes + _PRIOR_VOTES),
        falls=_falls(parts, windows, wanted[0], horizon),
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
) -> tuple[Floats, Floats, Floats]:
    """Return margins, directions and wanted exposures at each close, each (steps, windows)."""
    steps, copies = len(windows[0]) - 1, len(windows)
    kernel = EnvironmentKernel(windows, copies, capital, steps, 0)
    kernel.begin_in_order()
    luck = np.random.default_rng(_SEED)
    memory = np.zeros((copies, network.memory_size), dtype=np.float32)
    targets = levels[luck.integers(len(levels), size=copies)]
    rows = np.arange(copies)
    margins, directions, wishes = (np.empty((steps, copies)) for _ in range(3))
    for step in range(steps):
        logits, memory = network.act(kernel.observations, memory)
        held = kernel.observations[:, _EXPOSURE].astype(np.float64)
        own = np.argmin(np.abs(levels - held[:, None]), axis=-1)
        wanted = np.argmax(logits, axis=-1)
        others = logits.copy()
        others[rows, own] = -np.inf
        move = np.argmax(others, axis=-1)
        margins[step] = logits[rows, move] - logits[rows, own]
        directions[step] = levels[move] - levels[own]
        wishes[step] = levels[wanted]
        if wander:
            turned = luck.random(copies) < 2.0 / spell
            targets = np.where(turned, levels[luck.integers(len(levels), size=copies)], targets)
        else:
            targets = levels[wanted]
        kernel.step(targets)
    return margins, directions, wishes


def _returns(close: Floats, horizon: int) -> Floats:
    """Return the log-return over the next ``horizon`` candles at each close, NaN where unknown."""
    found = np.full(len(close), np.nan)
    if len(close) > horizon:
        found[:-horizon] = np.log(close[horizon:] / close[:-horizon])
    return found


def _fall(part: Segment, horizon: int) -> Floats:
    """Return the worst fall below each close within the next ``horizon`` candles, NaN where unknown."""
    found = np.full(len(part), np.nan)
    if len(part) > horizon:
        ahead = np.lib.stride_tricks.sliding_window_view(part.low[1:], horizon).min(axis=-1)
        found[: len(ahead)] = np.maximum(1.0 - ahead / part.close[: len(ahead)], 0.0)
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
    falls = _cut(parts, [_fall(part, horizon) for part in parts])
    regimes = np.stack([window.tape().regime[:-1] for window in windows], axis=-1)
    counted = (wanted != 0.0) & np.isfinite(falls)
    medians: list[float | None] = []
    for code in range(len(Regime)):
        chosen = falls[counted & (regimes == code)]
        enough = len(chosen) >= LEAST_SPANS * horizon
        medians.append(float(np.median(chosen)) if enough else None)
    return tuple(medians)
