"""The pre-trade limits: small pure functions, every one evaluated for every order.

Each compares a figure with a limit so that a NaN on either side denies. Limits on what an order
adds do not apply to one that only shrinks exposure: a person must always be able to get out.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from adan_core.accounting.rules import round_down
from adan_core.config.risk_tiers import Tier, tier_at, untradable
from adan_core.config.settings import Risk
from adan_core.domain.decisions import RiskCheck
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.orders import Order, Side
from adan_core.domain.portfolio import PortfolioSnapshot
from adan_core.domain.state import EngineState
from adan_core.domain.time import Milliseconds
from adan_core.trading.losses import LossState

# A share computed from its own limit may exceed it by binary rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RiskContext:
    """Everything the limits look at; prices in quote currency.

    ``price`` is what the order is expected to trade at, ``reference`` the newest price known from
    the market and ``reference_age`` how old it is. ``pending`` are the orders not yet terminal,
    counted from their INTENT, without this one; ``prices`` the last closes. ``messages`` counts
    submits, cancels and changes of the last minute, ``decision_orders`` the orders that this
    order's decision has given so far.
    """

    order: Order
    price: float
    reference: float | None
    reference_age: Milliseconds | None
    stale_after: Milliseconds
    portfolio: PortfolioSnapshot
    pending: tuple[Order, ...]
    prices: Mapping[str, float]
    rules: MarketRules
    limits: Risk
    costs: Costs
    smallest_exposure: float
    state: EngineState
    latched: bool
    messages: int
    decision_orders: int
    losses: LossState

    @property
    def held(self) -> float:
        """The quantity held of the order's symbol."""
        return sum(
            position.quantity
            for position in self.portfolio.positions
            if position.symbol == self.order.symbol
        )

    @property
    def saleable(self) -> float:
        """The quantity held and not already being sold by a pending order."""
        return self.held - sum(
            order.quantity - order.filled
            for order in self.pending
            if order.symbol == self.order.symbol
            and order.side is Side.SELL
            and not order.purpose.protective
        )

    @property
    def shrinks(self) -> bool:
        """Whether the order can only make the exposure smaller."""
        return self.order.side is Side.SELL and self.order.quantity <= self.saleable

    @property
    def tier(self) -> Tier | None:
        """The capital tier of the account; None below the lowest."""
        return tier_at(self.limits.tiers, self.portfolio.equity)

    def entering(self, symbol: str) -> float:
        """Return the notional that pending buys would add to ``symbol``; NaN without a price."""
        return sum(
            (order.quantity - order.filled) * self.prices.get(symbol, math.nan)
            for order in self.pending
            if order.symbol == symbol and order.side is Side.BUY
        )

    def exposure(self, symbol: str) -> float:
        """Return the notional of ``symbol`` if every pending buy and this order fill."""
        held = sum(
            position.quantity * position.mark
            for position in self.portfolio.positions
            if position.symbol == symbol
        )
        ordered = self.order.quantity * self.price if symbol == self.order.symbol else 0.0
        return held + self.entering(symbol) + ordered

    @property
    def symbols(self) -> set[str]:
        """The symbols held, being entered, or of this order."""
        return (
            {position.symbol for position in self.portfolio.positions}
            | {order.symbol for order in self.pending if order.side is Side.BUY}
            | {self.order.symbol}
        )


def _shrinks(code: str) -> RiskCheck:
    return RiskCheck(code, passed=True, found="shrinks exposure", limit="applies to entries")


def _share(code: str, found: float, limit: float) -> RiskCheck:
    return RiskCheck(
        code, found <= limit * (1.0 + _ROUNDING), f"{found:.4%}", f"at most {limit:.4%}"
    )


def _limited(
    code: str, context: RiskContext, found: Callable[[], float], limit: Callable[[Tier], float]
) -> RiskCheck:
    """Compare a share of equity with the tier's; entries alone are held to it."""
    tier, equity = context.tier, context.portfolio.equity
    if context.shrinks:
        return _shrinks(code)
    if tier is None or not equity > 0.0:
        return RiskCheck(code, passed=False, found=f"equity {equity:g}", limit="a capital tier")
    return _share(code, found() / equity, limit(tier))


