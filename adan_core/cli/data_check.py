"""``adan-core data check``: what is wrong with a file or a stored data set."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import (
    READING,
    SCHEMA_VERSION,
    Progress,
    describe,
    policy_of,
    reading_of,
    reading_options,
    refuse_reading_options,
    say_findings,
)
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.data.files import Examined
    from adan_core.data.store import CandleStore


def configure_check(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data check``."""
    parser.epilog = (
        READING
        + "not_a_price, ohlc, bad_volume, off_grid, disorder, volume_units: refuse (default) or mark\n"
        + "descending, duplicate: mark (default) or refuse; conflict: refuse\n"
        + "gap: warn (default) or refuse; zero_volume: warn (default), mark or refuse\n"
        + "outlier: refuse (default), mark (leave the candle out) or warn (keep it)\n\n"
        + "exit codes: 0 nothing to refuse, 3 something is refused\n\nexample:\n"
        + "  adan-core data check prices.csv --on outlier=warn"
    )
    parser.add_argument("what", metavar="NAME|FILE", help="a stored data set, or a file")
    reading_options(parser)
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def check(arguments: argparse.Namespace, context: Context) -> int:
    """Say what is found; exit code 3 if something is refused."""
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    path = Path(arguments.what)
    stored = arguments.what in store.names()
    if stored and path.is_file():
        raise UsageError(
            f"{arguments.what!r} is a data set and a file here", "one of them", f"write ./{path}"
        )
    if not stored and not path.is_file():
        raise UsageError(
            f"{arguments.what!r} is neither a file nor a stored data set",
            f"a file, or one of: {', '.join(store.names()) or 'none stored yet'}",
        )
    with Progress(context) as progress:
        if stored:
            refused = _check_stored(arguments, context, store, progress)
        else:
            refused = _check_file(arguments, context, path, progress)
    return 3 if refused else 0


def _check_file(
    arguments: argparse.Namespace, context: Context, path: Path, progress: "Progress"
) -> bool:
    from adan_core.data.files import examine

    examined: Examined = examine(path, reading_of(arguments), progress.say)
    progress.clear()
    refused = bool(examined.report.refusals)
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "what": path.name,
                "symbol": examined.symbol,
                "timeframe": str(examined.timeframe),
                "synthetic": examined.synthetic,
                "rows": examined.rows,
                "kept": len(examined.report.candles),
                "accepted": not refused,
                "findings": examined.findings,
            }
        )
    else:
        kind = "SIMULATED " if examined.synthetic else ""
        context.say(
            f"{path.name}: {kind}{examined.symbol} {examined.timeframe}, {examined.rows} rows"
        )
        say_findings(examined.findings, context)
        context.say("refused: it would not be imported" if refused else "it can be imported")
    return refused


def _check_stored(
    arguments: argparse.Namespace, context: Context, store: "CandleStore", progress: "Progress"
) -> bool:
    from adan_core.data.findings import FindingCode, Treatment
    from adan_core.data.raw import RawCandles
    from adan_core.data.validation import validate

    refuse_reading_options(arguments)
    progress.say(f"checking {arguments.what}")
    series = store.read(arguments.what)
    info = store.info(arguments.what)
    raw = RawCandles.of(series)
    # What was admitted on import is reported again, not refused after the fact.
    policy = policy_of([f"{FindingCode.OUTLIER}={Treatment.WARN}", *arguments.on])
    report = validate(raw, series.timeframe, policy)
    progress.clear()
    if arguments.json:
        context.emit(
            {
                "schema_version": SCHEMA_VERSION,
                "what": info.name,
                "symbol": info.symbol,
                "timeframe": info.timeframe,
                "synthetic": info.synthetic,
                "rows": info.rows,
                "kept": len(report.candles),
                "accepted": not report.refusals,
                "content_hash": info.content_hash,
                "findings": report.findings,
                "findings_on_import": info.findings,
            }
        )
    else:
        context.say(f"{describe(info)}; its content has the hash it was stored with")
        say_findings(report.findings, context)
        marks = [each for each in info.findings if each.treatment is Treatment.MARK]
        if marks:
            context.say("repaired on import:")
            say_findings(marks, context)
    return bool(report.refusals)
