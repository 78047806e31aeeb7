"""``adan-core data cache``: how full the cache of computed states is, and a way to empty it."""

import argparse

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION

_EPILOG = """\
What is computed from candles is kept on disk, so that the next command need not compute it again.
Nothing in it is ever out of date: an entry is found by its candles, its features and ADAN's own
code. The bound is cache.disk_megabytes in the settings; what was used longest ago goes first.

examples:
  adan-core data cache
  adan-core data cache --clear         (safe at any time; the next command computes anew)
"""


def configure_cache(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data cache``."""
    parser.epilog = _EPILOG
    parser.add_argument("--clear", action="store_true", help="remove every entry")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def cache(arguments: argparse.Namespace, context: Context) -> int:
    """Say what the cache holds on disk, after emptying it where that is asked for."""
    kept = context.cache(context.settings())
    removed = kept.clear() if arguments.clear else None
    found = kept.statistics
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "folder": str(context.home.data_cache),
                "entries": found.disk_entries,
                "bytes": found.disk_bytes,
                "limit_bytes": found.disk_limit,
                "removed_bytes": removed,
            }
        )
        return 0
    if removed is not None:
        context.say(f"removed {_size(removed)}")
    count = "1 entry" if found.disk_entries == 1 else f"{found.disk_entries:,} entries"
    full = f"{_size(found.disk_bytes)} of {_size(found.disk_limit)}"
    context.say(f"{count}, {full}, in {context.home.data_cache}")
    return 0


def _size(amount: int) -> str:
    return f"{amount / 1024:,.0f} kB" if amount < 1024**2 else f"{amount / 1024**2:,.0f} MB"
