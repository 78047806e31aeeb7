"""``adan-core data import | list | check | sample``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from adan_core.cli.context import Context
from adan_core.cli.data_check import check, configure_check
from adan_core.cli.data_reading import (
    READING,
    SCHEMA_VERSION,
    Progress,
    describe,
    reading_of,
    reading_options,
    say_findings,
)
from adan_core.cli.data_sample import configure_sample, sample
from adan_core.domain.errors import AdanError

_EPILOG = """\
examples:
  adan-core data sample --rows 20000 --timeframe 1h --name practice
  adan-core data sample --process drift --rows 60000
  adan-core data import Binance_BTCUSDT_1h.csv
  adan-core data import prices.csv --symbol BTC/USDT --timeframe 1h --time-zone Europe/Paris
  adan-core data check prices.csv --json
  adan-core data list
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the four actions and their options."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _configure_import(_action(actions, "import", "check a file of candles and store it"))
    listing = _action(actions, "list", "list the stored data sets")
    listing.epilog = "example:\n  adan-core data list"
    listing.add_argument("--json", action="store_true", help="write one JSON document")
    configure_check(_action(actions, "check", "say what is wrong with a file or a data set"))
    configure_sample(
        _action(actions, "sample", "make candles of a simulated market or a textbook process")
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out the action asked for."""
    actions: dict[str, Callable[[argparse.Namespace, Context], int]] = {
        "import": _import,
        "list": _list,
        "check": check,
        "sample": sample,
    }
    return actions[arguments.action](arguments, context)


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _configure_import(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        READING
        + "see `adan-core data check --help`.\n\nexample:\n"
        + "  adan-core data import BTC_USDT-1h.feather --name bitcoin"
    )
    parser.add_argument("file", type=Path, help="*.csv, *.csv.gz, *.json, *.parquet or *.feather")
    reading_options(parser)
    parser.add_argument("--name", help="store it as NAME (default: e.g. BTC-USDT-1h)")
    parser.add_argument("--replace", action="store_true", help="replace a data set of that name")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def _import(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.files import examine
    from adan_core.data.store import CandleStore, check_name, dataset_name

    if arguments.name is not None:
        check_name(arguments.name)
    with Progress(context) as progress:
        examined = examine(arguments.file, reading_of(arguments), progress.say)
        series = examined.series()
        name = arguments.name or dataset_name(examined.symbol, examined.timeframe)
        progress.say(f"storing {len(series)} candles")
        info = CandleStore(context.home.datasets).write(
            name, series, arguments.file.name, examined.findings, replace=arguments.replace
        )
    if arguments.json:
        context.emit(info)
    else:
        say_findings(info.findings, context)
        context.say(f"stored {describe(info)}")
    return 0


def _list(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    good, damaged = [], []
    for name in store.names():
        try:
            good.append(store.info(name))
        except AdanError as error:
            damaged.append({"name": name, "error": str(error)})
    if arguments.json:
        context.emit({"schema_version": SCHEMA_VERSION, "datasets": good, "damaged": damaged})
    else:
        for info in good:
            context.say(describe(info))
        for problem in damaged:
            context.warn(f"{problem['name']}: {problem['error']}")
        if not good and not damaged:
            context.say(
                "no data set yet: import a file with `adan-core data import FILE`, "
                "or make one with `adan-core data sample`"
            )
    return 3 if damaged else 0
