"""The one state builder: what the agent may know at the close of a candle, and nothing later.

Batch and streaming run the same compiled code: a stream is fed one candle, a batch many, and what
is carried from candle to candle is the same arrays. Higher timeframes are built from the trading
timeframe's own candles; a candle of a higher timeframe is visible from the close of the trading
candle that completes it, or, after a gap, from the first one that follows it.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state_kernel import Share, empty_memory, fill, layout_of, shares_of
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

# Two threads, each for half of the columns, pay from about this many candles on.
_WORTH_TWO_THREADS = 20_000


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
        self._layout = layout_of(ladder, spec)
        self._memory = empty_memory(self._layout)
        self._whole, self._halves = shares_of(self._layout)
        self._newest: int | None = None
        # One candle as the columns that the compiled code reads.
        self._time = np.empty(1, dtype=np.int64)
        self._values = np.empty((5, 1), dtype=np.float64)
        self._row = np.empty((1, len(self.columns)), dtype=np.float64)
        # Read-only like a series' columns, lest everything be compiled once more for them.
        self._candle = tuple(_read_only(each) for each in (self._time, *self._values))

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
        time, opens, highs, lows, closes, volumes = self._candle
        warming = self._fill(time, opens, highs, lows, closes, volumes, self._row)
        return None if warming else self._row[0].copy()

    def push_series(self, series: CandleSeries) -> Floats:
        """Return the states at the close of every candle of ``series``: shape (candles, columns)."""
        return self._push_all(series)[0]

    def memory(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is carried from candle to candle; ``restore`` takes them back."""
        newest = np.array([] if self._newest is None else [self._newest], dtype=np.int64)
        carried = self._memory._asdict().items()
        return {"newest": newest} | {name: array.copy() for name, array in carried}

    def restore(self, memory: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where ``memory`` was taken, of a stream of the same features and timeframes."""
        for name, array in self._memory._asdict().items():
            array[...] = memory[name]
        self._newest = int(memory["newest"][0]) if len(memory["newest"]) else None

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
        def write(share: Share) -> int:
            warming: int = fill(
                self._layout,
                self._memory,
                share,
                open_time,
                opens,
                highs,
                lows,
                closes,
                volumes,
                out,
            )
            return warming

        if len(open_time) < _WORTH_TWO_THREADS:
            warming = write(self._whole)
        else:
            with ThreadPoolExecutor(len(self._halves), thread_name_prefix="state") as pool:
                warming = max(pool.map(write, self._halves))
        if self._spec.external:
            self._join(open_time + self.timeframe.duration, out[:, len(self._memory.rows) :])
        return warming

    def _join(self, close_time: Integers, out: Floats) -> None:
        """Write, per external column, what was known at each close, and whether anything was."""
        for number, column in enumerate(self._spec.external):
            known = self._spec.external_data[column.name].current()
            out[:, 2 * number], out[:, 2 * number + 1] = known.at(close_time, column.max_age)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


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


def observation_hash(observation: Singles) -> str:
    """Return the BLAKE2b-128 of an observation's bytes, in hexadecimal."""
    return hashlib.blake2b(observation.tobytes(), digest_size=16).hexdigest()
