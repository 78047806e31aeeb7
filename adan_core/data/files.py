"""Import of candle files: read, understood, confirmed, validated; nothing is guessed in silence."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adan_core.data.columns import Mapped, Role, map_columns, verify_sequence
from adan_core.data.findings import NOWHERE, Finding, FindingCode, Policy, Spans, finding
from adan_core.data.raw import RawCandles, Report
from adan_core.data.series import CandleSeries, check_symbol
from adan_core.data.stamps import Stamps, check_zone, parse_stamps, says_utc
from adan_core.data.tables import Table, read_table
from adan_core.data.validation import validate
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds

SIMULATED_QUOTE = "SIM"
"""The quote currency of simulated markets; candles in it are synthetic wherever they come from."""

SYNTHETIC_COLUMN = "synthetic"
"""A column that ADAN writes into files of simulated candles, so that the mark outlives a renaming."""

_QUOTES = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY", "CHF", "AUD",
    "CAD", "KRW", "TRY", "BRL", "BTC", "XBT", "ETH", "BNB", SIMULATED_QUOTE,
)  # fmt: skip
_BASES = frozenset(
    {
        "BTC", "XBT", "ETH", "BNB", "SOL", "XRP", "LTC", "ADA", "DOGE", "DOT",
        "BCH", "TRX", "LINK", "AVAX", "XLM", "XMR", "ETC", "EOS", "ATOM", "UNI",
    }
)  # fmt: skip
_WORD = re.compile(r"(?<![A-Za-z0-9])([A-Z0-9]{2,10})(?:[-_/]([A-Z]{3,5}))?(?![A-Za-z0-9])")
_SPAN = re.compile(r"(?<![A-Za-z0-9])([1-9]\d{0,2}[mhd])(?![A-Za-z0-9])")
_SAME_COIN = {"XBT": "BTC"}
_MINUTE = 60_000


class Labels(StrEnum):
    """Whether a file stamps a candle with its opening or its closing."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file; None or empty: found out, and said.

    ``now`` is the instant of reading (None: candles that had not closed are not looked for), and
    ``fresh`` says that the file claims to reach up to it.
    """

    symbol: str | None = None
    timeframe: Timeframe | None = None
    time_zone: str | None = None
    labels: Labels | None = None
    columns: Mapping[Role, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    now: Milliseconds | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file holds, as far as it was understood, and everything found in it."""

    path: Path
    symbol: str
    timeframe: Timeframe
    rows: int
    synthetic: bool
    findings: tuple[Finding, ...]
    report: Report

    @property
    def description(self) -> str:
        """The file's name."""
        return self.path.name

    def series(self) -> CandleSeries:
        """Return the candles; DataError if the policy refuses what was found."""
        return self.report.series(self.symbol, self.timeframe, self.synthetic)

    def batches(
        self, since: Milliseconds | None, until: Milliseconds | None
    ) -> Iterator[RawCandles]:
        """Yield the candles that open at or after ``since`` and close at or before ``until``, at once.

        DataError if the policy refuses what was found.
        """
        last = None if until is None else until - self.timeframe.duration + 1
        yield RawCandles.of(self.series().between(since, last))


def examine(
    path: Path, reading: Reading, progress: Callable[[str], None] = lambda _: None
) -> Examined:
    """Read ``path`` and validate it; ``progress`` is told of each step as it begins.

    Raises DataError where the file cannot be understood (form, columns, times, symbol or
    timeframe) or contradicts what ``reading`` states; defects of candles become findings.
    """
    check_zone(reading.time_zone)
    progress(f"reading {path.name}")
    table = read_table(path)
    symbol = _symbol(path.name, table, reading.symbol)
    synthetic = symbol.endswith(f"/{SIMULATED_QUOTE}") or _says_synthetic(table)
    progress("finding the columns")
    columns = map_columns(table, symbol, reading.columns)
    stamps = parse_stamps(
        table.columns[columns.time],
        reading.time_zone,
        table.column(columns.time),
        several_units=True,
    )
    verify_sequence(stamps.milliseconds, columns.open, columns.close)
    timeframe = _timeframe(path.name, reading.timeframe, stamps.milliseconds)
    labels = _labels(path.name, reading.labels)
    notes = [_note(FindingCode.COLUMNS, Severity.INFO, columns.describe(table))]
    open_time = stamps.milliseconds
    if labels is Labels.CLOSE:
        open_time = open_time - timeframe.duration
        notes.append(
            _note(
                FindingCode.CLOSE_STAMPS,
                Severity.WARNING,
                f"stamps are closing times: moved back by {timeframe}",
            )
        )
    if table.preamble:
        notes.append(
            _note(
                FindingCode.PREAMBLE,
                Severity.INFO,
                f"lines above the table that are no candles: {len(table.preamble)}",
            )
        )
    raw = RawCandles(
        np.arange(1, open_time.shape[0] + 1, dtype=np.int64),
        open_time,
        columns.open,
        columns.high,
        columns.low,
        columns.close,
        columns.volumes,
    )
    progress(f"validating {len(raw)} candles")
    # Simulated time has nothing to do with the clock on the wall.
    now = None if synthetic else reading.now
    report = validate(raw, timeframe, reading.policy, now, reading.fresh)
    report = report.after(_found_reading(table, columns, stamps, raw, reading.policy))
    findings = (*notes, *report.findings)
    return Examined(path, symbol, timeframe, len(raw), synthetic, findings, report)


