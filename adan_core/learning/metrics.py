"""What a stretch of trading was worth, in the field's own figures; what cannot be computed is N/A."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.time import DAY, Milliseconds

Floats = NDArray[np.float64]

YEAR: Milliseconds = 365 * DAY

# Shorter than this, compounding to a year says more about the exponent than about the trading.
SHORTEST_FOR_ANNUAL: Milliseconds = 30 * DAY
# A 5 % quantile of fewer returns than this is its smallest value under another name.
FEWEST_FOR_QUANTILE = 20
# A deviation this small beside the mean is rounding noise: every return was the same.
_SAME = 1e-12
_COMPOSITE_WEIGHTS = {
    "sharpe_ratio": 0.4,
    "calmar_ratio": 0.3,
    "profit_factor": 0.2,
    "win_rate": 0.1,
}


class UncomputableError(ValueError):
    """The figure has no value here; the message says why and is shown beside N/A."""


@dataclass(frozen=True, slots=True)
class PerformanceMetrics:
    """The figures of one stretch of trading; None is N/A, and ``unavailable`` says why.

    Conventions (returns are simple returns of equity, bar by bar, after every cost):
    ``total_return``: last equity over first, minus 1. ``log_return``: its logarithm.
    ``annual_return``: compounded to 365 days; N/A below 30 days.
    ``volatility``: sample deviation of bar returns times the root of the bars in 365 days.
    ``sharpe_ratio``: mean over sample deviation (n - 1), risk-free rate 0, annualised by 365 days.
    ``sortino_ratio``: mean over the root of the mean squared negative return (all bars counted,
    target 0), annualised by 365 days.
    ``calmar_ratio``: ``annual_return`` over ``max_drawdown``. ``max_drawdown``: largest fall from a
    peak, as a positive fraction of that peak.
    ``win_rate``: share of closed trades whose money PnL, net of fees, is positive.
    ``profit_factor``: money won by winners over money lost by losers, net of fees.
    ``var_95``: 5 % quantile of bar returns (historical, linear interpolation; a loss is negative);
    ``expected_shortfall``: mean of the bar returns at or below it.
    ``turnover``: quote currency traded over mean equity. ``fees``: quote currency.
    ``exposure``: mean share of equity held in the market at the bars' closes.
    ``trades``: closed round trips; ``trades_per_day`` over calendar time.
    ``composite_score`` in (-1, 1): 0.4 Sharpe, 0.3 Calmar, 0.2 profit factor, 0.1 win rate, the
    ratios squashed by x / (1 + |x|), the profit factor by (p - 1) / (p + 1), the win rate by 2w - 1.
    """

    bars: int
    total_return: float | None
    log_return: float | None
    annual_return: float | None
    volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    var_95: float | None
    expected_shortfall: float | None
    turnover: float | None
    fees: float
    exposure: float | None
    trades: int
    trades_per_day: float | None
    composite_score: float | None
    unavailable: dict[str, str]


def bar_returns(equity: Floats) -> Floats:
    """Return the simple return of each bar, shape (n - 1,); UncomputableError on equity <= 0."""
    if np.any(equity <= 0.0):
        raise UncomputableError("equity fell to zero or below")
    returns: Floats = np.diff(equity) / equity[:-1]
    return returns


def total_return(equity: Floats) -> float:
    """Return last equity over first, minus 1; UncomputableError with fewer than two points."""
    if equity.shape[0] < 2:
        raise UncomputableError("fewer than two points of equity")
    return float(equity[-1] / equity[0] - 1.0)


def max_drawdown(equity: Floats) -> float:
    """Return the largest fall from a running peak as a fraction of it, >= 0."""
    if equity.shape[0] == 0:
        raise UncomputableError("no equity")
    return float(np.max(1.0 - equity / np.maximum.accumulate(equity)))


def annual_return(equity: Floats, years: float) -> float:
    """Return the growth compounded to one year (CAGR, as a fraction)."""
    growth = total_return(equity) + 1.0
    if growth <= 0.0:
        raise UncomputableError("equity fell to zero or below")
    exponent = np.log(growth) / years
    if exponent > 50.0:
        raise UncomputableError("the growth, compounded to a year, is out of all proportion")
    return float(np.expm1(exponent))


def volatility(returns: Floats, periods_per_year: float) -> float:
    """Return the annualised sample deviation; UncomputableError with fewer than two returns."""
    if returns.shape[0] < 2:
        raise UncomputableError("fewer than two returns")
    return float(np.std(returns, ddof=1) * np.sqrt(periods_per_year))


def sharpe_ratio(returns: Floats, periods_per_year: float) -> float:
    """Return mean over sample deviation, annualised (Sharpe 1994; risk-free rate 0)."""
    if returns.shape[0] < 2:
        raise UncomputableError("fewer than two returns")
    mean = float(np.mean(returns))
    deviation = float(np.std(returns, ddof=1))
    if deviation <= _SAME * max(abs(mean), _SAME):
        raise UncomputableError("the returns do not vary")
    return mean / deviation * float(np.sqrt(periods_per_year))


def downside_deviation(returns: Floats, minimum: float = 0.0) -> float:
    """Return the root mean square of the shortfalls below ``minimum``, all returns counted."""
    if returns.shape[0] == 0:
        raise UncomputableError("no returns")
    return float(np.sqrt(np.mean(np.minimum(returns - minimum, 0.0) ** 2)))


def sortino_ratio(returns: Floats, periods_per_year: float) -> float:
    """Return mean over downside deviation, annualised (Sortino & Price 1994; target 0)."""
    if returns.shape[0] < 2:
        raise UncomputableError("fewer than two returns")
    downside = downside_deviation(returns)
    if downside == 0.0:
        raise UncomputableError("no bar lost")
    return float(np.mean(returns)) / downside * float(np.sqrt(periods_per_year))


def calmar_ratio(equity: Floats, years: float) -> float:
    """Return annual return over maximum drawdown (Young 1991)."""
    fall = max_drawdown(equity)
    if fall <= 0.0:
        raise UncomputableError("there was no drawdown")
    return annual_return(equity, years) / fall


def value_at_risk(returns: Floats) -> float:
    """Return the 5 % quantile of the returns (historical, linear interpolation); losses negative."""
    if returns.shape[0] < FEWEST_FOR_QUANTILE:
        raise UncomputableError(f"fewer than {FEWEST_FOR_QUANTILE} returns")
    return float(np.quantile(returns, 0.05))


def expected_shortfall(returns: Floats) -> float:
    """Return the mean of the returns at or below the 5 % quantile (historical); losses negative."""
    return float(np.mean(returns[returns <= value_at_risk(returns)]))


def win_rate(trade_pnl: Floats) -> float:
    """Return the share of closed trades with positive money PnL, in [0, 1]."""
    if trade_pnl.shape[0] == 0:
        raise UncomputableError("no closed trade")
    return float(np.mean(trade_pnl > 0.0))


def profit_factor(trade_pnl: Floats) -> float:
    """Return money won over money lost; UncomputableError where nothing, or next to it, was lost."""
    if trade_pnl.shape[0] == 0:
        raise UncomputableError("no closed trade")
    lost = -float(np.sum(trade_pnl[trade_pnl < 0.0]))
    if lost == 0.0:
        raise UncomputableError("no losing trade")
    factor = float(np.sum(trade_pnl[trade_pnl > 0.0])) / lost
    if not np.isfinite(factor):
        raise UncomputableError("next to nothing was lost")
    return factor


def composite_score(figures: dict[str, float | None]) -> float:
    """Return the weighted score of ``PerformanceMetrics``; UncomputableError if a part is N/A."""
    score = 0.0
    for name, weight in _COMPOSITE_WEIGHTS.items():
        value = figures[name]
        if value is None:
            raise UncomputableError(f"{name} is not available")
        if name == "profit_factor":
            part = (value - 1.0) / (value + 1.0)
        elif name == "win_rate":
            part = 2.0 * value - 1.0
        else:
            part = value / (1.0 + abs(value))
        score += weight * part
    return score


def measure(
    equity: Floats,
    trade_pnl: Floats,
    exposure: Floats,
    traded: float,
    fees: float,
    bar_duration: Milliseconds,
) -> PerformanceMetrics:
    """Return every figure of one equity curve.

    ``equity`` shape (n,) in quote currency at successive closes, the first before any trade;
    ``trade_pnl`` shape (k,), money PnL of the closed trades net of fees; ``exposure`` shape (m,),
    fractions of equity; ``traded`` and ``fees`` in quote currency; ``bar_duration`` in milliseconds.
    """
    duration: Milliseconds = (len(equity) - 1) * bar_duration
    years = duration / YEAR
    per_year = YEAR / bar_duration
    unavailable: dict[str, str] = {}
    figures: dict[str, float | None] = {}

    def add(name: str, compute: Callable[[], float]) -> None:
        try:
            figures[name] = compute()
        except UncomputableError as error:
            figures[name] = None
            unavailable[name] = str(error)

    def over_a_year(compute: Callable[[], float]) -> Callable[[], float]:
        def guarded() -> float:
            if duration < SHORTEST_FOR_ANNUAL:
                raise UncomputableError("less than 30 days of trading")
            return compute()

        return guarded

    def traded_over_mean() -> float:
        if equity.shape[0] < 2:
            raise UncomputableError("fewer than two points of equity")
        return traded / float(np.mean(equity))

    def mean_exposure() -> float:
        if exposure.shape[0] == 0:
            raise UncomputableError("no bar")
        return float(np.mean(exposure))

    def per_day() -> float:
        if duration < DAY:
            raise UncomputableError("less than a day of trading")
        return len(trade_pnl) / (duration / DAY)

    add("total_return", lambda: total_return(equity))
    add("log_return", lambda: float(np.sum(np.log1p(bar_returns(equity)))))
    add("annual_return", over_a_year(lambda: annual_return(equity, years)))
    add("volatility", lambda: volatility(bar_returns(equity), per_year))
    add("sharpe_ratio", lambda: sharpe_ratio(bar_returns(equity), per_year))
    add("sortino_ratio", lambda: sortino_ratio(bar_returns(equity), per_year))
    add("calmar_ratio", over_a_year(lambda: calmar_ratio(equity, years)))
    add("max_drawdown", lambda: max_drawdown(equity))
    add("win_rate", lambda: win_rate(trade_pnl))
    add("profit_factor", lambda: profit_factor(trade_pnl))
    add("var_95", lambda: value_at_risk(bar_returns(equity)))
    add("expected_shortfall", lambda: expected_shortfall(bar_returns(equity)))
    add("turnover", traded_over_mean)
    add("exposure", mean_exposure)
    add("trades_per_day", per_day)
    add("composite_score", lambda: composite_score(figures))
    return PerformanceMetrics(
        bars=len(equity) - 1,
        fees=fees,
        trades=len(trade_pnl),
        unavailable=unavailable,
        **figures,
    )
