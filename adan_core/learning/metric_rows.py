"""The figures of a performance in the order they are shown, each with the convention behind it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One figure: ``key`` is a field of ``PerformanceMetrics``, ``form`` how it is written."""

    label: str
    key: str
    form: str
    convention: str


METRICS: Final = (
    MetricRow("total return", "total_return", "+.2%", "last equity over first, minus 1"),
    MetricRow("log-return", "log_return", "+.4f", "logarithm of last equity over first"),
    MetricRow(
        "annual return", "annual_return", "+.2%", "compounded to 365 days; N/A below 30 days"
    ),
    MetricRow(
        "Sharpe",
        "sharpe_ratio",
        "+.2f",
        "mean over sample deviation of candle returns, risk-free rate 0, annualised by 365 days",
    ),
    MetricRow(
        "Sortino",
        "sortino_ratio",
        "+.2f",
        "mean over root mean squared negative return, all candles counted, target 0, by 365 days",
    ),
    MetricRow(
        "Calmar",
        "calmar_ratio",
        "+.2f",
        "annual return (365 days) over max drawdown; N/A below 30 days",
    ),
    MetricRow(
        "max drawdown", "max_drawdown", ".2%", "largest fall from a peak, as a share of the peak"
    ),
    MetricRow("win rate", "win_rate", ".1%", "share of closed trades that won money, net of fees"),
    MetricRow(
        "profit factor",
        "profit_factor",
        ".2f",
        "money won by winners over money lost by losers, net of fees",
    ),
    MetricRow(
        "VaR 95 (a candle)",
        "var_95",
        "+.3%",
        "5 % quantile of candle returns, historical, linear interpolation; a loss is negative",
    ),
    MetricRow(
        "expected shortfall",
        "expected_shortfall",
        "+.3%",
        "mean of the candle returns at or below it",
    ),
    MetricRow("turnover", "turnover", ".1f", "quote currency traded over mean equity"),
    MetricRow("fees", "fees", ",.2f", "quote currency paid"),
    MetricRow("exposure", "exposure", ".1%", "mean share of equity held at the candle closes"),
    MetricRow("trades", "trades", "d", "closed round trips"),
    MetricRow("trades a day", "trades_per_day", ".2f", "over calendar time"),
    MetricRow(
        "composite score",
        "composite_score",
        "+.3f",
        "0.4 Sharpe + 0.3 Calmar + 0.2 profit factor + 0.1 win rate, each brought to -1 to 1",
    ),
)
