"""A loopback exchange with known candles, and unmodified ccxt as its client."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import ccxt
import numpy as np

from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.time import HOUR, MINUTE, Milliseconds

Client = TypeVar("Client", bound=ccxt.Exchange)

START: Milliseconds = 1_700_000_000_000 // HOUR * HOUR


def minutes(count: int, symbol: str = "BTC/USDT", missing: tuple[int, ...] = ()) -> CandleSeries:
    """Return ``count`` minutes from ``START``, without those whose numbers are in ``missing``.

    Minute ``i`` opens at 100 + i, falls by 0.25, rises by 2, closes at 101 + i; its volume is 1 + i % 7.
    """
    number = np.delete(np.arange(count), missing).astype(np.float64)
    opens = 100.0 + number
    return CandleSeries(
        symbol,
        Timeframe(MINUTE),
        (START + number * MINUTE).astype(np.int64),
        opens,
        opens + 2.0,
        opens - 0.25,
        opens + 1.0,
        1.0 + number % 7.0,
        synthetic=False,
    )


def row(series: CandleSeries, index: int) -> list[float]:
    """Return candle ``index`` as ccxt writes it."""
    candle = series.candle(index)
    return [
        candle.open_time,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
    ]


def rows(series: CandleSeries, start: int, stop: int) -> list[list[float]]:
    """Return candles ``start`` to ``stop`` (excluded) as ccxt writes them."""
    return [row(series, index) for index in range(start, stop)]


def pinned(client: Client, url: str) -> Client:
    """Return ``client`` with every address of its driver on the host of ``url``, paths kept."""
    client.urls["api"] = _pin(client.urls["api"], url)
    client.enableRateLimit = False  # nobody else asks this exchange, and tests do not wait
    return client


def _pin(value: object, url: str) -> object:
    if isinstance(value, dict):
        return {name: _pin(each, url) for name, each in value.items()}
    scheme, _, rest = str(value).partition("://")
    path = rest.partition("/")[2]
    host = url.replace("http", "ws", 1) if scheme.startswith("ws") else url
    return f"{host}/{path}" if path else host


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition that another thread brings about; AssertionError if it never does."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came about"
        pause.wait(0.002)
