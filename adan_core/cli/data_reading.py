"""What the actions of ``adan-core data`` share: how a file is to be read, and how results are told."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adan_core.cli.context import Context, printable
from adan_core.domain.errors import UsageError
from adan_core.domain.time import iso

if TYPE_CHECKING:
    from adan_core.data.files import Reading
    from adan_core.data.findings import Finding, Policy
    from adan_core.data.store import DatasetInfo

SCHEMA_VERSION = 1

READING = """\
Columns are found by name, or by value where there is no header, and verified. Times are seconds,
milliseconds, microseconds or nanoseconds since 1970, or written year first; those that say no time
zone are refused unless --time-zone states it. Symbol and timeframe are told by the file where it
tells them; an option that contradicts the file is an error.

What is found wrong is refused, repaired with a mark, or only reported, as the section `validation`
of the settings says, or --on for this once:
"""


def reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on how to read a file."""
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


def reading_of(arguments: argparse.Namespace, context: Context) -> "Reading":
    """Return what the options say on how to read a file; UsageError if they make no sense."""
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
        policy=policy_of(arguments.on, context),
        now=context.clock.now(),
        fresh=bool(getattr(arguments, "fresh", False)),
    )


def refuse_reading_options(arguments: argparse.Namespace) -> None:
    """Refuse (UsageError) options on how to read a file where none is read."""
    stated = [
        f"--{name.replace('_', '-')}"
        for name in ("symbol", "timeframe", "time_zone", "stamps", "column")
        if getattr(arguments, name)
    ]
    if stated:
        raise UsageError(
            f"{', '.join(stated)} for a stored data set", "options on how to read a file only there"
        )


def policy_of(texts: Sequence[str], context: Context, stored: bool = False) -> "Policy":
    """Return the settings' treatments and limits, overridden by ``CODE=TREATMENT`` texts.

    What is ``stored`` was admitted once: it is reported again, not refused after the fact (other
    than for its age), unless the texts say so. UsageError for any other text; ConfigurationError
    for wrong settings.
    """
    from adan_core.data.findings import FindingCode, Limits, Policy, Treatment, treatable

    treatments: dict[FindingCode, Treatment] = {}
    stated: dict[FindingCode, Treatment] = {}
    for text in texts:
        code, equals, treatment = text.partition("=")
        if not equals or code not in treatable() or treatment not in set(Treatment):
            raise UsageError(
                f"--on {text}",
                f"CODE=TREATMENT, CODE one of {', '.join(treatable())}, "
                f"TREATMENT one of {', '.join(Treatment)}",
            )
        stated[FindingCode(code)] = Treatment(treatment)
    settings = context.settings()
    validation = settings.validation
    for name, chosen in validation.treatments:
        code = FindingCode(name)
        admitted = stored and code is not FindingCode.STALE and Treatment.WARN in treatable()[code]
        treatments[code] = Treatment.WARN if admitted else Treatment(chosen)
    limits = Limits(
        outlier_spreads=validation.outlier_spreads,
        outlier_ratio=validation.outlier_ratio,
        stuck_candles=validation.stuck_candles,
        copied_candles=validation.copied_candles,
        interpolated_candles=validation.interpolated_candles,
        chance=validation.chance,
        deviation_warning=settings.exchange.deviation_warning,
        deviation_refusal=settings.exchange.deviation_reducing,
        grace_seconds=settings.staleness.candle_grace_seconds,
        grace_fraction=settings.staleness.candle_grace_fraction,
    )
    return Policy(treatments | stated, limits)


def say_findings(findings: Sequence["Finding"], context: Context) -> None:
    """Say what was found, one line each."""
    for each in findings:
        done = f" [{each.treatment}]" if each.treatment else ""
        context.say(f"  {each.code}{done}: {each.message}")


def describe(info: "DatasetInfo") -> str:
    """Return a stored data set in one line."""
    kind = " SIMULATED" if info.synthetic else ""
    return (
        f"{info.name}:{kind} {info.symbol} {info.timeframe}, {info.rows:,} candles "
        f"({info.missing:,} missing), {iso(info.start)} to {iso(info.end)}, hash {info.content_hash}"
    )


class Progress:
    """One line on the standard error that says what is being done, if a person is looking."""

    def __init__(self, context: Context) -> None:
        self._stream = context.stderr
        self._shown = self._stream.isatty()

    def say(self, text: str) -> None:
        """Replace the line by ``text``."""
        if self._shown:
            line = printable(text, self._stream.encoding).replace("\n", "\\n")
            self._stream.write(f"\r\x1b[K{line}")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        self.say("")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
