"""``adan-core data import | list | check | sample``."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import AdanError, UsageError
from adan_core.domain.time import iso

if TYPE_CHECKING:
    from adan_core.data.files import Examined, Reading
    from adan_core.data.findings import Finding, Policy
    from adan_core.data.series import CandleSeries
    from adan_core.data.store import CandleStore, DatasetInfo
    from adan_core.data.synthetic import SimulatedMarket

_SCHEMA_VERSION = 1
_BATCH = 65_536

_EPILOG = """\
examples:
  adan-core data sample --rows 20000 --timeframe 1h --name practice
  adan-core data import Binance_BTCUSDT_1h.csv
  adan-core data import prices.csv --symbol BTC/USDT --timeframe 1h --time-zone Europe/Paris
  adan-core data check prices.csv --json
  adan-core data list
"""
_READING = """\
Columns are found by name, or by value where there is no header, and verified. Times are seconds,
milliseconds, microseconds or nanoseconds since 1970, or written year first; those that say no time
zone are UTC unless --time-zone says otherwise. Symbol and timeframe are told by the file where it
tells them; an option that contradicts the file is an error.

What is found wrong is refused, repaired with a mark, or only reported, as --on says:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the four actions and their options."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _configure_import(_action(actions, "import", "check a file of candles and store it"))
    listing = _action(actions, "list", "list the stored data sets")
    listing.epilog = "example:\n  adan-core data list"
    listing.add_argument("--json", action="store_true", help="write one JSON document")
    _configure_check(_action(actions, "check", "say what is wrong with a file or a data set"))
    _configure_sample(_action(actions, "sample", "make candles of a simulated market"))


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out the action asked for."""
    actions: dict[str, Callable[[argparse.Namespace, Context], int]] = {
        "import": _import,
        "list": _list,
        "check": _check,
        "sample": _sample,
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
        _READING
        + "see `adan-core data check --help`.\n\nexample:\n"
        + "  adan-core data import BTC_USDT-1h.feather --name bitcoin"
    )
    parser.add_argument("file", type=Path, help="*.csv, *.csv.gz, *.json, *.parquet or *.feather")
    _reading_options(parser)
    parser.add_argument("--name", help="store it as NAME (default: e.g. BTC-USDT-1h)")
    parser.add_argument("--replace", action="store_true", help="replace a data set of that name")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        _READING
        + "not_a_price, ohlc, bad_volume, off_grid, disorder, volume_units: refuse (default) or mark\n"
        + "descending, duplicate: mark (default) or refuse; conflict: refuse\n"
        + "gap: warn (default) or refuse; zero_volume: warn (default), mark or refuse\n"
        + "outlier: refuse (default), mark (leave the candle out) or warn (keep it)\n\n"
        + "exit codes: 0 nothing to refuse, 3 something is refused\n\nexample:\n"
        + "  adan-core data check prices.csv --on outlier=warn"
    )
    parser.add_argument("what", metavar="NAME|FILE", help="a stored data set, or a file")
    _reading_options(parser)
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def _configure_sample(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  adan-core data sample --rows 20000 --timeframe 1h --name practice"
    parser.add_argument("--rows", type=int, default=20_000, help="candles (default: %(default)s)")
    parser.add_argument("--timeframe", default="5m", help="their span (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument("--symbol", default="BTC/SIM", help="ANY/SIM (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write *.csv, *.csv.gz, *.parquet or *.feather instead of storing a data set",
    )
    parser.add_argument("--name", help="store it as NAME (default: e.g. BTC-SIM-5m)")
    parser.add_argument("--replace", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def _reading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--symbol", help="e.g. BTC/USDT")
    parser.add_argument("--timeframe", help="e.g. 1h")
    parser.add_argument("--time-zone", metavar="ZONE", help="of times that say none, e.g. UTC")
    parser.add_argument(
        "--stamps", choices=("open", "close"), help="whether times are openings or closings"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="state a column, e.g. --column volume='Volume BTC' (may be repeated)",
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="CODE=TREATMENT",
        help="refuse, mark or warn of a kind of finding, e.g. --on outlier=mark (may be repeated)",
    )


def _import(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.files import examine
    from adan_core.data.store import CandleStore, check_name, dataset_name

    if arguments.name is not None:
        check_name(arguments.name)
    with _Progress(context) as progress:
        examined = examine(arguments.file, _reading(arguments), progress.say)
        series = examined.series()
        name = arguments.name or dataset_name(examined.symbol, examined.timeframe)
        progress.say(f"storing {len(series)} candles")
        info = CandleStore(context.home.datasets).write(
            name, series, arguments.file.name, examined.findings, replace=arguments.replace
        )
    if arguments.json:
        context.emit(info)
    else:
        _say_findings(info.findings, context)
        context.say(f"stored {_describe(info)}")
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
        context.emit({"schema_version": _SCHEMA_VERSION, "datasets": good, "damaged": damaged})
    else:
        for info in good:
            context.say(_describe(info))
        for problem in damaged:
            context.warn(f"{problem['name']}: {problem['error']}")
        if not good and not damaged:
            context.say(
                "no data set yet: import a file with `adan-core data import FILE`, "
                "or make one with `adan-core data sample`"
            )
    return 3 if damaged else 0


def _check(arguments: argparse.Namespace, context: Context) -> int:
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
    with _Progress(context) as progress:
        if stored:
            refused = _check_stored(arguments, context, store, progress)
        else:
            refused = _check_file(arguments, context, path, progress)
    return 3 if refused else 0


def _check_file(
    arguments: argparse.Namespace, context: Context, path: Path, progress: "_Progress"
) -> bool:
    from adan_core.data.files import examine

    examined: Examined = examine(path, _reading(arguments), progress.say)
    progress.clear()
    refused = bool(examined.report.refusals)
    if arguments.json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
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
        _say_findings(examined.findings, context)
        context.say("refused: it would not be imported" if refused else "it can be imported")
    return refused


def _check_stored(
    arguments: argparse.Namespace, context: Context, store: "CandleStore", progress: "_Progress"
) -> bool:
    from adan_core.data.findings import FindingCode, Treatment
    from adan_core.data.validation import RawCandles, validate

    _refuse_reading_options(arguments)
    progress.say(f"checking {arguments.what}")
    series = store.read(arguments.what)
    info = store.info(arguments.what)
    raw = RawCandles.of(series)
    # What was admitted on import is reported again, not refused after the fact.
    policy = _policy([f"{FindingCode.OUTLIER}={Treatment.WARN}", *arguments.on])
    report = validate(raw, series.timeframe, policy)
    progress.clear()
    if arguments.json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
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
        context.say(f"{_describe(info)}; its content has the hash it was stored with")
        _say_findings(report.findings, context)
        marks = [each for each in info.findings if each.treatment is Treatment.MARK]
        if marks:
            context.say("repaired on import:")
            _say_findings(marks, context)
    return bool(report.refusals)


def _sample(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.data.files import SIMULATED_QUOTE
    from adan_core.data.store import CandleStore, check_name, dataset_name
    from adan_core.data.synthetic import SimulatedMarket
    from adan_core.domain.candles import Timeframe

    if arguments.rows < 1 or arguments.seed < 0:
        raise UsageError(
            f"{arguments.rows} rows, seed {arguments.seed}", "at least one row and a seed >= 0"
        )
    if not arguments.symbol.endswith(f"/{SIMULATED_QUOTE}"):
        raise UsageError(
            f"symbol {arguments.symbol!r} for simulated candles",
            f"the quote currency {SIMULATED_QUOTE}, so that nobody takes them for real",
            "write it like BTC/SIM",
        )
    if arguments.output is not None and arguments.name is not None:
        raise UsageError("--output and --name", "one of them: a file, or a stored data set")
    timeframe = Timeframe.parse(arguments.timeframe)
    market = SimulatedMarket(arguments.symbol, timeframe, arguments.seed)
    name = check_name(arguments.name or dataset_name(arguments.symbol, timeframe))
    with _Progress(context) as progress:
        series = _simulate(market, arguments.rows, progress)
        source = f"simulated, seed {arguments.seed}"
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
            context.say(f"stored {_describe(info)}")
    elif arguments.json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
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


def _simulate(market: "SimulatedMarket", rows: int, progress: "_Progress") -> "CandleSeries":
    from adan_core.data.series import concatenate

    parts = []
    for start in range(0, rows, _BATCH):
        progress.say(f"making candles: {start / rows:.0%}")
        parts.append(market.candles(start, min(_BATCH, rows - start)))
    return concatenate(parts)


def _reading(arguments: argparse.Namespace) -> "Reading":
    from adan_core.data.columns import Role
    from adan_core.data.files import Labels, Reading
    from adan_core.domain.candles import Timeframe

    columns: dict[Role, str] = {}
    for text in arguments.column:
        role, equals, name = text.partition("=")
        if not equals or role not in set(Role):
            raise UsageError(f"--column {text}", f"ROLE=NAME, ROLE one of {', '.join(Role)}")
        columns[Role(role)] = name
    return Reading(
        symbol=arguments.symbol,
        timeframe=None if arguments.timeframe is None else Timeframe.parse(arguments.timeframe),
        time_zone=arguments.time_zone,
        labels=None if arguments.stamps is None else Labels(arguments.stamps),
        columns=columns,
        policy=_policy(arguments.on),
    )


def _refuse_reading_options(arguments: argparse.Namespace) -> None:
    stated = [
        f"--{name.replace('_', '-')}"
        for name in ("symbol", "timeframe", "time_zone", "stamps", "column")
        if getattr(arguments, name)
    ]
    if stated:
        raise UsageError(
            f"{', '.join(stated)} for a stored data set", "options on how to read a file only there"
        )


def _policy(texts: Sequence[str]) -> "Policy":
    from adan_core.data.findings import FindingCode, Policy, Treatment, treatable

    treatments: dict[FindingCode, Treatment] = {}
    for text in texts:
        code, equals, treatment = text.partition("=")
        if not equals or code not in treatable() or treatment not in set(Treatment):
            raise UsageError(
                f"--on {text}",
                f"CODE=TREATMENT, CODE one of {', '.join(treatable())}, "
                f"TREATMENT one of {', '.join(Treatment)}",
            )
        treatments[FindingCode(code)] = Treatment(treatment)
    return Policy(treatments)


def _say_findings(findings: Sequence["Finding"], context: Context) -> None:
    for each in findings:
        done = f" [{each.treatment}]" if each.treatment else ""
        context.say(f"  {each.code}{done}: {each.message}")


def _describe(info: "DatasetInfo") -> str:
    kind = " SIMULATED" if info.synthetic else ""
    return (
        f"{info.name}:{kind} {info.symbol} {info.timeframe}, {info.rows} candles "
        f"({info.missing} missing), {iso(info.start)} to {iso(info.end)}, hash {info.content_hash}"
    )


class _Progress:
    """One line on the standard error that says what is being done, if a person is looking."""

    def __init__(self, context: Context) -> None:
        self._stream = context.stderr
        self._shown = self._stream.isatty()

    def say(self, text: str) -> None:
        """Replace the line by ``text``."""
        if self._shown:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        self.say("")

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
