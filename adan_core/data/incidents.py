"""What goes wrong in markets, planted in a simulated one: price jumps, missing candles, outages.

Where each lies is known and handed out beside the candles, so that whatever claims to find them can
be held to it. An outage looks as real ones do: candles without a trade at the last price, then a
hole, then trading resumes where the hidden price has gone, on a burst of volume.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from adan_core.data.paths import Floats, on_tick
from adan_core.data.series import CandleSeries
from adan_core.domain.errors import UsageError

_JUMP = (0.05, 0.15)  # in log-price, up or down with equal chance: nothing to trade on
_GAP_MEAN = 3.0
_QUIET = (2, 12)
_HOLE = (4, 48)
_BURST = 5.0


class Incident(StrEnum):
    """What was planted at a candle; ``GAP`` and ``RESUMED`` mark the first one after a hole."""

    NONE = ""
    JUMP = "jump"
    GAP = "after a gap"
    QUIET = "outage, no trade"
    RESUMED = "after an outage"


@dataclass(frozen=True, slots=True)
class Incidents:
    """How many of each are planted per 1000 candles, on average; UsageError if that cannot be."""

    jumps: float = 0.0
    gaps: float = 0.0
    outages: float = 0.0

    def __post_init__(self) -> None:
        for name in ("jumps", "gaps", "outages"):
            value = getattr(self, name)
            if not 0.0 <= value <= 10.0:
                raise UsageError(f"{value} {name} per 1000 candles", "0 to 10")


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """The candles that are left, which of the old ones they are, and what lies at each.

    ``kept`` (n,) are indices into the series that was given, ``incident`` (n,) values of Incident.
    """

    series: CandleSeries
    kept: NDArray[np.int64]
    incident: NDArray[np.str_]


def plant(
    series: CandleSeries, incidents: Incidents, generator: np.random.Generator, tick: float
) -> Planted:
    """Plant ``incidents`` in ``series``; prices stay on the ``tick``, the first and last candle stay."""
    count = len(series)
    places = np.arange(1, max(count - 1, 1))
    jumped, incident = _jump(series, _drawn(places, incidents.jumps, generator), generator, tick)
    keep = np.ones(count, dtype=np.bool_)
    for place in _drawn(places, incidents.gaps, generator):
        stop = min(int(place) + int(generator.geometric(1.0 / _GAP_MEAN)), count - 1)
        keep[place:stop] = False
        incident[stop] = Incident.GAP
    columns = {
        name: np.array(getattr(jumped, name)) for name in ("open", "high", "low", "close", "volume")
    }
    for place in _drawn(places, incidents.outages, generator):
        quiet = min(int(place) + int(generator.integers(*_QUIET)), count - 1)
        stop = min(quiet + int(generator.integers(*_HOLE)), count - 1)
        last = float(columns["close"][place - 1])
        for name in ("open", "high", "low", "close"):
            columns[name][place:quiet] = last
        columns["volume"][place:quiet] = 0.0
        columns["volume"][stop] = np.round(columns["volume"][stop] * _BURST, 5)
        keep[quiet:stop] = False
        incident[place:quiet] = Incident.QUIET
        incident[stop] = Incident.RESUMED
    kept = np.flatnonzero(keep)
    left = replace(
        series,
        open_time=series.open_time[kept],
        open=columns["open"][kept],
        high=columns["high"][kept],
        low=columns["low"][kept],
        close=columns["close"][kept],
        volume=columns["volume"][kept],
    )
    return Planted(left, kept, incident[kept])


def _drawn(
    places: NDArray[np.int64], per_thousand: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    chosen: NDArray[np.int64] = places[generator.random(places.shape[0]) < per_thousand / 1000.0]
    return chosen


def _jump(
    series: CandleSeries,
    places: NDArray[np.int64],
    generator: np.random.Generator,
    tick: float,
) -> tuple[CandleSeries, NDArray[np.str_]]:
    """Move the level within each candle of ``places``, and with it everything after."""
    incident = np.full(len(series), Incident.NONE, dtype="<U16")
    if not places.size:
        return series, incident
    sizes = generator.uniform(*_JUMP, places.shape[0]) * generator.choice((-1.0, 1.0), places.shape)
    moves = np.zeros(len(series))
    moves[places] = sizes
    at_close = np.exp(np.cumsum(moves))
    at_open = at_close / np.exp(moves)

    def moved(prices: Floats, factor: Floats) -> Floats:
        return on_tick(prices * factor, tick)

    opening, close = moved(series.open, at_open), moved(series.close, at_close)
    opening[1:] = np.where(series.open[1:] == series.close[:-1], close[:-1], opening[1:])
    high = np.maximum(moved(series.high, at_open), np.maximum(opening, close))
    low = np.minimum(moved(series.low, at_open), np.minimum(opening, close))
    incident[places] = Incident.JUMP
    return replace(series, open=opening, high=high, low=low, close=close), incident
