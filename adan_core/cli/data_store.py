"""``adan-core data list | export | remove``: what the store holds, handed out, taken away."""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, Progress, describe
from adan_core.cli.figures import table
from adan_core.cli.instants import instant_of
from adan_core.domain.errors import AdanError, DataError, UsageError
from adan_core.domain.time import iso

if TYPE_CHECKING:
    from adan_core.data.series import CandleSeries
    from adan_core.data.store import CandleStore, DatasetInfo

_CHUNK = 262_144
_HASH_SHOWN = 16


def configure_list(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data list``."""
    parser.epilog = (
        "A data set that is damaged is listed as such, with what to do about it.\n\n"
        "On a narrow terminal hash, source, size and holes are left out as needed; --json has them.\n\n"
        "exit codes: 0 all are whole, 3 one is damaged\n\n"
        "examples:\n  adan-core data list\n  adan-core data list --json"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def list_datasets(arguments: argparse.Namespace, context: Context) -> int:
    """Say what is stored; exit code 3 if a data set is damaged."""
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    good: list[tuple[DatasetInfo, int]] = []
    damaged: list[tuple[str, AdanError]] = []
    for name in store.names():
        try:
            good.append((store.info(name), store.size_on_disk(name)))
        except AdanError as error:
            damaged.append((name, error))
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "datasets": [_record(info, size) for info, size in good],
                "damaged": [{"name": name, "error": str(why)} for name, why in damaged],
            }
        )
    elif good or damaged:
        rows = [_row(info, size) for info, size in good]
        rows += [[name, "DAMAGED", *["N/A"] * (len(_HEAD) - 2)] for name, _ in damaged]
        for line in _fitting([_HEAD, *sorted(rows)], context):
            context.say(line)
        for name, why in damaged:
            context.warn(f"{name}: {why}")
    else:
        context.say(
            "no data set yet: import a file with `adan-core data import FILE`, "
            "or make one with `adan-core data sample`"
        )
    return DataError.exit_code if damaged else 0


_HEAD = ["name", "market", "candles", "missing", "from", "to", "on disk", "hash", "source"]


_NARROW = (
    "hash",
    "source",
    "on disk",
    "missing",
)  # what a narrow terminal goes without, the first first


def _fitting(rows: list[list[str]], context: Context) -> list[str]:
    """Return the table without what its terminal has no room for; whole where there is none."""
    shown = list(_HEAD)
    lines = table(rows[0], rows[1:])
    if not context.stdout.isatty():
        return lines
    width = shutil.get_terminal_size().columns
    for column in _NARROW:
        if max(map(len, lines)) <= width:
            break
        place = shown.index(column)
        del shown[place]
        rows = [[*row[:place], *row[place + 1 :]] for row in rows]
        lines = table(rows[0], rows[1:])
    return lines


def _row(info: "DatasetInfo", size: int) -> list[str]:
    kind = "SIMULATED " if info.synthetic else ""
    return [
        info.name,
        f"{kind}{info.symbol} {info.timeframe}",
        f"{info.rows:,}",
        f"{info.missing:,}",
        iso(info.start)[:10],
        iso(info.end)[:10],
        _bytes(size),
        info.content_hash[:_HASH_SHOWN],
        info.source,
    ]


def _record(info: "DatasetInfo", size: int) -> dict[str, object]:
    """Return a data set's manifest without the list of its files, and what those take on disk."""
    import msgspec

    record: dict[str, object] = msgspec.to_builtins(info)
    del record["partitions"]
    return record | {"bytes_on_disk": size}


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def configure_export(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data export``."""
    parser.epilog = (
        "The form is the one the file's name ends in. The symbol and, for simulated candles, the\n"
        "mark that they are go into the file, so that `adan-core data import` gives back the same\n"
        "data set with the same hash. A date is midnight UTC; other times need their zone.\n\n"
        "examples:\n"
        "  adan-core data export BTC-USDT-1h candles.csv.gz\n"
        "  adan-core data export BTC-USDT-1m 2023.parquet --since 2023-01-01 --until 2024-01-01"
    )
    parser.add_argument("name", metavar="NAME", help="as `data list` shows it")
    parser.add_argument("file", type=Path, help="*.csv, *.csv.gz, *.parquet or *.feather")
    parser.add_argument("--since", metavar="DATE", help="the first candle opens then or later")
    parser.add_argument("--until", metavar="DATE", help="the last candle opens before")
    parser.add_argument("--replace", action="store_true", help="replace a file of that name")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def export_dataset(arguments: argparse.Namespace, context: Context) -> int:
    """Write a data set, or a period of it, to a file."""
    from adan_core.data.export import export_chunks
    from adan_core.data.store import CandleStore

    since, until = (instant_of(text) for text in (arguments.since, arguments.until))
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {iso(since)} --until {iso(until)}", "an end after the beginning")
    store = CandleStore(context.home.datasets)
    info = store.info(arguments.name)
    start = info.start if since is None else max(since, info.start)
    end = info.end if until is None else min(until, info.end)
    if start >= end:
        raise DataError(
            f"data set {info.name!r} has no candle in that period",
            f"one between {iso(info.start)} and {iso(info.end)}",
            "choose other dates",
        )
    rows = 0

    def counted() -> Iterator["CandleSeries"]:
        nonlocal rows
        for chunk in store.chunks(info.name, _CHUNK, start, end):
            done = (int(chunk.open_time[-1]) - start) / (end - start)
            progress.say(f"writing {arguments.file.name}: {done:.0%}")
            rows += len(chunk)
            yield chunk

    with Progress(context) as progress:
        export_chunks(counted(), arguments.file, arguments.replace)
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "file": str(arguments.file),
                "name": info.name,
                "symbol": info.symbol,
                "timeframe": info.timeframe,
                "synthetic": info.synthetic,
                "rows": rows,
                "bytes": arguments.file.stat().st_size,
            }
        )
    else:
        kind = "SIMULATED " if info.synthetic else ""
        size = _bytes(arguments.file.stat().st_size)
        context.say(
            f"wrote {rows:,} {kind}{info.symbol} {info.timeframe} candles to {arguments.file} ({size})"
        )
    return 0


def configure_remove(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data remove``."""
    parser.epilog = (
        "Models that learnt from it stay, but cannot be trained further without it.\n\n"
        "examples:\n"
        "  adan-core data remove practice            (then type its name)\n"
        "  adan-core data remove practice --yes"
    )
    parser.add_argument("name", metavar="NAME", help="as `data list` shows it")
    parser.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def remove_dataset(arguments: argparse.Namespace, context: Context) -> int:
    """Remove a data set, damaged ones too, once its name was typed."""
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    if arguments.name not in store.names():
        store.info(arguments.name)  # says which there are
    if not arguments.yes:
        _require_name(arguments.name, store, context)
    removed = store.remove(arguments.name)
    if arguments.json:
        record = {"schema_version": SCHEMA_VERSION, "removed": arguments.name}
        context.emit(record | {"rows": None if removed is None else removed.rows})
    else:
        what = f"{arguments.name}, which was damaged" if removed is None else describe(removed)
        context.say(f"removed {what}")
    return 0


def _require_name(name: str, store: "CandleStore", context: Context) -> None:
    """Let a person type the name of what is to be removed; UsageError for anything else."""
    remedy = f"type {name}, or give --yes"
    if not context.interactive:
        raise UsageError("nobody to ask whether it may be removed", "--yes", remedy)
    try:
        what = describe(store.info(name))
    except DataError as error:
        what = error.found
    context.warn(f"{what}\nIt cannot be brought back. Type {name} to remove it:")
    if context.stdin.readline().strip() != name:
        raise UsageError("another name was typed: nothing is removed", name, remedy)
