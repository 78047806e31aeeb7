"""The limits below the agent: each denies what it must, all are evaluated, losses latch over restarts."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.config.loading import load_settings
from adan_core.config.locations import locate
from adan_core.config.settings import Risk
from adan_core.domain.orders import Order, OrderPurpose, OrderStatus, Side
from adan_core.domain.portfolio import PortfolioSnapshot, Position
from adan_core.domain.state import EngineState
from adan_core.domain.time import DAY, HOUR
from adan_core.trading.losses import advance, begin
from adan_core.trading.risk import RiskManager
from adan_core.trading.risk_checks import CHECKS, RiskContext
from tests.trading_market import BTC, CAPITAL, COSTS, ETH, START, Desk, Drafts, rules

MINUTE = 60_000


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> Risk:
    return load_settings(locate(tmp_path_factory.mktemp("home"), {})).settings.risk


def holding(symbol: str = BTC, quantity: float = 5.0, mark: float = 100.0) -> Position:
    return Position(symbol, quantity, 100.0, mark, 0.0, 95.0, 110.0, START)


def account(*positions: Position, equity: float = CAPITAL) -> PortfolioSnapshot:
    worth = sum(one.quantity * one.mark for one in positions)
    return PortfolioSnapshot(
        "SIM", equity - worth, equity, equity, 0.0, 0.0, 0.0, equity, 0.0, positions
    )


def context(limits: Risk) -> RiskContext:
    """Return an entry of 10 % of the account that every limit lets pass."""
    return RiskContext(
        order=Drafts().buy(10.0),
        price=100.0,
        reference=100.0,
        reference_age=0,
        stale_after=MINUTE,
        portfolio=account(),
        pending=(),
        prices={BTC: 100.0, ETH: 100.0},
        rules=rules(),
        limits=limits,
        costs=COSTS,
        smallest_exposure=1.0,
        state=EngineState.RUNNING,
        latched=False,
        messages=0,
        decision_orders=0,
        losses=begin(START, CAPITAL, CAPITAL),
    )


def exit_of(quantity: float) -> Callable[[RiskContext], RiskContext]:
    return lambda one: replace(one, order=Drafts().sell(quantity), portfolio=account(holding()))


def denied(one: RiskContext) -> set[str]:
    return {found.code for check in CHECKS if not (found := check(one)).passed}


def test_a_sound_entry_and_a_sound_exit_pass_every_limit(limits: Risk) -> None:
    assert denied(context(limits)) == set()
    assert denied(exit_of(5.0)(context(limits))) == set()


def pending(
    symbol: str = ETH, quantity: float = 1.0, status: OrderStatus = OrderStatus.INTENT
) -> Order:
    return replace(Drafts().buy(quantity, symbol), client_id="other", status=status)


def order_with(**changes: float) -> Callable[[RiskContext], RiskContext]:
    return lambda one: replace(one, order=replace(one.order, **changes))  # type: ignore[arg-type]


def with_(**changes: object) -> Callable[[RiskContext], RiskContext]:
    return lambda one: replace(one, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("order notional", order_with(quantity=251.0)),  # control 1 and 2
        ("price collar", with_(price=106.0)),  # control 3
        ("price collar", with_(price=94.0)),
        ("price collar", with_(reference=None, reference_age=None)),
        ("reference age", with_(reference_age=MINUTE + 1)),
        ("reference age", with_(reference_age=-1)),
        ("reference age", with_(reference_age=None)),
        ("finite", order_with(quantity=math.nan)),  # control 4
        ("finite", order_with(quantity=math.inf)),
        ("finite", order_with(quantity=0.0)),
        ("finite", order_with(quantity=-1.0)),
        ("finite", order_with(stop_loss=math.nan)),
        ("finite", with_(price=math.nan)),
        ("finite", with_(price=0.0)),
        ("message throttle", with_(messages=30)),  # control 5
        ("open orders", with_(pending=tuple(pending() for _ in range(5)))),  # control 7
        (
            "positions",
            with_(portfolio=account(*(holding(f"C{index}/SIM", 0.1) for index in range(5)))),
        ),
        ("position cap", order_with(quantity=15.1)),
        ("position cap", with_(pending=(pending(BTC, 6.0),))),
        ("position cap", with_(portfolio=account(holding(quantity=6.0)))),
        ("total exposure", with_(portfolio=account(holding(ETH, 66.0)))),
        ("risk per trade", order_with(quantity=15.2)),
        ("risk per trade", order_with(stop_loss=0.0)),
        ("capital tier", with_(portfolio=account(equity=14.0))),
        ("capital tier", with_(rules=replace(rules(), minimum_notional=1e6))),
        ("daily loss", with_(losses=replace(begin(START, 1.0, 1.0), daily_latched=True))),  # 8
        ("drawdown", with_(losses=replace(begin(START, 1.0, 1.0), drawdown_latched=True))),
        ("minimums", order_with(quantity=0.05)),  # control 9
        ("minimums", order_with(quantity=10.0005)),
        ("minimums", with_(rules=replace(rules(), minimum_quantity=11.0))),
        ("one order per decision", with_(decision_orders=1)),  # control 10
        ("state", with_(state=EngineState.HALTED)),  # control 11
        ("state", with_(state=EngineState.REDUCING)),
        ("state", with_(state=EngineState.RECONCILING)),
        ("state", with_(state=EngineState.SAFE_MODE)),
        ("kill latch", with_(latched=True)),
        ("covered sale", exit_of(5.1)),
    ],
)
def test_each_limit_denies_what_it_must(
    limits: Risk, code: str, change: Callable[[RiskContext], RiskContext]
) -> None:
    assert code in denied(change(context(limits)))


@pytest.mark.parametrize("code", ["daily loss", "drawdown"])
def test_an_exit_passes_the_loss_latches_and_reducing(limits: Risk, code: str) -> None:
    lost = replace(begin(START, 1.0, 1.0), daily_latched=True, drawdown_latched=True)
    one = replace(exit_of(5.0)(context(limits)), losses=lost, state=EngineState.REDUCING)
    assert denied(one) == set()
    assert code in denied(replace(context(limits), losses=lost))


def test_a_sale_already_under_way_is_not_sold_again(limits: Risk) -> None:
    one = exit_of(5.0)(context(limits))
    under_way = replace(Drafts().sell(1.0), client_id="other", status=OrderStatus.OPEN)
    assert "covered sale" in denied(replace(one, pending=(under_way,)))
    stop = replace(under_way, purpose=OrderPurpose.STOP_LOSS)
    assert denied(replace(one, pending=(stop,))) == set()


figures = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e308, 1.0])


@given(quantity=figures, price=figures, reference=figures, side=st.sampled_from(Side))
def test_control_04_nothing_that_is_no_number_ever_passes_or_raises(
    limits: Risk, quantity: float, price: float, reference: float, side: Side
) -> None:
    one = context(limits)
    order = replace(one.order, quantity=quantity, side=side)
    checked = [
        check(replace(one, order=order, price=price, reference=reference)) for check in CHECKS
    ]
    assert len(checked) == len(CHECKS)
    sane = quantity == 1.0 and price == 1.0 and reference == 1.0
    if not sane:
        assert not all(one.passed for one in checked)


def manager(desk: Desk, limits: Risk) -> RiskManager:
    return RiskManager(
        limits,
        COSTS,
        1.0,
        MINUTE,
        desk.exchange.rules,
        desk.journal,
        desk.portfolio,
        lambda: desk.latched,
        desk.clock,
    )


def test_the_verdict_lists_every_limit_and_reads_orders_in_flight(
    tmp_path: Path, limits: Risk
) -> None:
    desk = Desk(tmp_path)
    desk.portfolio.deposit(CAPITAL, START, "opening")
    risk, order = manager(desk, limits), desk.drafts.buy(10.0)
    assert not risk.judge(order, 100.0, EngineState.RUNNING).allowed  # no reference yet
    risk.refer(BTC, 100.0)
    verdict = risk.judge(order, 100.0, EngineState.RUNNING)
    assert verdict.allowed
    assert len(verdict.checks) == len({check.code for check in verdict.checks}) == len(CHECKS)
    desk.journal.record_intent(order)
    assert risk.judge(order, 100.0, EngineState.RUNNING).allowed  # it does not count against itself
    again = replace(desk.drafts.buy(10.0), decision_id=order.decision_id)
    codes = {check.code for check in risk.judge(again, 100.0, EngineState.RUNNING).denied_by}
    assert codes == {"position cap", "risk per trade", "one order per decision"}
    desk.clock.advance(MINUTE + 1)
    stale = {check.code for check in risk.judge(order, 100.0, EngineState.RUNNING).denied_by}
    assert stale == {"reference age"}


def test_control_05_the_throttle_forgets_after_a_minute(tmp_path: Path, limits: Risk) -> None:
    desk = Desk(tmp_path)
    risk = manager(desk, limits)
    for _ in range(30):
        risk.count_message()
    assert risk.messages == 30
    desk.clock.advance(MINUTE - 1)
    assert risk.messages == 30
    desk.clock.set(START - HOUR)  # a clock set back changes nothing
    assert risk.messages == 30
    desk.clock.advance(1)
    assert risk.messages == 0


def test_control_08_loss_latches_survive_a_restart_and_only_a_person_lifts_the_drawdown(
    tmp_path: Path, limits: Risk
) -> None:
    desk = Desk(tmp_path)
    risk = manager(desk, limits)
    risk.observe(START, CAPITAL, CAPITAL)
    assert risk.loss_latch == ""
    risk.observe(START + HOUR, CAPITAL * 0.94, CAPITAL)
    assert risk.loss_latch.startswith("daily loss")
    risk = manager(desk, limits)
    assert risk.loss_latch.startswith("daily loss")
    risk.observe(START + 2 * HOUR, CAPITAL, CAPITAL)
    assert risk.loss_latch.startswith("daily loss")  # winning it back does not lift it
    risk.observe(START - DAY, CAPITAL, CAPITAL)
    assert risk.loss_latch.startswith("daily loss")  # nor does a day that went back
    risk.observe(START + DAY, CAPITAL, CAPITAL)
    assert risk.loss_latch == ""
    risk.observe(START + DAY + HOUR, CAPITAL * 0.89, CAPITAL)
    for day in range(2, 5):
        risk.observe(START + day * DAY, CAPITAL, CAPITAL)
        risk = manager(desk, limits)
        assert risk.loss_latch.startswith("drawdown")
    risk.rearm(START + 5 * DAY, CAPITAL, CAPITAL)
    assert risk.loss_latch == ""
    assert manager(desk, limits).loss_latch == ""


@given(
    equities=st.lists(st.floats(1.0, 20_000.0), min_size=1, max_size=30),
    deposit=st.floats(-500.0, 5_000.0),
)
def test_a_deposit_is_neither_profit_nor_loss(equities: list[float], deposit: float) -> None:
    plain = begin(START, 1_000.0, 1_000.0)
    for index, equity in enumerate(equities):
        plain = advance(plain, START + index * HOUR, equity, 1_000.0, 0.05, 0.10)
    moved = advance(
        plain, START + len(equities) * HOUR, plain.equity + deposit, 1_000.0 + deposit, 9.0, 9.0
    )
    assert moved.high == pytest.approx(plain.high + deposit)
    assert moved.drawdown_latched == plain.drawdown_latched


def test_a_slow_fall_over_days_reaches_the_drawdown_latch() -> None:
    state, equity = begin(START, CAPITAL, CAPITAL), CAPITAL
    for day in range(1, 6):
        equity *= 0.975
        state = advance(state, START + day * DAY, equity, CAPITAL, 0.05, 0.10)
        assert not state.daily_latched
    assert state.drawdown_latched
    assert state.drawdown == pytest.approx(1.0 - 0.975**5)
