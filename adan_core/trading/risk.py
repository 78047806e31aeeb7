"""The limits below the agent: what it counts, what it latches, and its verdict on each order."""

from collections import deque
from collections.abc import Callable

from adan_core.config.risk_tiers import tier_at
from adan_core.config.settings import Risk
from adan_core.domain.decisions import RiskVerdict
from adan_core.domain.errors import SystemFailure
from adan_core.domain.market import Costs, MarketRules
from adan_core.domain.orders import Order
from adan_core.domain.state import EngineState
from adan_core.domain.time import SECOND, Clock, Milliseconds
from adan_core.trading.journal import Journal
from adan_core.trading.losses import LOSSES_SCHEMA_VERSION, LossState, advance, begin
from adan_core.trading.portfolio import PortfolioManager
from adan_core.trading.risk_checks import CHECKS, RiskContext

_WINDOW_SECONDS = 60.0
_KEY = "losses"


class RiskManager:
    """Holds the limits in force, the message throttle and the loss latches (kept in the journal).

    ``smallest_exposure`` is the smallest share of a position cap the agent asks for, ``stale_after``
    the age (ms) from which a reference price is too old to trade on, ``latched`` the kill switch's
    word, ``rules`` the exchange's. ``limits`` may be replaced while running.
    """

    def __init__(
        self,
        limits: Risk,
        costs: Costs,
        smallest_exposure: float,
        stale_after: Milliseconds,
        rules: Callable[[str], MarketRules],
        journal: Journal,
        portfolio: PortfolioManager,
        latched: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.limits = limits
        self._stale_after = stale_after
        self._rules = rules
        self._portfolio = portfolio
        self._latched = latched
        self._references: dict[str, tuple[float, float]] = {}
        self._costs = costs
        self._smallest_exposure = smallest_exposure
        self._journal = journal
        self._clock = clock
        self._messages: deque[float] = deque()
        self._losses = journal.history.load(_KEY, LossState)
        if self._losses is not None and self._losses.schema_version != LOSSES_SCHEMA_VERSION:
            raise SystemFailure(
                f"the loss latches have schema version {self._losses.schema_version}",
                f"{LOSSES_SCHEMA_VERSION}",
                "run the version of ADAN that wrote them",
            )

    def take_on(self, limits: Risk, costs: Costs, stale_after: Milliseconds) -> None:
        """Hold orders to new limits from now on; the caller has seen to it that none was loosened."""
        self.limits = limits
        self._costs = costs
        self._stale_after = stale_after

    def count_message(self) -> None:
        """Count one submit, cancel or change that leaves for the exchange; a kill's are exempt."""
        self._messages.append(self._clock.monotonic())

    @property
    def messages(self) -> int:
        """How many messages left within the last minute of the monotonic clock."""
        oldest = self._clock.monotonic() - _WINDOW_SECONDS
        while self._messages and self._messages[0] <= oldest:
            self._messages.popleft()
        return len(self._messages)

    @property
    def loss_latch(self) -> str:
        """Why entries are stopped by a loss; empty while they are not."""
        if self._losses is None:
            return ""
        if self._losses.drawdown_latched:
            return f"drawdown {self._losses.drawdown:.2%} reached the limit; entries stop until re-armed"
        if self._losses.daily_latched:
            return f"daily loss {self._losses.daily_loss:.2%} reached the limit; entries stop until tomorrow"
        return ""

    def observe(self, time: Milliseconds, equity: float, deposits: float) -> LossState:
        """Take in the account's value at a close (market time) and keep the latches durably."""
        if self._losses is None:
            state = begin(time, equity, deposits)
        else:
            tier = tier_at(self.limits.tiers, equity) or self.limits.tiers[0]
            state = advance(
                self._losses, time, equity, deposits, tier.daily_loss, tier.max_drawdown
            )
        if state != self._losses:
            self._journal.history.save(_KEY, state)
        self._losses = state
        return state

    def rearm(self, time: Milliseconds, equity: float, deposits: float) -> None:
        """Lift both loss latches, durably; only on a person's typed word, which the caller checked."""
        state = begin(time, equity, deposits)
        self._journal.history.save(_KEY, state)
        self._losses = state

    def refer(self, symbol: str, price: float, age: Milliseconds = 0) -> None:
        """Take in the newest market price of ``symbol``, ``age`` old; orders are held against it."""
        self._references[symbol] = (price, self._clock.monotonic() - age / SECOND)

    def judge(self, order: Order, price: float, state: EngineState) -> RiskVerdict:
        """Compare ``order``, expected to trade at ``price``, with every limit and return them all.

        It passes only if each one does. In-flight orders are read from the journal.
        """
        snapshot = self._portfolio.snapshot()
        reference, seen = self._references.get(order.symbol, (None, 0.0))
        age = None if reference is None else round((self._clock.monotonic() - seen) * SECOND)
        losses = self._losses or begin(self._clock.now(), snapshot.equity, snapshot.deposits)
        context = RiskContext(
            order=order,
            price=price,
            reference=reference,
            reference_age=age,
            stale_after=self._stale_after,
            portfolio=snapshot,
            pending=tuple(
                one
                for one in self._journal.non_terminal_orders()
                if one.client_id != order.client_id
            ),
            prices={symbol: known for symbol, (known, _) in self._references.items()},
            rules=self._rules(order.symbol),
            limits=self.limits,
            costs=self._costs,
            smallest_exposure=self._smallest_exposure,
            state=state,
            latched=self._latched(),
            messages=self.messages,
            decision_orders=sum(
                one.client_id != order.client_id and not one.purpose.protective
                for one in self._journal.orders_of_decision(order.decision_id)
            ),
            losses=losses,
        )
        checks = tuple(check(context) for check in CHECKS)
        return RiskVerdict(all(check.passed for check in checks), checks)
