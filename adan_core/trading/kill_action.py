"""What a kill does on the exchange: cancel entries, close positions if asked, and read everything back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from adan_core.domain.errors import AdanError, OrderRejected
from adan_core.domain.orders import Order, OrderPurpose, Side
from adan_core.domain.state import KillKind
from adan_core.domain.time import Clock
from adan_core.trading.drafts import is_ours, market_order, new_client_id
from adan_core.trading.exchanges.protocol import Balances, Exchange, Rejection

_LOOKS_BACK = 2
_MISSES = 3
_TOO_SMALL = (Rejection.MINIMUM_QUANTITY, Rejection.MINIMUM_NOTIONAL)


class KillJournal(Protocol):
    """What the kill writes down of the sales that a FLATTEN sends; ``Journal`` is one."""

    def record_intent(self, order: Order) -> None:
        """Write down an order that is about to be sent."""
        ...

    def mark_sending(self, client_id: str) -> None:
        """Write down that the order leaves now."""
        ...

    def acknowledge(self, client_id: str, exchange_id: str) -> None:
        """The exchange took the order on."""
        ...

    def reject(self, client_id: str, code: str) -> None:
        """The order does not exist, for certain."""
        ...

    def unknown(self, client_id: str, reason: str) -> None:
        """The order may exist."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What one attempt achieved, as read back; ``done`` only if nothing is left to do."""

    done: bool
    entries_left: int
    protection_standing: int
    positions_left: int | None
    detail: str


def _entry(order: Order) -> bool:
    return is_ours(order.client_id) and order.purpose is OrderPurpose.ENTRY


def _protective(order: Order) -> bool:
    return is_ours(order.client_id) and order.purpose.protective


def _held(exchange: Exchange, balances: Balances) -> dict[str, float]:
    """Return every holding but the purse by its symbol, also where the symbol is not traded any more."""
    quotes = {exchange.rules(symbol).quote for symbol in exchange.symbols}
    quote = next(iter(quotes), "")
    symbols = {exchange.rules(symbol).base: symbol for symbol in exchange.symbols}
    return {
        symbols.get(one.currency, f"{one.currency}/{quote}"): one.total
        for one in balances.holdings
        if one.currency not in quotes and one.total > 0.0
    }


