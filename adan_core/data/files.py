"""Import of candle files: read, understood, confirmed, validated; nothing is guessed in silence."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adan_core.data.columns import Role, map_columns, verify_sequence
from adan_core.data.findings import Finding, FindingCode, Policy
from adan_core.data.series import CandleSeries, check_symbol
from adan_core.data.stamps import check_zone, parse_stamps
from adan_core.data.tables import read_table
from adan_core.data.validation import RawCandles, Report, validate
from adan_core.domain.alerts import Severity
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError

SIMULATED_QUOTE = "SIM"
"""The quote currency of simulated markets; candles in it are synthetic wherever they come from."""

_QUOTES = (
    "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY", "CHF", "AUD",
    "CAD", "KRW", "TRY", "BRL", "BTC", "XBT", "ETH", "BNB", SIMULATED_QUOTE,
)  # fmt: skip
_PAIR = re.compile(
    rf"(?<![A-Za-z0-9])([A-Z0-9]{{2,10}}?)[-_/]?({'|'.join(_QUOTES)})(?![A-Za-z0-9])"
)
_SPAN = re.compile(r"(?<![A-Za-z0-9])([1-9]\d{0,2}[mhd])(?![A-Za-z0-9])")
_SAME_COIN = {"XBT": "BTC"}
_MINUTE = 60_000


class Labels(StrEnum):
    """Whether a file stamps a candle with its opening or its closing."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file; None or empty: found out, and said."""

    symbol: str | None = None
    timeframe: Timeframe | None = None
    time_zone: str | None = None
    labels: Labels | None = None
    columns: Mapping[Role, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file holds, as far as it was understood, and everything found in it."""

    path: Path
    symbol: str
    timeframe: Timeframe
    rows: int
    findings: tuple[Finding, ...]
    report: Report

    @property
    def synthetic(self) -> bool:
        """Whether the candles are simulated: their quote currency says so."""
        return self.symbol.endswith(f"/{SIMULATED_QUOTE}")

    def series(self) -> CandleSeries:
        """Return the candles; DataError if the policy refuses what was found."""
        return self.report.series(self.symbol, self.timeframe, self.synthetic)


def examine(
    path: Path, reading: Reading, progress: Callable[[str], None] = lambda _: None
) -> Examined:
    """Read ``path`` and validate it; ``progress`` is told of each step as it begins.

    Raises DataError where the file cannot be understood (form, columns, times, symbol or
    timeframe) or contradicts what ``reading`` states; defects of candles become findings.
    """
    check_zone(reading.time_zone)
    symbol = _symbol(path.name, reading.symbol)
    progress(f"reading {path.name}")
    table = read_table(path)
    progress("finding the columns")
    columns = map_columns(table, reading.columns)
    stamps = parse_stamps(
        table.columns[columns.time], reading.time_zone, table.column(columns.time)
    )
    verify_sequence(stamps.milliseconds, columns.open, columns.close)
    timeframe = _timeframe(path.name, reading.timeframe, stamps.milliseconds)
    labels = _labels(path.name, reading.labels)
    notes = [_note(FindingCode.COLUMNS, Severity.INFO, columns.describe(table))]
    open_time = stamps.milliseconds
    if stamps.assumed_utc:
        notes.append(
            _note(FindingCode.TIME_ZONE, Severity.INFO, "stamps say no time zone: read as UTC")
        )
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
                f"lines above the table that were not read: {table.preamble}",
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
    report = validate(raw, timeframe, reading.policy)
    return Examined(path, symbol, timeframe, len(raw), (*notes, *report.findings), report)


def _note(code: FindingCode, severity: Severity, message: str) -> Finding:
    return Finding(code, severity, None, 1, 0, (), message)


def _symbol(name: str, stated: str | None) -> str:
    """Return the symbol, stated or told by the file's name; DataError if they contradict."""
    match = _PAIR.search(name)
    told = f"{match[1]}/{match[2]}" if match else None
    if stated is None:
        if told is None:
            raise DataError(
                f"the name {name} tells no symbol", "a symbol", "state it with --symbol BTC/USDT"
            )
        return told
    check_symbol(stated)
    if told is not None and _common(told) != _common(stated):
        raise DataError(
            f"the file's name says {told}, the option {stated}",
            "one symbol",
            "correct the option, or rename the file if its name is wrong",
        )
    return stated


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
