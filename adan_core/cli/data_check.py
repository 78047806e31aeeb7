"""``adan-core data check``: what is wrong with a file or a stored data set, and where."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.data.agreement import Agreement
    from adan_core.data.findings import Finding, Spans
    from adan_core.data.raw import Report
    from adan_core.data.store import CandleStore, DatasetInfo

_PLACES = 1000  # of each finding, in JSON
_STYLES = {"refuse": "red", "mark": "yellow", "warn": "cyan"}


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file or a stored data set, and everything found in it; ``info`` only where it is stored."""

    name: str
    symbol: str
    timeframe: Timeframe
    synthetic: bool
    rows: int
    findings: "tuple[Finding, ...]"
    report: "Report"
    info: "DatasetInfo | None"


def configure_check(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data check``."""
    parser.epilog = (
        READING
        + "time_zone, time_units, volume_units, not_a_price, ohlc, bad_volume, off_grid, disorder:\n"
        + "  refuse or mark\n"
        + "unfinished, descending, duplicate: mark or refuse; conflict: refuse\n"
        + "time_shift, price_step, volume_step, stale, contradiction: refuse or warn\n"
        + "outlier, stuck, interpolated, zero_volume: refuse, mark (leave out) or warn (keep)\n"
        + "gap (every hole), and by what the volume beside it tells: outage, no_trade, missing;\n"
        + "  deviation: warn or refuse\n\n"
        + "exit codes: 0 nothing to refuse, 3 something is refused\n\nexamples:\n"
        + "  adan-core data check prices.csv --on outlier=warn\n"
        + "  adan-core data check BTC-USDT-1h --against kraken_BTCUSDT_1h.parquet\n"
        + "  adan-core data check BTC-USDT-5m --fresh --json"
    )
    parser.add_argument("what", metavar="NAME|FILE", help="a stored data set, or a file")
    parser.add_argument(
        "--against",
        metavar="NAME|FILE",
        help="compare with another source of the same candles: prices, and hours they are apart",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="it claims to be current: say if it is stale"
    )
    reading_options(parser)
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def check(arguments: argparse.Namespace, context: Context) -> int:
    """Say what is found; exit code 3 if something is refused."""
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    with Progress(context) as progress:
        checked = _checked(arguments.what, arguments, context, store, progress)
        agreement = None
        if arguments.against is not None:
            agreement = _compared(checked, arguments, context, store, progress)
    findings, report = checked.findings, checked.report
    if agreement is not None:
        report = report.after(agreement.findings)
        findings = (*(found for found, _ in agreement.findings), *findings)
    if arguments.json:
        context.emit(_document(checked, report, findings, agreement))
    else:
        _say(checked, report, findings, agreement, context)
    return 3 if report.refusals else 0


def _checked(
    what: str,
    arguments: argparse.Namespace,
    context: Context,
    store: "CandleStore",
    progress: Progress,
) -> _Checked:
    path = Path(what)
    stored = what in store.names()
    if stored and path.is_file():
        raise UsageError(
            f"{what!r} is a data set and a file here", "one of them", f"write ./{path}"
        )
    if not stored and not path.is_file():
        raise UsageError(
            f"{what!r} is neither a file nor a stored data set",
            f"a file, or one of: {', '.join(store.names()) or 'none stored yet'}",
        )
    if stored:
        return _checked_stored(what, arguments, context, store, progress)
    return _checked_file(path, arguments, context, progress)


def _checked_file(
    path: Path, arguments: argparse.Namespace, context: Context, progress: Progress
) -> _Checked:
    from adan_core.data.files import examine

    file = examine(path, reading_of(arguments, context), progress.say)
    return _Checked(
        path.name,
        file.symbol,
        file.timeframe,
        file.synthetic,
        file.rows,
        file.findings,
        file.report,
        None,
    )


def _checked_stored(
    name: str,
    arguments: argparse.Namespace,
    context: Context,
    store: "CandleStore",
    progress: Progress,
) -> _Checked:
    from adan_core.data.raw import RawCandles
    from adan_core.data.validation import validate

    refuse_reading_options(arguments)
    progress.say(f"checking {name}")
    series = store.read(name)
    policy = policy_of(arguments.on, context, stored=True)
    # Simulated time has nothing to do with the clock on the wall.
    now = None if series.synthetic else context.clock.now()
    report = validate(RawCandles.of(series), series.timeframe, policy, now, arguments.fresh)
    return _Checked(
        name,
        series.symbol,
        series.timeframe,
        series.synthetic,
        len(series),
        report.findings,
        report,
        store.info(name),
    )


def _compared(
    checked: _Checked,
    arguments: argparse.Namespace,
    context: Context,
    store: "CandleStore",
    progress: Progress,
) -> "Agreement":
    from adan_core.data.agreement import compare

    plain = argparse.Namespace(
        symbol=None, timeframe=None, time_zone=None, stamps=None, column=[], on=arguments.on,
        fresh=False,
    )  # fmt: skip
    other = _checked(arguments.against, plain, context, store, progress)
    if other.timeframe != checked.timeframe:
        raise UsageError(
            f"{other.name} holds {other.timeframe} candles",
            f"{checked.timeframe} candles, as in {checked.name}",
        )
    progress.say("comparing the two")
    return compare(
        checked.report.candles,
        other.report.candles,
        checked.timeframe,
        policy_of(arguments.on, context),
    )


def _document(
    checked: _Checked,
    report: "Report",
    findings: "tuple[Finding, ...]",
    agreement: "Agreement | None",
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "what": checked.name,
        "symbol": checked.symbol,
        "timeframe": str(checked.timeframe),
        "synthetic": checked.synthetic,
        "rows": checked.rows,
        "kept": len(report.candles),
        "accepted": not report.refusals,
        "findings": [_detailed(each, report.spans) for each in findings],
    }
    if checked.info is not None:
        document["content_hash"] = checked.info.content_hash
        document["findings_on_import"] = checked.info.findings
    if agreement is not None:
        document["against"] = {
            "common": agreement.common,
            "largest_deviation": agreement.largest,
            "shift_milliseconds": agreement.shift,
            "correlation": agreement.correlation,
            "correlation_as_stamped": agreement.as_stamped,
        }
    return document


def _detailed(finding: "Finding", spans: "Mapping[Any, Spans]") -> dict[str, Any]:
    """Return a finding with up to ``_PLACES`` places, each with its end, and how many there are."""
    import msgspec

    detailed: dict[str, Any] = msgspec.to_builtins(finding)
    where = spans.get(finding.code)
    if where is None:
        return detailed | {"places_total": len(finding.places)}
    part = slice(0, _PLACES)
    columns = (where.row[part].tolist(), where.start[part].tolist(), where.end[part].tolist())
    places = [
        {"row": row, "time": start, "end": end} for row, start, end in zip(*columns, strict=True)
    ]
    return detailed | {"places": places, "places_total": len(where.row)}


def _say(
    checked: _Checked,
    report: "Report",
    findings: "tuple[Finding, ...]",
    agreement: "Agreement | None",
    context: Context,
) -> None:
    if checked.info is None:
        kind = "SIMULATED " if checked.synthetic else ""
        context.say(
            f"{checked.name}: {kind}{checked.symbol} {checked.timeframe}, {checked.rows:,} rows"
        )
    else:
        context.say(f"{describe(checked.info)}; its content has the hash it was stored with")
    if agreement is not None:
        context.say(
            f"  {agreement.common:,} candles in common, at most {agreement.largest:.2%} apart; "
            f"returns agree {agreement.as_stamped:.2f} as stamped"
        )
    say_findings(findings, context)
    _say_picture(checked, report, context)
    if checked.info is None:
        context.say(
            "refused: it would not be imported" if report.refusals else "it can be imported"
        )
        return
    marks = [each for each in checked.info.findings if each.treatment == "mark"]
    if marks:
        context.say("repaired on import:")
        say_findings(marks, context)


def _say_picture(checked: _Checked, report: "Report", context: Context) -> None:
    """Show where findings lie; a terminal's colours only repeat what the lines above say."""
    if not report.spans:
        return
    from rich.console import Console
    from rich.text import Text

    from adan_core.cli.data_picture import picture

    console = Console(file=context.stdout, highlight=False)
    treatments = {each.code: str(each.treatment) for each in report.findings}
    for line, code in picture(
        report.candles.open_time,
        report.candles.close,
        checked.timeframe.duration,
        report.spans,
        console.width,
        context.stdout.encoding or "utf-8",
    ):
        style = "" if code is None else _STYLES.get(treatments[code], "")
        console.print(Text(line, style=style), soft_wrap=True)
