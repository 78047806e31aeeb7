"""Closing at a test's end what is open there: a return that is judged has paid for the way out, too.

A model's account and those it is compared with end in the same way: what is held is sold (what is owed
is bought back) at the last close, with slippage and fee, as one more fill would be.
"""

from dataclasses import replace

from adan_core.accounting.fills import market_price
from adan_core.domain.portfolio import ClosedTrade
from adan_core.learning.backtest import Backtest
from adan_core.learning.segments import Economics

CLOSED_OUT = "what is open at a test's end is closed at its last close, with fee and slippage"
REASON = "end of the test"


def closed_out(run: Backtest, economics: Economics) -> Backtest:
    """Return ``run`` with what is open at its end closed at the last close, under its own costs.

    The last equity, fees, what was traded and the trades change; one that ends flat is returned as
    it is.
    """
    held = run.open
    if held is None:
        return run
    costs, side = economics.costs, -1 if held.quantity > 0.0 else 1
    price = market_price(side, held.close, costs.slippage_rate, economics.rules.tick_size)
    notional = abs(held.quantity) * price
    fee = notional * costs.fee_rate
    received = held.quantity * price - fee
    equity = run.equity.copy()
    equity[-1] = held.cash + received
    trade = ClosedTrade(
        symbol=run.symbol,
        quantity=held.quantity,
        entry_price=held.entry_price,
        exit_price=price,
        opened_at=held.opened_at,
        closed_at=int(run.close_time[-1]),
        pnl=received - held.spent,
        reason=REASON,
    )
    return replace(
        run,
        equity=equity,
        trades=(*run.trades, trade),
        fees=run.fees + fee,
        traded=run.traded + notional,
        open=None,
    )
