"""The regression tables of TA-Lib's own C tests: 252 daily bars, single values as printed there.

A call may begin late: TA-Lib then looks back no further than it must, so that a recurrence is
seeded there and not at the first bar.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support import shared_data
from tests.unit.indicators.digits import assert_digits
from tests.unit.indicators.market import Columns, values

Call = dict[str, Any]


@dataclass(frozen=True)
class Ours:
    """How a call's answers are ours: what it looks back to, and an indicator for each answer."""

    lookback: int
    answers: tuple[tuple[str, str, tuple[float, ...]], ...]


def _moving_average(call: Call) -> Ours | None:
    period = call["optInTimePeriod"]
    metastock = call["compatibility"] == "TA_COMPATIBILITY_METASTOCK"
    name = {
        "TA_MAType_SMA": "simple_mean",
        "TA_MAType_WMA": "weighted_mean",
        "TA_MAType_EMA": "" if metastock else "exponential_mean",
    }.get(call["optInMAType_1"])
    return Ours(period - 1, (("", name, (period,)),)) if name else None


def _relative_strength(call: Call) -> Ours | None:
    period = call["optInTimePeriod"]
    metastock = call["compatibility"] == "TA_COMPATIBILITY_METASTOCK"
    if call["theFunction"] != "TA_RSI_TEST" or metastock:
        return None
    return Ours(period + call["unstablePeriod"], (("0", "relative_strength", (period,)),))


def _convergence(call: Call) -> Ours | None:
    periods = (call["optInFastPeriod"], call["optInSlowPeriod"], call["optInSignalPeriod_2"])
    if call["testId"] == "TA_MACDFIX_TEST" or periods[0] > periods[1]:
        return None
    line = ("0", "convergence_line", periods[:2])
    signal = ("1", "convergence_signal", periods)
    return Ours(33, (line, signal, ("2", "convergence_histogram", periods)))


def _bands(call: Call) -> Ours | None:
    if call["optInMethod_3"] != "TA_MAType_SMA":
        return None
    period = call["optInTimePeriod"]
    upper = ("0", "upper_band", (period, call["optInNbDevUp"]))
    lower = ("2", "lower_band", (period, call["optInNbDevDn"]))
    return Ours(period - 1, (upper, ("1", "simple_mean", (period,)), lower))


def _true_range(call: Call) -> Ours | None:
    period = call["optInTimePeriod"]
    if not call["doAverage"]:
        return Ours(1, (("", "true_range", ()),))
    return Ours(period + call["unstablePeriod"], (("", "average_true_range", (period,)),))


def _stochastic(call: Call) -> Ours | None:
    first, second, third = (call[f"optInPeriod_{place}"] for place in range(3))
    if call["testId"] == "TEST_STOCH":
        slow = ("0", "stochastic_mean", (first, second))
        signal = ("1", "stochastic_signal", (first, second, third))
        return Ours(first + second + third - 3, (slow, signal))
    fast = ("0", "strength_stochastic", (first, second))
    mean = ("1", "strength_stochastic_mean", (first, second, third))
    return Ours(first + second + third - 2, (fast, mean))


KINDS: dict[str, Callable[[Call], Ours | None]] = {
    "test_ma.c": _moving_average,
    "test_rsi.c": _relative_strength,
    "test_macd.c": _convergence,
    "test_bbands.c": _bands,
    "test_trange.c": _true_range,
    "test_stoch.c": _stochastic,
    "test_per_ema.c": lambda _call: None,
}
# Answers that are ours. Left out: other means (DEMA, TEMA, TRIMA, KAMA, MAMA, T3, TRIX), CMO, bands
# about an exponential mean, MACD with fixed weights or a fast period above the slow one, seeds of
# MetaStock's, and calls that must fail or find nothing.
ANSWERED = {
    "test_ma.c": 49,
    "test_rsi.c": 16,
    "test_macd.c": 6,
    "test_bbands.c": 6,
    "test_trange.c": 17,
    "test_stoch.c": 22,
}


# Misprints: TA-Lib itself answers as we do, and its C tests allow for more than a digit.
MISPRINTED = {
    ("weighted_mean", "109.3413"): "109.3466",
    ("weighted_mean", "109.3466"): "109.3413",
    ("stochastic_mean", "24.0128"): "24.0121",
}


def test_gives_the_values_of_the_c_tests() -> None:
    path = shared_data() / "known_answers" / "talib_regtest" / "talib_regtest.json"
    content = json.loads(path.read_text())
    bars = Columns(*(np.array(content["reference_bars"][name]) for name in Columns._fields))
    answered: Counter[str] = Counter()
    for file, calls in content["tables"].items():
        for call in calls:
            ours = KINDS[file](call) if call["expectedNbElement"] else None
            if ours is None:
                continue
            # What the call looks back to and no more; all of it if it begins at the first bar.
            start = call["expectedBegIdx"] - ours.lookback if call["startIdx"] else 0
            seen = Columns(*(column[start:] for column in bars))
            for suffix, indicator, parameters in ours.answers:
                place = call["expectedBegIdx"] + call[f"oneOfTheExpectedOutRealIndex{suffix}"]
                # Some of the differences were computed where the table was copied.
                printed = f"{call[f'oneOfTheExpectedOutReal{suffix}']:.10g}"
                printed = MISPRINTED.get((indicator, printed), printed)
                answer = values(indicator, parameters, seen)[place - start]
                # The digits are cut off, not rounded: up to one unit of the last place is gone.
                assert_digits(np.array([answer]), [printed], half_units=2.0)
                answered[file] += 1
    assert answered == ANSWERED
