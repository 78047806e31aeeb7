"""``adan-core data regimes``: what the detector says of a market, and how often it is right."""

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from adan_core.cli.context import Context
from adan_core.cli.data_reading import (
    READING,
    SCHEMA_VERSION,
    Progress,
    reading_of,
    reading_options,
    refuse_reading_options,
)
from adan_core.cli.data_regimes_text import Stay, say
from adan_core.domain.errors import DataError, UsageError
from adan_core.domain.market import Regime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from adan_core.data.series import CandleSeries
    from adan_core.learning.regime import RegimeHistory

_EPILOG = """\
The detector sees each candle at its close, in order, as it does while trading; the first 480 warm it
up. Below the shares of time, a picture of the closes shows where each regime was reported, and a
list at which closes crises began and ended. On a simulated market --labels compares its answers with
the regimes the market was made of: write them with `adan-core data sample --labels FILE`. Of a real
market nobody knows them.

examples:
  adan-core data sample --rows 50000 --output practice.parquet --labels truth.parquet
  adan-core data regimes practice.parquet --labels truth.parquet
  adan-core data regimes BTC-USDT-1h
  adan-core data regimes BTC-USDT-1h --output regimes.parquet --json
"""


_SLOW: Final = 0.9


def configure_regimes(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data regimes``."""
    parser.epilog = READING + "see `adan-core data check --help`.\n\n" + _EPILOG
    parser.add_argument("what", metavar="NAME|FILE", help="a stored data set, or a file")
    reading_options(parser)
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="compare with the regimes in this *.parquet"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write regime, probabilities and drivers of every candle as *.parquet",
    )
    parser.add_argument("--replace", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def regimes(arguments: argparse.Namespace, context: Context) -> int:
    """Detect the regimes of every candle and say what they are."""
    from adan_core.learning.regime import detect_regimes

    output: Path | None = arguments.output
    if output is not None and output.suffix != ".parquet":
        raise UsageError(f"--output {output}", "a file named *.parquet")
    if output is not None and output.exists() and not arguments.replace:
        raise UsageError(f"{output} exists", "a new file", "add --replace, or name another file")
    with Progress(context) as progress:
        series = _series(arguments, context, progress)
        progress.say(f"detecting the regimes of {len(series):,} candles")
        history = detect_regimes(series)
        if not (history.regimes >= 0).any():
            raise DataError(
                f"{len(series):,} candles, which only warm the detector up", "more than 480"
            )
        truth = None if arguments.labels is None else _labels(arguments.labels, series)
        if output is not None:
            _write(output, series, history)
    document = _document(series, history, truth)
    if arguments.json:
        context.emit(document)
    else:
        say(document, series, stays_of(history.regimes), context)
        if output is not None:
            context.say(f"wrote every candle's regime to {output}")
    return 0


def stays_of(regimes: "NDArray[np.int64]") -> list[Stay]:
    """Return each stay in one regime, in order; candles that warm the detector up are in none."""
    import numpy as np

    edges = [0, *(np.flatnonzero(np.diff(regimes)) + 1).tolist(), len(regimes)]
    return [
        Stay(int(regimes[first]), first, stop)
        for first, stop in itertools.pairwise(edges)
        if regimes[first] >= 0
    ]


def _series(arguments: argparse.Namespace, context: Context, progress: Progress) -> "CandleSeries":
    from adan_core.data.files import examine
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    path = Path(arguments.what)
    stored = arguments.what in store.names()
    if stored and path.is_file():
        raise UsageError(
            f"{arguments.what!r} is a data set and a file here", "one of them", f"write ./{path}"
        )
    if stored:
        refuse_reading_options(arguments)
        return store.read(arguments.what)
    if not path.is_file():
        raise UsageError(
            f"{arguments.what!r} is neither a file nor a stored data set",
            f"a file, or one of: {', '.join(store.names()) or 'none stored yet'}",
        )
    return examine(path, reading_of(arguments, context), progress.say).series()


def _labels(path: Path, series: "CandleSeries") -> "NDArray[np.int64]":
    """Return the labelled regime of each candle as its place in ``REGIMES``."""
    import numpy as np
    import polars as pl

    from adan_core.learning.regime_model import REGIMES

    if not path.is_file():
        raise UsageError(f"no file {path}", "labels of `adan-core data sample --labels`")
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read: {error}", "a Parquet file of labels") from error
    if not {"timestamp", "regime"} <= set(frame.columns):
        raise DataError(
            f"{path} with the columns {', '.join(frame.columns)}",
            "timestamp and regime: labels of the simulated market",
        )
    codes = {str(regime): code for code, regime in enumerate(REGIMES)}
    times = frame["timestamp"].cast(pl.Datetime("ms", "UTC")).to_physical().to_numpy()
    names = frame["regime"].to_list()
    unknown = sorted({str(name) for name in names} - set(codes))
    if unknown:
        raise DataError(f"{path} with the regimes {', '.join(unknown)}", ", ".join(codes))
    if not np.array_equal(times, series.open_time):
        raise DataError(f"{path} with other candles than those read", "the labels of these candles")
    return np.array([codes[name] for name in names], dtype=np.int64)


def _document(
    series: "CandleSeries", history: "RegimeHistory", truth: "NDArray[np.int64] | None"
) -> dict[str, Any]:
    import numpy as np

    from adan_core.learning.regime_features import DRIVERS
    from adan_core.learning.regime_model import REGIMES

    ready = history.regimes >= 0
    answer = history.regimes[ready]
    stays = stays_of(history.regimes)
    begun = np.bincount([stay.code for stay in stays], minlength=len(REGIMES)).tolist()
    counts = np.bincount(answer, minlength=len(REGIMES)).tolist()
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "synthetic": series.synthetic,
        "candles": len(answer),
        "warming": len(series) - len(answer),
        "switches_per_1000": 1000.0 * (len(stays) - 1) / len(answer),
        "regimes": [
            {
                "regime": str(regime),
                "share": counts[code] / len(answer),
                "stays": begun[code],
                "mean_stay": None if not begun[code] else counts[code] / begun[code],
            }
            for code, regime in enumerate(REGIMES)
        ],
        "crises": [_crisis(series, stay) for stay in stays if REGIMES[stay.code] is Regime.CRISIS],
        "newest": {
            "time": int(series.close_time[-1]),
            "regime": str(REGIMES[answer[-1]]),
            "probabilities": dict(
                zip(map(str, REGIMES), history.probabilities[-1].tolist(), strict=True)
            ),
            "drivers": dict(zip(DRIVERS, history.drivers[-1].tolist(), strict=True)),
        },
    }
    if truth is not None:
        document["truth"] = _compared(truth[ready], answer)
    return document


def _crisis(series: "CandleSeries", stay: Stay) -> dict[str, Any]:
    """Return from which close to which a crisis was reported, and what the price did meanwhile.

    ``change`` is relative to the close before its first candle, up to the close of its last.
    """
    before = max(stay.first - 1, 0)
    over = stay.stop < len(series)
    return {
        "start": int(series.close_time[stay.first]),
        "end": int(series.close_time[stay.stop]) if over else None,
        "candles": stay.stop - stay.first,
        "change": float(series.close[stay.stop - 1] / series.close[before] - 1.0),
    }


def _compared(truth: "NDArray[np.int64]", answer: "NDArray[np.int64]") -> dict[str, Any]:
    """Return the confusion (rows: the truth), each regime's scores, and how late crises were seen.

    ``crisis_delay_p90`` counts the candles after a crisis's first, None if there was no crisis or
    a tenth of them was over unreported.
    """
    import numpy as np

    from adan_core.learning.regime_delays import onset_delays
    from adan_core.learning.regime_model import REGIMES

    counted = np.zeros((len(REGIMES), len(REGIMES)), dtype=np.int64)
    np.add.at(counted, (truth, answer), 1)
    confusion: list[list[int]] = counted.tolist()
    rows: list[dict[str, Any]] = []
    for code, regime in enumerate(REGIMES):
        right, made = confusion[code][code], sum(confusion[code])
        said = sum(row[code] for row in confusion)
        rows.append(
            {
                "regime": str(regime),
                "answers": confusion[code],
                "precision": None if not said else right / said,
                "recall": None if not made else right / made,
                "f1": None if not said + made else 2.0 * right / (said + made),
            }
        )
    scores = [row["f1"] for row in rows if row["f1"] is not None]
    late = onset_delays(truth, answer, REGIMES.index(Regime.CRISIS))
    # The next delay above, not one between two: the last crises may never have been reported.
    slow = float(np.quantile(late, _SLOW, method="higher")) if late.size else None
    return {
        "macro_f1": sum(scores) / len(scores),
        "regimes": rows,
        "crises": len(late),
        "crises_missed": int(np.isinf(late).sum()),
        "crisis_delay_p90": None if slow is None or np.isinf(slow) else slow,
    }


def _write(path: Path, series: "CandleSeries", history: "RegimeHistory") -> None:
    import io

    import polars as pl

    from adan_core.learning.regime_features import DRIVERS
    from adan_core.learning.regime_model import REGIMES
    from adan_core.resilience.files import write_atomically

    named = [str(regime) for regime in REGIMES]
    columns: dict[str, pl.Series] = {
        "close_time": pl.Series(series.close_time).cast(pl.Datetime("ms", "UTC")),
        "regime": pl.Series([None if code < 0 else named[code] for code in history.regimes]),
    }
    for names, values in ((named, history.probabilities), (DRIVERS, history.drivers)):
        for place, name in enumerate(names):
            columns[name] = pl.Series(values[:, place]).fill_nan(None)
    content = io.BytesIO()
    pl.DataFrame(columns).write_parquet(content, metadata={"schema_version": str(SCHEMA_VERSION)})
    write_atomically(path, content.getvalue())
