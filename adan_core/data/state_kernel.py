"""The compiled loop that builds states: programs and higher candles, block by block, carried on.

A stream calls it with one candle, a batch with many; what is carried from call to call is arrays.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.features import FeatureSet
from adan_core.data.higher_candles import gather, new_buckets
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.indicators.program import run_rows
from adan_core.indicators.runners import Addresses, addresses_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A block's rows of the state stay in the processor's cache while every column of it is written.
_BLOCK = 512
# A literal 0 is a type of its own to numba, and what is called with it is compiled once more.
_NONE = cast("int", np.int64(0))


class Layout(NamedTuple):
    """What is fixed of a ladder's programs, concatenated rung by rung."""

    durations: Integers
    runners: Addresses
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


class _Scratch(NamedTuple):
    """Room for one block's work, made once per call: a heap that grows and shrinks is slow."""

    candles: Floats
    seen: Integers
    closed: Floats
    history: Floats


class Share(NamedTuple):
    """A part of the state's columns that one thread can write without the others.

    Entries ``begin`` to ``end`` of the trading timeframe's program, all timeframes above it if
    ``higher``; together the columns from ``first_column`` to ``stop_column``.
    """

    begin: int
    end: int
    higher: bool
    first_column: int
    stop_column: int


def shares_of(layout: Layout) -> tuple[Share, tuple[Share, ...]]:
    """Return all of the work as one share, and as shares of about equal size for two threads."""
    width, window = int(layout.widths[0]), int(layout.windows[0])
    columns = int((layout.windows * layout.widths).sum())
    whole = Share(0, width, higher=True, first_column=0, stop_column=columns)
    # A column of a higher timeframe is mostly copied: half the work. Windows show one candle's
    # entries side by side with others': those are not cut in two.
    half = min(width, (2 * width + columns - width) // 4) if window == 1 else width
    return whole, (
        Share(0, half, higher=False, first_column=0, stop_column=half * window),
        Share(half, width, higher=True, first_column=half * window, stop_column=columns),
    )


def layout_of(ladder: tuple[Timeframe, ...], spec: FeatureSet) -> Layout:
    """Return the programs of ``spec`` over ``ladder``; DataError if the two do not fit."""
    verify_ladder(ladder, len(spec.windows))
    programs = spec.programs()
    # A rung's offsets count from the start of its own state and have one entry more than runners.
    return Layout(
        np.array([timeframe.duration for timeframe in ladder], dtype=np.int64),
        addresses_of([name for program in programs for name in program.names]),
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
def _run_entries(
    layout: Layout,
    memory: Memory,
    rung: int,
    begin: int,
    end: int,
    candles: Floats,
    count: int,
    out: Floats,
) -> None:
    """Feed ``count`` closed candles of ``rung`` to entries ``begin`` to ``end`` of its program.

    ``candles`` has shape (5, at least ``count``), ``out`` one row per candle and column per entry.
    """
    first = layout.first_entry[rung]
    run_rows(
        layout.runners,
        first + begin,
        layout.parameters[first + begin : first + end],
        layout.offsets[first + rung + begin : first + rung + end + 1],
        memory.programs[layout.first_state[rung] : layout.first_state[rung + 1]],
        candles[0, :count],
        candles[1, :count],
        candles[2, :count],
        candles[3, :count],
        candles[4, :count],
        out,
    )


@compiled
def _spread(
    history: Floats, seen: Integers, window: int, width: int, first: int, out: Floats
) -> None:
    """Write each row's ``window`` newest closed candles of a rung, the oldest first.

    ``history`` begins with the ``window`` candles before the block; ``seen`` says how many of the
    block's had closed at each row. The rung's columns begin at ``first``.
    """
    for row in range(out.shape[0]):
        column = first
        for age in range(window - 1, -1, -1):
            source = history[window + seen[row] - 1 - age]
            for index in range(width):
                out[row, column] = source[index]
                column += 1


@compiled
def _fill_windows(
    layout: Layout,
    memory: Memory,
    scratch: _Scratch,
    rung: int,
    first: int,
    candles: Floats,
    count: int,
    out: Floats,
) -> None:
    """Write one rung's windows from column ``first`` on, and carry the newest to the next block."""
    window = layout.windows[rung]
    width = layout.widths[rung]
    history = scratch.history
    # Cell by cell: numba takes seconds to compile an assignment to a slice.
    for slot in range(window):
        for index in range(width):
            history[slot, index] = memory.rows[first + slot * width + index]
    if count > 0:
        _run_entries(layout, memory, rung, _NONE, width, candles, count, history[window:, 0:width])
    _spread(history, scratch.seen, window, width, first, out)
    for slot in range(window):
        for index in range(width):
            memory.rows[first + slot * width + index] = history[count + slot, index]


@compiled
def _fill_block(
    layout: Layout,
    memory: Memory,
    scratch: _Scratch,
    share: Share,
    open_time: Integers,
    out: Floats,
) -> None:
    """Write a share of the state at each close of a block and carry ``memory`` to its end."""
    rows = open_time.shape[0]
    candles = scratch.candles
    window = layout.windows[0]
    if share.begin < share.end:
        if window == 1:
            columns = out[:, share.begin : share.end]
            _run_entries(layout, memory, _NONE, share.begin, share.end, candles, rows, columns)
            for column in range(share.begin, share.end):
                memory.rows[column] = out[rows - 1, column]
        else:
            for row in range(rows):
                scratch.seen[row] = row + 1
            _fill_windows(layout, memory, scratch, _NONE, _NONE, candles, rows, out)
    if share.higher:
        first = window * layout.widths[0]
        for rung in range(1, layout.durations.shape[0]):
            count = gather(
                layout.durations[0],
                layout.durations[rung],
                memory.buckets[rung],
                memory.forming[rung],
                open_time,
                candles[0],
                candles[1],
                candles[2],
                candles[3],
                candles[4],
                scratch.seen,
                scratch.closed,
            )
            _fill_windows(layout, memory, scratch, rung, first, scratch.closed, count, out)
            first += layout.windows[rung] * layout.widths[rung]


@compiled
def fill(
    layout: Layout,
    memory: Memory,
    share: Share,
    open_time: Integers,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    volumes: Floats,
    out: Floats,
) -> int:
    """Write a share of the state at each close to ``out``.

    Return the number of rows up to the last in which one of its columns is NaN.
    """
    room = min(_BLOCK, open_time.shape[0])
    # One trading candle can complete two higher ones: the one a gap swallowed, and its own.
    scratch = _Scratch(
        np.empty((5, room)),
        np.empty(room, dtype=np.int64),
        np.empty((5, 2 * room)),
        np.empty((layout.windows.max() + 2 * room, layout.widths.max())),
    )
    warming = 0
    for begin in range(0, open_time.shape[0], _BLOCK):
        end = min(begin + _BLOCK, open_time.shape[0])
        for row in range(end - begin):
            scratch.candles[0, row] = opens[begin + row]
            scratch.candles[1, row] = highs[begin + row]
            scratch.candles[2, row] = lows[begin + row]
            scratch.candles[3, row] = closes[begin + row]
            scratch.candles[4, row] = volumes[begin + row]
        block = out[begin:end]
        _fill_block(layout, memory, scratch, share, open_time[begin:end], block)
        for row in range(end - begin):
            unknown = False
            for column in range(share.first_column, share.stop_column):
                unknown |= np.isnan(block[row, column])
            if unknown:
                warming = begin + row + 1
    return warming