def _found_reading(
    table: Table, columns: Mapped, stamps: Stamps, raw: RawCandles, policy: Policy
) -> list[tuple[Finding, Spans]]:
    """Return what was found wrong while the columns were read, and where."""
    found = []
    if stamps.assumed_utc and not _says_utc(table, columns.time):
        message = f"the stamps of column {table.column(columns.time)} say no time zone"
        note = finding(FindingCode.TIME_ZONE, policy, NOWHERE, message, (1, len(raw)))
        found.append((note, NOWHERE))
    for code, rows, message in (
        (
            FindingCode.TIME_UNITS,
            np.flatnonzero(stamps.other_unit),
            "a stamp in another unit than in most rows",
        ),
        (
            FindingCode.VOLUME_UNITS,
            np.flatnonzero(columns.exchanged),
            "the volume in base currency stands in another column than in other rows",
        ),
    ):
        if rows.size:
            spans = Spans(raw.row[rows], raw.open_time[rows], raw.open_time[rows])
            found.append((finding(code, policy, spans, message), spans))
    return found


def _says_utc(table: Table, time: int) -> bool:
    """Return whether the time column's name, or a line above the table, says UTC."""
    name = table.names[time] if table.names is not None else ""
    return any(says_utc(text) for text in (name, *table.preamble))


def _note(code: FindingCode, severity: Severity, message: str) -> Finding:
    return Finding(code, severity, None, 1, 0, (), message)


def _symbol(name: str, table: Table, stated: str | None) -> str:
    """Return the symbol, stated or told by a column or by the file's name; DataError if they differ."""
    claims: list[tuple[str, str]] = []
    if stated is not None:
        claims.append(("the option says", check_symbol(stated)))
    inside = _column_pairs(table)
    if len(inside) == 1:
        claims.append(("its symbol column says", inside[0]))
    pairs = _pairs(name)
    if len(pairs) == 1:
        claims.append(("the file's name says", pairs[0]))
    if not claims:
        raise DataError(
            f"{name} tells "
            + ("no symbol" if not pairs else f"several symbols: {', '.join(pairs)}"),
            "a symbol",
            "state it with --symbol BTC/USDT",
        )
    if len({_common(symbol) for _, symbol in claims}) > 1:
        raise DataError(
            f"{name}: " + ", ".join(f"{who} {symbol}" for who, symbol in claims),
            "one symbol",
            "correct the option, or rename the file if its name is wrong",
        )
    return claims[0][1]


def _column_pairs(table: Table) -> tuple[str, ...]:
    """Return the symbol that a column of symbols states; DataError if it states several."""
    for index, name in enumerate(table.names or ()):
        if name.lower() in {"symbol", "pair", "ticker"}:
            values = [str(value) for value in table.columns[index].unique().drop_nulls()]
            if len(values) > 1:
                raise DataError(
                    f"column {name!r} names {len(values)} symbols, e.g. {values[0]} and {values[1]}",
                    "one symbol per file",
                    "split the file",
                )
            return _pairs(values[0].upper()) if values else ()
    return ()


def _says_synthetic(table: Table) -> bool:
    """Return whether the file carries ADAN's own mark of simulated candles."""
    for index, name in enumerate(table.names or ()):
        if name == SYNTHETIC_COLUMN:
            values = table.columns[index].unique().drop_nulls()
            return any(str(value).strip().lower() == "true" for value in values)
    return False


def _pairs(name: str) -> tuple[str, ...]:
    """Return the symbols a file's name can be read as; well-known coins decide, e.g. XBTUSD."""
    found: dict[str, bool] = {}
    for first, second in _WORD.findall(name):
        if second in _QUOTES:
            found[f"{first}/{second}"] = True
        for quote in _QUOTES:
            base = first.removesuffix(quote)
            if base != first and len(base) > 1:
                found[f"{base}/{quote}"] = base in _BASES
    known = tuple(symbol for symbol, sure in found.items() if sure)
    return known or tuple(found)


def _common(symbol: str) -> str:
    return "/".join(_SAME_COIN.get(coin, coin) for coin in symbol.split("/"))


def _timeframe(name: str, stated: Timeframe | None, times: NDArray[np.int64]) -> Timeframe:
    """Return the timeframe: the usual distance of the stamps, which name and option must fit."""
    told = {Timeframe.parse(text) for text in _SPAN.findall(name)}
    claims = [("the option", stated)] if stated is not None else []
    claims += [("the file's name", each) for each in told] if len(told) == 1 else []
    steps = np.diff(np.unique(times))
    if not steps.size:
        if claims:
            return claims[0][1]
        raise DataError(
            f"{name} holds too few candles to tell their timeframe",
            "two candles",
            "state it with --timeframe 1h",
        )
    lengths, counts = np.unique(steps, return_counts=True)
    usual = int(lengths[np.argmax(counts)])
    for who, claim in claims:
        # A thinly traded market may skip more candles than it has; a finer one is another file.
        if usual < claim.duration or claim.duration not in lengths:
            raise DataError(
                f"{who} says {claim}, but candles are usually {_length(usual)} apart",
                "one timeframe",
                "correct the option, or rename the file if its name is wrong",
            )
    if len(claims) == 2 and claims[0][1] != claims[1][1]:
        raise DataError(
            f"the file's name says {claims[1][1]}, the option {claims[0][1]}", "one timeframe"
        )
    if claims:
        return claims[0][1]
    if usual % _MINUTE:
        raise DataError(
            f"candles are usually {_length(usual)} apart",
            "a timeframe of whole minutes",
            "state it with --timeframe if these are not the usual candles",
        )
    return Timeframe(usual)


def _length(duration: int) -> str:
    return str(Timeframe(duration))


def _labels(name: str, stated: Labels | None) -> Labels:
    told = Labels.CLOSE if "closelabel" in name.lower() else None
    if stated is not None and told is not None and stated is not told:
        raise DataError(
            f"the file's name says that stamps are closing times, the option {stated}",
            "one meaning",
            "correct the option, or rename the file if its name is wrong",
        )
    return stated or told or Labels.OPEN
