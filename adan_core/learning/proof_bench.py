"""The candles of the proof: what an agent learns from, what it is tested on, what is there to earn.

The test paths' seeds follow from ``TEST_CONSTANT`` alone. Nobody looks at them while tuning: for
that there is the rehearsal, whose paths follow from another constant.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adan_core.data.features import FeatureSet
from adan_core.data.frames import cached_frame
from adan_core.data.processes import PROCESSES, MadePath, Process
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateFrame
from adan_core.domain.candles import Timeframe
from adan_core.learning.backtest import buy_and_hold_targets, run_targets
from adan_core.learning.optimum import attainable_optimum, cost_of_a_side
from adan_core.learning.segments import Economics

Floats = NDArray[np.float64]

TEST_CONSTANT: Final = 20_261_125
REHEARSAL_CONSTANT: Final = 1
TRAINING_CONSTANT: Final = 2

TIMEFRAME: Final = Timeframe.parse("5m")
TRAINING_PATHS: Final = 8
TRAINING_CANDLES: Final = 60_000

_LONGEST_WARM_UP: Final = 20_000
_SYMBOL: Final = "PATH{}/SIM"


@dataclass(frozen=True, slots=True)
class BenchSize:
    """How many accounts are played, and for how many candles each, the indicators warm."""

    accounts: int = 128
    candles: int = 7_500


@dataclass(frozen=True, slots=True)
class Reference:
    """What others earn on the test paths: net log-return per 1000 candles, mean over all accounts.

    ``attainable`` is the best rule's for who sees prices alone, ``promised`` what dynamic
    programming expects of it, ``attainable_error`` the standard error of ``attainable``, ``oracle``
    the best rule's for who sees the hidden state, which no agent can. ``orders`` are the attainable
    rule's per 1000 candles.
    """

    candles: int
    attainable: float
    attainable_error: float
    promised: float
    oracle: float
    buy_and_hold: float
    orders: float


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The test paths of one market: candles, their state, and the part of each that is played."""

    series: tuple[CandleSeries, ...]
    frames: tuple[StateFrame, ...]
    start: int
    reference: Reference

    @property
    def played(self) -> tuple[CandleSeries, ...]:
        """The candles each account lives through."""
        return tuple(path.slice(self.start, len(path)) for path in self.series)


def training_paths(market: str, seed: int) -> tuple[CandleSeries, ...]:
    """Return what the agent of ``seed`` learns from on ``market``: no two seeds share a path."""
    seeds = training_seeds(market, seed)
    return tuple(path.series for path in _made(PROCESSES[market], seeds, TRAINING_CANDLES))


def training_seeds(market: str, seed: int) -> list[int]:
    """Return the seeds of the paths that the agent of ``seed`` learns from."""
    return _seeds(TRAINING_CONSTANT, market, TRAINING_PATHS, seed)


def bench_seeds(market: str, size: BenchSize, *, rehearsal: bool) -> list[int]:
    """Return the seeds of the test paths, or of those that may be tuned on."""
    return _seeds(REHEARSAL_CONSTANT if rehearsal else TEST_CONSTANT, market, size.accounts)


def open_bench(
    market: str,
    spec: FeatureSet,
    ladder: tuple[Timeframe, ...],
    costs: Economics,
    capital: float,
    size: BenchSize,
    *,
    rehearsal: bool,
) -> Bench:
    """Make the test paths of ``market`` and measure what is there to earn, net of ``costs``."""
    process = PROCESSES[market]
    start = warm_up(spec, ladder)
    seeds = bench_seeds(market, size, rehearsal=rehearsal)
    paths = _made(process, seeds, start + size.candles)
    optimum = attainable_optimum(process, costs.costs)
    side = cost_of_a_side(costs.costs)
    earned: list[tuple[float, float, float]] = []
    orders = 0.0
    for path in paths:
        played = path.series.slice(start, len(path.series))
        wanted = optimum.exposures(path.series)[start:-1]
        seen = path.best_exposures(side)[start:-1]
        ways = (wanted, seen, buy_and_hold_targets(played))
        attainable, oracle, held = (log_return(played, way, costs, capital) for way in ways)
        earned.append((attainable, oracle, held))
        orders += float(np.abs(np.diff(wanted, prepend=0.0)).sum())
    steps = size.candles - 1
    means = np.mean(earned, axis=0) * 1000.0 / steps
    return Bench(
        series=tuple(path.series for path in paths),
        frames=tuple(cached_frame(path.series, ladder, spec, None) for path in paths),
        start=start,
        reference=Reference(
            candles=size.accounts * steps,
            attainable=float(means[0]),
            attainable_error=float(np.std(earned, axis=0)[0] / len(paths) ** 0.5 * 1000.0 / steps),
            promised=optimum.gain * 1000.0,
            oracle=float(means[1]),
            buy_and_hold=float(means[2]),
            orders=orders * 1000.0 / (size.accounts * steps),
        ),
    )


def log_return(series: CandleSeries, targets: Floats, costs: Economics, capital: float) -> float:
    """Return the net log-return of ``targets``, carried out by the project's own backtest."""
    equity = run_targets(series, targets, costs, capital).equity
    return float(np.log(equity[-1] / equity[0]))


def warm_up(spec: FeatureSet, ladder: tuple[Timeframe, ...]) -> int:
    """Return how many candles a path needs before its first row with every column."""
    path = PROCESSES["random-walk"].path(_SYMBOL.format(0), TIMEFRAME, 0, _LONGEST_WARM_UP)
    ready: int = cached_frame(path.series, ladder, spec, None).ready
    return ready


def _made(process: Process, seeds: list[int], candles: int) -> tuple[MadePath, ...]:
    return tuple(
        process.path(_SYMBOL.format(number), TIMEFRAME, seed, candles)
        for number, seed in enumerate(seeds)
    )


def _seeds(constant: int, market: str, count: int, *more: int) -> list[int]:
    """Return ``count`` seeds that follow from the constant, the market's name and ``more`` alone."""
    source = np.random.SeedSequence([constant, *market.encode(), *more])
    return [int(seed) for seed in source.generate_state(count, np.uint64)]
