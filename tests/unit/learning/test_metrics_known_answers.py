"""Every published figure that can be had from ADAN's own, to the digits given; what cannot is named."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adan_core.learning import metrics
from adan_core.learning.metrics import Floats, UncomputableError
from adan_core.learning.statistics import shape_of
from tests.support import shared_data

PER_YEAR = {"daily": 252.0, "weekly": 52.0, "monthly": 12.0}
TARGET = 0.005
"""The monthly return that Bacon's tables of shortfalls are held to."""


def known(folder: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (shared_data() / "known_answers" / folder / name).read_text()
    )
    return content


def equity_of(returns: Floats) -> Floats:
    growth: Floats = np.concatenate(([1.0], 1.0 + returns))
    return np.multiply.accumulate(growth)


def empyrical_figure(case: dict[str, Any], series: dict[str, Floats]) -> object:
    """Return ADAN's answer to one case; empyrical compounds a missing return as none at all."""
    arguments = case["args"]
    returns = series[arguments["returns"]]
    equity = equity_of(np.nan_to_num(returns))
    per_year = PER_YEAR[arguments.get("period", "daily")]
    years = len(returns) / per_year
    capital = arguments.get("starting_value", 0)
    free = arguments.get("risk_free", 0.0)
    excess = returns - (series[free] if isinstance(free, str) else free)
    present = excess[~np.isnan(excess)]
    answers: dict[str, Callable[[], object]] = {
        "cum_returns": (equity[1:] * capital if capital else equity[1:] - 1.0).tolist,
        "cum_returns_final": lambda: (
            (metrics.total_return(equity) + 1.0) * capital or metrics.total_return(equity)
        ),
        "max_drawdown": lambda: -metrics.max_drawdown(equity),
        "annual_return": lambda: metrics.annual_return(equity, years),
        "annual_volatility": lambda: metrics.volatility(present, per_year),
        "calmar_ratio": lambda: metrics.calmar_ratio(equity, years),
        "sharpe_ratio": lambda: metrics.sharpe_ratio(present, per_year),
    }
    return answers[case["function"]]()


def test_every_case_of_empyrical_is_answered_alike() -> None:
    content = known("empyrical", "empyrical_cases.json")
    series = {
        name: np.array(one["values"], dtype=np.float64) for name, one in content["series"].items()
    }
    answered: Counter[str] = Counter()
    for case in content["cases"]:
        expected = case["expected"]
        try:
            found = empyrical_figure(case, series)
        except UncomputableError:
            found = None
        if not len(series[case["args"]["returns"]]):
            continue  # an account without a candle has no equity to ask about
        if expected is None or expected == "inf" or (expected == [] and found == []):
            assert found is None, case
        else:
            # Five places are given, and some of the tables cut the rest off.
            assert found == pytest.approx(expected, abs=1.1e-5, rel=1e-9), case
        answered[case["function"]] += 1
    assert answered == {
        "max_drawdown": 7,
        "sharpe_ratio": 7,
        "cum_returns_final": 4,
        "calmar_ratio": 4,
        "cum_returns": 3,
        "annual_volatility": 4,
        "annual_return": 3,
    }


def bacon(own: Floats, benchmark: Floats) -> dict[str, Callable[[], float]]:
    """Return what ADAN makes of Bacon's portfolio: figures of its own, and published ones made of them."""
    shape, months = shape_of(own), float(len(own))
    growth = metrics.annual_return(equity_of(own), months / 12.0)
    ratio = growth / metrics.volatility(own, 12.0)
    below = metrics.downside_deviation(own, TARGET)
    benchmark_below = metrics.downside_deviation(benchmark, TARGET)
    above = metrics.downside_deviation(-own, -TARGET)
    root = math.sqrt(12.0)
    sample_excess = (
        ((months + 1.0) * shape.kurtosis - 3.0 * (months - 1.0))
        * (months - 1.0)
        / ((months - 2.0) * (months - 3.0))
    )
    sample_three = 3.0 * (months - 1.0) ** 2 / ((months - 2.0) * (months - 3.0))
    return {
        "DownsideDeviation(portfolio_bacon[,1], MAR)": lambda: below,
        'UpsideRisk(portfolio_bacon[,1], MAR, stat="risk")': lambda: above,
        'VolatilitySkewness(portfolio_bacon[,1], MAR, stat="volatility")': (
            lambda: (above / below) ** 2
        ),
        'VolatilitySkewness(portfolio_bacon[,1], MAR, stat="variability")': lambda: above / below,
        "Kappa(portfolio_bacon[,1], MAR, l)": lambda: metrics.sortino_ratio(own - TARGET, 1.0),
        "M2Sortino(portfolio_bacon[,1], portfolio_bacon[,2], MAR)": (
            lambda: (
                growth + metrics.sortino_ratio(own - TARGET, 1.0) * (benchmark_below - below) * root
            )
        ),
        "OmegaExcessReturn(portfolio_bacon[,1], portfolio_bacon[,2], MAR)": (
            lambda: growth - 3.0 * below * root * benchmark_below * root
        ),
        "MSquared(portfolio_bacon[,1], portfolio_bacon[,2])": (
            lambda: ratio * metrics.volatility(benchmark, 12.0)
        ),
        "AdjustedSharpeRatio(portfolio_bacon[,1])": (
            lambda: (
                ratio
                * (1.0 + shape.skewness / 6.0 * ratio - (shape.kurtosis - 3.0) / 24.0 * ratio**2)
            )
        ),
        "SkewnessKurtosisRatio(portfolio_bacon[,1])": lambda: shape.skewness / shape.kurtosis,
        'kurtosis(portfolio_bacon[, 1], method = "sample_excess")': lambda: sample_excess,
        'kurtosis(portfolio_bacon[, 1], method = "sample")': lambda: sample_excess + sample_three,
        "BernardoLedoitRatio(portfolio_bacon[,1])": lambda: metrics.profit_factor(own),
        "OmegaSharpeRatio(portfolio_bacon[,1], MAR)": (
            lambda: metrics.profit_factor(own - TARGET) - 1.0
        ),
        "UpsideFrequency(portfolio_bacon[,1], MAR)": lambda: metrics.win_rate(own - TARGET),
        "DownsideFrequency(portfolio_bacon[,1], MAR)": lambda: metrics.win_rate(TARGET - own),
    }


def test_bacons_portfolio_has_the_printed_figures() -> None:
    printed = known("performanceanalytics", "bacon_expected.json")
    table = shared_data() / "known_answers" / "performanceanalytics" / "portfolio_bacon.csv"
    rows = list(csv.reader(table.read_text().splitlines()))[1:]
    own, benchmark = (np.array([float(row[column]) for row in rows]) for column in (1, 2))
    for name, figure in bacon(own, benchmark).items():
        expected, digits = printed[name]["expected"], printed[name]["decimals"]
        assert printed[name]["MAR"] in (None, TARGET), name
        assert round(figure(), digits) == expected, name