class KillAction:
    """One connection and the memory of one kill across its attempts; used by the kill thread alone."""

    def __init__(
        self,
        connect: Callable[[], Exchange],
        open_journal: Callable[[], KillJournal],
        clock: Clock,
        random_below: Callable[[int], int],
    ) -> None:
        self._connect = connect
        self._open_journal = open_journal
        self._clock = clock
        self._random_below = random_below
        self._connection: Exchange | None = None
        self._journal: KillJournal | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what stood guard, what was sold and what was dust; only once a person has re-armed.

        A second request must not be confirmed merely because the stops were lost before it.
        """
        self._guards: set[tuple[str, OrderPurpose]] = set()
        self._sales: dict[str, Order] = {}
        self._misses: dict[str, int] = {}
        self._dust: dict[str, float] = {}

    def warm(self) -> Exchange:
        """Return the connection, opening it on first use."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    async def close(self) -> None:
        """Let go of exchange and journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        await self.disconnect()

    async def disconnect(self) -> None:
        """Let go of the exchange alone, so that the next attempt connects afresh."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def attempt(self, kind: KillKind) -> Findings:
        """Do what is left to do once and say what the exchange then shows."""
        exchange = self.warm()
        listed = await exchange.open_orders()
        self._guards |= {(order.symbol, order.purpose) for order in listed if _protective(order)}
        for order in listed:
            if _entry(order):
                await exchange.cancel(order.client_id)
        if kind is KillKind.FLATTEN:
            return await self._flatten(exchange)
        return await self._halted(exchange)

    async def _halted(self, exchange: Exchange) -> Findings:
        listed: tuple[Order, ...] = ()
        held: dict[str, float] = {}
        entries, standing, unguarded = 0, 0, list[str]()
        for _ in range(_LOOKS_BACK):
            listed = await exchange.open_orders()
            held = _held(exchange, await exchange.balances())
            guarding = {(order.symbol, order.purpose) for order in listed if _protective(order)}
            entries = sum(_entry(order) for order in listed)
            standing = sum(_protective(order) for order in listed)
            unguarded = [
                f"{symbol} has lost its {purpose}"
                for symbol, purpose in sorted(self._guards - guarding)
                if held.get(symbol, 0.0) > 0.0
            ]
            if entries or unguarded:
                break
        bare = [
            f"{symbol} is held without a stop-loss order"
            for symbol in held
            if (symbol, OrderPurpose.STOP_LOSS) not in self._guards
        ]
        exits = sum(
            is_ours(order.client_id) and not _entry(order) and not _protective(order)
            for order in listed
        )
        detail = f"no entry order left, {standing} protective orders standing"
        if entries:
            detail = f"{entries} entry orders are still listed"
        if exits:
            detail += f"; {exits} orders that close positions were left to do so"
        return Findings(
            done=not entries and not unguarded,
            entries_left=entries,
            protection_standing=standing,
            positions_left=None,
            detail="; ".join([detail, *unguarded, *bare]),
        )

    async def _flatten(self, exchange: Exchange) -> Findings:
        waiting = [
            note
            for symbol, quantity in _held(exchange, await exchange.balances()).items()
            if (note := await self._sell(exchange, symbol, quantity))
        ]
        await self._cancel_what_guards_nothing(exchange)
        left: dict[str, float] = {}
        listed: tuple[Order, ...] = ()
        ours: list[Order] = []
        for _ in range(_LOOKS_BACK):
            listed = await exchange.open_orders()
            held = _held(exchange, await exchange.balances())
            ours = [
                order
                for order in listed
                if is_ours(order.client_id)
                and not (_protective(order) and order.symbol in held and order.symbol in self._dust)
            ]
            left = {one: much for one, much in held.items() if much != self._dust.get(one)}
            if ours or left:
                break
        notes = [
            *waiting,
            *(f"{much:g} {one} is too small to sell" for one, much in self._dust.items()),
        ]
        if not left and not ours:
            notes.insert(0, "flat, no order left")
        elif not waiting:
            notes.insert(0, f"{len(left)} positions and {len(ours)} orders are still listed")
        return Findings(
            done=not left and not ours,
            entries_left=sum(_entry(order) for order in ours),
            protection_standing=sum(_protective(order) for order in listed),
            positions_left=len(left),
            detail="; ".join(notes),
        )

    async def _cancel_what_guards_nothing(self, exchange: Exchange) -> None:
        """Cancel our orders in symbols that are held no more; what is held keeps its protection."""
        held = _held(exchange, await exchange.balances())
        for order in await exchange.open_orders():
            if is_ours(order.client_id) and order.symbol not in held:
                await exchange.cancel(order.client_id)

    async def _sell(self, exchange: Exchange, symbol: str, quantity: float) -> str:
        """See to it that a sale of the whole position is on its way; say what is waited for."""
        if quantity == self._dust.get(symbol):
            return ""
        if symbol not in exchange.symbols:
            return (
                f"{symbol}: {quantity:g} is held and cannot be sold, since it is not among "
                "market.symbols; its protection stands; start ADAN with it among them to sell it"
            )
        selling = sum(
            order.quantity - order.filled
            for order in await exchange.open_orders()
            if order.symbol == symbol and order.side is Side.SELL and not order.purpose.protective
        )
        if selling > 0.0:
            return (
                f"{symbol}: the sale is with the exchange and not filled yet (paper: next candle)"
            )
        if not await self._settled(exchange, symbol):
            return f"{symbol}: the last sale's outcome is not certain; looking again before another"
        return await self._send_sale(exchange, symbol, quantity)

    async def _settled(self, exchange: Exchange, symbol: str) -> bool:
        """Whether the last sale of the symbol, if any, is over: terminal, or absent after several looks."""
        sale = self._sales.get(symbol)
        if sale is None:
            return True
        seen = await exchange.order(sale.client_id)
        if seen is None:
            self._misses[symbol] = self._misses.get(symbol, 0) + 1
            return self._misses[symbol] >= _MISSES
        return seen.status.terminal

    async def _send_sale(self, exchange: Exchange, symbol: str, quantity: float) -> str:
        if self._journal is None:
            self._journal = self._open_journal()
        now = self._clock.now()
        client_id = new_client_id(now, self._random_below)
        order = market_order(
            client_id,
            f"flatten-{now}",
            symbol,
            Side.SELL,
            OrderPurpose.FLATTEN,
            quantity,
            "kill",
            now,
        )
        self._journal.record_intent(order)
        self._journal.mark_sending(client_id)
        self._sales[symbol] = order
        self._misses[symbol] = 0
        try:
            acknowledgement = await exchange.submit(order)
            self._journal.acknowledge(client_id, acknowledgement.exchange_id)
        except OrderRejected as rejection:
            self._journal.reject(client_id, rejection.code)
            del self._sales[symbol]
            if rejection.code in _TOO_SMALL:
                self._dust[symbol] = quantity
                return ""
            return f"{symbol}: the sale was rejected ({rejection})"
        except (AdanError, OSError, TimeoutError) as failure:
            self._journal.unknown(client_id, str(failure))
            return f"{symbol}: the sale's outcome is not certain ({failure})"
        return f"{symbol}: the sale of {quantity:g} was sent (paper: fills with the next candle)"
