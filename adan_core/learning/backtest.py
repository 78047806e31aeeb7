"""One account over one series, through the same kernels that the environment and the venue use."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from adan_core.accounting.account import (
    ACCOUNT_COLUMNS,
    AVERAGE,
    CASH,
    DENIED,
    EQUITY,
    FEES,
    GIVEN,
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
from adan_core.accounting.purse import Limits, Tape, position_cap, step_purses
from adan_core.accounting.stops import NOT_HIT, STOP_LOSS_HIT, TAKE_PROFIT_HIT
from adan_core.data.series import CandleSeries
from adan_core.domain.decisions import PolicyOutput
from adan_core.domain.errors import DataError
from adan_core.domain.portfolio import ClosedTrade
from adan_core.domain.time import Milliseconds
from adan_core.indicators.program import assemble, run_batch
from adan_core.learning.environment_episodes import PORTFOLIO_SIZE, write_portfolio
from adan_core.learning.metrics import PerformanceMetrics, measure
from adan_core.learning.segments import Economics, Segment, tape_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

UNKNOWN: Final = -1
"""The regime's code where nobody has told it."""

SMA_FAST: Final = 50
SMA_SLOW: Final = 200

_REASONS: Final = {NOT_HIT: "signal", STOP_LOSS_HIT: "stop loss", TAKE_PROFIT_HIT: "take profit"}

# Columns of a trade's row.
_ENTERED, _LEFT, _SIZE, _ENTRY, _EXIT, _PNL, _HOW = range(7)


class Decider(Protocol):
    """Whatever answers an observation with an exposure, asked as ``trading.policy.Policy`` is."""

    def decide(
        self,
        symbol: str,
        close_time: Milliseconds,
        close: float,
        observation: NDArray[np.float32],
        regime: int,
    ) -> PolicyOutput:
        """Return the answer to one observation at one close."""
        ...


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """What an account still holds at the end of a run.

    ``cash`` is the account's, ``spent`` what of it went into this position, fees and funding
    included, negative where a short brought it in; ``close`` the last close, which values it.
    """

    quantity: float
    entry_price: float
    opened_at: int
    cash: float
    spent: float
    close: float


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What became of one account.

    ``close_time`` and ``equity`` have shape (n,), the first before any decision; ``targets`` and
    ``exposure`` shape (n - 1,): what was asked for at each close but the last, and the share of
    equity held one candle later. ``given`` (n - 1,) is what the behaviour engine made of each wish,
    ``denied`` (n - 1,) why it could not be followed: a code of ``sizing.DENIALS``. A position still
    ``open`` at the end is valued at the last close; ``closing_out.closed_out`` sells it, too.
    ``protection`` are the stops that came with the targets, (n - 1,) each, NaN where none did.
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
    given: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    denied: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    open: OpenPosition | None = None
    protection: tuple[Floats, Floats] | None = None

    def metrics(self) -> PerformanceMetrics:
        """Return the figures of the equity curve."""
        pnl = np.array([trade.pnl for trade in self.trades], dtype=np.float64)
        return measure(self.equity, pnl, self.exposure, self.traded, self.fees, self.bar_duration)


@compiled
def _run(
    targets: Floats,
    stop_losses: Floats,
    take_profits: Floats,
    figures: Floats,
    tape: Tape,
    limits: Limits,
    rows: Floats,
    equity: Floats,
    exposure: Floats,
    given: Floats,
    denied: Integers,
    trades: Floats,
) -> int:
    """Carry the account through all targets; return how many round trips were closed."""
    closed = 0
    row = rows[0]
    place = np.zeros((1, 1), dtype=np.int64)
    flat_cash = row[CASH]
    for bar in range(targets.shape[0]):
        after = bar + 1
        entered = row[OPENED] if row[QUANTITY] != 0.0 else float(after)
        held = row[QUANTITY]
        average = row[AVERAGE]
        done = row[TRADES]
        place[0, 0] = bar
        step_purses(
            rows,
            place,
            figures,
            tape,
            limits,
            targets[bar:after],
            stop_losses[bar:after],
            take_profits[bar:after],
            1,
        )
        equity[after] = row[EQUITY]
        exposure[bar] = row[QUANTITY] * tape.close[after] / equity[after]
        given[bar] = row[GIVEN]
        denied[bar] = int(row[DENIED])
        if row[TRADES] > done:
            hit = row[LAST_HIT]
            filled = row[LAST_FILL]
            if filled != 0.0 and held * filled >= 0.0:
                average = (held * average + filled * row[LAST_FILL_PRICE]) / (held + filled)
            trades[closed, _ENTERED] = entered
            trades[closed, _LEFT] = after
            trades[closed, _ENTRY] = average
            trades[closed, _HOW] = hit
            trades[closed, _SIZE] = row[LAST_HIT_QUANTITY] if hit != NOT_HIT else -filled
            trades[closed, _EXIT] = row[LAST_HIT_PRICE] if hit != NOT_HIT else row[LAST_FILL_PRICE]
            trades[closed, _PNL] = row[CASH] - flat_cash
            closed += 1
        if row[QUANTITY] == 0.0:
            flat_cash = row[CASH]
    return closed


