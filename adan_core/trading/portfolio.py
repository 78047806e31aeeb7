"""The account as the engine sees it: the journal's ledger, valued at the last prices."""

import math
from collections.abc import Mapping

from adan_core.domain.errors import TradingError
from adan_core.domain.orders import Fill, OrderPurpose
from adan_core.domain.portfolio import ClosedTrade, PortfolioSnapshot, Position
from adan_core.domain.snapshot import EquityPoint
from adan_core.domain.time import Milliseconds
from adan_core.trading.journal import Journal

# The identity's two sides are sums of the same figures in another order.
_IDENTITY_TOLERANCE = 1e-9


class PortfolioManager:
    """Cash, positions and PnL; its figures are the journal's, so a restart finds what a crash left."""

    def __init__(self, journal: Journal, quote: str) -> None:
        self._journal = journal
        self._quote = quote
        self._marks: dict[str, float] = {}
        self.reload()

    def reload(self) -> None:
        """Read the ledger again, as after a start or after somebody else wrote to the journal."""
        self._account = self._journal.account()
        self._holdings = {holding.symbol: holding for holding in self._journal.holdings()}
        self._protection = {
            (order.symbol, order.purpose): order.trigger_price
            for order in self._journal.open_orders()
            if order.purpose.protective
        }
        for symbol, holding in self._holdings.items():
            self._marks.setdefault(symbol, holding.mark)
        self._check()

    def deposit(self, amount: float, time: Milliseconds, note: str) -> None:
        """Book money that came in (negative: went out)."""
        self._journal.deposit(amount, time, note)
        self.reload()

    def apply_fill(self, fill: Fill) -> bool:
        """Book one trade once; False if it was known. Raises TradingError if the identity breaks."""
        applied = self._journal.apply_fill(fill)
        if applied:
            self.reload()
        return applied

    def mark(self, prices: Mapping[str, float], time: Milliseconds) -> EquityPoint:
        """Value the positions at ``prices`` (last closes), raise the peak and keep the equity point.

        Raises TradingError if a price is not a positive number or the identity breaks.
        """
        for symbol, price in prices.items():
            if not (math.isfinite(price) and price > 0.0):
                raise TradingError(f"mark of {symbol}: {price}", "a positive price")
        self._marks.update(prices)
        point = EquityPoint(time, self.equity)
        self._journal.history.record_equity(point, self._marks, max(self.peak, point.equity))
        self.reload()
        return point

    @property
    def cash(self) -> float:
        """Free and reserved cash, in quote currency."""
        return self._account.cash

    @property
    def equity(self) -> float:
        """Cash and every position at its mark, in quote currency."""
        return self._account.cash + sum(
            holding.quantity * self._mark(symbol) for symbol, holding in self._holdings.items()
        )

    @property
    def peak(self) -> float:
        """The highest equity at a close so far, moved along by deposits."""
        return self._account.peak

    @property
    def quantities(self) -> dict[str, float]:
        """How much of each symbol is held, in base currency; also symbols not traded any more."""
        return {symbol: holding.quantity for symbol, holding in self._holdings.items()}

    def quantity(self, symbol: str) -> float:
        """Return how much of ``symbol`` is held, in base currency."""
        holding = self._holdings.get(symbol)
        return 0.0 if holding is None else holding.quantity

    def position(self, symbol: str) -> Position | None:
        """Return the position in ``symbol``; None when flat."""
        holding = self._holdings.get(symbol)
        if holding is None:
            return None
        mark = self._mark(symbol)
        return Position(
            symbol=symbol,
            quantity=holding.quantity,
            average_price=holding.average,
            mark=mark,
            unrealised=holding.quantity * (mark - holding.average),
            stop_price=self._protection.get((symbol, OrderPurpose.STOP_LOSS)),
            take_profit_price=self._protection.get((symbol, OrderPurpose.TAKE_PROFIT)),
            opened_at=holding.opened_at,
        )

    def closed_trades(self, limit: int) -> tuple[ClosedTrade, ...]:
        """Return the newest round trips, newest first."""
        return self._journal.history.trades(limit)

    def snapshot(self) -> PortfolioSnapshot:
        """Return the account at this instant; TradingError if it does not add up."""
        self._check()
        positions = tuple(
            position for symbol in sorted(self._holdings) if (position := self.position(symbol))
        )
        equity = self.equity
        peak = max(self.peak, equity)
        return PortfolioSnapshot(
            quote=self._quote,
            cash=self.cash,
            equity=equity,
            deposits=self._account.deposits,
            realised=self._account.realised,
            unrealised=sum(position.unrealised for position in positions),
            fees=self._account.fees,
            peak=peak,
            drawdown=1.0 - equity / peak if peak > 0.0 else 0.0,
            positions=positions,
        )

    def _mark(self, symbol: str) -> float:
        return self._marks.get(symbol, self._holdings[symbol].mark)

    def _check(self) -> None:
        account = self._account
        unrealised = sum(
            holding.quantity * (self._mark(symbol) - holding.average)
            for symbol, holding in self._holdings.items()
        )
        explained = account.deposits + account.realised + unrealised - account.fees
        scale = 1.0 + abs(account.deposits) + abs(account.realised) + account.fees
        if not math.isclose(
            self.equity, explained, rel_tol=_IDENTITY_TOLERANCE, abs_tol=scale * _IDENTITY_TOLERANCE
        ):
            raise TradingError(
                f"equity {self.equity!r}",
                f"deposits + realised + unrealised - fees = {explained!r}",
                "stop trading and compare the journal with the exchange",
            )
