"""The compiled loop that builds states: programs and higher candles, block by block, carried on.

A stream calls it with one candle, a batch with many; what is carried from call to call is arrays.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.features import FeatureSet
from adan_core.data.higher_candles import gather, new_buckets
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.indicators.program import run_rows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A block's rows of the state stay in the processor's cache while every column of it is written.
_BLOCK = 512


class Layout(NamedTuple):
    """The fixed arrays of a ladder's programs, concatenated rung by rung."""

    durations: Integers
    codes: Integers
    parameters: Floats
    offsets: Integers
    first_entry: Integers
    first_state: Integers
    windows: Integers
    widths: Integers


class Memory(NamedTuple):
    """What changes from candle to candle.

    ``programs`` is the indicators' state; ``buckets`` and ``forming`` are the forming higher
    candles (``higher_candles``); ``rows`` the state's current row, external columns left out.
    """

    programs: Floats
    buckets: Integers
    forming: Floats
    rows: Floats


def layout_of(ladder: tuple[Timeframe, ...], spec: FeatureSet) -> Layout:
    """Return the programs of ``spec`` over ``ladder``; DataError if the two do not fit."""
    verify_ladder(ladder, len(spec.windows))
    programs = spec.programs()
    # A rung's offsets count from the start of its own state and have one entry more than codes.
    return Layout(
        np.array([timeframe.duration for timeframe in ladder], dtype=np.int64),
        np.concatenate([program.codes for program in programs]),
        np.concatenate([program.parameters for program in programs]),
        np.concatenate([program.offsets for program in programs]),
        np.cumsum([0] + [len(program) for program in programs], dtype=np.int64),
        np.cumsum([0] + [program.state_size for program in programs], dtype=np.int64),
        np.array(spec.windows, dtype=np.int64),
        np.array([len(program) for program in programs], dtype=np.int64),
    )


def empty_memory(layout: Layout) -> Memory:
    """Return what there is to remember before the first candle."""
    buckets, forming = new_buckets(len(layout.durations))
    return Memory(
        np.zeros(layout.first_state[-1], dtype=np.float64),
        buckets,
        forming,
        np.full((layout.windows * layout.widths).sum(), np.nan, dtype=np.float64),
    )


def verify_ladder(ladder: tuple[Timeframe, ...], rungs: int) -> None:
    """Raise DataError unless there are ``rungs`` ascending timeframes, each a multiple of the first."""
    if (
        len(ladder) != rungs
        or list(ladder) != sorted(set(ladder))
        or any(step.duration % ladder[0].duration for step in ladder)
    ):
        raise DataError(
            f"timeframes {', '.join(map(str, ladder))}",
            f"{rungs} different ones in ascending order, each a multiple of the first",
            "give the ladder and the windows of the feature set the same length",
        )


@compiled
def _run_rung(
    layout: Layout,
    memory: Memory,
    rung: int,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    out: Floats,
) -> None:
    """Feed closed candles of ``rung`` to its program; ``out`` has one row per candle."""
    first = layout.first_entry[rung]
    last = layout.first_entry[rung + 1]
    run_rows(
        layout.codes[first:last],
        layout.parameters[first:last],
        layout.offsets[first + rung : last + rung + 1],
        memory.programs[layout.first_state[rung] : layout.first_state[rung + 1]],
        opens,
        highs,
        lows,
        closes,
        volumes,
        out,
    )


@compiled
def _spread(history: Floats, seen: Integers, window: int, first: int, out: Floats) -> None:
    """Write each row's ``window`` newest closed candles of a rung, the oldest first.

    ``history`` begins with the ``window`` candles before the block; ``seen`` says how many of the
    block's had closed at each row. The rung's columns begin at ``first``.
    """
    width = history.shape[1]
    for row in range(seen.shape[0]):
        column = first
        for age in range(window - 1, -1, -1):
            source = history[window + seen[row] - 1 - age]
            for index in range(width):
                out[row, column] = source[index]
                column += 1


@compiled
def _fill_block(
    layout: Layout,
    memory: Memory,
    open_time: Integers,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    out: Floats,
) -> None:
    """Write the state at each close of a block and carry ``memory`` to its end."""
    rows = open_time.shape[0]
    seen = np.empty(rows, dtype=np.int64)
    first = 0
    for rung in range(layout.durations.shape[0]):
        window = layout.windows[rung]
        width = layout.widths[rung]
        carried = memory.rows[first : first + window * width].reshape((window, width))
        if rung == 0 and window == 1:
            _run_rung(
                layout,
                memory,
                0,
                opens,
                highs,
                lows,
                closes,
                volumes,
                out[:, first : first + width],
            )
            carried[0] = out[rows - 1, first : first + width]
        else:
            if rung == 0:
                higher = np.empty((0, 0))
                count = rows
                for row in range(rows):
                    seen[row] = row + 1
            else:
                # One trading candle can complete two: the one a gap swallowed, and its own.
                higher = np.empty((5, 2 * rows))
                count = gather(
                    layout.durations[0],
                    layout.durations[rung],
                    memory.buckets[rung],
                    memory.forming[rung],
                    open_time,
                    opens,
                    highs,
                    lows,
                    closes,
                    volumes,
                    seen,
                    higher,
                )
            history = np.empty((window + count, width))
            history[:window] = carried
            if rung == 0:
                _run_rung(
                    layout,
                    memory,
                    0,
                    opens,
                    highs,
                    lows,
                    closes,
                    volumes,
                    history[window:, 0:width],
                )
            elif count > 0:
                _run_rung(
                    layout,
                    memory,
                    rung,
                    higher[0, :count],
                    higher[1, :count],
                    higher[2, :count],
                    higher[3, :count],
                    higher[4, :count],
                    history[window:, 0:width],
                )
            _spread(history, seen, window, first, out)
            carried[:] = history[count:]
        first += window * width


@compiled
def fill(
    layout: Layout,
    memory: Memory,
    open_time: Integers,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    out: Floats,
) -> int:
    """Write the state at each close to ``out``; return the number of rows up to the last with NaN."""
    warming = 0
    columns = memory.rows.shape[0]
    for begin in range(0, open_time.shape[0], _BLOCK):
        end = min(begin + _BLOCK, open_time.shape[0])
        block = out[begin:end]
        _fill_block(
            layout,
            memory,
            open_time[begin:end],
            opens[begin:end],
            highs[begin:end],
            lows[begin:end],
            closes[begin:end],
            volumes[begin:end],
            block,
        )
        for row in range(end - begin):
            for column in range(columns):
                if np.isnan(block[row, column]):
                    warming = begin + row + 1
                    break
    return warming
