"""``adan-core data list``: what the store holds."""

import argparse

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, describe
from adan_core.domain.errors import AdanError


def configure_list(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data list``."""
    parser.epilog = "example:\n  adan-core data list"
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def list_datasets(arguments: argparse.Namespace, context: Context) -> int:
    """Say what is stored; exit code 3 if a data set is damaged."""
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
