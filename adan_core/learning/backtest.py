"""One account over one series, through the same kernels that the environment and the venue use."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    AVERAGE,
    CASH,
    FEES,
    LAST_FILL,
    LAST_FILL_PRICE,
    LAST_HIT,
    LAST_HIT_PRICE,
    LAST_HIT_QUANTITY,
    OPENED,
    QUANTITY,
    TRADES,
    TURNOVER,
    open_account,
)
from adan_core.accounting.compiled import compiled
from adan_core.accounting.stops import NOT_HIT, STOP_LOSS_HIT, TAKE_PROFIT_HIT
from adan_core.data.series import CandleSeries
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import DataError
from adan_core.domain.portfolio import ClosedTrade
from adan_core.indicators.program import assemble, run_batch
from adan_core.learning.environment_kernel import (
    PORTFOLIO_SIZE,
    step_one,
    write_portfolio,
)
from adan_core.learning.metrics import PerformanceMetrics, measure
from adan_core.learning.segments import Economics, Segment

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SMA_FAST: Final = 50
SMA_SLOW: Final = 200

_REASONS: Final = {NOT_HIT: "signal", STOP_LOSS_HIT: "stop loss", TAKE_PROFIT_HIT: "take profit"}

# Columns of a trade's row.
_ENTERED, _LEFT, _SIZE, _ENTRY, _EXIT, _PNL, _HOW = range(7)


class Decider(Protocol):
    """Whatever answers an observation with an exposure."""

    def decide(self, observation: NDArray[np.float32]) -> PolicyOutput:
        """Return the answer to one observation."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What became of one account.

    ``close_time`` and ``equity`` have shape (n,), the first before any decision; ``targets`` and
    ``exposure`` shape (n - 1,): what was asked for at each close but the last, and the share of
    equity held one candle later. A position still open at the end is valued at the last close, not closed.
    """

    symbol: str
    close_time: Integers
    equity: Floats
    targets: Floats
    exposure: Floats
    trades: tuple[ClosedTrade, ...]
    fees: float
    traded: float
    bar_duration: int

    def metrics(self) -> PerformanceMetrics:
        """Return the figures of the equity curve."""
        pnl = np.array([trade.pnl for trade in self.trades], dtype=np.float64)
        return measure(self.equity, pnl, self.exposure, self.traded, self.fees, self.bar_duration)


@compiled
def _run(
    targets: Floats,
    economics: Floats,
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    row: Floats,
    equity: Floats,
    exposure: Floats,
    trades: Floats,
) -> int:
    """Carry the account through all targets; return how many round trips were closed."""
    closed = 0
    flat_cash = row[CASH]
    for bar in range(targets.shape[0]):
        entered = row[OPENED] if row[QUANTITY] > 0.0 else float(bar + 1)
        held = row[QUANTITY]
        average = row[AVERAGE]
        done = row[TRADES]
        after = bar + 1
        equity[after] = step_one(
            row,
            economics,
            targets[bar],
            closes[bar],
            opens[after],
            highs[after],
            lows[after],
            closes[after],
            after,
        )
        exposure[bar] = row[QUANTITY] * closes[after] / equity[after]
        if row[TRADES] > done:
            hit = row[LAST_HIT]
            if row[LAST_FILL] > 0.0:
                bought = row[LAST_FILL]
                average = (held * average + bought * row[LAST_FILL_PRICE]) / (held + bought)
            trades[closed, _ENTERED] = entered
            trades[closed, _LEFT] = after
            trades[closed, _ENTRY] = average
            trades[closed, _HOW] = hit
            trades[closed, _SIZE] = row[LAST_HIT_QUANTITY] if hit != NOT_HIT else -row[LAST_FILL]
            trades[closed, _EXIT] = row[LAST_HIT_PRICE] if hit != NOT_HIT else row[LAST_FILL_PRICE]
            trades[closed, _PNL] = row[CASH] - flat_cash
            closed += 1
        if row[QUANTITY] == 0.0:
            flat_cash = row[CASH]
    return closed


def run_targets(
    series: CandleSeries, targets: Floats, economics: Economics, capital: float
) -> Backtest:
    """Carry out ``targets``, one per candle but the last, and return what became of ``capital``.

    Target ``i`` (fraction of the cap) is decided at the close of candle ``i`` and filled at the
    next open. DataError if their number does not fit.
    """
    if targets.shape != (max(len(series) - 1, 0),) or len(series) < 2:
        raise DataError(
            f"{targets.shape[0]} targets for {len(series)} candles",
            "two candles or more, and a target for each but the last",
        )
    row = np.zeros(ACCOUNT_COLUMNS, dtype=np.float64)
    open_account(row, capital)
    equity = np.full(len(series), capital, dtype=np.float64)
    exposure = np.zeros(len(targets), dtype=np.float64)
    trades = np.zeros((len(targets), 7), dtype=np.float64)
    count = _run(
        targets,
        economics.as_array(),
        series.open,
        series.high,
        series.low,
        series.close,
        row,
        equity,
        exposure,
        trades,
    )
    close_time = series.open_time + series.timeframe.duration
    return Backtest(
        symbol=series.symbol,
        close_time=close_time,
        equity=equity,
        targets=targets,
        exposure=exposure,
        trades=tuple(_trade(series, trades[index]) for index in range(count)),
        fees=float(row[FEES]),
        traded=float(row[TURNOVER]),
        bar_duration=series.timeframe.duration,
    )


def run_policy(series: CandleSeries, segment: Segment, policy: Decider, capital: float) -> Backtest:
    """Let ``policy`` decide at each close but the last, seeing its own position, and return the run.

    ``segment`` is ``series`` with the normalised state of each candle; DataError if they differ
    in length.
    """
    if len(segment) != len(series):
        raise DataError(f"{len(segment)} states for {len(series)} candles", "one for each")
    figures = segment.economics.as_array()
    cap = segment.economics.cap
    row = np.zeros(ACCOUNT_COLUMNS, dtype=np.float64)
    open_account(row, capital)
    columns = segment.market.shape[1]
    portfolio = np.zeros(PORTFOLIO_SIZE, dtype=np.float64)
    observation = np.zeros(columns + PORTFOLIO_SIZE, dtype=np.float32)
    targets = np.zeros(max(len(series) - 1, 0), dtype=np.float64)
    for bar in range(len(targets)):
        after = bar + 1
        write_portfolio(row, cap, series.close[bar], bar, portfolio)
        observation[:columns] = segment.market[bar]
        observation[columns:] = portfolio
        targets[bar] = policy.decide(observation).target_exposure
        step_one(
            row,
            figures,
            targets[bar],
            series.close[bar],
            series.open[after],
            series.high[after],
            series.low[after],
            series.close[after],
            after,
        )
    # The same targets through the compiled loop give the same account, and its trades.
    return run_targets(series, targets, segment.economics, capital)


def flat_targets(series: CandleSeries) -> Floats:
    """Never hold anything."""
    return np.zeros(max(len(series) - 1, 0), dtype=np.float64)


def buy_and_hold_targets(series: CandleSeries) -> Floats:
    """Hold all that is allowed, from the first candle to the last."""
    return np.ones(max(len(series) - 1, 0), dtype=np.float64)


def sma_cross_targets(series: CandleSeries, start: int = 0) -> Floats:
    """Hold while the mean of 50 closes lies above that of 200, from candle ``start`` on.

    The candles before ``start`` only warm the means up; until they are, nothing is held.
    """
    program = assemble([("simple_mean", (SMA_FAST,)), ("simple_mean", (SMA_SLOW,))])
    means = run_batch(program, series.open, series.high, series.low, series.close, series.volume)
    above = np.where(means[:, 0] > means[:, 1], 1.0, 0.0)
    return above[start : len(series) - 1]


def _trade(series: CandleSeries, row: Floats) -> ClosedTrade:
    duration = series.timeframe.duration
    left = int(series.open_time[int(row[_LEFT])])
    hit = int(row[_HOW])
    return ClosedTrade(
        symbol=series.symbol,
        quantity=float(row[_SIZE]),
        entry_price=float(row[_ENTRY]),
        exit_price=float(row[_EXIT]),
        opened_at=int(series.open_time[int(row[_ENTERED])]),
        # A signal is filled at the open, a protection somewhere inside the candle.
        closed_at=left if hit == NOT_HIT else left + duration,
        pnl=float(row[_PNL]),
        reason=_REASONS[hit],
    )
