"""Where candles come from: one protocol for exchanges, files and made markets.

The store is where they go. An exchange's pages are judged and stored as they come (``download``); a
file was examined as a whole and a made market is sound by construction, so theirs are collected.
"""

from collections.abc import Iterator
from typing import Protocol

from adan_core.data.raw import RawCandles
from adan_core.data.series import CandleSeries, concatenate
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds


class CandleSource(Protocol):
    """One symbol's candles of one timeframe, as somebody tells them: raw and not yet trusted."""

    @property
    def symbol(self) -> str:
        """The symbol, e.g. ``BTC/USDT``."""
        ...

    @property
    def timeframe(self) -> Timeframe:
        """The span of every candle."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether no market ever made them."""
        ...

    @property
    def description(self) -> str:
        """Who tells them, a venue's name first; the same words each time, for a set that grows."""
        ...

    def batches(
        self, since: Milliseconds | None, until: Milliseconds | None
    ) -> Iterator[RawCandles]:
        """Yield the candles that open at or after ``since`` and close at or before ``until``.

        None: from the source's first, to its last. A candle that is still forming is never among
        them. Raises NewestOnly, after all it has, if the source keeps no candles as old as
        ``since``, and whatever else the source may raise.
        """
        ...


def collected(source: CandleSource) -> CandleSeries:
    """Return all of a source's candles as one series; DataError if it has none or they are unsound."""
    parts = [
        CandleSeries(
            source.symbol,
            source.timeframe,
            batch.open_time,
            batch.open,
            batch.high,
            batch.low,
            batch.close,
            batch.volume,
            source.synthetic,
        )
        for batch in source.batches(None, None)
    ]
    return concatenate(parts)


class NewestOnly(DataError):
    """A source keeps only its newest candles, and older ones were asked for."""
