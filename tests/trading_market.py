"""A small paper market for tests of trading: two symbols, round figures, a clock that stands still."""

import random
from dataclasses import dataclass, field
from pathlib import Path

from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.orders import Fill, Order, OrderPurpose, Side
from adan_core.domain.time import HOUR, ManualClock
from adan_core.trading.database import Durability
from adan_core.trading.drafts import market_order, new_client_id
from adan_core.trading.exchanges.paper import PAPER, PaperExchange
from adan_core.trading.exchanges.protocol import Acknowledgement
from adan_core.trading.journal import Journal
from adan_core.trading.orders import OrderManager
from adan_core.trading.portfolio import PortfolioManager

BTC = "BTC/SIM"
ETH = "ETH/SIM"
START = 1_704_067_200_000
CAPITAL = 10_000.0
COSTS = Costs(fee_rate=0.001, slippage_rate=0.0005)
HOURLY = Timeframe(HOUR)


def rules(symbol: str = BTC) -> MarketRules:
    """Return plain rules: lots of 0.001, ticks of 0.01, orders from 10 in quote currency."""
    base, quote = symbol.split("/")
    return MarketRules(symbol, base, quote, 0.001, 0.01, 0.001, 10.0)


def candle(
    index: int,
    open_price: float,
    high: float | None = None,
    low: float | None = None,
    close: float | None = None,
) -> Candle:
    """Return the hourly candle ``index``; what is not given equals its open."""
    last = open_price if close is None else close
    top = max(open_price, last) if high is None else high
    bottom = min(open_price, last) if low is None else low
    return Candle(START + index * HOUR, open_price, top, bottom, last, 1.0)


def venue(path: Path, durability: Durability = Durability.OFF) -> PaperExchange:
    """Open a connection to the paper venue in ``path``."""
    return PaperExchange(
        path / "paper.sqlite",
        (rules(BTC), rules(ETH)),
        COSTS,
        HOURLY,
        CAPITAL,
        ManualClock(START),
        durability,
    )


@dataclass(slots=True)
class Drafts:
    """Orders with client ids from a seeded generator."""

    chance: random.Random = field(default_factory=lambda: random.Random(5))
    made: int = 0

    def order(
        self,
        side: Side,
        quantity: float,
        symbol: str = BTC,
        stop_loss: float = 0.0,
        take_profit: float = 0.0,
        purpose: OrderPurpose | None = None,
    ) -> Order:
        """Return a fresh intent: an entry if it buys, else an exit."""
        self.made += 1
        client_id = new_client_id(START + self.made, self.chance.randrange)
        kind = OrderPurpose.ENTRY if side is Side.BUY else OrderPurpose.EXIT
        return market_order(
            client_id,
            f"decision-{self.made}",
            symbol,
            side,
            purpose or kind,
            quantity,
            "test",
            START,
            stop_loss,
            take_profit,
        )

    def buy(self, quantity: float, symbol: str = BTC, protected: bool = True) -> Order:
        """Return an entry, by default with a stop 5 % below and a take-profit 10 % above."""
        stop, target = (0.05, 0.10) if protected else (0.0, 0.0)
        return self.order(Side.BUY, quantity, symbol, stop, target)

    def sell(self, quantity: float, symbol: str = BTC) -> Order:
        """Return an exit."""
        return self.order(Side.SELL, quantity, symbol)


class Desk:
    """Venue, journal, portfolio and order manager over the files in one folder."""

    def __init__(self, path: Path, durability: Durability = Durability.OFF) -> None:
        self.path = path
        self.clock = ManualClock(START)
        self.exchange = venue(path, durability)
        self.journal = Journal(path / "journal.sqlite", PAPER, self.clock, durability)
        self.portfolio = PortfolioManager(self.journal, "SIM")
        self.drafts = Drafts()
        self.latched = False
        self.pauses: list[float] = []
        self.alarms: list[tuple[str, Severity]] = []
        self.orders = OrderManager(
            self.exchange,
            self.journal,
            self.portfolio,
            self.clock,
            self.drafts.chance.randrange,
            lambda: self.latched,
            lambda: None,
            lambda code, severity, _: self.alarms.append((code, severity)),
            self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def step(self, one: Candle, symbol: str = BTC) -> tuple[Fill, ...]:
        """Let one candle pass over the venue and book what it filled."""
        self.exchange.on_candle(symbol, one)
        fills = await self.orders.collect()
        self.portfolio.mark({symbol: one.close}, one.open_time + HOUR)
        return fills

    async def close(self) -> None:
        """Close both files."""
        self.journal.close()
        await self.exchange.close()


class FaultyExchange(PaperExchange):
    """The paper venue behind a wire that can be cut before or after the order has arrived."""

    fault = ""
    sent = 0

    async def submit(self, order: Order) -> Acknowledgement:
        """Send once, through the fault that is set."""
        self.sent += 1
        if self.fault == "dropped before":
            raise TimeoutError("no answer")
        acknowledgement = await super().submit(order)
        if self.fault == "dropped after":
            raise ConnectionResetError("connection reset")
        if self.fault == "empty id":
            return Acknowledgement(order.client_id, "")
        if self.fault == "bug":
            raise ZeroDivisionError("a fault nobody foresaw")
        return acknowledgement


def faulty(path: Path) -> FaultyExchange:
    """Open the venue of ``path`` behind a faulty wire."""
    return FaultyExchange(
        path / "paper.sqlite",
        (rules(BTC), rules(ETH)),
        COSTS,
        HOURLY,
        CAPITAL,
        ManualClock(START),
        Durability.OFF,
    )
