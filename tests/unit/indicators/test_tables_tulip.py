"""The worked examples of Achelis, Technical Analysis from A to Z, as Tulip Indicators' tests hold them."""

import re
from dataclasses import dataclass

import pytest

from tests.support import shared_data
from tests.unit.indicators.digits import assert_digits, market, preceded
from tests.unit.indicators.market import values

# What we do not offer.
OTHERS = {
    *("ad", "adosc", "adxr", "aroon", "cmo", "cvi", "dema", "dm", "dpo"),
    *("dx", "emv", "fosc", "kvo", "mass", "medprice", "nvi", "qstick", "tema"),
    *("trima", "trix", "typprice", "ultosc", "vhf", "vosc", "wad", "wcprice", "wilders"),
}
# adx: Tulip seeds its mean one candle earlier than TA-Lib and we do, which 23 answers do not
# forget. macd: its weights are Achelis's 0.15 and 0.075, not 2/13 and 2/27.
OTHERWISE = {"adx", "macd"}


@dataclass(frozen=True)
class Example:
    """An answer of the book: which list of which table it is, and how it is ours."""

    table: str
    columns: str
    answer: int
    indicator: str
    parameters: tuple[float, ...] = ()
    # Still candles before the first, for a recurrence that begins with the first value.
    still: int = 0
    # Answers that are left out at the beginning.
    skip: int = 0
    percent: bool = False


EXAMPLES = [
    Example("atr 4", "high low close", 3, "average_true_range", (4,), still=1),
    Example("tr", "high low close", 3, "true_range", still=1),
    Example("bbands 5 2", "close", 1, "lower_band", (5, 2)),
    Example("bbands 5 2", "close", 2, "simple_mean", (5,)),
    Example("bbands 5 2", "close", 3, "upper_band", (5, 2)),
    Example("cci 5", "high low close", 3, "commodity_channel", (5,)),
    # Tulip says the first one from one candle less.
    Example("di 14", "high low close", 3, "upward_direction", (14,), skip=1),
    Example("di 14", "high low close", 4, "downward_direction", (14,), skip=1),
    Example("ema 5", "close", 1, "exponential_mean", (5,), still=4),
    Example("mfi 14", "high low close volume", 4, "money_flow_index", (14,)),
    Example("obv", "close volume", 2, "on_balance_volume"),
    # Up to the first reversal it depends on how it was begun.
    Example("psar .02 .2", "high low", 2, "parabolic_stop", (0.02, 0.2), skip=7),
    Example("rocr 12", "close", 1, "rate_of_change", (12,), percent=True),
    Example("rsi 5", "close", 1, "relative_strength", (5,)),
    Example("sma 5", "close", 1, "simple_mean", (5,)),
    Example("stddev 5", "close", 1, "deviation", (5,)),
    Example("stoch 5 3 3", "high low close", 3, "stochastic_mean", (5, 3)),
    Example("stoch 5 3 3", "high low close", 4, "stochastic_signal", (5, 3, 3)),
    Example("willr 5", "high low close", 3, "williams_range", (5,)),
    Example("wma 5", "close", 1, "weighted_mean", (5,)),
]


def read_tables() -> dict[str, list[list[str]]]:
    """Return each table's lists of numbers, as printed, by its name with its options."""
    tables: dict[str, list[list[str]]] = {}
    name = ""
    for line in (shared_data() / "known_answers" / "tulip" / "atoz.txt").read_text().splitlines():
        if re.match(r"[a-z]", line):
            name = line.strip()
            tables[name] = []
        elif line.startswith("{"):
            tables[name].append(line.strip("{} \t").split(","))
    return tables


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.table}-{e.indicator}")
def test_gives_the_answers_of_the_book(example: Example) -> None:
    table = read_tables()[example.table]
    candles = market(**dict(zip(example.columns.split(), table, strict=False)))
    ours = values(example.indicator, example.parameters, preceded(candles, example.still))
    if example.percent:
        ours = 1.0 + ours / 100.0
    answers = table[example.answer][example.skip :]
    assert_digits(ours[-len(answers) :], answers)


def test_every_table_is_used_or_named() -> None:
    used = {example.table.split()[0] for example in EXAMPLES}
    assert {name.split()[0] for name in read_tables()} == used | OTHERS | OTHERWISE
