"""The worked examples of StockCharts' ChartSchool, as they are handed on with the library ta."""

import csv
from dataclasses import dataclass

import pytest

from tests.support import shared_data
from tests.unit.indicators.digits import assert_digits, market, preceded
from tests.unit.indicators.market import values

HIGH_LOW = {"high": "High", "low": "Low"}
BAR = {**HIGH_LOW, "close": "Close"}
CLOSE = {"close": "Close"}


@dataclass(frozen=True)
class Example:
    """A printed column and how it is ours."""

    table: str
    printed: str
    columns: dict[str, str]
    indicator: str
    parameters: tuple[float, ...] = ()
    factor: float = 1.0
    # Still candles before the first: some tables seed with the first value, some with no move.
    still: int = 0
    # The first row that is ours to answer.
    after: int = 0
    half_units: float = 1.0


EXAMPLES = [
    Example("cs-atr", "TR", BAR, "true_range", still=1),
    Example("cs-atr", "ATR", BAR, "average_true_range", (14,), still=1, after=13),
    Example("cs-bbands", "MiddleBand", CLOSE, "simple_mean", (20,)),
    Example("cs-bbands", "20-day Standard Deviation", CLOSE, "deviation", (20,)),
    Example("cs-bbands", "HighBand", CLOSE, "upper_band", (20, 2)),
    Example("cs-bbands", "LowBand", CLOSE, "lower_band", (20, 2)),
    Example("cs-bbands", "WidthBand", CLOSE, "band_width", (20, 2), factor=100),
    Example("cs-bbands", "PercentageBand", CLOSE, "band_share", (20, 2)),
    Example("cs-cci", "CCI", BAR, "commodity_channel", (20,)),
    Example("cs-macd", "short_ema", CLOSE, "exponential_mean", (12,), still=11),
    Example("cs-macd", "long_ema", CLOSE, "exponential_mean", (26,), still=25),
    Example("cs-macd", "MACD_line", CLOSE, "convergence_line", (12, 26), still=26),
    # The signal was begun on candles that the table does not show; 0.8^115 of that is left.
    Example(
        "cs-macd", "MACD_signal", CLOSE, "convergence_signal", (12, 26, 9), still=40, after=115
    ),
    Example(
        "cs-macd", "MACD_diff", CLOSE, "convergence_histogram", (12, 26, 9), still=40, after=115
    ),
    Example("cs-obv", "OBV", {**CLOSE, "volume": "Volume"}, "on_balance_volume", after=1),
    # One of the two is printed; up to the first reversal it depends on how it was begun.
    Example("cs-psar", "psar_up", HIGH_LOW, "parabolic_stop", (0.02, 0.2), after=8),
    Example("cs-psar", "psar_down", HIGH_LOW, "parabolic_stop", (0.02, 0.2), after=8),
    Example("cs-roc", "ROC", CLOSE, "rate_of_change", (12,)),
    Example("cs-rsi", "RSI", CLOSE, "relative_strength", (14,), still=14),
    Example("cs-soo", "Highest High (14)", HIGH_LOW, "channel_high", (14,)),
    Example("cs-soo", "Lowest Low (14)", HIGH_LOW, "channel_low", (14,)),
    Example("cs-soo", "SO", BAR, "stochastic", (14,)),
    # The mean of three printed values: their own half units come on top.
    Example("cs-soo", "SO_SIG", BAR, "stochastic_mean", (14, 3), half_units=2.0),
    # Printed with a seventh place that is always 0.
    Example("cs-stochrsi", "RSI", CLOSE, "relative_strength", (14,), still=14, half_units=10.0),
    Example("cs-stochrsi", "StochRSI(14)", CLOSE, "strength_stochastic", (14, 14), 0.01, still=14),
    # Its first 13 rows are of fewer candles.
    Example(
        "cs-vwap", "vwap", {**BAR, "volume": "Volume"}, "volume_weighted_mean", (14,), after=13
    ),
    # Its first 8 rows are of candles that the table does not show.
    Example("cs-wma", "WMA", CLOSE, "weighted_mean", (9,), after=8),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.table}-{e.printed}")
def test_gives_the_answers_of_the_school(example: Example) -> None:
    path = shared_data() / "known_answers" / "stockcharts_ta" / f"{example.table}.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    # A table that does not show the closes before its first answer does not need them.
    candles = market(
        **{name: [row[column] or "126" for row in rows] for name, column in example.columns.items()}
    )
    ours = values(example.indicator, example.parameters, preceded(candles, example.still))
    ours = example.factor * ours[example.still :]
    answered = [row for row in range(example.after, len(rows)) if rows[row][example.printed]]
    assert answered
    assert_digits(
        ours[answered], [rows[row][example.printed] for row in answered], example.half_units
    )


def test_every_table_is_used() -> None:
    folder = shared_data() / "known_answers" / "stockcharts_ta"
    assert {path.stem for path in folder.glob("*.csv")} == {example.table for example in EXAMPLES}
