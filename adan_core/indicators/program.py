"""Indicator programs: a list of named indicators, run over candles by one compiled loop.

The declarative list (from ``configs/``) becomes arrays and a list of compiled loops, one per
indicator it names; the loop that calls them is the same for every list. A block of candles runs
through one indicator after the other, each in a loop of its own around the step it has; a candle
alone is a block of one. Batch and streaming therefore cannot differ.
"""

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.domain.errors import DataError
from adan_core.indicators.bar import Floats
from adan_core.indicators.runners import PARAMETERS, Addresses, addresses_of, runner_at
from adan_core.indicators.table import INDICATORS, REAL_PARAMETERS

Integers = NDArray[np.int64]

# The most candles a parameter may count: a window is memory.
_LONGEST = 100_000
# Rows of a block: a block of many columns still fits in the processor's cache.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Program:
    """A list of indicators as the compiled loop reads it.

    ``names`` has one entry per indicator and ``offsets`` one more, ``parameters`` shape (n, 3);
    ``state_size`` is the length of the float64 state vector (all zeros at the start).
    """

    names: tuple[str, ...]
    parameters: Floats
    offsets: Integers
    state_size: int

    def __len__(self) -> int:
        return len(self.names)


def assemble(entries: Sequence[tuple[str, Sequence[float]]]) -> Program:
    """Return the program of ``(indicator name, parameters)`` entries, in order.

    Raises DataError for an unknown name and for parameters the indicator cannot take.
    """
    parameters = np.ones((len(entries), PARAMETERS), dtype=np.float64)
    offsets = np.zeros(len(entries) + 1, dtype=np.int64)
    for row, (name, values) in enumerate(entries):
        if name not in INDICATORS:
            raise _unknown(name)
        _verify(name, values)
        parameters[row, : len(values)] = values
        offsets[row + 1] = offsets[row] + INDICATORS[name].state_size(values)
    return Program(tuple(name for name, _ in entries), parameters, offsets, int(offsets[-1]))


def _unknown(name: str) -> DataError:
    """Name the indicators that are meant by an acronym of the field or by a misspelling."""
    meant = [
        known
        for known, indicator in INDICATORS.items()
        if re.search(rf"\b{re.escape(name)}\b", indicator.description, re.IGNORECASE)
    ] or difflib.get_close_matches(name, INDICATORS, n=3)
    return DataError(
        f"indicator {name!r}",
        f"one of {', '.join(INDICATORS)}",
        " or ".join(f"{known}: {INDICATORS[known].description}" for known in meant[:3]),
    )


def _verify(name: str, values: Sequence[float]) -> None:
    expected = INDICATORS[name].parameters
    if len(values) != len(expected):
        raise DataError(
            f"{len(values)} parameters for {name}",
            f"{len(expected)}: {', '.join(expected) or 'none'}",
        )
    for parameter, value in zip(expected, values, strict=True):
        if parameter in REAL_PARAMETERS:
            if not 0.0 < value < math.inf:
                raise DataError(f"{parameter} {value} of {name}", "a number above 0")
        elif not 1 <= value <= _LONGEST or value != int(value):
            raise DataError(
                f"{parameter} {value} of {name}", f"a whole number from 1 to {_LONGEST:,}"
            )
    if expected[:2] == ("fast", "slow") and values[0] >= values[1]:
        raise DataError(
            f"fast {values[0]} and slow {values[1]} of {name}", "a fast one below the slow one"
        )


@compiled
def run_rows(
    runners: Addresses,
    first: int,
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
    """Advance every indicator of a program by closed candles and write their values to ``out``.

    The program's runners begin at ``first`` of ``runners``; there is one per row of ``parameters``.
    ``out`` has shape (candles, indicators) and may be columns of a wider matrix. ``state`` is
    carried on, so that many candles at once and one at a time give the same bits.
    """
    candles = closes.shape[0]
    block = np.empty((5, min(candles, _BLOCK)))
    for start in range(0, candles, _BLOCK):
        rows = min(candles - start, _BLOCK)
        for row in range(rows):
            block[0, row] = opens[start + row]
            block[1, row] = highs[start + row]
            block[2, row] = lows[start + row]
            block[3, row] = closes[start + row]
            block[4, row] = volumes[start + row]
        for entry in range(parameters.shape[0]):
            run = runner_at(runners[first + entry])
            run(
                (parameters[entry, 0], parameters[entry, 1], parameters[entry, 2]),
                state[offsets[entry] : offsets[entry + 1]],
                block,
                rows,
                out[start : start + rows, entry],
            )


def run_batch(
    program: Program, opens: Floats, highs: Floats, lows: Floats, closes: Floats, volumes: Floats
) -> Floats:
    """Return the values of a program over candle columns: shape (candles, indicators), NaN first."""
    out = np.empty((len(closes), len(program)), dtype=np.float64)
    run_rows(
        addresses_of(program.names),
        0,
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
