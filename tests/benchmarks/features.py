"""The state's columns over a long history, and one candle at a time, beside other libraries."""

import json
import os
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import talib
from numpy.typing import NDArray

from adan_core.data.features import FeatureSet
from adan_core.data.series import CandleSeries
from adan_core.data.state import StateStream
from adan_core.domain.candles import Timeframe
from tests.benchmarks.feature_work import candles
from tests.benchmarks.rows import Reference, Row

Floats = NDArray[np.float64]

_ROUNDS = 3
_PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
_TIMES_POLARS, _TIMES_PANDAS_TA = 2.0, 8.0
_STREAMED, _WARM = 20_000, 6_000
_WINDOW = 512
_MICROSECONDS = 1e6


@cache
def _measured() -> dict[str, tuple[float, float]]:
    """Return rows a second (median) and peak MB (largest) by library, in interleaved turns.

    A first turn of each does not count: ADAN's kernels are compiled once per installation, which
    takes memory of its own.
    """
    turns: dict[str, list[dict[str, float]]] = {"polars": [], "pandas-ta": [], "adan": []}
    for turn in range(_ROUNDS + 1):
        for name, taken in turns.items():
            python = str(_PEERS) if name == "pandas-ta" else sys.executable
            done = subprocess.run(
                [python, "-m", "tests.benchmarks.feature_work", name],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ | {"PYTHONWARNINGS": "ignore"},
            )
            if turn:
                taken.append(json.loads(done.stdout))
    return {
        name: (
            statistics.median(each["rows"] for each in taken),
            max(each["megabytes"] for each in taken),
        )
        for name, taken in turns.items()
    }


def _rows_beside(name: str, times: float) -> Row:
    measured = _measured()
    theirs = measured[name][0]
    return Row(
        f"24 columns, 1m/5m/1h, 1 000 000 candles, beside {name}",
        measured["adan"][0],
        "rows/s",
        Reference(name, theirs),
        times * theirs,
        smaller_is_better=False,
    )


def rows_beside_polars() -> Row:
    """Rows a second through the state builder, against a lazy Polars query."""
    return _rows_beside("polars", _TIMES_POLARS)


def rows_beside_pandas_ta() -> Row:
    """Rows a second through the state builder, against pandas-ta."""
    return _rows_beside("pandas-ta", _TIMES_PANDAS_TA)


def memory_of_features() -> Row:
    """The process's peak memory during that work, against the smaller of the two others."""
    measured = _measured()
    name = min(("polars", "pandas-ta"), key=lambda each: measured[each][1])
    theirs = measured[name][1]
    return Row("peak memory of that", measured["adan"][1], "MB", Reference(name, theirs), theirs)


def incremental_state() -> Row:
    """One candle into the shipped feature set's state on three timeframes, called from Python, p99.

    Beside it TA-Lib's stream functions on the last 512 candles: eleven indicators, no timeframes.
    """
    ladder = tuple(Timeframe.parse(text) for text in ("5m", "1h", "4h"))
    shipped = Path(__file__).resolve().parents[2] / "configs" / "features.yaml"
    spec = FeatureSet.parse(shipped.read_text(), "features.yaml")
    data = candles(_WARM + _STREAMED)
    columns = {name: data[name] for name in ("open", "high", "low", "close", "volume")}
    times = data["time"][0] + np.arange(_WARM + _STREAMED) * ladder[0].duration
    series = CandleSeries("BTC/SIM", ladder[0], times, **columns, synthetic=True)
    stream = StateStream(ladder[0], ladder, spec)
    stream.push_series(series.slice(0, _WARM))
    ours = []
    for index in range(_WARM, _WARM + _STREAMED):
        candle = series.candle(index)
        began = time.perf_counter()
        stream.push(candle)
        ours.append(time.perf_counter() - began)
    theirs = []
    for index in range(_WARM, _WARM + _STREAMED // 4):
        rows = slice(index - _WINDOW + 1, index + 1)
        high, low, close, volume = (
            series.high[rows],
            series.low[rows],
            series.close[rows],
            series.volume[rows],
        )
        began = time.perf_counter()
        _talib_stream(high, low, close, volume)
        theirs.append(time.perf_counter() - began)
    return Row(
        "state, one candle, 3 timeframes, p99",
        _p99(ours),
        "µs",
        Reference("talib.stream, 11 indicators, p99", _p99(theirs)),
        50.0,
    )


def _talib_stream(high: Floats, low: Floats, close: Floats, volume: Floats) -> None:
    stream = talib.stream
    stream.RSI(close, 14)
    for period in (9, 21, 50):
        stream.EMA(close, period)
    stream.MACD(close)
    stream.ATR(high, low, close, 14)
    stream.BBANDS(close, 20)
    stream.ADX(high, low, close, 14)
    stream.OBV(close, volume)
    stream.STDDEV(close, 20)
    np.log(close[-1] / close[-2])


def _p99(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 99)) * _MICROSECONDS
