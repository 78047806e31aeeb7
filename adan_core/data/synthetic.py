"""A simulated market with five labelled regimes: seeded, endless, resumable at any candle.

The market is made in chunks of ``CHUNK`` candles; each is a pure function of seed, symbol, chunk
number and timeframe, so any stretch costs O(chunk) wherever it lies, and a longer run begins with
the shorter one. A chunk starts with a fresh draw of the regime. Chunk ``j`` ends displaced by the
sum of its own log-returns, and that displacement fades out linearly over the ``MEMORY`` chunks
that follow: the level wanders for weeks yet never runs away, and a start anywhere needs only the
last ``MEMORY`` displacements. The fade adds a drift of 2e-5 a candle or so: nothing to trade on.

Per five-minute candle:

    regime            deviation  drift     mean stay  what a causal agent can do
    trend up            0.18 %   +0.05 %    240       hold once the drift has shown itself
    trend down          0.18 %   -0.05 %    240       stay flat
    range               0.33 %    0         300       buy low, sell high: an Ornstein-Uhlenbeck
                                                      deviation of 1.2 % with a half-life of 18
                                                      candles around a slow walk of 0.05 %
    high volatility     0.55 %    0         120       nothing; costs only
    crisis              0.95 %   -0.10 %     40       stay flat

Deviations and drifts grow with the fourth root of the timeframe (a real market's with the square
root: that would let the level of a slow timeframe wander out of all bounds). Innovations are
Student-t with 6 degrees of freedom (unit variance), multiplied by a slowly moving volatility
(log-normal, 0.15). Highs and lows come from a Brownian bridge of ``STEPS`` steps inside each
candle, the conditional law of a path between its own open and close. Volume rises with the size of
the move and clusters. Prices lie on the tick. Symbols are independent of each other.

What can be earned, honestly. Nothing here was fitted to a real market, and the edge is put in on
purpose: trends have a signal-to-noise of 0.28 a candle, far above any real market's, and the range
reverts. Net of 0.1 % fee and 5 bp slippage a side, in log-return per 1000 five-minute candles
(seed 7, BTC/SIM and ETH/SIM, 150 000 candles each): holding exactly during trends up, with the
regime known, 0.13; a linear forecast on 33 causal features, fitted on the 150 000 candles before,
0.08-0.11; buying and holding 0.00. The attainable optimum was not computed for this market;
it is known for those of ``data/processes.py``.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.paths import (
    REFERENCE,
    candles_along,
    decayed_sum,
    first_open,
    stationary_autoregression,
)
from adan_core.data.series import CandleSeries, check_symbol, concatenate
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.market import Regime
from adan_core.domain.time import Milliseconds

CHUNK = 4096
MEMORY = 8
REGIMES: tuple[Regime, ...] = tuple(Regime)

_KNOWN_PRICES = {"BTC/SIM": 40_000.0, "ETH/SIM": 2_500.0, "SOL/SIM": 120.0}
_FREEDOM = 6.0
_RANGE_DEVIATION = 0.012
_RANGE_DECAY = 0.5 ** (1.0 / 18.0)
_RANGE_INNOVATION = _RANGE_DEVIATION * (1.0 - _RANGE_DECAY**2) ** 0.5
_RANGE_WALK = 0.0005


@dataclass(frozen=True, slots=True)
class RegimeParameters:
    """One regime's law per five-minute candle: deviation and drift of the log-return, mean stay.

    In a range the deviation is that of the reverting part's innovations. ``followers`` are the
    probabilities of the next regime, in the order of ``REGIMES``.
    """

    deviation: float
    drift: float
    mean_stay: float
    followers: tuple[float, ...]


PARAMETERS: dict[Regime, RegimeParameters] = {
    Regime.TREND_UP: RegimeParameters(0.0018, 0.0005, 240.0, (0.0, 0.25, 0.50, 0.20, 0.05)),
    Regime.TREND_DOWN: RegimeParameters(0.0018, -0.0005, 240.0, (0.30, 0.0, 0.40, 0.15, 0.15)),
    Regime.RANGE: RegimeParameters(_RANGE_INNOVATION, 0.0, 300.0, (0.40, 0.35, 0.0, 0.20, 0.05)),
    Regime.HIGH_VOLATILITY: RegimeParameters(0.0055, 0.0, 120.0, (0.35, 0.30, 0.25, 0.0, 0.10)),
    Regime.CRISIS: RegimeParameters(0.0095, -0.0010, 40.0, (0.25, 0.10, 0.05, 0.60, 0.0)),
}
_SHORTEST_STAY = 12
_FIRST_DRAW = (0.27, 0.23, 0.37, 0.11, 0.02)


@dataclass(frozen=True, slots=True)
class _Returns:
    """A chunk before it has a level: log-returns, their local deviation, regime codes."""

    log_return: NDArray[np.float64]
    deviation: NDArray[np.float64]
    regime: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Chunk:
    series: CandleSeries
    regime: NDArray[np.int8]


class SimulatedMarket:
    """An endless market for one symbol; candle ``i`` depends on seed, symbol, timeframe, ``i`` only.

    ``tick_size`` is in quote currency. Made series always say that they are synthetic.
    """

    def __init__(
        self, symbol: str, timeframe: Timeframe, seed: int, tick_size: float = 0.01
    ) -> None:
        if seed < 0:
            raise ValueError(f"a seed is not negative; got {seed}")
        if not tick_size > 0.0:
            raise ValueError(f"a tick is positive; got {tick_size}")
        self.symbol = check_symbol(symbol)
        self.timeframe = timeframe
        self.seed = seed
        self.tick_size = tick_size
        self._key = _key(symbol)
        self._scale = (timeframe.duration / REFERENCE.duration) ** 0.25
        self._first_log_price = float(np.log(first_price(symbol)))
        self._epoch = first_open(timeframe)
        self._chunks: OrderedDict[int, _Chunk] = OrderedDict()
        self._displacements: OrderedDict[int, float] = OrderedDict()

    def candles(self, start: int, count: int) -> CandleSeries:
        """Return candles ``start`` to ``start + count`` (excluded) of the simulated time."""
        pieces = self._stretch(start, count)
        if not pieces:
            return self._chunk(start // CHUNK).series.slice(0, 0)
        return concatenate([chunk.series.slice(*rows) for chunk, rows in pieces])

    def candle(self, index: int) -> Candle:
        """Return candle ``index``; the chunk around it stays in memory for the next ones."""
        if index < 0:
            raise ValueError(f"the simulated market starts at candle 0; asked for {index}")
        return self._chunk(index // CHUNK).series.candle(index % CHUNK)

    def regimes(self, start: int, count: int) -> NDArray[np.int8]:
        """Return each candle's true regime as its place in ``REGIMES``, shape (count,)."""
        pieces = [chunk.regime[slice(*rows)] for chunk, rows in self._stretch(start, count)]
        return np.concatenate([np.empty(0, dtype=np.int8), *pieces])

    def open_time(self, index: int) -> Milliseconds:
        """Return when candle ``index`` opens, in simulated time."""
        return self._epoch + index * self.timeframe.duration

    def index_after(self, close_time: Milliseconds) -> int:
        """Return the index of the first candle that opens at or after ``close_time`` (>= 0)."""
        return max(0, -(-(close_time - self._epoch) // self.timeframe.duration))

    def _stretch(self, start: int, count: int) -> list[tuple[_Chunk, tuple[int, int]]]:
        if start < 0 or count < 0:
            raise ValueError(f"the simulated market starts at candle 0; asked for {start}+{count}")
        stop = start + count
        pieces: list[tuple[_Chunk, tuple[int, int]]] = []
        for number in range(start // CHUNK, -(-stop // CHUNK)):
            base = number * CHUNK
            rows = (max(start - base, 0), min(stop - base, CHUNK))
            pieces.append((self._chunk(number), rows))
        return pieces

    def _generator(self, number: int, purpose: int) -> np.random.Generator:
        entropy = [self.seed, self._key, self.timeframe.duration, number, purpose]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))

    def _chunk(self, number: int) -> _Chunk:
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._make_chunk(number)
            self._chunks[number] = chunk
            if len(self._chunks) > 2:
                self._chunks.popitem(last=False)
        return chunk

    def _displacement(self, number: int) -> float:
        value = self._displacements.get(number)
        if value is None:
            value = float(np.sum(self._returns(number).log_return))
            self._displacements[number] = value
            if len(self._displacements) > 4 * MEMORY:
                self._displacements.popitem(last=False)
        return value

    def _returns(self, number: int) -> _Returns:
        """Draw a chunk's regimes and log-returns; what came before does not matter."""
        generator = self._generator(number, 0)
        regime = _draw_regimes(generator)
        shock = generator.standard_t(_FREEDOM, CHUNK) * ((_FREEDOM - 2.0) / _FREEDOM) ** 0.5
        walk = generator.standard_normal(CHUNK) * _RANGE_WALK
        calm = np.exp(0.15 * stationary_autoregression(generator.standard_normal(CHUNK), 0.97))
        deviation = np.empty(CHUNK)
        log_return = np.empty(CHUNK)
        edges = np.flatnonzero(np.diff(regime)) + 1
        for start, stop in zip((0, *edges), (*edges, CHUNK), strict=True):
            law = PARAMETERS[REGIMES[regime[start]]]
            rows = slice(int(start), int(stop))
            deviation[rows] = calm[rows] * law.deviation
            if REGIMES[regime[start]] is Regime.RANGE:
                offset = decayed_sum(shock[rows] * deviation[rows], _RANGE_DECAY)
                log_return[rows] = np.diff(offset, prepend=0.0) + walk[rows]
            else:
                log_return[rows] = shock[rows] * deviation[rows] + law.drift
        return _Returns(log_return * self._scale, deviation * self._scale, regime)

    def _make_chunk(self, number: int) -> _Chunk:
        made = self._returns(number)
        ages = np.arange(1, MEMORY + 1)
        past = np.array(
            [
                self._displacement(number - age) if number >= age else 0.0
                for age in range(1, MEMORY + 1)
            ]
        )
        level = self._first_log_price + float(np.sum(past * (1.0 - (ages - 1) / MEMORY)))
        log_return = made.log_return - float(np.sum(past)) / (MEMORY * CHUNK)
        end = level + np.cumsum(log_return)
        generator = self._generator(number, 1)
        begin = np.concatenate(([level], end[:-1]))
        series = candles_along(
            generator,
            self.symbol,
            self.timeframe,
            self.open_time(number * CHUNK),
            begin,
            end - begin,
            made.deviation,
            self.tick_size,
        )
        return _Chunk(series, made.regime)


def first_price(symbol: str) -> float:
    """Return the price a simulated symbol starts at: known, or drawn from its name (50 to 2000)."""
    known = _KNOWN_PRICES.get(symbol)
    if known is not None:
        return known
    return float(round(50.0 * 40.0 ** (_key(symbol) / 2.0**64), 2))


def _key(symbol: str) -> int:
    return int.from_bytes(hashlib.blake2b(symbol.encode(), digest_size=8).digest(), "big")


def _draw_regimes(generator: np.random.Generator) -> NDArray[np.int8]:
    """Return one chunk's regime codes: stays of at least ``_SHORTEST_STAY``, then geometric."""
    regime = np.empty(CHUNK, dtype=np.int8)
    start = 0
    chances = np.array(_FIRST_DRAW)
    while start < CHUNK:
        code = int(generator.choice(len(REGIMES), p=chances))
        law = PARAMETERS[REGIMES[code]]
        stay = _SHORTEST_STAY + int(generator.geometric(1.0 / (law.mean_stay - _SHORTEST_STAY)))
        regime[start : start + stay] = code
        start += stay
        chances = np.array(law.followers)
    return regime
