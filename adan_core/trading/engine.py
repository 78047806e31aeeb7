"""The engine: one candle in, fills booked, one decision per symbol out, below hard limits.

It is driven by one thread and keeps no clock of its own. At the close of each candle it follows the
sequence of ``accounting.account.step_account``, so that the same actions over the same candles give
the same equity as in the learning environment and the backtest.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from adan_core.accounting.fills import market_price
from adan_core.accounting.sizing import DENIALS, exposure_cap, sized_order
from adan_core.data.live_check import Comparison
from adan_core.data.normaliser import Normaliser
from adan_core.data.series import CandleSeries
from adan_core.data.state import observation_hash
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.candles import ClosedCandles
from adan_core.domain.decisions import (
    Decision,
    RiskVerdict,
)
from adan_core.domain.errors import AdanError, DataError, ModelError, SystemFailure
from adan_core.domain.market import Regime
from adan_core.domain.orders import Order, OrderPurpose, Side
from adan_core.domain.state import EngineState
from adan_core.domain.time import SECOND, Clock, Milliseconds
from adan_core.trading.behaviour import DynamicBehaviorEngine, Given
from adan_core.trading.checkpoint import EngineCheckpoint, load_checkpoint, save_checkpoint
from adan_core.trading.desk import Desk
from adan_core.trading.doubt import MarketDoubt
from adan_core.trading.engine_view import EngineView, thinned
from adan_core.trading.explanation import explained_action
from adan_core.trading.journal import Journal
from adan_core.trading.orders import OrderManager
from adan_core.trading.policy import Policy
from adan_core.trading.portfolio import PortfolioManager
from adan_core.trading.risk import RiskManager
from adan_core.trading.settlement import Settlement, Venue
from adan_core.trading.terms import KillFact, Sizing
from adan_core.trading.witness import Witness

ERRORS_TO_SAFE_MODE: Final = 3
_REGIMES: Final = tuple(Regime)
_SHOWN = 40


class TradingEngine:
    """Turns candles into decisions and decisions into orders; every dependency is passed in."""

    def __init__(
        self,
        *,
        desks: Sequence[Desk],
        policy: Policy,
        behaviour: DynamicBehaviorEngine,
        normaliser: Normaliser,
        sizing: Sizing,
        journal: Journal,
        portfolio: PortfolioManager,
        orders: OrderManager,
        risk: RiskManager,
        venue: Venue,
        doubt: MarketDoubt,
        kill: KillFact,
        clock: Clock,
        alarm: Alarm,
        config_hash: str,
        witness: Witness | None = None,
    ) -> None:
        self._desks = {desk.symbol: desk for desk in desks}
        self._policy = policy
        self._behaviour = behaviour
        self._normaliser = normaliser
        self.sizing = sizing
        self._journal = journal
        self._portfolio = portfolio
        self._orders = orders
        self._risk = risk
        self._settlement = Settlement(self._desks, venue, orders, portfolio)
        self._doubt = doubt
        self._kill = kill
        self._clock = clock
        self._alarm = alarm
        self.config_hash = config_hash
        self._witness = witness
        self._state = EngineState.IDLE
        self._reason = ""
        self._errors = 0
        self._loss_told = False
        self._market_time: Milliseconds | None = None
        self._received_at: Milliseconds | None = None
        self._decisions: deque[Decision] = deque(journal.history.decisions(_SHOWN), maxlen=_SHOWN)
        saved = load_checkpoint(journal)
        self._closes: dict[str, Milliseconds] = {}
        self._valued_at: Milliseconds = 0
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: EngineCheckpoint) -> None:
        self._valued_at = saved.close_time
        self._closes = saved.closes or dict.fromkeys(self._desks, saved.close_time)
        for symbol, count in saved.held.items():
            if symbol in self._desks:
                self._desks[symbol].held = count
        self._behaviour.restore(saved.behaviour_memory())
        if saved.policy_of == self._policy.model_id:
            self._policy.restore(saved.policy_memory())

    @property
    def resumes_after(self) -> Milliseconds | None:
        """The newest close that was settled; None before the first."""
        return max(self._closes.values(), default=None)

    @property
    def closes(self) -> dict[str, Milliseconds]:
        """Each symbol's newest close that was settled; a symbol never seen is absent."""
        return {symbol: close for symbol, close in self._closes.items() if symbol in self._desks}

    @property
    def flat(self) -> bool:
        """Whether nothing is held and no order is unsettled."""
        return not self._portfolio.snapshot().positions and not self._journal.non_terminal_orders()

    def serve(self, policy: Policy, normaliser: Normaliser | None) -> None:
        """Let another policy decide from the next candle on; None keeps the normaliser."""
        self._policy = policy
        self._normaliser = normaliser or self._normaliser

    async def rearmed(self) -> None:
        """A person has typed the word: lift loss latches and doubts, reconcile before anything is sent."""
        account = self._portfolio.snapshot()
        self._risk.rearm(self._market_time or self._clock.now(), account.equity, account.deposits)
        self._doubt.lift()
        self._errors = 0
        await self.reconcile()

    def warm(self, history: Sequence[CandleSeries]) -> None:
        """Let past candles into states and regimes; no decision is taken on them."""
        self._enter(EngineState.WARMING, "reading past candles")
        for desk in self._desks.values():
            desk.prepare()
        for series in history:
            self._desks[series.symbol].warm(series)

    async def reconcile(self) -> bool:
        """Compare the journal with the exchange; only a clean report lets trading begin.

        With the kill latch on, the engine is HALTED whatever the outcome. Returns whether it was clean.
        """
        self._enter(EngineState.RECONCILING, "comparing the journal with the exchange")
        report = await self._orders.reconcile()
        if report.clean:
            self._errors = 0
            self._resume()
            return True
        why = "; ".join(report.details)
        self._enter(EngineState.RECONCILING, why)
        self._alarm("reconcile", Severity.CRITICAL, f"journal and exchange disagree: {why}")
        return False

    async def on_candles(self, closed: ClosedCandles) -> None:
        """Take in the candles that closed at one instant: fills, marks, then decisions.

        Candles that could not be settled before are taken in first, and nothing is decided until
        all are; nor on candles that are only to be settled. Errors are counted by the reaction they
        ask for: bad data is skipped, a machine that fails halts, and three in a row of anything else
        mean SAFE_MODE.
        """
        self._market_time = max(closed.close_time, self._market_time or 0)
        self._received_at = self._clock.now() - closed.age
        self._look_at_kill()
        try:
            self._settlement.queue(closed)
            while self._settlement.behind:
                settled = await self._settlement.settle()
                for symbol, candle in settled.candles:
                    desk = self._desks[symbol]
                    desk.push(candle, settled.close_time)
                    if self._witness is not None:
                        self._witness.candle(symbol, candle, settled.close_time, desk.reading)
                    self._closes[symbol] = settled.close_time
                self._value(settled)
                if self._settlement.behind:
                    self._save()
            deciding = (EngineState.RUNNING, EngineState.REDUCING, EngineState.HALTED)
            if self._state in deciding and not closed.settle_only:
                for symbol, _ in closed.candles:
                    await self._decide(symbol, closed.close_time)
            self._save()
        except SystemFailure as error:
            self._enter(EngineState.HALTED, str(error))
            self._alarm("machine", Severity.CRITICAL, f"halted: {error}")
        except (DataError, ModelError) as error:
            self._count(error, Severity.WARNING)
        except AdanError as error:
            self._count(error, Severity.CRITICAL)
        else:
            self._errors = 0

    def _value(self, closed: ClosedCandles) -> None:
        """Mark the account at the closes and let the loss limits look at it.

        The account's time goes on where one symbol's candle comes after another's later one.
        """
        for symbol, candle in closed.candles:
            self._risk.refer(symbol, candle.close, closed.age)
        at = self._valued_at = max(closed.close_time, self._valued_at)
        self._portfolio.mark({symbol: candle.close for symbol, candle in closed.candles}, at)
        account = self._portfolio.snapshot()
        self._risk.observe(at, account.equity, account.deposits)
        latched = self._risk.loss_latch
        if latched and not self._loss_told:
            self._alarm("loss limit", Severity.CRITICAL, latched)
        self._loss_told = bool(latched)

    async def _decide(self, symbol: str, close_time: Milliseconds) -> None:
        began = self._clock.monotonic()
        desk = self._desks[symbol]
        if desk.market is None or desk.reading is None:
            return
        equity = self._portfolio.equity
        cap = exposure_cap(equity, self.sizing.lower_bounds, self.sizing.caps)
        vector = desk.portfolio_vector(
            self._portfolio.position(symbol),
            self._portfolio.cash,
            equity,
            self._portfolio.peak,
            cap,
        )
        state = desk.state(close_time, desk.market, vector)
        observation = state.validate().to_tensor(self._normaliser)
        regime = _REGIMES.index(desk.reading.regime)
        output = self._policy.decide(symbol, close_time, desk.close, observation, regime)
        if self._witness is not None:
            self._witness.decided(symbol, desk.market, regime, output)
        quantity = self._portfolio.quantity(symbol)
        held = quantity * desk.close / (equity * cap) if equity > 0.0 and cap > 0.0 else 0.0
        given = self._behaviour.give(
            symbol,
            close_time,
            desk.reading,
            equity,
            self._portfolio.peak,
            quantity,
            output,
            self.sizing,
        )
        behaviour = None if output.abstained else self._behaviour.reading(symbol)
        order_quantity, denied = sized_order(
            equity,
            quantity,
            desk.close,
            given.target,
            cap,
            self.sizing.band,
            self.sizing.costs.fee_rate,
            self.sizing.costs.slippage_rate,
            desk.rules.lot_step,
            desk.rules.minimum_quantity,
            desk.rules.minimum_notional,
        )
        decision_id = f"{close_time}-{symbol}"
        order = self._draft(decision_id, desk, order_quantity, given)
        verdict = None if order is None else self._judge(order, desk)
        sent = order is not None and verdict is not None and verdict.allowed
        decision = Decision(
            decision_id=decision_id,
            time=close_time,
            action=explained_action(
                symbol, output, desk.reading, order, verdict, cap, held, behaviour, DENIALS[denied]
            ),
            regime=desk.reading.regime,
            verdict=verdict,
            order_ids=(order.client_id,) if order is not None and sent else (),
            observation_hash=observation_hash(observation),
            model_id=self._policy.model_id,
            config_hash=self.config_hash,
            latency=(self._clock.monotonic() - began) * SECOND,
            behaviour=behaviour,
        )
        with self._journal.transaction():
            if self._journal.history.decision(decision_id) is None:
                self._journal.history.record_decision(decision)
                self._decisions.appendleft(decision)
            if order is not None and sent:
                self._journal.record_intent(order)
        if order is not None and sent:
            await self._orders.submit(order)

    def _judge(self, order: Order, desk: Desk) -> RiskVerdict:
        """Compare the order, at the price it is expected to trade at, with every limit."""
        price = market_price(
            1 if order.side is Side.BUY else -1,
            desk.close,
            self.sizing.costs.slippage_rate,
            desk.rules.tick_size,
        )
        return self._risk.judge(order, price, self._state)

    def _draft(self, decision_id: str, desk: Desk, quantity: float, given: Given) -> Order | None:
        if quantity == 0.0:
            return None
        entry = quantity > 0.0
        return self._orders.draft(
            decision_id=decision_id,
            symbol=desk.symbol,
            side=Side.BUY if entry else Side.SELL,
            purpose=OrderPurpose.ENTRY if entry else OrderPurpose.EXIT,
            quantity=abs(quantity),
            stop_loss=given.stop_loss if entry else 0.0,
            take_profit=given.take_profit if entry else 0.0,
        )

    def _save(self) -> None:
        held = {symbol: desk.held for symbol, desk in self._desks.items() if desk.held}
        if self._witness is not None:
            self._witness.finish()
        with self._journal.transaction():
            save_checkpoint(
                self._journal,
                self._valued_at,
                held,
                self._closes,
                self._policy.model_id,
                self._policy.memory(),
                self._behaviour.memory(),
            )
            if self._witness is not None:
                self._witness.save()

    def sources_compared(self, comparison: Comparison) -> None:
        """Take in how far two sources of one candle are apart; doubt turns RUNNING into REDUCING.

        Once they agree again REDUCING turns back into RUNNING; no other state is left for either.
        """
        self._doubt.compare(comparison)
        self._look_at_doubt()

    def _look_at_doubt(self) -> None:
        doubt = self._doubt.reason
        if doubt and self._state in (EngineState.RUNNING, EngineState.REDUCING):
            self._enter(EngineState.REDUCING, doubt)
        elif self._state is EngineState.REDUCING:
            self._enter(EngineState.RUNNING, "")

    def _resume(self) -> None:
        """Go to RUNNING; to REDUCING where prices are in doubt, to HALTED where a kill says so."""
        self._enter(EngineState.RUNNING, "")
        self._look_at_doubt()
        self._look_at_kill()

    def _look_at_kill(self) -> None:
        """Halt where the kill switch is engaged; only a reconciliation leads out of HALTED again."""
        if self._kill.engaged:
            self._enter(EngineState.HALTED, "the kill switch is latched")
        elif self._state is EngineState.RUNNING:
            warming = any(desk.market is None for desk in self._desks.values())
            self._reason = "indicators are warming up; no decision yet" if warming else ""

    def _count(self, error: AdanError, severity: Severity) -> None:
        self._errors += 1
        self._alarm(type(error).__name__, severity, str(error))
        if self._errors >= ERRORS_TO_SAFE_MODE:
            self._enter(EngineState.SAFE_MODE, f"{self._errors} errors in a row: {error}")
            self._alarm(
                "safe mode",
                Severity.CRITICAL,
                f"SAFE_MODE after {self._errors} errors in a row; no new orders: {error}",
            )

    def _enter(self, state: EngineState, reason: str) -> None:
        self._state = state
        self._reason = reason

    def view(self) -> EngineView:
        """Return everything a screen shows of trading, frozen."""
        latched = self._risk.loss_latch if self._state is EngineState.RUNNING else ""
        prices = (desk.price() for desk in self._desks.values())
        return EngineView(
            state=EngineState.HALTED if self._kill.engaged else self._state,
            reason="; ".join(part for part in (self._reason, latched) if part),
            portfolio=self._portfolio.snapshot(),
            prices=tuple(price for price in prices if price is not None),
            regimes=tuple(
                (symbol, desk.reading)
                for symbol, desk in self._desks.items()
                if desk.reading is not None
            ),
            decisions=tuple(self._decisions),
            orders=self._journal.orders(_SHOWN),
            fills=self._journal.fills(_SHOWN),
            trades=self._portfolio.closed_trades(_SHOWN),
            equity_curve=thinned(self._journal.history.equity_curve()),
            market_time=self._market_time,
            received_at=self._received_at,
        )
