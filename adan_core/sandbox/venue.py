"""What every protocol of the sandbox shares: the market, the faults and the record of requests."""

from dataclasses import dataclass, field

from adan_core.domain.candles import Timeframe
from adan_core.domain.time import Milliseconds
from adan_core.sandbox.faults import PAGE_FAULTS, Faults, FaultScript, spoil_page
from adan_core.sandbox.limits import WeightLimiter
from adan_core.sandbox.market import Kline, MarketData
from adan_core.sandbox.requests import RequestRecord

MARK = "X-ADAN-Sandbox"
"""The header of every answer, with the value ``simulated``: none of this comes from an exchange."""


@dataclass(slots=True)
class Venue:
    """The exchange behind its protocols; owned by its own thread, save for ``script``.

    ``script`` may be replaced whole by any thread.
    """

    market: MarketData
    limiter: WeightLimiter
    script: FaultScript = field(default_factory=lambda: FaultScript(Faults()))
    record: RequestRecord = field(default_factory=RequestRecord)

    def page(
        self,
        target: str,
        symbol: str,
        timeframe: Timeframe,
        since: Milliseconds | None,
        until: Milliseconds | None,
        limit: int,
        newest_only: int | None = None,
    ) -> list[Kline]:
        """Answer request ``target`` for candles, spoilt by the page faults that it meets."""
        rows = self.market.klines(symbol, timeframe, since, until, limit, newest_only)
        return spoil_page(rows, self.script.next(PAGE_FAULTS, target))
