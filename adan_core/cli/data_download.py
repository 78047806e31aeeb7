"""``adan-core data download``: an exchange's past candles into a stored data set, resumable."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.cli.data_reading import SCHEMA_VERSION, describe, policy_of, say_findings
from adan_core.cli.download_bar import DownloadBar
from adan_core.cli.instants import instant_of
from adan_core.domain.errors import AdanError, DataError, RetryableError, UsageError
from adan_core.domain.time import SECOND, Milliseconds, iso

if TYPE_CHECKING:
    import ccxt

    from adan_core.data.download import Downloaded
    from adan_core.data.findings import Finding, Policy
    from adan_core.data.store import CandleStore

_LONGEST_HOLES = 10
_WORTH_SAYING: Milliseconds = 2 * SECOND  # of disagreement between two clocks
_LONG_WAIT = 3.0  # seconds of silence that need a word where no bar is seen
_AROUND = 1_000  # candles before the first new one that are judged with them
_EPILOG = """\
Every page of candles is stored before the next is asked for. Interrupt it or kill it whenever you
like: the same command continues after what is stored and asks for none of it again. Without --since
it continues where the data set ends; with an earlier --since it fetches what lies before, and asks
once more for the largest holes in between (each time: a hole may be a live feed's that stood
still, so leave --since out where only what is new is wanted). A candle that is still forming is
never stored. Under its default name a data set is the past of a live feed of that exchange, which
adds to it. What another host than the exchange's own tells (--base-url) is marked as SIMULATED.

Candles that cannot be (no price, high below low, two for one time) are refused, as the settings say.
What only the candles around can tell (outliers, frozen prices, steps) stops no download, unless --on
says so: a page shows too little of them, and it is what the exchange tells everybody. The new
candles are judged as a whole at the end, and what the settings would refuse in a file is named;
`adan-core data check NAME` shows where it is.

Requests keep to the exchange's rate limit; when it asks for quiet, that is obeyed. Some exchanges
serve only their newest candles; those are stored, and what is lacking is said (exit code 3). That
there is nothing after some time, as of a market that closed, is said, and is no error.

DATES  2021-01-01 (midnight UTC), or 2021-01-01T06:30Z, or 2021-01-01T06:30+02:00

examples:
  adan-core data download BTC/USDT --exchange bitstamp --timeframe 1m --since 2021-01-01
  adan-core data download BTC/USDT ETH/USDT --exchange binance --timeframe 1h --since 2020-01-01
  adan-core data download BTC/USDT --exchange binance --timeframe 1h       (what is new since)

exit codes: 0 done, 2 usage, 3 data (refused, or older candles could not be had), 5 the exchange
does not answer, 130 interrupted; what came until then is stored
"""


def configure_download(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``data download``."""
    parser.epilog = _EPILOG
    parser.add_argument("symbols", metavar="SYMBOL", nargs="+", help="a spot market, e.g. BTC/USDT")
    parser.add_argument("--exchange", required=True, help="one that ccxt knows, e.g. binance")
    parser.add_argument("--timeframe", required=True, help="the span of a candle, e.g. 1m, 1h, 1d")
    parser.add_argument("--since", metavar="DATE", help="the first candle opens then or later")
    parser.add_argument("--until", metavar="DATE", help="the last closes by then (default: now)")
    parser.add_argument("--name", help="store it as NAME (default: e.g. bitstamp-BTC-USDT-1m)")
    parser.add_argument(
        "--base-url", metavar="URL", help="ask this host instead, e.g. http://127.0.0.1:9000"
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="CODE=TREATMENT",
        help="what to do about a kind of finding, as for `data check` (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON document")


def download(arguments: argparse.Namespace, context: Context) -> int:
    """Download each symbol in turn; exit code 3 if an exchange does not keep what was asked for."""
    from contextlib import closing

    from adan_core.data.exchange_client import open_client

    since, until = (instant_of(text) for text in (arguments.since, arguments.until))
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since {iso(since)} --until {iso(until)}", "an end after the beginning")
    if arguments.name is not None and len(arguments.symbols) > 1:
        raise UsageError(f"one --name for {len(arguments.symbols)} symbols", "one symbol with it")
    with (
        closing(open_client(arguments.exchange, arguments.base_url)) as client,
        DownloadBar(context.stderr) as bar,
    ):
        results = [
            _download_one(arguments, context, client, symbol, (since, until), bar)
            for symbol in arguments.symbols
        ]
    if arguments.json:
        context.emit({"schema_version": SCHEMA_VERSION, "downloads": [_told(*r) for r in results]})
    shortfalls = [result.shortfall for result, _, _ in results if result.shortfall is not None]
    for shortfall in shortfalls:
        context.warn(f"adan-core: {shortfall}")
    return DataError.exit_code if shortfalls else 0


