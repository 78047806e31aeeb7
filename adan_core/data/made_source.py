"""A made market as a source of candles: so many of them, some at a time."""

from collections.abc import Iterator

from adan_core.data.raw import RawCandles
from adan_core.data.synthetic import SimulatedMarket
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import Milliseconds

_BATCH = 65_536


class MadeSource:
    """The first ``count`` candles of a simulated market; always synthetic."""

    synthetic = True

    def __init__(self, market: SimulatedMarket, count: int) -> None:
        self._market = market
        self._count = count

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return self._market.symbol

    @property
    def timeframe(self) -> Timeframe:
        """The span of every candle."""
        return self._market.timeframe

    @property
    def description(self) -> str:
        """What it is and what it was made from."""
        return f"simulated, regimes, seed {self._market.seed}"

    def batches(
        self, since: Milliseconds | None, until: Milliseconds | None
    ) -> Iterator[RawCandles]:
        """Yield the candles from ``since`` to ``until``, as the protocol says."""
        first = 0 if since is None else self._market.index_after(since)
        stop = self._count
        if until is not None:
            stop = min(stop, self._market.index_after(until + 1) - 1)
        for start in range(first, stop, _BATCH):
            yield RawCandles.of(self._market.candles(start, min(_BATCH, stop - start)))