def finite(context: RiskContext) -> RiskCheck:
    """Control 4: quantity and price are positive numbers, protection fractions are fractions."""
    order = context.order
    passed = (
        math.isfinite(order.quantity)
        and math.isfinite(context.price)
        and order.quantity > 0.0
        and context.price > 0.0
        and 0.0 <= order.stop_loss < 1.0
        and 0.0 <= order.take_profit < math.inf
    )
    found = f"{order.quantity!r} at {context.price!r}, protection {order.stop_loss!r}/{order.take_profit!r}"
    return RiskCheck("finite", passed, found, "finite, positive quantity and price")


def kill_latch(context: RiskContext) -> RiskCheck:
    """Control 11: nothing leaves while the kill latch is set."""
    found = "latched" if context.latched else "armed"
    return RiskCheck("kill latch", not context.latched, found, "armed")


def engine_state(context: RiskContext) -> RiskCheck:
    """Control 11: RUNNING passes everything, REDUCING only what shrinks exposure, others nothing."""
    passed = context.state is EngineState.RUNNING or (
        context.state is EngineState.REDUCING and context.shrinks
    )
    return RiskCheck(
        "state", passed, context.state.value, "RUNNING, or REDUCING to shrink exposure"
    )


def order_notional(context: RiskContext) -> RiskCheck:
    """Controls 1 and 2: one entry's value; an exit is bounded by what is held."""
    if context.shrinks:
        return _shrinks("order notional")
    notional, limit = context.order.quantity * context.price, context.limits.max_order_notional
    return RiskCheck("order notional", notional <= limit, f"{notional:.2f}", f"at most {limit:.2f}")


def collar(context: RiskContext) -> RiskCheck:
    """Control 3: the expected price lies near the reference."""
    limit = context.limits.price_collar
    if context.reference is None or not context.reference > 0.0:
        return RiskCheck("price collar", passed=False, found="no reference", limit=f"{limit:.2%}")
    return _share("price collar", abs(context.price / context.reference - 1.0), limit)


def reference_age(context: RiskContext) -> RiskCheck:
    """Control 3: the reference is not stale; a time from the future is as wrong as an old one."""
    age, limit = context.reference_age, context.stale_after
    passed = age is not None and 0 <= age <= limit
    found = "no reference" if age is None else f"{age} ms old"
    return RiskCheck("reference age", passed, found, f"0 to {limit} ms")


def throttle(context: RiskContext) -> RiskCheck:
    """Control 5: submits, cancels and changes of the last minute, this order included."""
    count, limit = context.messages + 1, context.limits.max_orders_per_minute
    return RiskCheck("message throttle", count <= limit, f"{count} a minute", f"at most {limit}")


def tier_trades(context: RiskContext) -> RiskCheck:
    """Entries need a capital tier that trades at the venue's minimum notional."""
    if context.shrinks:
        return _shrinks("capital tier")
    tier, equity = context.tier, context.portfolio.equity
    lowest = context.limits.tiers[0].lower
    if tier is None:
        return RiskCheck(
            "capital tier", passed=False, found=f"{equity:.2f}", limit=f"from {lowest:g}"
        )
    closed = untradable(
        context.limits.tiers, context.rules.minimum_notional, context.smallest_exposure
    )
    return RiskCheck(
        "capital tier", tier.name not in closed, tier.name, closed.get(tier.name, "trades")
    )


def open_orders(context: RiskContext) -> RiskCheck:
    """Control 7: entries not yet settled, counted from their INTENT, this order included."""
    if context.shrinks:
        return _shrinks("open orders")
    count = 1 + sum(order.side is Side.BUY for order in context.pending)
    limit = 0 if context.tier is None else context.tier.positions
    return RiskCheck("open orders", count <= limit, f"{count}", f"at most {limit}")


