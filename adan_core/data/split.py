"""A strict split in time: training, then validation, then test, never overlapping, and verified."""

from dataclasses import dataclass
from itertools import pairwise

from adan_core.data.series import CandleSeries
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds, iso


@dataclass(frozen=True, slots=True)
class Period:
    """Candles ``start`` to ``stop`` (excluded) by index.

    The first opens at ``start_time``; everything in it is known at ``stop_time``, the close of the
    last (both milliseconds).
    """

    start: int
    stop: int
    start_time: Milliseconds
    stop_time: Milliseconds

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{iso(self.start_time)} to {iso(self.stop_time)} ({len(self)} candles)"


@dataclass(frozen=True, slots=True)
class Split:
    """Three periods of one series, in this order in time.

    ``verify`` ran when it was made: DataError if periods are empty, overlap or are out of order.
    """

    training: Period
    validation: Period
    test: Period

    def __post_init__(self) -> None:
        self.verify()

    def verify(self) -> None:
        """Refuse (DataError) periods that are empty, overlap or come in the wrong order."""
        named = (("training", self.training), ("validation", self.validation), ("test", self.test))
        for name, period in named:
            if period.stop <= period.start or period.stop_time <= period.start_time:
                raise DataError(
                    f"the {name} period is empty",
                    "candles in each period",
                    "use a longer series or other fractions",
                )
        for (earlier_name, earlier), (later_name, later) in pairwise(named):
            if later.start < earlier.stop or later.start_time < earlier.stop_time:
                raise DataError(
                    f"the {later_name} period starts at {iso(later.start_time)}, "
                    f"the {earlier_name} period ends at {iso(earlier.stop_time)}",
                    "periods that follow each other and do not overlap",
                )


def split_by_fractions(series: CandleSeries, training: float, validation: float) -> Split:
    """Split ``series`` by shares of its candles; what is left over is the test period.

    DataError if the shares are not positive, leave no test period, or leave a period empty.
    """
    if not (training > 0.0 and validation > 0.0 and training + validation < 1.0):
        raise DataError(
            f"a split of {training:g} training and {validation:g} validation",
            "positive shares that leave some candles for the test period",
        )
    count = len(series)
    first = round(count * training)
    second = round(count * (training + validation))
    return _split(series, first, second)


def _split(series: CandleSeries, first: int, second: int) -> Split:
    return Split(
        _period(series, 0, first),
        _period(series, first, second),
        _period(series, second, len(series)),
    )


def _period(series: CandleSeries, start: int, stop: int) -> Period:
    if stop <= start:
        return Period(start, start, 0, 0)
    return Period(
        start,
        stop,
        int(series.open_time[start]),
        int(series.open_time[stop - 1]) + series.timeframe.duration,
    )
