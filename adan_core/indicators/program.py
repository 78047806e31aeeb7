"""Indicator programs: a list of named indicators, run candle by candle by one compiled step.

The declarative list (from ``configs/``) becomes three arrays that a compiled loop interprets, so a
new feature set needs no compilation, and batch and streaming cannot differ: batch *is* the loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.domain.errors import DataError
from adan_core.indicators import recurrences as steps

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PARAMETERS = 3


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the table: its code, its parameters' names, and how much state it needs."""

    code: int
    parameters: tuple[str, ...]
    state_size: Callable[[Sequence[int]], int]


def _ring(extra: int, times: int = 1) -> Callable[[Sequence[int]], int]:
    return lambda parameters: extra + times * parameters[0]


def _constant(size: int) -> Callable[[Sequence[int]], int]:
    return lambda _parameters: size


# The table of indicators. "exponential_mean" to "directional_index" are the textbook values; the
# others are their scale-free forms, which is what an agent is shown.
INDICATORS: dict[str, Indicator] = {
    "exponential_mean": Indicator(0, ("period",), _constant(3)),
    "simple_mean": Indicator(1, ("period",), _ring(3)),
    "deviation": Indicator(2, ("period",), _ring(3)),
    "relative_strength": Indicator(3, ("period",), _constant(8)),
    "average_true_range": Indicator(4, ("period",), _constant(5)),
    "directional_index": Indicator(5, ("period",), _constant(9)),
    "convergence_histogram": Indicator(6, ("fast", "slow", "signal"), _constant(10)),
    "log_return": Indicator(7, ("lag",), _ring(1)),
    "mean_distance": Indicator(8, ("period",), _constant(3)),
    "strength_balance": Indicator(9, ("period",), _constant(8)),
    "true_range_share": Indicator(10, ("period",), _constant(5)),
    "trend_strength": Indicator(11, ("period",), _constant(9)),
    "direction": Indicator(12, ("period",), _constant(9)),
    "convergence_share": Indicator(13, ("fast", "slow", "signal"), _constant(10)),
    "band_position": Indicator(14, ("period",), _ring(3)),
    "volatility": Indicator(15, ("period",), lambda p: 5 + p[0]),
    "volatility_ratio": Indicator(16, ("short", "long"), lambda p: 8 + p[0] + p[1]),
    "range_position": Indicator(17, ("period",), _ring(5, 2)),
    "volume_balance": Indicator(18, ("period",), _ring(3)),
    "candle_body": Indicator(19, (), _constant(0)),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled-for-interpretation list of indicators.

    ``codes`` and ``offsets`` have one entry per indicator, ``parameters`` shape (n, 3);
    ``state_size`` is the length of the float64 state vector (all zeros at the start).
    """

    codes: Integers
    parameters: Floats
    offsets: Integers
    state_size: int

    def __len__(self) -> int:
        return len(self.codes)


def assemble(entries: Sequence[tuple[str, Sequence[int]]]) -> Program:
    """Return the program of ``(indicator name, parameters)`` entries, in order.

    Raises DataError for an unknown name, a wrong number of parameters or one that is not positive.
    """
    codes = np.zeros(len(entries), dtype=np.int64)
    parameters = np.ones((len(entries), _PARAMETERS), dtype=np.float64)
    offsets = np.zeros(len(entries) + 1, dtype=np.int64)
    for row, (name, values) in enumerate(entries):
        indicator = INDICATORS.get(name)
        if indicator is None:
            raise DataError(f"indicator {name!r}", f"one of {', '.join(INDICATORS)}")
        if len(values) != len(indicator.parameters):
            raise DataError(
                f"{len(values)} parameters for {name}",
                f"{len(indicator.parameters)}: {', '.join(indicator.parameters) or 'none'}",
            )
        if any(value < 1 for value in values):
            raise DataError(f"parameters {list(values)} of {name}", "whole numbers from 1 on")
        codes[row] = indicator.code
        parameters[row, : len(values)] = values
        offsets[row + 1] = offsets[row] + indicator.state_size(values)
    return Program(codes, parameters, offsets, int(offsets[-1]))


@compiled
def _value(  # noqa: PLR0911, PLR0912 - one branch per row of the table above
    code: int,
    first: float,
    second: float,
    third: float,
    state: Floats,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> float:
    if code == 0:
        return steps.mean_step(state, first, close)
    if code == 1:
        return steps.moments_step(state, first, close)[0]
    if code == 2:
        return steps.moments_step(state, first, close)[1]
    if code == 3:
        return steps.relative_strength_step(state, first, close)
    if code == 4:
        return steps.average_true_range_step(state, first, high, low, close)
    if code == 5:
        return steps.directional_step(state, first, high, low, close)[0]
    if code == 6:
        return steps.convergence_step(state, first, second, third, close)[1]
    if code == 7:
        return float(np.log(close / steps.lag_step(state, first, close)))
    if code == 8:
        return float(np.log(close / steps.mean_step(state, first, close)))
    if code == 9:
        return steps.relative_strength_step(state, first, close) / 50.0 - 1.0
    if code == 10:
        return steps.average_true_range_step(state, first, high, low, close) / close
    if code == 11:
        return steps.directional_step(state, first, high, low, close)[0] / 100.0
    if code == 12:
        return steps.directional_step(state, first, high, low, close)[1] / 100.0
    if code == 13:
        return steps.convergence_step(state, first, second, third, close)[1] / close
    if code == 14:
        mean, deviation = steps.moments_step(state, first, close)
        return _or_zero(close - mean, deviation)
    if code == 15:
        return _volatility(state, first, close)
    if code == 16:
        middle = 4 + int(first)
        short = _volatility(state[:middle], first, close)
        long = _volatility(state[middle:], second, close)
        return float(np.log(short / long)) if short > 0.0 and long > 0.0 else long * 0.0
    if code == 17:
        highest, lowest = steps.extremes_step(state, first, high, low)
        return _or_zero(2.0 * (close - lowest) - (highest - lowest), highest - lowest)
    if code == 18:
        mean, _ = steps.moments_step(state, first, volume)
        return _or_zero(volume - mean, volume + mean)
    return _or_zero(close - open_price, high - low)


@compiled
def _or_zero(numerator: float, denominator: float) -> float:
    """Return the quotient; 0 where a still market leaves nothing to divide by; NaN stays NaN."""
    if denominator == 0.0:
        return 0.0
    return numerator / denominator


@compiled
def _volatility(state: Floats, period: float, close: float) -> float:
    """Population deviation of the last ``period`` log returns; state is (previous close, moments)."""
    previous = state[0]
    state[0] = close
    if previous == 0.0:
        return np.nan
    return steps.moments_step(state[1:], period, np.log(close / previous))[1]


@compiled
def run_step(
    codes: Integers,
    parameters: Floats,
    offsets: Integers,
    state: Floats,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    out: Floats,
) -> None:
    """Advance every indicator of a program by one closed candle and write their values to ``out``."""
    for row in range(codes.shape[0]):
        out[row] = _value(
            codes[row],
            parameters[row, 0],
            parameters[row, 1],
            parameters[row, 2],
            state[offsets[row] : offsets[row + 1]],
            open_price,
            high,
            low,
            close,
            volume,
        )


@compiled
def _run_batch(
    codes: Integers,
    parameters: Floats,
    offsets: Integers,
    state: Floats,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    out: Floats,
) -> None:
    for row in range(closes.shape[0]):
        run_step(
            codes,
            parameters,
            offsets,
            state,
            opens[row],
            highs[row],
            lows[row],
            closes[row],
            volumes[row],
            out[row],
        )


def run_batch(
    program: Program, opens: Floats, highs: Floats, lows: Floats, closes: Floats, volumes: Floats
) -> Floats:
    """Return the values of a program over candle columns: shape (candles, indicators), NaN first."""
    out = np.empty((len(closes), len(program)), dtype=np.float64)
    _run_batch(
        program.codes,
        program.parameters,
        program.offsets,
        np.zeros(program.state_size, dtype=np.float64),
        opens,
        highs,
        lows,
        closes,
        volumes,
        out,
    )
    return out
