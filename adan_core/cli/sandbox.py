"""``adan-core sandbox``: a SIMULATED exchange on this machine, to try ADAN against."""

import argparse
import signal
from collections import Counter
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError
from adan_core.domain.time import SECOND, Clock, Milliseconds, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adan_core.data.series import CandleSeries
    from adan_core.domain.candles import Timeframe
    from adan_core.sandbox.exchange import LoopbackExchange
    from adan_core.sandbox.faults import Faults

_SCHEMA_VERSION = 1
_SYMBOLS = ("BTC/SIM", "ETH/SIM")
_USUAL_TURN = 3
_WORTH_A_TRY = 20_000  # candles: some pages, some seconds
_LOOKS_A_CANDLE = 10
_LONGEST_LOOK = 1.0  # seconds: about as often as an exchange speaks of a candle that forms
_SHORTEST_LOOK = 0.02

_AMOUNTS = {"rate-limited": 5.0, "banned": 60.0, "delayed": 3.0, "deviating": 1.2}

_EPILOG = """\
Everything it serves is SIMULATED: made candles, or stored ones played again. It listens on 127.0.0.1
only, speaks the public protocols of Binance spot and Kraken spot (REST and candle streams) well
enough for ccxt and ADAN, needs no keys and takes no orders.

Its clock: made candles lead up to now and go on from there; stored ones keep their own dates, and
it is then when the last tenth (of the first data set) is still to come. A candle takes its own
span, or --pace seconds: the exchange's time, which clients ask for, then runs ahead of this machine's.

faults: each hits every N-th request, page, candle or update (NAME=N; default every third):
{faults}
SIGUSR1 switches the faults off, and on again.

examples:
  adan-core sandbox                                  two made symbols, 5m candles, in real time
  adan-core sandbox --pace 2 --fault disconnected=20
  adan-core sandbox --dataset BTC-USDT-1h --ahead 0 --fault rate-limited=5 --fault cut=7
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sandbox``."""
    from adan_core.sandbox.faults import DESCRIPTIONS

    faults = "\n".join(
        f"  {kind:<14}{text.replace('`amount`', format(_AMOUNTS.get(kind, 1.0), 'g'))}"
        for kind, text in DESCRIPTIONS.items()
    )
    parser.epilog = _EPILOG.format(faults=faults)
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME",
        help="serve a stored data set (may be repeated; default: a made market)",
    )
    parser.add_argument(
        "--timeframe", default="5m", help="span of the made candles (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the made market (default: 7)")
    parser.add_argument(
        "--candles", type=int, default=50_000, help="made per symbol (default: %(default)s)"
    )
    parser.add_argument(
        "--ahead", type=int, metavar="N", help="candles still to come (default: a tenth)"
    )
    parser.add_argument(
        "--pace", type=float, metavar="SECONDS", help="seconds per candle (default: real time)"
    )
    parser.add_argument("--port", type=int, default=0, help="(default: any free one)")
    parser.add_argument(
        "--newest-only", type=int, metavar="N", help="answer a symbol's newest N candles only"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=N]",
        help="let something go wrong (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="say where it listens as one document")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Serve until told to stop."""
    _check(arguments)
    faults = _faults(arguments.fault)
    from adan_core.sandbox.exchange import LoopbackExchange

    if arguments.dataset:
        series = _stored(arguments.dataset, context)
        start = int(series[0].close_time[-1 - _ahead(arguments.ahead, len(series[0]))])
    else:
        start = context.clock.now()
        series = _made(arguments, start)
    span = min(each.timeframe for each in series).duration
    seconds = arguments.pace or span / SECOND
    clock = _MarketClock(context.clock, start, span / seconds)
    signals = _listen()
    with LoopbackExchange(
        series, clock.now, faults, arguments.newest_only, arguments.port
    ) as exchange:
        if arguments.json:
            context.emit(_document(exchange, series, clock))
        else:
            for line in _introduction(exchange, series, clock):
                context.say(line)
        _serve(context, exchange, signals, seconds, faults)
        asked = Counter(request.path for request in exchange.requests)
    if not arguments.json:
        paths = ", ".join(f"{path} {count}" for path, count in asked.most_common(5))
        context.say(f"SIMULATED exchange ended; it was asked for {paths or 'nothing'}")
    return 0


class _MarketClock:
    """The exchange's time: ``rate`` milliseconds of it pass in a second of this machine's."""

    def __init__(self, clock: Clock, start: Milliseconds, rate: float) -> None:
        self._clock = clock
        self._start = start
        self._began = clock.monotonic()
        self.rate = rate

    def now(self) -> Milliseconds:
        """Return the exchange's time."""
        return self._start + int((self._clock.monotonic() - self._began) * self.rate)


def _check(arguments: argparse.Namespace) -> None:
    pace = arguments.pace
    if pace is not None and not 0.05 <= pace <= 86_400.0:
        raise UsageError(f"--pace {pace}", "0.05 to 86400 seconds per candle")
    if not 0 <= arguments.port <= 65_535:
        raise UsageError(f"--port {arguments.port}", "0 (any free one) to 65535")
    if arguments.seed < 0 or not 1 <= arguments.candles <= 5_000_000:
        raise UsageError(
            f"--candles {arguments.candles} --seed {arguments.seed}",
            "1 to 5,000,000 candles and a seed >= 0",
        )
    if arguments.ahead is not None and arguments.ahead < 0:
        raise UsageError(f"--ahead {arguments.ahead}", "a number of candles, 0 or more")
    if arguments.newest_only is not None and arguments.newest_only < 1:
        raise UsageError(f"--newest-only {arguments.newest_only}", "at least one candle")


