"""What the sandbox's market shows at an instant: candles, the forming one, rules, the last price.

A candle that has not opened yet does not exist. One that has opened but not closed is shown as far
as it has come: its price walks in straight lines from the open over both extremes to the close, a
third of its span each (the low comes first when the candle rises, else the high), and its volume
grows evenly. A timeframe for which no candles are held is put together from the coarsest held one
that divides it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Candle, Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.market import MarketRules
from adan_core.domain.time import DAY, Milliseconds

_DECIMALS = 8
_RULES_FROM = 1000  # candles, the newest ones, whose digits tell a symbol's steps
_MINIMUM_NOTIONAL = 5.0


class UnknownSymbol(DataError):
    """The sandbox holds no candles of that symbol."""


class UnknownTimeframe(DataError):
    """No candles held of that symbol make up that timeframe."""


@dataclass(frozen=True, slots=True)
class Kline:
    """A candle as an exchange shows it: final when ``closed``, else as far as it has come."""

    candle: Candle
    timeframe: Timeframe
    closed: bool


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The last 24 hours of a symbol; prices in quote currency, ``volume`` in base currency."""

    start: Milliseconds
    end: Milliseconds
    open: float
    high: float
    low: float
    last: float
    volume: float
    turnover: float


class MarketData:
    """Candles of several symbols as they stand at ``now()``.

    ``newest_only`` is how many closed candles of a timeframe are answered at most, however far
    back one asks (None: all). DataError if there is no series, an empty one or one twice.
    """

    def __init__(
        self,
        series: Sequence[CandleSeries],
        now: Callable[[], Milliseconds],
        newest_only: int | None = None,
    ) -> None:
        self.now = now
        self._newest_only = newest_only
        self._held: dict[str, dict[Timeframe, CandleSeries]] = {}
        for each in series:
            held = self._held.setdefault(each.symbol, {})
            if each.timeframe in held or not len(each):
                raise DataError(
                    f"{each.symbol} {each.timeframe}, {len(each)} candles",
                    "each symbol and timeframe once, with at least one candle",
                )
            held[each.timeframe] = each
        if not self._held:
            raise DataError("an exchange without candles", "at least one series")
        self.rules = {symbol: _rules(held[min(held)]) for symbol, held in self._held.items()}

    def klines(
        self,
        symbol: str,
        timeframe: Timeframe,
        since: Milliseconds | None,
        until: Milliseconds | None,
        limit: int,
        newest_only: int | None = None,
    ) -> list[Kline]:
        """Return the candles that open from ``since`` to ``until`` (included), in order of time.

        Of more than ``limit`` the first are returned when ``since`` is given, else the newest.
        ``newest_only`` is a protocol's own bound; the tighter one counts.
        """
        series = self._source(symbol, timeframe)
        now = self.now()
        span = timeframe.duration
        ratio = span // series.timeframe.duration
        opened = series.index_at(now + 1)
        bounds = [bound for bound in (newest_only, self._newest_only) if bound is not None]
        first = _oldest_row(series, opened, span, min(bounds), now) if bounds else 0
        stop = opened
        if until is not None:
            stop = min(stop, series.index_at((until // span + 1) * span))
        if since is None:
            first = max(first, stop - (limit + 1) * ratio)
        else:
            first = max(first, series.index_at(-(-since // span) * span))
            stop = min(stop, first + limit * ratio)
        if first >= stop:
            return []
        shown = _as_shown(series, first, stop, now, self.rules[symbol].tick_size)
        rows = _aggregate(shown, timeframe, now)
        return rows[-limit:] if since is None else rows[:limit]

    def day(self, symbol: str) -> DayStatistics | None:
        """Return the statistics of the last 24 hours; None before the first candle has opened."""
        finest = self._finest(symbol)
        now = self.now()
        candles = [row.candle for row in self.klines(symbol, finest, now - DAY, None, DAY)]
        if not candles:
            candles = [row.candle for row in self.klines(symbol, finest, None, None, 1)]
        if not candles:
            return None
        return DayStatistics(
            start=candles[0].open_time,
            end=now,
            open=candles[0].open,
            high=max(candle.high for candle in candles),
            low=min(candle.low for candle in candles),
            last=candles[-1].close,
            volume=sum(candle.volume for candle in candles),
            turnover=sum(turnover(candle) for candle in candles),
        )

    def book(self, symbol: str, levels: int) -> tuple[list[tuple[float, float]], ...]:
        """Return bids and asks as (price, quantity), best first: a plain ladder, a tick per level.

        The best bid is the last price and the best ask a tick above it; both sides are empty
        before the first candle has opened.
        """
        rows = self.klines(symbol, self._finest(symbol), None, None, 1)
        if not rows:
            return [], []
        rules = self.rules[symbol]
        ticks = round(rows[-1].candle.close / rules.tick_size)
        bids, asks = [], []
        for level in range(levels):
            quantity = rules.lot_step * 100.0 * (level + 1)
            if ticks - level > 0:
                bids.append((round((ticks - level) * rules.tick_size, _DECIMALS), quantity))
            asks.append((round((ticks + level + 1) * rules.tick_size, _DECIMALS), quantity))
        return bids, asks

    def _finest(self, symbol: str) -> Timeframe:
        try:
            return min(self._held[symbol])
        except KeyError as error:
            raise UnknownSymbol(f"symbol {symbol}", ", ".join(self._held)) from error

    def _source(self, symbol: str, timeframe: Timeframe) -> CandleSeries:
        finest = self._finest(symbol)
        held = self._held[symbol]
        fitting = [each for each in held if timeframe.duration % each.duration == 0]
        if not fitting:
            raise UnknownTimeframe(f"candles of {timeframe}", f"a multiple of {finest}")
        return held[max(fitting)]


def turnover(candle: Candle) -> float:
    """Return about how much quote currency was traded in ``candle``."""
    return candle.volume * (candle.open + candle.high + candle.low + candle.close) / 4.0


@dataclass(slots=True)
class _Columns:
    """Candles as columns, the last one perhaps forming."""

    open_time: NDArray[np.int64]
    prices: NDArray[np.float64]  # (n, 4): open, high, low, close
    volume: NDArray[np.float64]


def _as_shown(
    series: CandleSeries, first: int, stop: int, now: Milliseconds, tick: float
) -> _Columns:
    """Return rows ``first`` to ``stop`` (excluded) as they are known at ``now``."""
    rows = slice(first, stop)
    shown = _Columns(
        series.open_time[rows],
        np.stack([series.open[rows], series.high[rows], series.low[rows], series.close[rows]], 1),
        series.volume[rows].copy(),
    )
    age = now - int(series.open_time[stop - 1])
    if age < series.timeframe.duration:
        candle = _partial(series.candle(stop - 1), age / series.timeframe.duration, tick)
        shown.prices[-1] = (candle.open, candle.high, candle.low, candle.close)
        shown.volume[-1] = candle.volume
    return shown


def _partial(candle: Candle, share: float, tick: float) -> Candle:
    """Return ``candle`` as it stands after ``share`` of its span (0 <= share < 1)."""
    rising = candle.close >= candle.open
    corners = (
        (candle.open, candle.low, candle.high, candle.close)
        if rising
        else (candle.open, candle.high, candle.low, candle.close)
    )
    leg, along = divmod(share * 3.0, 1.0)
    start, end = corners[int(leg)], corners[int(leg) + 1]
    price = round(round((start + (end - start) * along) / tick) * tick, _DECIMALS)
    price = min(max(price, min(start, end)), max(start, end))
    seen = (*corners[: int(leg) + 1], price)
    return Candle(
        candle.open_time, candle.open, max(seen), min(seen), price, round(candle.volume * share, 8)
    )


def _aggregate(shown: _Columns, timeframe: Timeframe, now: Milliseconds) -> list[Kline]:
    bucket = shown.open_time // timeframe.duration
    starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    ends = np.append(starts[1:], len(bucket)) - 1
    volume = np.add.reduceat(shown.volume, starts)
    if len(starts) < len(bucket):
        volume = np.round(volume, _DECIMALS)  # a sum of 0.1 and 0.2 is to read 0.3
    columns = (
        (bucket[starts] * timeframe.duration).tolist(),
        shown.prices[starts, 0].tolist(),
        np.maximum.reduceat(shown.prices[:, 1], starts).tolist(),
        np.minimum.reduceat(shown.prices[:, 2], starts).tolist(),
        shown.prices[ends, 3].tolist(),
        volume.tolist(),
    )
    return [
        Kline(Candle(*row), timeframe, closed=row[0] + timeframe.duration <= now)
        for row in zip(*columns, strict=True)
    ]


def _oldest_row(
    series: CandleSeries, opened: int, span: Milliseconds, count: int, now: Milliseconds
) -> int:
    """Return the row at which the newest ``count`` closed candles of ``span`` begin."""
    ratio = span // series.timeframe.duration
    tail = series.open_time[max(0, opened - (count + 2) * ratio) : opened]
    buckets = np.unique(tail // span)
    closed = buckets[(buckets + 1) * span <= now]
    return series.index_at(int(closed[-count:][0]) * span) if closed.size else 0


def _rules(series: CandleSeries) -> MarketRules:
    """Return the rules that the digits of the newest candles suggest."""
    newest = series.slice(max(0, len(series) - _RULES_FROM), len(series))
    base, _, quote = series.symbol.partition("/")
    prices = np.concatenate([newest.open, newest.high, newest.low, newest.close])
    lot = _step(newest.volume)
    return MarketRules(series.symbol, base, quote, lot, _step(prices), lot, _MINIMUM_NOTIONAL)


def _step(values: NDArray[np.float64]) -> float:
    """Return the largest power of ten from 1 down to 1e-8 of which all ``values`` are multiples."""
    for decimals in range(_DECIMALS):
        if np.array_equal(np.round(values, decimals), values):
            return float(10.0**-decimals)
    return float(10.0**-_DECIMALS)
