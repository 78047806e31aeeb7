"""``adan-core data sample``: candles of a simulated market or of a textbook process."""

import argparse
from math import log1p
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, Progress, describe
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from adan_core.data.incidents import Planted
    from adan_core.data.series import CandleSeries
    from adan_core.domain.candles import Timeframe

_BATCH = 65_536
_TICK_OF_REGIMES = 0.01  # what SimulatedMarket uses unless told otherwise
_REGIMES = "regimes"
_SYMBOLS = {
    _REGIMES: "BTC/SIM",
    "mean-reverting": "OU/SIM",
    "mean-reverting-hard": "OU/SIM",
    "drift": "DRIFT/SIM",
    "drift-weak": "DRIFT/SIM",
    "random-walk": "WALK/SIM",
}
_INCIDENTS = {
    "jumps": "price jumps",
    "gaps": "holes of a few missing candles",
    "outages": "exchange outages",
}
_EPILOG = """\
processes, all parameters per candle whatever its span:
  regimes              the built-in market: trends, ranges, storms and crises that follow each other
  mean-reverting       Ornstein-Uhlenbeck, half-life 24 candles, stationary deviation 1.5 %, around a
                       random walk of 0.05 %
  mean-reverting-hard  the same with 0.8 % around a random walk of 0.1 %
  drift                drift of +0.08 % or -0.08 %, each for 200 candles on average, deviation 0.5 %
  drift-weak           the same with +0.05 % or -0.05 %
  random-walk          no drift, deviation 0.5 %: nothing beats staying flat

Net of 0.1 % fee and 0.05 % slippage a side, the best that prices alone can tell earns a log-return
of 0.117 (mean-reverting), 0.031 (hard), 0.232 (drift), 0.101 (weak) and 0 (random-walk) per 1000
candles; `adan-core prove` shows what a trained agent earns of it.

--jumps, --gaps and --outages plant what goes wrong in markets, so many per 1000 candles on average:
prices that jump by 5 to 15 %, missing candles, and outages (candles without a trade, then a hole,
then a burst of volume). --labels says, candle by candle, what only the maker knows: the regime or
the hidden state, the best exposure for who sees it (net of the settings' costs; the regimes market
has none to state), and what was planted.

examples:
  adan-core data sample --rows 20000 --timeframe 1h --name practice
  adan-core data sample --process drift --rows 60000 --labels drift-labels.parquet
  adan-core data sample --rows 20000 --gaps 1 --outages 0.2 --jumps 0.2 --name rough
"""


def configure_sample(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data sample``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--process", choices=tuple(_SYMBOLS), default=_REGIMES, help="(default: %(default)s)"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="candles (default: %(default)s)")
    parser.add_argument("--timeframe", default="5m", help="their span (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument(
        "--symbol", help="ANY/SIM (default: " + ", ".join(_SYMBOLS.values()) + ", by process)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write *.csv, *.csv.gz, *.parquet or *.feather instead of storing a data set",
    )
    for what, help_text in _INCIDENTS.items():
        parser.add_argument(
            f"--{what}", type=float, default=0.0, metavar="N", help=f"{help_text} per 1000 candles"
        )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="also write what the maker knows, as *.parquet"
    )
    parser.add_argument("--name", help="store it as NAME (default: e.g. BTC-SIM-5m)")
    parser.add_argument("--replace", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def sample(arguments: argparse.Namespace, context: Context) -> int:
    """Make the candles, and store them or write them to a file."""
    from adan_core.data.files import SIMULATED_QUOTE
    from adan_core.data.store import CandleStore, check_name, dataset_name
    from adan_core.domain.candles import Timeframe

    if arguments.rows < 1 or arguments.seed < 0:
        raise UsageError(
            f"{arguments.rows} rows, seed {arguments.seed}", "at least one row and a seed >= 0"
        )
    symbol = arguments.symbol or _SYMBOLS[arguments.process]
    if not symbol.endswith(f"/{SIMULATED_QUOTE}"):
        raise UsageError(
            f"symbol {symbol!r} for simulated candles",
            f"the quote currency {SIMULATED_QUOTE}, so that nobody takes them for real",
            "write it like BTC/SIM",
        )
    if arguments.output is not None and arguments.name is not None:
        raise UsageError("--output and --name", "one of them: a file, or a stored data set")
    timeframe = Timeframe.parse(arguments.timeframe)
    name = check_name(arguments.name or dataset_name(symbol, timeframe))
    _check_labels(arguments)
    with Progress(context) as progress:
        series, knowledge = _make(arguments, symbol, timeframe, context, progress)
        planted = None
        if arguments.labels is not None or any(getattr(arguments, what) for what in _INCIDENTS):
            planted = _plant(arguments, series)
            series = planted.series
        source = f"simulated, {arguments.process}, seed {arguments.seed}" + "".join(
            f", {getattr(arguments, what):g} {what} per 1000"
            for what in _INCIDENTS
            if getattr(arguments, what)
        )
        if arguments.output is None:
            info = CandleStore(context.home.datasets).write(
                name, series, source, replace=arguments.replace
            )
        else:
            from adan_core.data.export import export

            export(series, arguments.output, replace=arguments.replace)
        if arguments.labels is not None and planted is not None:
            _write_labels(arguments.labels, planted, knowledge, source)
    if arguments.output is None:
        if arguments.json:
            context.emit(info)
        else:
            context.say(f"stored {describe(info)}")
    elif arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "file": str(arguments.output),
                "symbol": series.symbol,
                "timeframe": str(timeframe),
                "rows": len(series),
                "synthetic": True,
                "content_hash": series.content_hash,
            }
        )
    else:
        context.say(f"wrote {len(series):,} SIMULATED candles of {timeframe} to {arguments.output}")
    return 0


