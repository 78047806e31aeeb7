"""``adan-core data``: its actions, and the import of files of candles."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from adan_core.cli.context import Context, printable
from adan_core.cli.data_cache import cache, configure_cache
from adan_core.cli.data_check import check, configure_check
from adan_core.cli.data_download import configure_download, download
from adan_core.cli.data_features import configure_features, features
from adan_core.cli.data_leakcheck import configure_leakcheck, leakcheck
from adan_core.cli.data_reading import (
    READING,
    Progress,
    describe,
    reading_of,
    reading_options,
    say_findings,
)
from adan_core.cli.data_regimes import configure_regimes, regimes
from adan_core.cli.data_sample import configure_sample, sample
from adan_core.cli.data_store import (
    configure_export,
    configure_list,
    configure_remove,
    export_dataset,
    list_datasets,
    remove_dataset,
)

_EPILOG = """\
examples:
  adan-core data sample --rows 20000 --timeframe 1h --name practice
  adan-core data sample --process drift --rows 60000
  adan-core data import Binance_BTCUSDT_1h.csv
  adan-core data import prices.csv --symbol BTC/USDT --timeframe 1h --time-zone Europe/Paris
  adan-core data download BTC/USDT --exchange bitstamp --timeframe 1m --since 2021-01-01
  adan-core data check prices.csv --json
  adan-core data list
  adan-core data export BTC-USDT-1h candles.csv.gz
  adan-core data features BTC/USDT --output seen.parquet
  adan-core data leakcheck --dataset BTC-USDT-1h
  adan-core data regimes BTC-USDT-1h
  adan-core data cache
"""


def _configure_import(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        READING
        + "see `adan-core data check --help`.\n\nexamples:\n"
        + "  adan-core data import BTC_USDT-1h.feather --name bitcoin\n"
        + "  adan-core data import older.csv --name kraken-BTC-USDT-1m --add"
    )
    parser.add_argument("file", type=Path, help="*.csv, *.csv.gz, *.json, *.parquet or *.feather")
    reading_options(parser)
    parser.add_argument("--name", help="store it as NAME (default: e.g. BTC-USDT-1h)")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--replace", action="store_true", help="replace a data set of that name")
    there.add_argument(
        "--add", action="store_true", help="add to it the candles it lacks; the others must agree"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def _import(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.files import examine
    from adan_core.data.store import CandleStore, check_name, dataset_name

    if arguments.name is not None:
        check_name(arguments.name)
    with Progress(context) as progress:
        examined = examine(arguments.file, reading_of(arguments, context), progress.say)
        series = examined.series()
        name = arguments.name or dataset_name(examined.symbol, examined.timeframe)
        progress.say(f"storing {len(series):,} candles")
        source = printable(arguments.file.name).replace("\n", "\\n")
        store = CandleStore(context.home.datasets)
        if arguments.add:
            info = store.append(name, series, source, examined.findings)
        else:
            info = store.write(name, series, source, examined.findings, replace=arguments.replace)
    if arguments.json:
        context.emit(info)
    else:
        say_findings(info.findings, context)
        context.say(f"stored {describe(info)}")
    return 0


# name: (what it is for, what declares its options, what carries it out)
_ACTIONS: Final[
    dict[
        str,
        tuple[
            str,
            Callable[[argparse.ArgumentParser], None],
            Callable[[argparse.Namespace, Context], int],
        ],
    ]
] = {
    "import": ("check a file of candles and store it", _configure_import, _import),
    "download": (
        "fetch an exchange's past candles, or continue where a download stopped",
        configure_download,
        download,
    ),
    "list": ("list the stored data sets", configure_list, list_datasets),
    "export": ("write a data set to a file", configure_export, export_dataset),
    "remove": ("take a data set out of the store", configure_remove, remove_dataset),
    "check": ("say what is wrong with a file or a data set", configure_check, check),
    "features": (
        "write exactly what the agent sees of a market to a file",
        configure_features,
        features,
    ),
    "leakcheck": (
        "change the future, and see whether the past of features or decisions changes with it",
        configure_leakcheck,
        leakcheck,
    ),
    "regimes": (
        "say which regimes the detector sees in a market, and how often it is right",
        configure_regimes,
        regimes,
    ),
    "sample": (
        "make candles of a simulated market or a textbook process",
        configure_sample,
        sample,
    ),
    "cache": ("say how full the cache of computed states is, or empty it", configure_cache, cache),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add every action and its options."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, configure_action, _) in _ACTIONS.items():
        configure_action(
            actions.add_parser(
                name,
                help=summary,
                description=summary[0].upper() + summary[1:] + ".",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out the action asked for."""
    carry_out = _ACTIONS[arguments.action][2]
    return carry_out(arguments, context)