def _download_one(
    arguments: argparse.Namespace,
    context: Context,
    client: "ccxt.Exchange",
    symbol: str,
    period: tuple[Milliseconds | None, Milliseconds | None],
    bar: DownloadBar,
) -> tuple["Downloaded", float, "tuple[Finding, ...]"]:
    """Return what became of one symbol, in how many seconds, and what the settings would refuse in it.

    Say it, too, unless JSON is wanted.
    """
    import random
    import time

    from adan_core.data.download import Download
    from adan_core.data.exchange_history import ExchangeHistory
    from adan_core.data.live_venue import VenueName
    from adan_core.data.series import check_symbol
    from adan_core.data.store import CandleStore, check_name
    from adan_core.domain.candles import Timeframe

    def wait(seconds: float) -> None:
        bar.note(f"asking again in {seconds:.0f} s")
        if seconds >= _LONG_WAIT and not context.stderr.isatty():
            context.warn(
                f"{name}: no answer from {arguments.exchange} that can be used, "
                f"asking again in {seconds:.0f} s"
            )
        time.sleep(seconds)

    since, until = period
    began = context.clock.monotonic()
    timeframe = Timeframe.parse(arguments.timeframe)
    venue = VenueName(arguments.exchange, arguments.base_url)
    name = check_name(arguments.name or venue.dataset(check_symbol(symbol), timeframe))
    bar.begin(name)
    history = ExchangeHistory(client, symbol, timeframe, context.clock, wait, random.random)
    end = history.now if until is None else min(until, history.now)
    if since is not None and since >= end:
        raise UsageError(
            f"--since {iso(since)}", f"an instant in the exchange's past, where it is {iso(end)}"
        )
    store = CandleStore(context.home.datasets)
    policy = policy_of(arguments.on, context, stored=True)
    task = Download(history, store, name, since, end, policy)
    try:
        result = task.run(bar.show)
    except (AdanError, KeyboardInterrupt) as error:
        bar.clear()
        goes_on = isinstance(error, (RetryableError, KeyboardInterrupt))
        if goes_on or task.added:
            context.warn(
                f"{name}: stopped; {task.added:,} new candles are stored"
                + (", the same command continues" if goes_on else "")
            )
        raise
    bar.note("judging the new candles")
    refusable = _refusable(result, store, policy_of(arguments.on, context))
    seconds = context.clock.monotonic() - began
    if not arguments.json:
        bar.clear()
        _say(result, seconds, history.skew, refusable, context)
    return result, seconds, refusable


def _refusable(
    result: "Downloaded", store: "CandleStore", policy: "Policy"
) -> "tuple[Finding, ...]":
    """Return what ``policy`` refuses in the new candles, seen together with those around them."""
    from adan_core.data.raw import RawCandles
    from adan_core.data.validation import validate
    from adan_core.domain.candles import Timeframe

    if result.added_within is None:
        return ()
    timeframe = Timeframe.parse(result.info.timeframe)
    start, end = result.added_within
    series = store.read(result.info.name, start - _AROUND * timeframe.duration, end)
    return validate(RawCandles.of(series), timeframe, policy).refusals


def _say(
    result: "Downloaded",
    seconds: float,
    skew: Milliseconds,
    refusable: "tuple[Finding, ...]",
    context: Context,
) -> None:
    context.say(f"stored {describe(result.info)}")
    rate = result.added / seconds if seconds > 0.0 else 0.0
    context.say(f"  {result.added:,} new candles in {seconds:.1f} s ({rate:,.0f} a second)")
    if result.holes:
        longest = result.longest_holes(1)[0]
        count = sum(hole.candles for hole in result.holes)
        context.say(
            f"  the exchange has no candles for {count:,} in {len(result.holes):,} holes, "
            f"the longest {longest.candles:,} from {iso(longest.start)}"
        )
    if result.before is not None and result.shortfall is None:
        asked = f"asked from {iso(result.before.start)}"
        context.say(f"  the exchange has nothing before {iso(result.before.end)} ({asked})")
    if result.after is not None:
        asked = f"asked until {iso(result.after.end)}"
        context.say(f"  the exchange has nothing after {iso(result.after.start)} ({asked})")
    say_findings(result.info.findings, context)
    if refusable:
        context.say(
            "  kept as the exchange tells it, though a file would be refused for it: "
            + ", ".join(f"{each.code} ({each.count:,})" for each in refusable)
            + f"; see `adan-core data check {result.info.name}`"
        )
    if abs(skew) > _WORTH_SAYING:
        where = "ahead of" if skew > 0 else "behind"
        context.say(f"  the exchange's clock is {abs(skew) / SECOND:.0f} s {where} this machine's")


def _told(
    result: "Downloaded", seconds: float, refusable: "tuple[Finding, ...]"
) -> dict[str, object]:
    return {
        "dataset": result.info,
        "added": result.added,
        "seconds": seconds,
        "holes": {
            "count": len(result.holes),
            "candles": sum(hole.candles for hole in result.holes),
            "longest": result.longest_holes(_LONGEST_HOLES),
        },
        "nothing_before": result.before,
        "nothing_after": result.after,
        "would_be_refused": refusable,
        "shortfall": None if result.shortfall is None else str(result.shortfall),
    }
