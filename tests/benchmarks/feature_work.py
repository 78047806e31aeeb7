"""One library's turn at the same work: 24 columns over 1 000 000 one-minute candles, three timeframes.

    python -m tests.benchmarks.feature_work adan | polars | pandas-ta

Relative strength 14, exponential means 9, 21 and 50, MACD with signal and histogram, average true
range 14, Bollinger bands 20, directional index 14, on-balance volume, log-return, its rolling
deviation 20, z-score 20; and of 5-minute and 1-hour candles, from their close on, the close,
relative strength 14, exponential mean 21 and volume (ADAN: the volume against its mean, which is
more work; it offers no raw one). Runs in a process of its own, so that its peak
memory is its own; prints one JSON object. A first, untimed run compiles and warms up.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANDLES = 1_000_000
COLUMNS = 24
_ROUNDS = 3
_MINUTE = 60_000
_START = 1_577_836_800_000
_HIGHER = {"5m": 5, "1h": 60}

Columns = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]


def candles(count: int, seed: int = 0) -> Columns:
    """Return one-minute candles of a random walk with clustered volatility, as float64 columns."""
    random = np.random.default_rng(seed)
    calm = np.clip(np.cumsum(random.standard_normal(count) * 0.004), -1.0, 1.0)
    deviation = 0.0008 * np.exp(calm)
    close = 30_000.0 * np.exp(np.cumsum(random.standard_normal(count) * deviation))
    opening = np.concatenate(([30_000.0], close[:-1]))
    spread = np.abs(random.standard_normal((2, count))) * deviation * 0.5
    return {
        "time": _START + np.arange(count, dtype=np.int64) * _MINUTE,
        "open": opening,
        "high": np.maximum(opening, close) * (1.0 + spread[0]),
        "low": np.minimum(opening, close) * (1.0 - spread[1]),
        "close": close,
        "volume": random.lognormal(2.0, 1.0, count),
    }


def with_polars(data: Columns) -> Callable[[], Floats]:
    """Return the work as one lazy Polars query, on all the threads Polars takes."""
    import polars as pl

    frame = pl.DataFrame(data).with_columns(pl.col("time").cast(pl.Datetime("ms")))
    high, low, close = pl.col("high"), pl.col("low"), pl.col("close")

    def wilder(value: pl.Expr, period: int) -> pl.Expr:
        return value.ewm_mean(alpha=1.0 / period, adjust=False)

    def strength(value: pl.Expr) -> pl.Expr:
        change = value.diff()
        gain, loss = change.clip(lower_bound=0.0), (-change).clip(lower_bound=0.0)
        return 100.0 - 100.0 / (1.0 + wilder(gain, 14) / wilder(loss, 14))

    def mean(value: pl.Expr, span: int) -> pl.Expr:
        return value.ewm_mean(span=span, adjust=False)

    true_range = pl.max_horizontal(
        high - low, (high - close.shift(1)).abs(), (low - close.shift(1)).abs()
    )
    up, down = high.diff(), -low.diff()
    rise = wilder(pl.when((up > down) & (up > 0.0)).then(up).otherwise(0.0), 14)
    fall = wilder(pl.when((down > up) & (down > 0.0)).then(down).otherwise(0.0), 14)
    line = mean(close, 12) - mean(close, 26)
    middle, spread = close.rolling_mean(20), close.rolling_std(20)
    log_return = close.log().diff()

    def work() -> Floats:
        query = frame.lazy().with_columns(
            strength=strength(close),
            mean_9=mean(close, 9),
            mean_21=mean(close, 21),
            mean_50=mean(close, 50),
            line=line,
            signal=mean(line, 9),
            histogram=line - mean(line, 9),
            true_range=wilder(true_range, 14),
            upper=middle + 2.0 * spread,
            middle=middle,
            lower=middle - 2.0 * spread,
            directional=100.0 * wilder((rise - fall).abs() / (rise + fall), 14),
            balance=(close.diff().sign() * pl.col("volume")).cum_sum(),
            log_return=log_return,
            volatility=log_return.rolling_std(20),
            score=(close - middle) / spread,
        )
        query = query.set_sorted("time")
        for name in _HIGHER:
            higher = (
                frame.lazy()
                .set_sorted("time")
                .group_by_dynamic("time", every=name, label="right", closed="left")
                .agg(close.last(), pl.col("volume").sum())
                .select(
                    "time",
                    close.alias(f"{name}:close"),
                    strength(close).alias(f"{name}:strength"),
                    mean(close, 21).alias(f"{name}:mean_21"),
                    pl.col("volume").alias(f"{name}:volume"),
                )
                .set_sorted("time")
            )
            query = query.join_asof(higher, on="time", strategy="backward")
        return query.drop("time", "open", "high", "low", "close", "volume").collect().to_numpy()

    return work


def with_pandas_ta(data: Columns) -> Callable[[], Floats]:
    """Return the work with pandas-ta (its maintained fork, with TA-Lib beside it) and pandas."""
    import pandas as pd
    import pandas_ta_classic as ta

    def work() -> Floats:
        frame = pd.DataFrame(
            {name: data[name] for name in ("open", "high", "low", "close", "volume")},
            index=pd.to_datetime(data["time"], unit="ms"),
        )
        high, low, close, volume = frame.high, frame.low, frame.close, frame.volume
        log_return = ta.log_return(close)
        table = pd.concat(
            [
                ta.rsi(close, 14),
                ta.ema(close, 9),
                ta.ema(close, 21),
                ta.ema(close, 50),
                ta.macd(close),
                ta.atr(high, low, close, 14),
                ta.bbands(close, 20).iloc[:, :3],
                ta.adx(high, low, close, 14).iloc[:, :1],
                ta.obv(close, volume),
                log_return,
                log_return.rolling(20).std(),
                ta.zscore(close, 20),
            ],
            axis=1,
        )
        for name in ("5min", "1h"):
            higher = frame.resample(name, label="right", closed="left").agg(
                {"close": "last", "volume": "sum"}
            )
            higher["strength"] = ta.rsi(higher.close, 14)
            higher["mean_21"] = ta.ema(higher.close, 21)
            table = pd.merge_asof(table, higher.add_suffix(name), left_index=True, right_index=True)
        made: Floats = table.to_numpy()
        return made

    return work


FEATURES = """
schema_version: 2
name: benchmark
windows: [1, 1, 1]
features:
  - {name: strength, function: relative_strength, parameters: [14], timeframes: [0, 1, 2]}
  - {name: mean_9, function: exponential_mean, parameters: [9], timeframes: [0]}
  - {name: mean_21, function: exponential_mean, parameters: [21], timeframes: [0, 1, 2]}
  - {name: mean_50, function: exponential_mean, parameters: [50], timeframes: [0]}
  - {name: line, function: convergence_line, parameters: [12, 26], timeframes: [0]}
  - {name: signal, function: convergence_signal, parameters: [12, 26, 9], timeframes: [0]}
  - {name: histogram, function: convergence_histogram, parameters: [12, 26, 9], timeframes: [0]}
  - {name: true_range, function: average_true_range, parameters: [14], timeframes: [0]}
  - {name: upper, function: upper_band, parameters: [20, 2], timeframes: [0]}
  - {name: middle, function: simple_mean, parameters: [20], timeframes: [0]}
  - {name: lower, function: lower_band, parameters: [20, 2], timeframes: [0]}
  - {name: directional, function: directional_index, parameters: [14], timeframes: [0]}
  - {name: balance, function: on_balance_volume, parameters: [], timeframes: [0]}
  - {name: log_return, function: log_return, parameters: [1], timeframes: [0]}
  - {name: volatility, function: volatility, parameters: [20], timeframes: [0]}
  - {name: score, function: band_position, parameters: [20], timeframes: [0]}
  - {name: close, function: simple_mean, parameters: [1], timeframes: [1, 2]}
  - {name: volume, function: volume_balance, parameters: [20], timeframes: [1, 2]}