def _check_labels(arguments: argparse.Namespace) -> None:
    labels: Path | None = arguments.labels
    if labels is None:
        return
    if labels.suffix != ".parquet":
        raise UsageError(f"--labels {labels}", "a file named *.parquet")
    if labels.exists() and not arguments.replace:
        raise UsageError(f"{labels} exists", "a new file", "add --replace, or name another file")


def _make(
    arguments: argparse.Namespace,
    symbol: str,
    timeframe: "Timeframe",
    context: Context,
    progress: Progress,
) -> "tuple[CandleSeries, dict[str, pl.Series]]":
    """Return the candles, and what only their maker knows of each, by column, where labels are wanted."""
    import polars as pl

    from adan_core.data.processes import PROCESSES
    from adan_core.data.series import check_symbol, concatenate
    from adan_core.data.synthetic import REGIMES, SimulatedMarket

    rows = arguments.rows
    check_symbol(symbol)
    if arguments.process != _REGIMES:
        progress.say("making candles")
        path = PROCESSES[arguments.process].path(symbol, timeframe, arguments.seed, rows)
        if arguments.labels is None:
            return path.series, {}
        costs = context.settings().costs
        cost = -log1p(-costs.fee_rate - costs.slippage_rate)
        return path.series, {
            "hidden_state": pl.Series(path.hidden),
            "best_exposure": pl.Series(path.best_exposures(cost)),
        }
    market = SimulatedMarket(symbol, timeframe, arguments.seed)
    parts = []
    for start in range(0, rows, _BATCH):
        progress.say(f"making candles: {start / rows:.0%}")
        parts.append(market.candles(start, min(_BATCH, rows - start)))
    if arguments.labels is None:
        return concatenate(parts), {}
    progress.say("telling the regimes")
    names = pl.Series([str(regime) for regime in REGIMES])
    return concatenate(parts), {"regime": names.gather(market.regimes(0, rows).tolist())}


def _plant(arguments: argparse.Namespace, series: "CandleSeries") -> "Planted":
    import numpy as np

    from adan_core.data.incidents import Incidents, plant
    from adan_core.data.processes import TICK

    incidents = Incidents(**{what: getattr(arguments, what) for what in _INCIDENTS})
    # A stream of its own, so that the path is the same with incidents and without.
    generator = np.random.default_rng([arguments.seed, len(_INCIDENTS)])
    tick = TICK if arguments.process != _REGIMES else _TICK_OF_REGIMES
    return plant(series, incidents, generator, tick)


def _write_labels(
    path: Path, planted: "Planted", knowledge: "dict[str, pl.Series]", source: str
) -> None:
    import io

    import polars as pl

    from adan_core.resilience.files import write_atomically

    kept = planted.kept.tolist()
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(planted.series.open_time).cast(pl.Datetime("ms", "UTC")),
            **{name: column.gather(kept) for name, column in knowledge.items()},
            "incident": pl.Series(planted.incident.tolist(), dtype=pl.String),
            "synthetic": pl.Series([True]).new_from_index(0, len(kept)),
        }
    )
    content = io.BytesIO()
    frame.write_parquet(content, metadata={"schema_version": str(SCHEMA_VERSION), "source": source})
    write_atomically(path, content.getvalue())
