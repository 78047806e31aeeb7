"""The one state builder: what the agent may know at the close of a candle, and nothing later.

Batch and streaming run the same compiled step, candle by candle. Higher timeframes are built from
the trading timeframe's own candles; a candle of a higher timeframe is visible from the close of
the trading candle that completes it, or, after a gap, from the first one that follows it.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.compiled import compiled
from adan_core.data.features import FeatureSet
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.indicators.program import run_step

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

_NO_BUCKET = -1
_DISCARDED = -2  # the history began inside this higher candle, so it is never complete


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
    """The fixed arrays of a ladder's programs, concatenated frame by frame."""

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

    ``programs`` is the indicators' state; ``buckets`` holds per frame the number of the forming
    higher candle (or why there is none), the number of a discarded one, and whether any candle was
    seen; ``forming`` its prices and volume; ``rows`` the state's current row.
    """

    programs: Floats
    buckets: Integers
    forming: Floats
    rows: Floats


def _layout(ladder: tuple[Timeframe, ...], spec: FeatureSet) -> _Layout:
    verify_ladder(ladder)
    programs = spec.programs()
    # A frame's offsets count from the start of its own state and have one entry more than codes.
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
    frames = len(layout.durations)
    buckets = np.zeros((frames, 3), dtype=np.int64)
    buckets[:, :2] = _NO_BUCKET
    return _Memory(
        np.zeros(layout.first_state[-1], dtype=np.float64),
        buckets,
        np.zeros((frames, 5), dtype=np.float64),
        np.full((layout.windows * layout.widths).sum(), np.nan, dtype=np.float64),
    )


def verify_ladder(ladder: tuple[Timeframe, ...]) -> None:
    """Raise DataError unless there are three ascending timeframes, each a multiple of the first."""
    if (
        len(ladder) != 3
        or list(ladder) != sorted(set(ladder))
        or any(step.duration % ladder[0].duration for step in ladder)
    ):
        raise DataError(
            f"timeframes {', '.join(map(str, ladder))}",
            "three different ones in ascending order, each a multiple of the first",
        )


@compiled
def _advance(
    layout: _Layout,
    memory: _Memory,
    frame: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Feed one closed candle of ``frame`` to its program; the new row ends that frame's window."""
    rows = memory.rows
    start = 0
    for former in range(frame):
        start += layout.windows[former] * layout.widths[former]
    width = layout.widths[frame]
    size = layout.windows[frame] * width
    for cell in range(start, start + size - width):
        rows[cell] = rows[cell + width]
    first = layout.first_entry[frame]
    last = layout.first_entry[frame + 1]
    run_step(
        layout.codes[first:last],
        layout.parameters[first:last],
        layout.offsets[first + frame : last + frame + 1],
        memory.programs[layout.first_state[frame] : layout.first_state[frame + 1]],
        open_price,
        high,
        low,
        close,
        volume,
        rows[start + size - width : start + size],
    )


@compiled
def _close_bucket(layout: _Layout, memory: _Memory, frame: int) -> None:
    higher = memory.forming[frame]
    _advance(layout, memory, frame, higher[0], higher[1], higher[2], higher[3], higher[4])
    memory.buckets[frame, 0] = _NO_BUCKET


@compiled
def _gather(
    layout: _Layout,
    memory: _Memory,
    frame: int,
    open_time: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Let a trading candle into the higher candle it belongs to, and close that one when it is full."""
    duration = layout.durations[frame]
    bucket = open_time // duration
    marks = memory.buckets[frame]
    forming = memory.forming[frame]
    if marks[0] >= 0 and marks[0] != bucket:
        # A gap swallowed the candle that would have completed it: it is over all the same.
        _close_bucket(layout, memory, frame)
    if marks[0] == _DISCARDED and marks[1] != bucket:
        marks[0] = _NO_BUCKET
    if marks[0] == _NO_BUCKET:
        if marks[2] == 0 and open_time % duration != 0:
            marks[0] = _DISCARDED
            marks[1] = bucket
        else:
            marks[0] = bucket
            forming[0] = open_price
            forming[1] = high
            forming[2] = low
            forming[3] = close
            forming[4] = volume
        marks[2] = 1
    elif marks[0] >= 0:
        forming[1] = max(forming[1], high)
        forming[2] = min(forming[2], low)
        forming[3] = close
        forming[4] += volume
    if marks[0] >= 0 and (open_time + layout.durations[0]) % duration == 0:
        _close_bucket(layout, memory, frame)


@compiled
def _push(
    layout: _Layout,
    memory: _Memory,
    open_time: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Let one closed trading candle in: ``memory.rows`` then holds what is known at its close."""
    _advance(layout, memory, 0, open_price, high, low, close, volume)
    for frame in range(1, layout.durations.shape[0]):
        _gather(layout, memory, frame, open_time, open_price, high, low, close, volume)


@compiled
def _push_all(
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
    for index in range(open_time.shape[0]):
        _push(
            layout,
            memory,
            open_time[index],
            opens[index],
            highs[index],
            lows[index],
            closes[index],
            volumes[index],
        )
        out[index] = memory.rows


class StateStream:
    """The state of one symbol's market, fed one closed candle at a time."""

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
        self._layout = _layout(ladder, spec)
        self._memory = _memory(self._layout)
        self._newest: int | None = None

    def push(self, candle: Candle) -> Floats | None:
        """Return the market's state at the close of ``candle``, None while the indicators warm up.

        Shape (columns,), float64. Raises DataError if the candle is not newer than the last.
        """
        if self._newest is not None and candle.open_time <= self._newest:
            raise DataError(
                f"a candle of {candle.open_time} after one of {self._newest}", "ascending times"
            )
        self._newest = candle.open_time
        _push(
            self._layout,
            self._memory,
            candle.open_time,
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.volume,
        )
        rows = self._memory.rows
        return None if np.isnan(rows).any() else rows.copy()

    def push_series(self, series: CandleSeries) -> Floats:
        """Return the states at the close of every candle of ``series``: shape (candles, columns)."""
        if self._newest is not None and len(series) and series.open_time[0] <= self._newest:
            raise DataError("candles that begin before the last one seen", "ascending times")
        if len(series):
            self._newest = int(series.open_time[-1])
        out = np.empty((len(series), len(self._memory.rows)), dtype=np.float64)
        _push_all(
            self._layout,
            self._memory,
            series.open_time,
            series.open,
            series.high,
            series.low,
            series.close,
            series.volume,
            out,
        )
        return out


def build_frame(
    series: CandleSeries, ladder: tuple[Timeframe, ...], spec: FeatureSet
) -> StateFrame:
    """Return the state at every candle of ``series``; DataError if its timeframe is not the ladder's."""
    stream = StateStream(series.timeframe, ladder, spec)
    market = stream.push_series(series)
    warming = np.flatnonzero(np.isnan(market).any(axis=1))
    ready = int(warming[-1]) + 1 if len(warming) else 0
    return StateFrame(
        market,
        ready,
        series.open_time + series.timeframe.duration,
        stream.columns,
        stream.schema_hash,
    )


def observe(normaliser: Normaliser, market: Floats, portfolio: Floats) -> Singles:
    """Return the observation: the normalised market row, then the portfolio vector; float32."""
    return np.concatenate([normaliser.apply(market), portfolio.astype(np.float32)])


def observation_hash(observation: Singles) -> str:
    """Return the BLAKE2b-128 of an observation's bytes, in hexadecimal."""
    return hashlib.blake2b(observation.tobytes(), digest_size=16).hexdigest()
