"""The one state builder: what the agent may know at the close of a candle, and nothing later.

Batch and streaming run the same compiled code: a stream is fed one candle, a batch many, and what
is carried from candle to candle is the same arrays. Higher timeframes are built from the trading
timeframe's own candles; a candle of a higher timeframe is visible from the close of the trading
candle that completes it, or, after a gap, from the first one that follows it.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.features import FeatureSet
from adan_core.data.higher_candles import gather, new_buckets
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.indicators.program import run_rows

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

# A block's rows of the state stay in the processor's cache while every column of it is written.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class StateFrame:
    """The market's state at each candle of a series.

    ``market`` has shape (candles, columns), float64, not normalised; row ``i`` is what is known at
    the close of candle ``i``. Rows before ``ready`` hold NaN: the indicators are still warming.
    """

    market: Floats
    ready: int
    close_time: Integers
    columns: tuple[str, ...]
    schema_hash: str


class _Layout(NamedTuple):
    """The fixed arrays of a ladder's programs, concatenated rung by rung."""

    durations: Integers
    codes: Integers
    parameters: Floats
    offsets: Integers
    first_entry: Integers
    first_state: Integers
    windows: Integers
    widths: Integers


class _Memory(NamedTuple):
    """What changes from candle to candle.

    ``programs`` is the indicators' state; ``buckets`` and ``forming`` are the forming higher
    candles (``higher_candles``); ``rows`` the state's current row, external columns left out.
    """

    programs: Floats
    buckets: Integers
    forming: Floats
    rows: Floats


def _layout(ladder: tuple[Timeframe, ...], spec: FeatureSet) -> _Layout:
    verify_ladder(ladder, len(spec.windows))
    programs = spec.programs()
    # A rung's offsets count from the start of its own state and have one entry more than codes.
    return _Layout(
        np.array([timeframe.duration for timeframe in ladder], dtype=np.int64),
        np.concatenate([program.codes for program in programs]),
        np.concatenate([program.parameters for program in programs]),
        np.concatenate([program.offsets for program in programs]),
        np.cumsum([0] + [len(program) for program in programs], dtype=np.int64),
        np.cumsum([0] + [program.state_size for program in programs], dtype=np.int64),
        np.array(spec.windows, dtype=np.int64),
        np.array([len(program) for program in programs], dtype=np.int64),
    )


def _memory(layout: _Layout) -> _Memory:
    buckets, forming = new_buckets(len(layout.durations))
    return _Memory(
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
    layout: _Layout,
    memory: _Memory,
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
    layout: _Layout,
    memory: _Memory,
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
def _fill(
    layout: _Layout,
    memory: _Memory,
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


class StateStream:
    """The state of one symbol's market, fed closed candles one at a time or many at once."""

    def __init__(
        self, timeframe: Timeframe, ladder: tuple[Timeframe, ...], spec: FeatureSet
    ) -> None:
        if timeframe != ladder[0]:
            raise DataError(
                f"candles of {timeframe}", f"{ladder[0]}, the first timeframe of the ladder"
            )
        self.columns = spec.columns(ladder)
        self.schema_hash = spec.schema_hash(ladder)
        self.timeframe = timeframe
        # Refused here, before any candle, if an external column has no data.
        self._spec = spec.with_external(spec.external_data)
        self._layout = _layout(ladder, spec)
        self._memory = _memory(self._layout)
        self._newest: int | None = None
        # One candle as the columns that the compiled code reads.
        self._time = np.empty(1, dtype=np.int64)
        self._values = np.empty((5, 1), dtype=np.float64)
        self._row = np.empty((1, len(self.columns)), dtype=np.float64)

    def push(self, candle: Candle) -> Floats | None:
        """Return the market's state at the close of ``candle``, None while the indicators warm up.

        Shape (columns,), float64. Raises DataError if the candle is not newer than the last.
        """
        if self._newest is not None and candle.open_time <= self._newest:
            raise DataError(
                f"a candle of {candle.open_time} after one of {self._newest}", "ascending times"
            )
        self._newest = candle.open_time
        self._time[0] = candle.open_time
        values = self._values
        values[0, 0] = candle.open
        values[1, 0] = candle.high
        values[2, 0] = candle.low
        values[3, 0] = candle.close
        values[4, 0] = candle.volume
        warming = self._fill(
            self._time, values[0], values[1], values[2], values[3], values[4], self._row
        )
        return None if warming else self._row[0].copy()

    def push_series(self, series: CandleSeries) -> Floats:
        """Return the states at the close of every candle of ``series``: shape (candles, columns)."""
        return self._push_all(series)[0]

    def _push_all(self, series: CandleSeries) -> tuple[Floats, int]:
        """Return the states, and the number of rows up to the last in which something is warming."""
        if self._newest is not None and len(series) and series.open_time[0] <= self._newest:
            raise DataError("candles that begin before the last one seen", "ascending times")
        if len(series):
            self._newest = int(series.open_time[-1])
        out = np.empty((len(series), len(self.columns)), dtype=np.float64)
        warming = self._fill(
            series.open_time,
            series.open,
            series.high,
            series.low,
            series.close,
            series.volume,
            out,
        )
        return out, warming

    def _fill(
        self,
        open_time: Integers,
        opens: Floats,
        highs: Floats,
        lows: Floats,
        closes: Floats,
        volumes: Floats,
        out: Floats,
    ) -> int:
        warming: int = _fill(
            self._layout, self._memory, open_time, opens, highs, lows, closes, volumes, out
        )
        if self._spec.external:
            self._join(open_time + self.timeframe.duration, out[:, len(self._memory.rows) :])
        return warming

    def _join(self, close_time: Integers, out: Floats) -> None:
        """Write, per external column, what was known at each close, and whether anything was."""
        for number, column in enumerate(self._spec.external):
            known = self._spec.external_data[column.name].current()
            out[:, 2 * number], out[:, 2 * number + 1] = known.at(close_time, column.max_age)


def build_frame(
    series: CandleSeries, ladder: tuple[Timeframe, ...], spec: FeatureSet
) -> StateFrame:
    """Return the state at every candle of ``series``; DataError if its timeframe is not the ladder's."""
    stream = StateStream(series.timeframe, ladder, spec)
    market, ready = stream._push_all(series)
    return StateFrame(
        market,
        ready,
        series.open_time + series.timeframe.duration,
        stream.columns,
        stream.schema_hash,
    )


def build_frames(
    series: Sequence[CandleSeries], ladder: tuple[Timeframe, ...], spec: FeatureSet
) -> tuple[StateFrame, ...]:
    """Return the frames of several symbols, built beside each other: compiled code needs no lock."""
    with ThreadPoolExecutor(thread_name_prefix="state") as pool:
        return tuple(pool.map(lambda one: build_frame(one, ladder, spec), series))


def observation_hash(observation: Singles) -> str:
    """Return the BLAKE2b-128 of an observation's bytes, in hexadecimal."""
    return hashlib.blake2b(observation.tobytes(), digest_size=16).hexdigest()
