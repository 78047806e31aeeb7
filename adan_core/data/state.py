"""The one state builder: what the agent may know at the close of a candle, and nothing later.

Batch and streaming run the same compiled step, candle by candle. Higher timeframes are built from
the trading timeframe's own candles; a candle of a higher timeframe is visible from the close of
the trading candle that completes it, or, after a gap, from the first one that follows it.
"""

import hashlib
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fixed arrays of a ladder's programs, concatenated frame by frame."""

    durations: Integers
    codes: Integers
    parameters: Floats
    offsets: Integers
    first_entry: Integers
    first_state: Integers
    windows: Integers
    widths: Integers
    state_size: int
    row_size: int


def _layout(ladder: tuple[Timeframe, ...], spec: FeatureSet) -> _Layout:
    verify_ladder(ladder)
    programs = spec.programs()
    # A frame's offsets count from the start of its own state and have one entry more than codes.
    first_entry = np.cumsum([0] + [len(program) for program in programs])
    first_state = np.cumsum([0] + [program.state_size for program in programs])
    windows = np.array(spec.windows, dtype=np.int64)
    widths = np.array([len(program) for program in programs], dtype=np.int64)
    return _Layout(
        np.array([timeframe.duration for timeframe in ladder], dtype=np.int64),
        np.concatenate([program.codes for program in programs]),
        np.concatenate([program.parameters for program in programs]),
        np.concatenate([program.offsets for program in programs]),
        first_entry.astype(np.int64),
        first_state.astype(np.int64),
        windows,
        widths,
        int(first_state[-1]),
        int((windows * widths).sum()),
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
    frame: int,
    codes: Integers,
    parameters: Floats,
    offsets: Integers,
    first_entry: Integers,
    first_state: Integers,
    windows: Integers,
    widths: Integers,
    state: Floats,
    rows: Floats,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Feed one closed candle of ``frame`` to its program; its newest row becomes the last of its window."""
    start = 0
    for former in range(frame):
        start += windows[former] * widths[former]
    width = widths[frame]
    size = windows[frame] * width
    for cell in range(start, start + size - width):
        rows[cell] = rows[cell + width]
    entries = slice(first_entry[frame], first_entry[frame + 1])
    run_step(
        codes[entries],
        parameters[entries],
        offsets[first_entry[frame] + frame : first_entry[frame + 1] + frame + 1],
        state[first_state[frame] : first_state[frame + 1]],
        open_price,
        high,
        low,
        close,
        volume,
        rows[start + size - width : start + size],
    )


@compiled
def _push(
    durations: Integers,
    codes: Integers,
    parameters: Floats,
    offsets: Integers,
    first_entry: Integers,
    first_state: Integers,
    windows: Integers,
    widths: Integers,
    state: Floats,
    buckets: Integers,
    forming: Floats,
    rows: Floats,
    open_time: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Let one closed trading candle into the state: ``rows`` then holds what is known at its close."""
    for frame in range(durations.shape[0]):
        if frame == 0:
            _advance(
                frame,
                codes,
                parameters,
                offsets,
                first_entry,
                first_state,
                windows,
                widths,
                state,
                rows,
                open_price,
                high,
                low,
                close,
                volume,
            )
            continue
        duration = durations[frame]
        bucket = open_time // duration
        current = buckets[frame, 0]
        if current >= 0 and current != bucket:
            # A gap swallowed the candle that would have completed it: it is over all the same.
            higher = forming[frame]
            _advance(
                frame,
                codes,
                parameters,
                offsets,
                first_entry,
                first_state,
                windows,
                widths,
                state,
                rows,
                higher[0],
                higher[1],
                higher[2],
                higher[3],
                higher[4],
            )
            current = _NO_BUCKET
        if current == _DISCARDED and buckets[frame, 1] != bucket:
            current = _NO_BUCKET
        if current == _NO_BUCKET:
            first_ever = buckets[frame, 2] == 0
            buckets[frame, 2] = 1
            if first_ever and open_time % duration != 0:
                current = _DISCARDED
                buckets[frame, 1] = bucket
            else:
                current = bucket
                forming[frame, 0] = open_price
                forming[frame, 1] = high
                forming[frame, 2] = low
                forming[frame, 3] = close
                forming[frame, 4] = volume
        elif current >= 0:
            forming[frame, 1] = max(forming[frame, 1], high)
            forming[frame, 2] = min(forming[frame, 2], low)
            forming[frame, 3] = close
            forming[frame, 4] += volume
        if current >= 0 and (open_time + durations[0]) % duration == 0:
            higher = forming[frame]
            _advance(
                frame,
                codes,
                parameters,
                offsets,
                first_entry,
                first_state,
                windows,
                widths,
                state,
                rows,
                higher[0],
                higher[1],
                higher[2],
                higher[3],
                higher[4],
            )
            current = _NO_BUCKET
        buckets[frame, 0] = current


@compiled
def _push_all(
    durations: Integers,
    codes: Integers,
    parameters: Floats,
    offsets: Integers,
    first_entry: Integers,
    first_state: Integers,
    windows: Integers,
    widths: Integers,
    state: Floats,
    buckets: Integers,
    forming: Floats,
    rows: Floats,
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
            durations,
            codes,
            parameters,
            offsets,
            first_entry,
            first_state,
            windows,
            widths,
            state,
            buckets,
            forming,
            rows,
            open_time[index],
            opens[index],
            highs[index],
            lows[index],
            closes[index],
            volumes[index],
        )
        out[index] = rows


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
        self._state = np.zeros(self._layout.state_size, dtype=np.float64)
        self._buckets = np.zeros((len(ladder), 3), dtype=np.int64)
        self._buckets[:, :2] = _NO_BUCKET
        self._forming = np.zeros((len(ladder), 5), dtype=np.float64)
        self._rows = np.full(self._layout.row_size, np.nan, dtype=np.float64)
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
        layout = self._layout
        _push(
            layout.durations,
            layout.codes,
            layout.parameters,
            layout.offsets,
            layout.first_entry,
            layout.first_state,
            layout.windows,
            layout.widths,
            self._state,
            self._buckets,
            self._forming,
            self._rows,
            candle.open_time,
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.volume,
        )
        return None if np.isnan(self._rows).any() else self._rows.copy()

    def push_series(self, series: CandleSeries) -> Floats:
        """Return the states at the close of every candle of ``series``: shape (candles, columns)."""
        if self._newest is not None and len(series) and series.open_time[0] <= self._newest:
            raise DataError("candles that begin before the last one seen", "ascending times")
        if len(series):
            self._newest = int(series.open_time[-1])
        layout = self._layout
        out = np.empty((len(series), layout.row_size), dtype=np.float64)
        _push_all(
            layout.durations,
            layout.codes,
            layout.parameters,
            layout.offsets,
            layout.first_entry,
            layout.first_state,
            layout.windows,
            layout.widths,
            self._state,
            self._buckets,
            self._forming,
            self._rows,
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
