"""What a judgement out of sample lets one expect of a model in service, and where that ends."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HORIZONS: Final = (250, 500, 1000, 2000, 4000, 8000)
"""Candles in service at which a model is held to what it was judged to earn."""
MIX_WINDOW: Final = 1000
"""Decisions over which the mix of actions is looked at."""
_RESAMPLES: Final = 1000
_BLOCK: Final = 100
_FLOOR_QUANTILE: Final = 0.01
_MIX_QUANTILE: Final = 0.99


@dataclass(frozen=True, slots=True)
class Expectation:
    """A model's own band out of sample, at the sizing it was judged with.

    ``floors``: for each number of candles the net log-return that it falls below in 1 % of the
    paths drawn from its judgement (circular block bootstrap, Politis & Romano 1992, blocks of 100
    candles). ``max_drawdown``: the 99 % quantile of the largest fall over the longest of these
    paths, or the judgement's own where that is larger. ``mix``: share of each exposure asked for;
    ``mix_distance``: the 99 % quantile of the total variation between the mix of ``MIX_WINDOW``
    decisions in a row and ``mix``; ``entropy`` of the mix, in nats.
    """

    candles: int
    floors: tuple[tuple[int, float], ...]
    max_drawdown: float
    mix: tuple[tuple[float, float], ...]
    mix_distance: float
    entropy: float

    def floor(self, candles: int) -> float | None:
        """Return the floor at ``candles`` in service, between horizons linearly; None before the first."""
        horizons = [length for length, _ in self.floors]
        if not horizons or candles < horizons[0]:
            return None
        return float(np.interp(candles, horizons, [floor for _, floor in self.floors]))


def expect(equity: Floats, targets: Floats, seed: int = 0) -> Expectation:
    """Return what a run out of sample lets one expect.

    ``equity`` (n,) at successive closes, ``targets`` (n - 1,) what was asked for at each, NaN for
    staying as it was. Several runs may be laid end to end as long as equity is continued. ValueError
    with fewer than two closes.
    """
    if len(equity) < 2:
        raise ValueError("fewer than two points of equity")
    returns = np.diff(np.log(equity))
    longest = HORIZONS[-1]
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(returns), (_RESAMPLES, -(-longest // _BLOCK)))
    rows = (starts[:, :, None] + np.arange(_BLOCK)) % len(returns)
    paths = np.cumsum(returns[rows.reshape(_RESAMPLES, -1)[:, :longest]], axis=1)
    # A start at zero belongs to every path: what is lost from the first candle on is a fall, too.
    peaks = np.maximum(np.maximum.accumulate(paths, axis=1), 0.0)
    falls = 1.0 - np.exp(np.min(paths - peaks, axis=1))
    own = 1.0 - equity / np.maximum.accumulate(equity)
    exposures, codes = np.unique(_in_force(targets), return_inverse=True)
    shares = np.bincount(codes, minlength=len(exposures)) / max(len(targets), 1)
    return Expectation(
        candles=len(returns),
        floors=tuple(
            (length, float(np.quantile(paths[:, length - 1], _FLOOR_QUANTILE)))
            for length in HORIZONS
        ),
        max_drawdown=float(max(np.quantile(falls, _MIX_QUANTILE), own.max())),
        mix=tuple(zip(exposures.tolist(), shares.tolist(), strict=True)),
        mix_distance=_usual_distance(codes, shares),
        entropy=entropy_of(shares),
    )


def entropy_of(shares: Floats) -> float:
    """Return the entropy of a mix, in nats."""
    sure = shares[shares > 0.0]
    return float(-np.sum(sure * np.log(sure)))


def _in_force(targets: Floats) -> Floats:
    """Return the exposure in force after each decision: the last one asked for, flat before the first."""
    places = np.where(np.isnan(targets), -1, np.arange(len(targets)))
    last = np.maximum.accumulate(places) if len(places) else places
    return np.where(last < 0, 0.0, targets[last])


def _usual_distance(codes: NDArray[np.int64], shares: Floats) -> float:
    """Return how far the mix of a window usually lies from the whole, at the 99 % quantile."""
    window = min(MIX_WINDOW, len(codes))
    total = np.zeros(len(codes) - window + 1)
    for code, share in enumerate(shares):
        taken = np.concatenate(([0.0], np.cumsum(codes == code)))
        total += np.abs((taken[window:] - taken[:-window]) / window - share)
    return float(np.quantile(total / 2.0, _MIX_QUANTILE))
