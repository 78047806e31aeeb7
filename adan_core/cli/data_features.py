"""``adan-core data features``: exactly what the agent sees of a market, in a file, for anybody to check."""

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, Progress
from adan_core.domain.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from adan_core.data.state import StateFrame
    from adan_core.data.store import CandleStore
    from adan_core.learning.bundle import ServiceModel

NORMALISED = "normalised:"
_EPILOG = f"""\
One row per candle, at its close: `time`, a float64 column per column of the state, named as in
`data leakcheck`, and `ready`, false while indicators warm up (what is not known yet is NaN). With
--model also `{NORMALISED}COLUMN`, float32: the observation's own bytes, its account part left out.

The state is always computed from the data set's first candle on, as the core does; --since and
--until only choose which rows are written. The file's metadata name data, features and model.

examples:
  adan-core data features BTC/USDT --output seen.parquet
  adan-core data features BTC-USDT-1h --output seen.parquet --since 2023-01-01 --until 2023-02-01
  adan-core data features BTC-SIM-5m --output seen.parquet --model simulated-s0-20260101-120000
"""


def configure_features(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data features``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "what", metavar="SYMBOL|NAME", help="a symbol with one stored data set, or a data set"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.parquet")
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="a feature set (default: the settings')"
    )
    parser.add_argument("--model", metavar="ID", help="write the columns as it reads them, too")
    parser.add_argument("--since", metavar="DATE", help="the first candle opens then or later")
    parser.add_argument("--until", metavar="DATE", help="the last closes by then")
    parser.add_argument("--replace", action="store_true", help="replace a file that exists")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def features(arguments: argparse.Namespace, context: Context) -> int:
    """Write the file, and say what is in it."""
    from adan_core.cli.instants import instant_of
    from adan_core.cli.model_choice import chosen_features
    from adan_core.data.frames import cached_frame
    from adan_core.data.store import CandleStore
    from adan_core.learning.market import ladder_of
    from adan_core.resilience.files import write_atomically
    from adan_core.runtime.models import open_registry

    output: Path = arguments.output
    if output.suffix.lower() != ".parquet":
        raise UsageError(
            output.name,
            "a name ending in .parquet, which can carry the hashes of data and features",
        )
    if output.exists() and not arguments.replace:
        raise UsageError(f"{output} exists", "a new file", "add --replace, or name another file")
    since, until = instant_of(arguments.since), instant_of(arguments.until)
    settings = context.settings()
    store = CandleStore(context.home.datasets)
    name = resolve(arguments.what, store)
    with Progress(context) as progress:
        progress.say(f"reading {name}")
        series = store.read(name)
        spec = chosen_features(arguments.features, settings, context)
        spec = spec.known_by(int(series.close_time[-1]) if len(series) else 0)
        ladder = ladder_of(settings, series.timeframe)
        schema_hash = spec.schema_hash(ladder)
        model = None
        if arguments.model is not None:
            model = open_registry(context.home).load(arguments.model, schema_hash)
        progress.say(f"computing {len(series):,} states")
        frame = cached_frame(series, ladder, spec, context.cache(settings))
        start = 0 if since is None else series.index_at(since)
        stop = len(series)
        if until is not None:
            stop = series.index_at(until - series.timeframe.duration + 1)
        if stop <= start:
            raise DataError(
                f"no candle of {name} between --since and --until",
                f"a period within {len(series)} candles",
                "`adan-core data list` says what is stored",
            )
        # What the file holds and what it was made of: its metadata, and the answer in JSON.
        written: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "symbol": series.symbol,
            "timeframe": str(series.timeframe),
            "synthetic": series.synthetic,
            "dataset": name,
            "data_hash": series.content_hash,
            "external_hash": spec.external_hash,
            "feature_set": spec.name,
            "feature_schema_version": spec.schema_version,
            "feature_schema_hash": schema_hash,
            "ladder": [str(step) for step in ladder],
            "model": model.model_id if model else None,
            "rows": stop - start,
            "first_ready": frame.ready - start if start <= frame.ready < stop else None,
        }
        progress.say(f"writing {output}")
        content = io.BytesIO()
        _table(frame, model, start, stop).write_parquet(
            content, compression="zstd", metadata=_metadata(written)
        )
        write_atomically(output, content.getvalue())
    if arguments.json:
        context.emit(written)
    else:
        kind = "SIMULATED " if series.synthetic else ""
        context.say(
            f"wrote {stop - start:,} rows of {len(frame.columns)} columns to {output}: {kind}"
            f"{series.symbol} {series.timeframe}, features {spec.name!r} {schema_hash}, "
            f"data {series.content_hash}"
            + (f", normalised by model {model.model_id}" if model else "")
        )
    return 0


def resolve(what: str, store: "CandleStore") -> str:
    """Return the data set called ``what``, or the only one of that symbol; UsageError otherwise."""
    names = store.names()
    if what in names:
        return what
    found = [name for name in names if _symbol_of(name, store) == what]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{what} has {len(found)} data sets", f"one of: {', '.join(found)}")
    raise UsageError(
        f"{what!r} is neither a stored data set nor the symbol of one",
        f"one of: {', '.join(names) or 'none stored yet'}",
        "see `adan-core data list`",
    )


def _symbol_of(name: str, store: "CandleStore") -> str | None:
    """Return whose candles a data set holds; None for a damaged one, which `data list` tells of."""
    try:
        return store.info(name).symbol
    except DataError:
        return None


def _table(
    frame: "StateFrame", model: "ServiceModel | None", start: int, stop: int
) -> "pl.DataFrame":
    import numpy as np
    import polars as pl

    rows = slice(start, stop)
    columns: dict[str, pl.Series] = {
        "time": pl.Series(frame.close_time[rows]).cast(pl.Datetime("ms", "UTC"))
    }
    for place, name in enumerate(frame.columns):
        columns[name] = pl.Series(np.ascontiguousarray(frame.market[rows, place]))
    if model is not None:
        seen = model.normaliser.apply(frame.market[rows])
        for place, name in enumerate(frame.columns):
            columns[NORMALISED + name] = pl.Series(np.ascontiguousarray(seen[:, place]))
    columns["ready"] = pl.Series(np.arange(start, stop) >= frame.ready)
    return pl.DataFrame(columns)


def _metadata(written: dict[str, object]) -> dict[str, str]:
    """Return ``written`` as the file's metadata: text as it is, the rest as JSON, without absences."""
    import msgspec

    return {
        f"adan.{key}": value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in written.items()
        if value is not None
    }
