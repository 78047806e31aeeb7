"""What ``adan-core data regimes`` says in words, tables and a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from adan_core.cli.context import Context
from adan_core.cli.figures import figure, table
from adan_core.domain.time import iso

if TYPE_CHECKING:
    from adan_core.data.series import CandleSeries

_MOST_CRISES: Final = 12


class Stay(NamedTuple):
    """A stretch of one regime: its place in ``Regime``, its first row, the row after its last."""

    code: int
    first: int
    stop: int


def say(
    document: dict[str, Any], series: "CandleSeries", stays: Sequence[Stay], context: Context
) -> None:
    """Say what the command found: shares of time, a picture, crises, now, and the truth."""
    kind = "SIMULATED " if document["synthetic"] else ""
    context.say(
        f"{kind}{document['symbol']} {document['timeframe']}: {document['candles']:,} candles after "
        f"{document['warming']:,} of warm-up, {document['switches_per_1000']:.1f} changes per 1000"
    )
    newest = document["newest"]
    rows = [
        (
            row["regime"],
            f"{row['share']:.1%}",
            str(row["stays"]),
            figure(row["mean_stay"], ".0f"),
            f"{newest['probabilities'][row['regime']]:.1%}",
        )
        for row in document["regimes"]
    ]
    head = ("regime", "of the time", "stays", "mean stay (candles)", "probability now")
    for line in table(head, rows):
        context.say(line)
    _say_picture(series, stays, context)
    _say_crises(document["crises"], context)
    drivers = ", ".join(f"{name} {value:.2f}" for name, value in newest["drivers"].items())
    context.say(f"now: {newest['regime']}; {drivers}")
    if "truth" in document:
        truth = document["truth"]
        context.say(
            f"against the truth: macro-F1 {truth['macro_f1']:.3f}, per candle; {truth['crises']:,} "
            f"crises, nine of ten reported within {figure(truth['crisis_delay_p90'], '.0f')} candles "
            f"of their first, {truth['crises_missed']:,} never"
        )
        names = [row["regime"] for row in truth["regimes"]]
        measured = [
            (
                row["regime"],
                *(f"{count:,}" for count in row["answers"]),
                *(figure(row[name], ".3f") for name in ("precision", "recall", "f1")),
            )
            for row in truth["regimes"]
        ]
        for line in table(("truth \\ answer", *names, "precision", "recall", "F1"), measured):
            context.say(line)


def _say_picture(series: "CandleSeries", stays: Sequence[Stay], context: Context) -> None:
    import numpy as np
    from rich.console import Console

    from adan_core.cli.data_picture import picture
    from adan_core.data.findings import Spans
    from adan_core.domain.market import Regime

    where = {}
    for code, regime in enumerate(Regime):
        own = [stay for stay in stays if stay.code == code]
        first = np.array([stay.first for stay in own], dtype=np.int64)
        last = np.array([stay.stop - 1 for stay in own], dtype=np.int64)
        where[regime] = Spans(first + 1, series.open_time[first], series.open_time[last])
    for line, _ in picture(
        series.open_time,
        series.close,
        series.timeframe.duration,
        where,
        Console(file=context.stdout).width,
        context.stdout.encoding or "utf-8",
    ):
        context.say(line)


def _say_crises(crises: Sequence[dict[str, Any]], context: Context) -> None:
    if not crises:
        context.say("no crisis was reported")
        return
    shown = crises[-_MOST_CRISES:]
    earlier = len(crises) - len(shown)
    more = f", the newest {len(shown)} below, all of them with --json" if earlier else ""
    context.say(f"{len(crises):,} times a crisis was reported{more}:")
    rows = [
        (
            iso(crisis["start"])[:16],
            "goes on" if crisis["end"] is None else iso(crisis["end"])[:16],
            f"{crisis['candles']:,}",
            f"{crisis['change']:+.1%}",
        )
        for crisis in shown
    ]
    for line in table(("from (UTC)", "until", "candles", "price"), rows):
        context.say(line)
