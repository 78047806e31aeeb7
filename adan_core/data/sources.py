"""Where candles come from: one protocol for exchanges, files and simulated markets."""

from collections.abc import Iterator
from typing import Protocol

from adan_core.data.raw import RawCandles
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


class NewestOnly(DataError):
    """A source keeps only its newest candles, and older ones were asked for."""
