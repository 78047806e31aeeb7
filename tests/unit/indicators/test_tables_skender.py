"""The baselines of the library Stock.Indicators: 502 daily bars, printed in full double precision."""

import csv
import json

import numpy as np
import pytest

from tests.support import shared_data
from tests.unit.indicators.digits import assert_digits, market
from tests.unit.indicators.market import values

# What we do not offer: another kind of candle.
OTHERS = ["heikinashi"]

# (table, key of its rows, factor) and what it is here; ``after`` is the row from which on an
# unlike seed is forgotten: Stock.Indicators sums 14 candles' moves before it smooths where TA-Lib
# and we sum 13 (a 14th is forgotten each candle), and seeds the fast mean at its own 12th candle.
BASELINES = [
    ("adx", "pdi", 1, "upward_direction", (14,), 420),
    ("adx", "mdi", 1, "downward_direction", (14,), 420),
    ("adx", "adx", 1, "directional_index", (14,), 480),
    ("atr", "tr", 1, "true_range", (), 0),
    ("atr", "atr", 1, "average_true_range", (14,), 0),
    ("atr", "atrp", 100, "true_range_share", (14,), 0),
    ("tr", "tr", 1, "true_range", (), 0),
    ("bb", "sma", 1, "simple_mean", (20,), 0),
    ("bb", "upperBand", 1, "upper_band", (20, 2), 0),
    ("bb", "lowerBand", 1, "lower_band", (20, 2), 0),
    ("bb", "percentB", 1, "band_share", (20, 2), 0),
    ("bb", "zScore", 1, "band_position", (20,), 0),
    ("bb", "width", 1, "band_width", (20, 2), 0),
    ("cci", "cci", 1, "commodity_channel", (20,), 0),
    ("ema", "ema", 1, "exponential_mean", (20,), 0),
    ("macd", "fastEma", 1, "exponential_mean", (12,), 0),
    ("macd", "slowEma", 1, "exponential_mean", (26,), 0),
    ("macd", "macd", 1, "convergence_line", (12, 26), 200),
    ("macd", "signal", 1, "convergence_signal", (12, 26, 9), 200),
    ("macd", "histogram", 1, "convergence_histogram", (12, 26, 9), 200),
    ("obv", "obv", 1, "on_balance_volume", (), 0),
    ("roc", "roc", 1, "rate_of_change", (14,), 0),
    ("rsi", "rsi", 1, "relative_strength", (14,), 0),
    ("sma", "sma", 1, "simple_mean", (20,), 0),
    ("stdev", "stdDev", 1, "deviation", (14,), 0),
    ("stdev", "mean", 1, "simple_mean", (14,), 0),
    ("stdev", "zScore", 1, "band_position", (14,), 0),
    ("stoch", "oscillator", 1, "stochastic_mean", (14, 3), 0),
    ("stoch", "signal", 1, "stochastic_signal", (14, 3, 3), 0),
    ("vwap", "vwap", 1, "volume_weighted_mean_to_date", (), 0),
    # Its channel leaves the candle itself out, so that ours is a row earlier.
    ("donchian", "upperBand", 1, "channel_high", (20,), 0),
    ("donchian", "lowerBand", 1, "channel_low", (20,), 0),
    ("donchian", "centerline", 1, "channel_middle", (20,), 0),
    ("donchian", "width", 1, "channel_width", (20,), 0),
]


@pytest.mark.parametrize(
    ("table", "key", "factor", "indicator", "parameters", "after"),
    BASELINES,
    ids=[f"{table}-{key}" for table, key, *_ in BASELINES],
)
def test_gives_the_baseline(
    table: str, key: str, factor: float, indicator: str, parameters: tuple[float, ...], after: int
) -> None:
    folder = shared_data() / "known_answers" / "skender"
    with (folder / "quotes" / "default.csv").open() as file:
        quotes = list(csv.DictReader(file))
    names = ("open", "high", "low", "close", "volume")
    candles = market(**{name: [row[name] for row in quotes] for name in names})
    ours = factor * values(indicator, parameters, candles)
    if table == "donchian":
        ours = np.concatenate([[np.nan], ours[:-1]])
    text = (folder / "results" / f"{table}.standard.json").read_text()
    answers = [row[key] for row in json.loads(text, parse_float=str, parse_int=str)]
    defined = [row for row, answer in enumerate(answers) if answer is not None]
    assert list(np.flatnonzero(~np.isnan(ours))) == defined
    rows = [row for row in defined if row >= after]
    assert_digits(ours[rows], [answers[row] for row in rows])


def test_every_table_is_used_or_named() -> None:
    folder = shared_data() / "known_answers" / "skender" / "results"
    tables = {path.name.partition(".")[0] for path in folder.iterdir()}
    assert tables == {table for table, *_ in BASELINES} | set(OTHERS)
