"""Orders on their way: written down first, sent once, and looked up whenever the outcome is not certain."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.errors import AdanError, OrderRejected, SystemFailure, TradingError
from adan_core.domain.orders import Fill, Order, OrderPurpose, OrderStatus, Side
from adan_core.domain.time import Clock
from adan_core.trading.drafts import is_ours, market_order, new_client_id
from adan_core.trading.exchanges.protocol import CancelOutcome, Exchange
from adan_core.trading.journal import ABSENT, NOT_SENT, Journal
from adan_core.trading.portfolio import PortfolioManager

_LOOKS = 3
_LOOK_SPACING_SECONDS = 1.0
_BALANCE_TOLERANCE = 1e-9

_FAILURES = (AdanError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What comparing the journal with the exchange found; only a ``clean`` one lets orders leave.

    ``foreign`` are client or trade ids of the account that are not ours and were left alone.
    """

    clean: bool
    foreign: tuple[str, ...]
    details: tuple[str, ...]


class OrderManager:
    """The only sender of orders; lives on the trading thread's loop."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        portfolio: PortfolioManager,
        clock: Clock,
        random_below: Callable[[int], int],
        latched: Callable[[], bool],
        count_message: Callable[[], None],
        alarm: Alarm,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._portfolio = portfolio
        self._clock = clock
        self._random_below = random_below
        self._latched = latched
        self._count_message = count_message
        self._alarm = alarm
        self._pause = pause
        self._sending: set[asyncio.Task[Order]] = set()
        self._foreign: dict[str, None] = {}
        # Per order whose outcome is unknown: looks that found nothing, and when the last one was.
        self._missed: dict[str, tuple[int, float]] = {}

    @property
    def foreign(self) -> tuple[str, ...]:
        """Orders and trades seen on the account that are not ours, oldest first."""
        return tuple(self._foreign)

    def draft(
        self,
        decision_id: str,
        symbol: str,
        side: Side,
        purpose: OrderPurpose,
        quantity: float,
        reason: str = "",
        stop_loss: float = 0.0,
        take_profit: float = 0.0,
    ) -> Order:
        """Return the intent of a market order under a fresh client id; nothing is recorded yet."""
        now = self._clock.now()
        client_id = new_client_id(now, self._random_below)
        return market_order(
            client_id,
            decision_id,
            symbol,
            side,
            purpose,
            quantity,
            reason,
            now,
            stop_loss,
            take_profit,
        )

    async def submit(self, order: Order) -> Order:
        """Write the intent down, send it once and return the order as the journal then holds it.

        An intent that the caller has recorded already, with its decision, is not recorded again. A
        caller that is cancelled does not stop the sending. Raises SystemFailure, and sends nothing,
        if the journal cannot be written; SystemFailure, once the order is UNKNOWN, if the machine
        fails while it is being sent; TradingError if the kill latch is set.
        """
        if self._journal.order(order.client_id) is None:
            self._journal.record_intent(order)
        task = asyncio.create_task(self._send(order))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until every sending under way has been written down; before closing."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, order: Order) -> Order:
        if self._latched():
            self._journal.reject(order.client_id, NOT_SENT)
            raise TradingError(f"order {order.client_id} not sent", "no kill latch", "re-arm first")
        self._journal.mark_sending(order.client_id)
        self._count_message()
        settled = False
        try:
            acknowledgement = await self._exchange.submit(order)
            if acknowledgement.exchange_id:
                self._journal.acknowledge(order.client_id, acknowledgement.exchange_id)
                settled = True
        except OrderRejected as rejection:
            self._journal.reject(order.client_id, rejection.code)
            settled = True
            self._alarm(
                "order rejected", Severity.WARNING, f"{_named(order)} was rejected: {rejection}"
            )
        except SystemFailure as failure:
            # The machine fails: the engine halts, whatever becomes of the order.
            self._doubt(order, str(failure))
            settled = True
            raise
        except _FAILURES as failure:
            self._doubt(order, str(failure) or type(failure).__name__)
            settled = True
        finally:
            # Whatever else happened, a cancelled loop included: the order may exist.
            if not settled:
                self._doubt(order, "no certain answer")
        if self._latched() and not order.purpose.protective:
            # The latch fell while the order was on the wire, and the kill may have looked before it landed.
            await self._cancel_entry(order)
        return self._require(order.client_id)

    def _doubt(self, order: Order, why: str) -> None:
        """Mark an order as one that may or may not exist, and say so."""
        if not self._journal.poisoned:
            status = self._require(order.client_id).status
            if status.terminal:
                return
            if status is not OrderStatus.UNKNOWN:
                self._journal.unknown(order.client_id, why)
        self._alarm(
            "order unknown",
            Severity.CRITICAL,
            f"the outcome of {_named(order)} is unknown; it is looked up, never sent again: {why}",
        )

    async def _cancel_entry(self, order: Order) -> None:
        if order.purpose is not OrderPurpose.ENTRY:
            return
        try:
            await self.cancel(order.client_id)
        except _FAILURES as failure:
            self._doubt(order, f"kill while sending; cancel failed: {failure}")

    async def cancel(self, client_id: str) -> Order:
        """Cancel one order and return it as the exchange then shows it; fills are booked first.

        Raises RetryableError or TradingError if the exchange does not answer; the order then
        stands as it stood until somebody has looked.
        """
        self._count_message()
        outcome = await self._exchange.cancel(client_id)
        if outcome is CancelOutcome.NOT_OPEN:
            await self.collect()
        seen = await self._exchange.order(client_id)
        if seen is not None:
            self._journal.follow(seen)
        return self._require(client_id)

    async def cancel_entries(self) -> int:
        """Cancel every entry order that stands, leave all others, and return how many there were."""
        standing = [
            order for order in self._journal.open_orders() if order.purpose is OrderPurpose.ENTRY
        ]
        for order in standing:
            await self.cancel(order.client_id)
        return len(standing)

    async def collect(self) -> tuple[Fill, ...]:
        """Book every new trade, bring open orders up to date, and return the trades that were new."""
        fresh = await self._exchange.fills_since(self._journal.cursor())
        applied: list[Fill] = []
        for fill in fresh:
            known = await self._adopt(fill.client_id)
            with self._journal.transaction():
                if known and self._portfolio.apply_fill(fill):
                    applied.append(fill)
                self._journal.set_cursor(int(fill.trade_id))
        unsettled = self._journal.non_terminal_orders()
        if applied or unsettled:
            await self._follow(unsettled)
            await self._look_for_the_unknown()
            self._portfolio.reload()
        return tuple(applied)

    async def _adopt(self, client_id: str) -> bool:
        """Make the journal know the order of a trade if it is ours; say whether it is."""
        if self._journal.order(client_id) is not None:
            return True
        seen = await self._exchange.order(client_id)
        if seen is None or not self._ours(client_id):
            self._foreign[client_id] = None
            return False
        self._journal.follow(seen)
        return True

    def _ours(self, client_id: str) -> bool:
        """Whether the journal holds the order, or the entry that the venue's protection belongs to."""
        return self._journal.order(client_id) is not None or (
            is_ours(client_id) and self._journal.order(client_id[:-1]) is not None
        )

    async def _follow(self, unsettled: tuple[Order, ...]) -> None:
        standing = {order.client_id: order for order in await self._exchange.open_orders()}
        with self._journal.transaction():
            for order in standing.values():
                if not self._ours(order.client_id):
                    self._foreign[order.client_id] = None
                elif not _same(order, self._journal.order(order.client_id)):
                    self._journal.follow(order)
        for order in unsettled:
            if order.status is OrderStatus.OPEN and order.client_id not in standing:
                await self._look(order)

    async def _look_for_the_unknown(self) -> None:
        """Look once for every order of unknown outcome whose turn it is; nobody is kept waiting.

        As in ``resolve``, several looks that are spaced in time and find nothing mean that it is absent.
        """
        now = self._clock.monotonic()
        unknown = [
            order
            for order in self._journal.non_terminal_orders()
            if order.status is OrderStatus.UNKNOWN
        ]
        missed = self._missed
        self._missed = {}
        for order in unknown:
            looks, last = missed.get(order.client_id, (0, now - _LOOK_SPACING_SECONDS))
            if now - last < _LOOK_SPACING_SECONDS:
                self._missed[order.client_id] = (looks, last)
            elif await self._look(order):
                continue
            elif looks + 1 < _LOOKS:
                self._missed[order.client_id] = (looks + 1, now)
            else:
                self._journal.reject(order.client_id, ABSENT)
                self._alarm(
                    "order absent",
                    Severity.WARNING,
                    f"{_named(order)} never reached the exchange; it is not sent again",
                )

    async def _look(self, order: Order) -> bool:
        """Take over the exchange's view of one order; False if the exchange does not know it."""
        seen = await self._exchange.order(order.client_id)
        if seen is None:
            return False
        if order.status is OrderStatus.INTENT:
            self._journal.mark_sending(order.client_id)
        self._journal.follow(seen)
        return True

    async def resolve(self, order: Order) -> bool:
        """Find out what became of an order whose outcome is not certain; False if it stays so.

        It counts as absent only after several looks spaced in time, and is never sent again.
        """
        if order.status is OrderStatus.SENDING:
            self._journal.unknown(order.client_id, "the process ended while it was being sent")
            order = replace(order, status=OrderStatus.UNKNOWN)
        for look in range(_LOOKS):
            if look:
                await self._pause(_LOOK_SPACING_SECONDS)
            if await self._look(order):
                return True
            if order.status is OrderStatus.INTENT:
                self._journal.reject(order.client_id, NOT_SENT)
                return True
        if order.status is OrderStatus.UNKNOWN:
            self._journal.reject(order.client_id, ABSENT)
            return True
        return False

    async def reconcile(self) -> ReconcileReport:
        """Compare journal and exchange: look up every unsettled order, book trades, compare balances.

        The first reconciliation of an empty journal books what the account holds as its opening
        deposit. Nothing is sent. Raises RetryableError if the exchange does not answer.
        """
        self._foreign.clear()
        balances = await self._exchange.balances()
        quote = self._exchange.rules(self._exchange.symbols[0]).quote
        if not self._journal.opened:
            self._portfolio.deposit(balances.total(quote), self._clock.now(), "opening balance")
        details: list[str] = []
        unsettled = self._journal.non_terminal_orders()
        await self.collect()
        for order in unsettled:
            now = self._require(order.client_id)
            if now.status.terminal or now.status is OrderStatus.OPEN:
                continue
            if not await self.resolve(now):
                details.append(f"order {order.client_id} is {now.status} and cannot be found")
        # An order that was found may have traded; and the book is listed whatever we expect in it.
        await self.collect()
        await self._follow(self._journal.non_terminal_orders())
        self._portfolio.reload()
        details += [
            f"order {order.client_id} is open here and unknown to the exchange"
            for order in self._journal.open_orders()
            if await self._exchange.order(order.client_id) is None
        ]
        details += [f"foreign order or trade {foreign}, left alone" for foreign in self._foreign]
        details += await self._drift(quote)
        details += [
            f"{symbol} is held ({quantity:g}) but not among market.symbols: add it back and restart "
            "ADAN; once it is sold (`adan-core kill --flatten`) it can be taken out"
            for symbol, quantity in self._portfolio.quantities.items()
            if symbol not in self._exchange.symbols
        ]
        return ReconcileReport(not details, self.foreign, tuple(details))

    async def _drift(self, quote: str) -> list[str]:
        balances = await self._exchange.balances()
        expected = {quote: self._portfolio.cash}
        for symbol, quantity in self._portfolio.quantities.items():
            expected[symbol.partition("/")[0]] = quantity
        for held in balances.holdings:
            expected.setdefault(held.currency, 0.0)
        return [
            f"{currency}: the journal holds {figure!r}, the exchange {balances.total(currency)!r}"
            for currency, figure in expected.items()
            if abs(figure - balances.total(currency)) > _BALANCE_TOLERANCE * max(1.0, abs(figure))
        ]

    def _require(self, client_id: str) -> Order:
        order = self._journal.order(client_id)
        if order is None:
            raise TradingError(f"order {client_id}", "an order of this journal")
        return order


def _named(order: Order) -> str:
    return f"order {order.client_id} ({order.side} {order.quantity:g} {order.symbol})"


def _same(seen: Order, known: Order | None) -> bool:
    """Whether the journal shows what the exchange shows of an order that can change."""
    return known is not None and (
        (seen.status, seen.exchange_id, seen.quantity, seen.trigger_price)
        == (known.status, known.exchange_id, known.quantity, known.trigger_price)
    )
