"""Folds in time: each learns from the past alone, and what lies between two periods is left out.

A fold's test follows its validation, which follows its training. Between two periods as many candles
are left out as the longest outcome of a decision takes (the purge: Lopez de Prado, Advances in
financial machine learning, 2018, chapter 7), before the test as many more as the embargo says.
"""

from itertools import pairwise

from adan_core.config.judgement_settings import Judgement
from adan_core.config.settings import Settings
from adan_core.data.series import CandleSeries
from adan_core.data.split import Period, Split
from adan_core.domain.errors import DataError


def folds(series: CandleSeries, settings: Judgement, purge: int) -> tuple[Split, ...]:
    """Return the folds of ``series``, whose tests follow each other without a gap to its end.

    ``purge`` is in candles. DataError if a period would be empty; no two periods of a fold can
    overlap (``Split`` refuses that).
    """
    count = len(series)
    first = round(count * settings.first_training)
    edges = [first + (count - first) * fold // settings.folds for fold in range(settings.folds + 1)]
    found = []
    for test_start, test_stop in pairwise(edges):
        begin = 0 if settings.expanding else test_start - first
        validation_stop = test_start - purge - settings.embargo
        validation_start = validation_stop - round((validation_stop - begin) * settings.validation)
        training_stop = validation_start - purge
        if not begin < training_stop or not validation_start < validation_stop:
            raise DataError(
                f"{count} candles of {series.symbol} for {settings.folds} folds with {purge} purged "
                f"and an embargo of {settings.embargo}",
                "candles to train and to validate on in each",
                "use a longer series, fewer folds or a shorter embargo",
            )
        found.append(
            Split(
                period(series, begin, training_stop),
                period(series, validation_start, validation_stop),
                period(series, test_start, test_stop),
            )
        )
    return tuple(found)


def last_split(series: CandleSeries, settings: Settings, purge: int) -> Split:
    """Return the one split by the settings' shares, with ``purge`` and embargo left out between.

    DataError if a period would be empty.
    """
    learning, count = settings.learning, len(series)
    test_start = round(count * (learning.train_fraction + learning.validation_fraction))
    validation_stop = test_start - purge - settings.judgement.embargo
    validation_start = round(count * learning.train_fraction)
    training_stop = validation_start - purge
    if training_stop < 1 or validation_stop <= validation_start or test_start >= count:
        raise DataError(
            f"{count} candles of {series.symbol}, {purge} of them purged before each period",
            "candles to train, to validate and to test on",
            "use a longer series",
        )
    return Split(
        period(series, 0, training_stop),
        period(series, validation_start, validation_stop),
        period(series, test_start, count),
    )


def period(series: CandleSeries, start: int, stop: int) -> Period:
    """Return candles ``start`` to ``stop`` (excluded) of ``series`` as a period."""
    return Period(start, stop, int(series.open_time[start]), int(series.close_time[stop - 1]))