def positions(context: RiskContext) -> RiskCheck:
    """Control 7: symbols held or being entered at once."""
    if context.shrinks:
        return _shrinks("positions")
    count, limit = len(context.symbols), 0 if context.tier is None else context.tier.positions
    return RiskCheck("positions", count <= limit, f"{count}", f"at most {limit}")


def position_cap(context: RiskContext) -> RiskCheck:
    """Control 7: the symbol's share of equity, in-flight entries counted."""
    return _limited(
        "position cap",
        context,
        lambda: context.exposure(context.order.symbol),
        lambda tier: tier.position_cap,
    )


def total_exposure(context: RiskContext) -> RiskCheck:
    """Control 7: the share of equity in all symbols together, in-flight entries counted."""
    return _limited(
        "total exposure",
        context,
        lambda: sum(context.exposure(symbol) for symbol in context.symbols),
        lambda tier: tier.total_exposure,
    )


def risk_per_trade(context: RiskContext) -> RiskCheck:
    """The loss if the whole position is stopped out, costs of both sides included; without a stop, all."""
    stop = context.order.stop_loss if context.order.stop_loss > 0.0 else 1.0
    loss = stop + 2.0 * (context.costs.fee_rate + context.costs.slippage_rate)
    return _limited(
        "risk per trade",
        context,
        lambda: context.exposure(context.order.symbol) * loss,
        lambda tier: tier.risk_per_trade,
    )


def daily_loss(context: RiskContext) -> RiskCheck:
    """Control 8: entries stop for the rest of the market's UTC day."""
    if context.shrinks:
        return _shrinks("daily loss")
    found = f"{context.losses.daily_loss:.4%}" + (" (latched)" * context.losses.daily_latched)
    limit = "less than the tier's daily loss, not reached today"
    return RiskCheck("daily loss", not context.losses.daily_latched, found, limit)


def drawdown(context: RiskContext) -> RiskCheck:
    """Control 8: entries stop until a person re-arms."""
    if context.shrinks:
        return _shrinks("drawdown")
    found = f"{context.losses.drawdown:.4%}" + (" (latched)" * context.losses.drawdown_latched)
    limit = "less than the tier's drawdown, not reached since the last re-arming"
    return RiskCheck("drawdown", not context.losses.drawdown_latched, found, limit)


def minimums(context: RiskContext) -> RiskCheck:
    """Control 9: after rounding the order is in whole lots and large enough for the venue."""
    rules, quantity = context.rules, context.order.quantity
    whole = math.isfinite(quantity) and math.isclose(
        round_down(quantity, rules.lot_step), quantity, rel_tol=1e-12, abs_tol=1e-6 * rules.lot_step
    )
    all_of_it = context.order.side is Side.SELL and quantity == context.held
    passed = (
        (whole or all_of_it)
        and quantity >= rules.minimum_quantity
        and quantity * context.price >= rules.minimum_notional
    )
    limit = f"lots of {rules.lot_step:g}, at least {rules.minimum_quantity:g} and {rules.minimum_notional:g}"
    return RiskCheck("minimums", passed, f"{quantity!r}, {quantity * context.price:.8g}", limit)


def one_order_per_decision(context: RiskContext) -> RiskCheck:
    """Control 10: a decision gives one order."""
    count = context.decision_orders + 1
    return RiskCheck("one order per decision", count <= 1, f"{count}", "1")


def covered_sale(context: RiskContext) -> RiskCheck:
    """Spot, long or flat: no more is sold than is held and not being sold already."""
    if context.order.side is Side.BUY:
        return RiskCheck("covered sale", passed=True, found="a buy", limit="applies to sales")
    limit = f"at most {context.saleable!r}"
    return RiskCheck("covered sale", context.shrinks, f"{context.order.quantity!r}", limit)


CHECKS: Final[tuple[Callable[[RiskContext], RiskCheck], ...]] = (
    finite,
    kill_latch,
    engine_state,
    order_notional,
    collar,
    reference_age,
    throttle,
    tier_trades,
    open_orders,
    positions,
    position_cap,
    total_exposure,
    risk_per_trade,
    daily_loss,
    drawdown,
    minimums,
    one_order_per_decision,
    covered_sale,
)
