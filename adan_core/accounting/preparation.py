"""Compiling the kernels an account needs before its first candle, so that none of them stalls it."""

import numpy as np

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    ASKED,
    LOSS_STREAK,
    PORTFOLIO_COLUMNS,
    WIN_RATE,
    execute_at_open,
    open_account,
    portfolio_vector,
    protect_in_candle,
    record_trade,
)
from adan_core.accounting.behaviour import OUT, SETTINGS, modulate
from adan_core.accounting.fills import buy, market_price, sell
from adan_core.accounting.rules import round_down
from adan_core.accounting.sizing import exposure_cap, sized_order, tier_index
from adan_core.accounting.wishes import HELD, follow_wish


def prepare_kernels() -> None:
    """Call each kernel once on a scratch account: compiled on a first start, loaded on later ones."""
    row = np.zeros(ACCOUNT_COLUMNS, dtype=np.float64)
    bounds = np.array([1.0])
    open_account(row, 1000.0)
    cap = exposure_cap(1000.0, bounds, bounds)
    quantity, _ = sized_order(1000.0, 0.0, 100.0, 1.0, cap, 0.1, 0.001, 0.0005, 0.01, 0.01, 10.0)
    market_price(1, 100.0, 0.0005, 0.01)
    execute_at_open(row, quantity, 100.0, 0, 0.001, 0.0005, 0.01, 0.01, 0.01, 0.05, 0.1)
    protect_in_candle(row, 100.0, 101.0, 99.0, 0.001, 0.0005, 0.01)
    record_trade(row[WIN_RATE : LOSS_STREAK + 1], 1.0)
    figures = (0, 1.0, 0.5, 0.0, 0.0, tier_index(1000.0, bounds), 1.0, 0.05, 0.1)
    settings = np.zeros(SETTINGS, dtype=np.float64)
    follow_wish(row[ASKED : ASKED + HELD], settings, *figures, 0.0)
    modulate(settings, *figures, np.empty(OUT))
    portfolio_vector(
        900.0,
        1.0,
        100.0,
        95.0,
        110.0,
        1000.0,
        1000.0,
        cap,
        100.0,
        1.0,
        np.empty(len(PORTFOLIO_COLUMNS)),
    )
    sell(*buy(1000.0, 0.0, 0.0, 1.0, 100.0, 0.0)[:3], 1.0, 100.0, 0.0)
    round_down(1.0, 0.01)
