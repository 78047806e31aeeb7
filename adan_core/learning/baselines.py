"""What a model is compared with: plain strategies, and chance, its own spells in another order.

A random strategy that trades more or less than the model says nothing about its timing. One that holds
for the same spells and stays out for the same spells has its turnover and its exposure, and nothing else.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.learning.backtest import (
    Backtest,
    buy_and_hold_targets,
    flat_targets,
    run_targets,
    sma_cross_targets,
)
from adan_core.learning.closing_out import closed_out
from adan_core.learning.market import economics

FLAT: Final = "flat"
BUY_AND_HOLD: Final = "buy and hold"
SMA_CROSS: Final = "sma cross"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Protection:
    """Stop-loss and take-profit, fractions of the entry, that a policy's decisions brought on average."""

    stop_loss: float
    take_profit: float


@dataclass(frozen=True, slots=True)
class Chance:
    """What the median seed's own spells earn in random order: log-returns, and how many it beat."""

    draws: int
    median: float
    lower: float
    upper: float
    beaten: float


def shuffled_spells(held: Floats, generator: np.random.Generator) -> Floats:
    """Return ``held`` (n,), the exposures in force, with its spells in a random order.

    Spells in and out of the market alternate as before, so that as many trades are made.
    """
    if not len(held):
        return held.copy()
    spells = np.split(held, np.flatnonzero(np.diff(held != 0.0)) + 1)
    # Every other spell is of the same kind, the first one's kind first.
    for kind in (0, 1):
        own = spells[kind::2]
        spells[kind::2] = [own[place] for place in generator.permutation(len(own))]
    return np.concatenate(spells)


def in_force(targets: Floats) -> Floats:
    """Return the targets (n,) with each NaN, which leaves things as they are, replaced by the last.

    Before the first that says anything, nothing is held.
    """
    places: Integers = np.maximum.accumulate(
        np.where(np.isnan(targets), -1, np.arange(len(targets)))
    )
    return np.where(places < 0, 0.0, targets[np.maximum(places, 0)])


def plain_strategies(
    series: CandleSeries, tested: CandleSeries, settings: Settings, start: int
) -> dict[str, Backtest]:
    """Return what flat, holding and an SMA cross make of ``tested``, which begins at ``start``."""
    costs = economics(settings, series.symbol).unprotected()
    capital = settings.account.starting_capital
    known = series.slice(0, start + len(tested))
    targets = {
        FLAT: flat_targets(tested),
        BUY_AND_HOLD: buy_and_hold_targets(tested),
        SMA_CROSS: sma_cross_targets(known, start),
    }
    return {
        name: closed_out(run_targets(tested, own, costs, capital), costs)
        for name, own in targets.items()
    }


def random_spells(
    tested: CandleSeries,
    usual: Backtest,
    settings: Settings,
    own_return: float,
    protection: Protection | None,
) -> Chance:
    """Return what ``usual``'s own spells earn in random order, under its own stops and costs.

    ``protection`` is what came with its decisions; None: that of the settings.
    """
    costs = economics(settings, tested.symbol)
    if protection is not None:
        costs = replace(costs, stop_loss=protection.stop_loss, take_profit=protection.take_profit)
    held, generator = in_force(usual.targets), np.random.default_rng(1)
    drawn = np.array(
        [
            log_return_of(
                closed_out(
                    run_targets(
                        tested,
                        shuffled_spells(held, generator),
                        costs,
                        settings.account.starting_capital,
                    ),
                    costs,
                )
            )
            for _ in range(settings.judgement.random_draws)
        ]
    )
    lower, middle, upper = np.quantile(drawn, [0.05, 0.5, 0.95])
    return Chance(
        draws=len(drawn),
        median=float(middle),
        lower=float(lower),
        upper=float(upper),
        beaten=float(np.mean(drawn < own_return)),
    )


def log_return_of(run: Backtest) -> float:
    """Return the logarithm of what a run made of one unit."""
    return float(np.log(run.equity[-1] / run.equity[0]))
