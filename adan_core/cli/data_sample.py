"""``adan-core data sample``: candles of a simulated market or of a textbook process."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, Progress, describe
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.data.series import CandleSeries
    from adan_core.domain.candles import Timeframe

_BATCH = 65_536
_REGIMES = "regimes"
_SYMBOLS = {
    _REGIMES: "BTC/SIM",
    "mean-reverting": "OU/SIM",
    "drift": "DRIFT/SIM",
    "random-walk": "WALK/SIM",
}
_EPILOG = """\
processes, all parameters per candle whatever its span:
  regimes         the built-in market: trends, ranges, storms and crises that follow each other
  mean-reverting  Ornstein-Uhlenbeck, half-life 24 candles, stationary deviation 1.5 %, around a
                  random walk of 0.05 %
  drift           drift of +0.08 % or -0.08 %, each for 200 candles on average, deviation 0.5 %
  random-walk     no drift, deviation 0.5 %: nothing beats staying flat

Net of 0.1 % fee and 0.05 % slippage a side, the best that prices alone can tell earns a log-return
of 0.117 (mean-reverting), 0.232 (drift) and 0 (random-walk) per 1000 candles.

examples:
  adan-core data sample --rows 20000 --timeframe 1h --name practice
  adan-core data sample --process drift --rows 60000
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
    with Progress(context) as progress:
        series = _make(arguments, symbol, timeframe, progress)
        source = f"simulated, {arguments.process}, seed {arguments.seed}"
        if arguments.output is None:
            info = CandleStore(context.home.datasets).write(
                name, series, source, replace=arguments.replace
            )
        else:
            from adan_core.data.export import export

            export(series, arguments.output, replace=arguments.replace)
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
        context.say(f"wrote {len(series)} SIMULATED candles of {timeframe} to {arguments.output}")
    return 0


def _make(
    arguments: argparse.Namespace, symbol: str, timeframe: "Timeframe", progress: Progress
) -> "CandleSeries":
    from adan_core.data.processes import PROCESSES
    from adan_core.data.series import check_symbol, concatenate
    from adan_core.data.synthetic import SimulatedMarket

    rows = arguments.rows
    check_symbol(symbol)
    if arguments.process != _REGIMES:
        progress.say("making candles")
        return PROCESSES[arguments.process](symbol, timeframe, arguments.seed, rows)
    market = SimulatedMarket(symbol, timeframe, arguments.seed)
    parts = []
    for start in range(0, rows, _BATCH):
        progress.say(f"making candles: {start / rows:.0%}")
        parts.append(market.candles(start, min(_BATCH, rows - start)))
    return concatenate(parts)