def run_targets(
    series: CandleSeries,
    targets: Floats,
    economics: Economics,
    capital: float,
    segment: Segment | None = None,
    protection: tuple[Floats, Floats] | None = None,
) -> Backtest:
    """Carry out ``targets``, one per candle but the last, and return what became of ``capital``.

    Target ``i`` (fraction of the cap; NaN leaves the position as it is) is decided at the close of
    candle ``i`` and filled at the next open. ``segment``, of the same candles, says what was known
    of the market at each close; ``protection`` are the stop-loss and take-profit that came with each
    target, NaN for those of ``economics``. DataError if their number does not fit.
    """
    if targets.shape != (max(len(series) - 1, 0),) or len(series) < 2:
        raise DataError(
            f"{targets.shape[0]} targets for {len(series)} candles",
            "two candles or more, and a target for each but the last",
        )
    if segment is not None and len(segment) != len(series):
        raise DataError(f"{len(segment)} states for {len(series)} candles", "one for each")
    rows = np.zeros((1, ACCOUNT_COLUMNS), dtype=np.float64)
    open_account(rows[0], capital)
    unsaid = np.full(len(targets), np.nan, dtype=np.float64)
    stop_losses, take_profits = (unsaid, unsaid) if protection is None else protection
    equity = np.full(len(series), capital, dtype=np.float64)
    exposure = np.zeros(len(targets), dtype=np.float64)
    given = np.zeros(len(targets), dtype=np.float64)
    denied = np.zeros(len(targets), dtype=np.int64)
    trades = np.zeros((len(targets), 7), dtype=np.float64)
    count = _run(
        targets,
        stop_losses,
        take_profits,
        economics.on(series.timeframe).as_array()[None, :],
        _tape(series, segment),
        economics.limits(),
        rows,
        equity,
        exposure,
        given,
        denied,
        trades,
    )
    close_time = series.open_time + series.timeframe.duration
    closed = tuple(_trade(series, trades[index]) for index in range(count))
    return Backtest(
        symbol=series.symbol,
        close_time=close_time,
        equity=equity,
        targets=targets,
        exposure=exposure,
        trades=closed,
        fees=float(rows[0, FEES]),
        traded=float(rows[0, TURNOVER]),
        bar_duration=series.timeframe.duration,
        given=given,
        denied=denied,
        open=_open(series, rows[0], capital + sum(trade.pnl for trade in closed)),
        protection=protection,
    )


def _open(series: CandleSeries, row: Floats, flat_cash: float) -> OpenPosition | None:
    """Return what is held after the last candle; ``flat_cash`` is what there was before it."""
    if row[QUANTITY] == 0.0:
        return None
    return OpenPosition(
        quantity=float(row[QUANTITY]),
        entry_price=float(row[AVERAGE]),
        opened_at=int(series.open_time[int(row[OPENED])]),
        cash=float(row[CASH]),
        spent=flat_cash - float(row[CASH]),
        close=float(series.close[-1]),
    )


def _tape(series: CandleSeries, segment: Segment | None) -> Tape:
    if segment is not None:
        return segment.tape()
    unknown = np.full(len(series), -1, dtype=np.int8), np.full(len(series), np.nan)
    return tape_of(series.open, series.high, series.low, series.close, *unknown)


def run_policy(series: CandleSeries, segment: Segment, policy: Decider, capital: float) -> Backtest:
    """Let ``policy`` decide at each close but the last, seeing its own position, and return the run.

    ``segment`` is ``series`` with the normalised state of each candle; DataError if they differ
    in length, ConfigurationError for a short where none is allowed.
    """
    if len(segment) != len(series):
        raise DataError(f"{len(segment)} states for {len(series)} candles", "one for each")
    figures = segment.economics.on(series.timeframe).as_array()[None, :]
    limits = segment.economics.limits()
    tape = segment.tape()
    rows = np.zeros((1, ACCOUNT_COLUMNS), dtype=np.float64)
    open_account(rows[0], capital)
    place = np.zeros((1, 1), dtype=np.int64)
    columns = segment.market.shape[1]
    portfolio = np.zeros(PORTFOLIO_SIZE, dtype=np.float64)
    observation = np.zeros(columns + PORTFOLIO_SIZE, dtype=np.float32)
    closes = series.close_time
    wishes = np.full((3, max(len(series) - 1, 0)), np.nan, dtype=np.float64)
    for bar in range(wishes.shape[1]):
        cap = position_cap(rows[0, EQUITY], limits.tiers, segment.economics.cap)
        write_portfolio(rows[0], cap, series.close[bar], bar, portfolio)
        observation[:columns] = segment.market[bar]
        observation[columns:] = portfolio
        regime = int(tape.regime[bar])
        answer = policy.decide(
            series.symbol, int(closes[bar]), float(series.close[bar]), observation, regime
        )
        if answer.target_exposure < 0.0:
            segment.economics.check_sides(answer.target_exposure)
        wishes[:, bar] = (
            answer.target_exposure,
            np.nan if answer.stop_loss is None else answer.stop_loss,
            np.nan if answer.take_profit is None else answer.take_profit,
        )
        place[0, 0] = bar
        asked, stop_loss, take_profit = wishes[:, bar : bar + 1]
        step_purses(rows, place, figures, tape, limits, asked, stop_loss, take_profit, 1)
    # The same wishes through the compiled loop give the same account, and its trades.
    return run_targets(
        series, wishes[0], segment.economics, capital, segment, (wishes[1], wishes[2])
    )


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