"""


def with_adan(data: Columns) -> Callable[[], Floats]:
    """Return the work through the state builder that training, backtest and trading call."""
    from adan_core.data.features import FeatureSet
    from adan_core.data.series import CandleSeries
    from adan_core.data.state import build_frame
    from adan_core.domain.candles import Timeframe

    ladder = tuple(Timeframe.parse(name) for name in ("1m", *_HIGHER))
    spec = FeatureSet.parse(FEATURES, "benchmark")

    def work() -> Floats:
        series = CandleSeries(
            "BTC/SIM",
            ladder[0],
            data["time"],
            data["open"],
            data["high"],
            data["low"],
            data["close"],
            data["volume"],
            synthetic=True,
        )
        return build_frame(series, ladder, spec).market

    return work


WORKERS: dict[str, Callable[[Columns], Callable[[], Floats]]] = {
    "adan": with_adan,
    "polars": with_polars,
    "pandas-ta": with_pandas_ta,
}


def main(name: str) -> None:
    """Take one library's turn and print its rows a second and its peak memory in MB."""
    work = WORKERS[name](candles(CANDLES))
    made = work()
    if made.shape != (CANDLES, COLUMNS):
        raise SystemExit(f"{name} made {made.shape}, not {(CANDLES, COLUMNS)}")
    del made
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - began)
        del made
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": CANDLES / statistics.median(seconds), "megabytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
