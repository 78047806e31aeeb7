"""Where a live feed's candles are kept: one data set per symbol, which a restart is warmed from."""

from collections.abc import Sequence

import numpy as np

from adan_core.data.live_venue import VenueName
from adan_core.data.series import CandleSeries
from adan_core.data.store import CandleStore
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds


class CandleShelf:
    """The stored candles of one venue; those of a test venue are marked synthetic."""

    def __init__(self, store: CandleStore, venue: VenueName, timeframe: Timeframe) -> None:
        self._store = store
        self._venue = venue
        self._timeframe = timeframe

    def last(self, symbol: str) -> Milliseconds | None:
        """Return when the newest stored candle of ``symbol`` opened; None if there is none."""
        name = self._venue.dataset(symbol, self._timeframe)
        if name not in self._store.names():
            return None
        return self._store.info(name).end - self._timeframe.duration

    def append(self, symbol: str, candles: Sequence[Candle], host: str) -> None:
        """Store closed candles that ``host`` told; DataError or SystemFailure as the store's."""
        self._store.append(
            self._venue.dataset(symbol, self._timeframe),
            self.series(symbol, candles),
            f"{self._venue.label} at {host}, live",
        )

    def read(
        self, symbol: str, start: Milliseconds | None = None, end: Milliseconds | None = None
    ) -> CandleSeries:
        """Return the stored candles that open from ``start`` on and before ``end``."""
        return self._store.read(self._venue.dataset(symbol, self._timeframe), start, end)

    def series(self, symbol: str, candles: Sequence[Candle]) -> CandleSeries:
        """Return ``candles``, in order of time, as a series; DataError if one cannot be."""
        columns = np.array(
            [(one.open, one.high, one.low, one.close, one.volume) for one in candles],
            dtype=np.float64,
        ).reshape(len(candles), 5)
        return CandleSeries(
            symbol,
            self._timeframe,
            np.array([one.open_time for one in candles], dtype=np.int64),
            columns[:, 0],
            columns[:, 1],
            columns[:, 2],
            columns[:, 3],
            columns[:, 4],
            self._venue.simulated,
        )

    def sound(
        self, symbol: str, candles: Sequence[Candle]
    ) -> tuple[tuple[Candle, ...], tuple[str, ...]]:
        """Return the candles that can be, in their order, and what is wrong with each other one."""
        good: list[Candle] = []
        wrong: list[str] = []
        for candle in candles:
            try:
                self.series(symbol, [candle])
            except DataError as error:
                wrong.append(error.found)
            else:
                good.append(candle)
        return tuple(good), tuple(wrong)