def _faults(texts: "Sequence[str]") -> "Faults":
    from adan_core.sandbox.faults import Fault, FaultKind, Faults

    script = []
    for text in texts:
        name, _, turn = text.partition("=")
        try:
            kind = FaultKind(name)
            every = int(turn) if turn else _USUAL_TURN
            script.append(Fault(kind, every, every, None, amount=_AMOUNTS.get(kind, 1.0)))
        except ValueError as error:
            raise UsageError(
                f"--fault {text}",
                "NAME or NAME=N, N at least 1, NAME one of: " + ", ".join(FaultKind),
            ) from error
    return Faults(tuple(script))


def _stored(names: "Sequence[str]", context: Context) -> "list[CandleSeries]":
    from adan_core.data.store import CandleStore

    store = CandleStore(context.home.datasets)
    return [store.read(name) for name in names]


def _made(arguments: argparse.Namespace, now: Milliseconds) -> "list[CandleSeries]":
    """Return simulated candles around ``now``: the last one that is not to come forms just then."""
    from adan_core.data.synthetic import SimulatedMarket
    from adan_core.domain.candles import Timeframe

    timeframe = Timeframe.parse(arguments.timeframe)
    past = arguments.candles - _ahead(arguments.ahead, arguments.candles)
    markets = [SimulatedMarket(symbol, timeframe, arguments.seed) for symbol in _SYMBOLS]
    return [
        market.candles(max(0, market.index_after(now) - past), arguments.candles)
        for market in markets
    ]


def _ahead(asked: int | None, count: int) -> int:
    """Return how many of ``count`` candles are still to come: at least one is not."""
    return min(count // 10 if asked is None else asked, count - 1)


def _document(
    exchange: "LoopbackExchange", series: "Sequence[CandleSeries]", clock: _MarketClock
) -> dict[str, object]:
    """Return what ``--json`` says: where it listens, its clock, and what it holds."""
    now = clock.now()
    return {
        "schema_version": _SCHEMA_VERSION,
        "simulated": True,
        "url": exchange.url,
        "market_time": now,
        "milliseconds_per_second": clock.rate,
        "markets": [
            {
                "symbol": each.symbol,
                "timeframe": str(each.timeframe),
                "candles": len(each),
                "closed": _closed(each, now),
                "start": int(each.open_time[0]),
                "end": int(each.close_time[-1]),
            }
            for each in series
        ],
    }


def _introduction(
    exchange: "LoopbackExchange", series: "Sequence[CandleSeries]", clock: _MarketClock
) -> "Iterator[str]":
    """Yield the lines that say what this is, what it holds, and what to type elsewhere."""
    now = clock.now()
    yield f"SIMULATED exchange at {exchange.url}: no real market, no keys, no orders"
    for each in series:
        closed = _closed(each, now)
        yield (
            f"  {each.symbol} {each.timeframe}: {closed:,} candles from {iso(int(each.open_time[0]))}, "
            f"{len(each) - closed:,} to come, one every {each.timeframe.duration / clock.rate:g} s"
        )
    yield f"there it is {iso(now)}; in another terminal:"
    first = series[0]
    for venue, newest in _venues(first.timeframe):
        since = max(int(first.open_time[0]), now - newest * first.timeframe.duration)
        yield (
            f"  adan-core data download {first.symbol} --exchange {venue} --timeframe "
            f"{first.timeframe} --since {iso(since)} --base-url {exchange.url}"
        )
        yield (
            f"  adan-core run --set market.source=exchange --set exchange.name={venue} "
            f"--set exchange.base_url={exchange.url} --set 'market.symbols=[{first.symbol}]' "
            f"--set market.timeframe={first.timeframe} "
            f"--set account.quote={first.symbol.partition('/')[2]} --model ID"
        )
    yield "ctrl-c ends it"


def _closed(series: "CandleSeries", now: Milliseconds) -> int:
    return series.index_at(now - series.timeframe.duration + 1)


def _venues(timeframe: "Timeframe") -> list[tuple[str, int]]:
    """Return the exchanges imitated that have ``timeframe``, and the candles worth asking each for."""
    from adan_core.sandbox.binance import INTERVALS
    from adan_core.sandbox.kraken import NEWEST_ONLY, TIMEFRAMES

    venues = []
    if timeframe in INTERVALS.values():
        venues.append(("binance", _WORTH_A_TRY))
    if timeframe in TIMEFRAMES:
        venues.append(("kraken", NEWEST_ONLY - 20))
    return venues


def _listen() -> "SimpleQueue[int]":
    """Queue the signals from now on; a handler may do no more, for it interrupts whatever runs."""
    signals: SimpleQueue[int] = SimpleQueue()

    def queue(number: int, _frame: FrameType | None) -> None:
        signals.put(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, queue)
    return signals


def _serve(
    context: Context,
    exchange: "LoopbackExchange",
    signals: "SimpleQueue[int]",
    seconds: float,
    faults: "Faults",
) -> None:
    """Tell the streams what happens, and switch faults, until a signal ends it."""
    from adan_core.sandbox.faults import Faults

    look = min(max(seconds / _LOOKS_A_CANDLE, _SHORTEST_LOOK), _LONGEST_LOOK)
    faulty = True
    while True:
        exchange.advance()
        try:
            number = signals.get(timeout=look)
        except Empty:
            continue
        if number != signal.SIGUSR1:
            return
        faulty = not faulty
        exchange.inject(faults if faulty else Faults())
        context.warn(f"SIMULATED exchange: faults {'on' if faulty else 'off'}")
