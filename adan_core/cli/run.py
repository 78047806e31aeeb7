"""``adan-core run``: the trading core without a screen."""

import argparse
import signal
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.commands import Command, CommandKind
from adan_core.domain.errors import UsageError
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import Mode
from adan_core.domain.time import SECOND, Milliseconds, iso

if TYPE_CHECKING:
    from adan_core.runtime.core import TradingCore

_LOOK_SECONDS = 0.25
_SAY_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``."""
    parser.epilog = (
        "examples:\n"
        "  adan-core run                                  a paper account on a simulated market\n"
        "  adan-core run --mode replay --dataset sample   play stored candles through the engine\n"
        "  adan-core run --set market.source=exchange --set exchange.name=binance \\\n"
        "    --set 'market.symbols=[BTC/USDT]' --set account.quote=USDT --model BTC-USDT-5m-s1\n"
        "                       a paper account, with books of its own, on an exchange's candles as\n"
        "                       they close; the model must have been trained on real candles\n\n"
        "ctrl-c or SIGTERM ends it in order; SIGUSR1 is the kill switch (HALT); SIGHUP is ignored."
    )
    parser.add_argument(
        "--mode",
        choices=("paper", "replay"),
        default="paper",
        help="paper: an account kept on disk; replay: stored candles, books thrown away after "
        "(default: %(default)s)",
    )
    parser.add_argument("--dataset", metavar="NAME", help="what a replay plays (data list)")
    parser.add_argument(
        "--model",
        metavar="ID",
        help="which model decides (default: the one in service; models list)",
    )
    parser.add_argument(
        "--challenger",
        metavar="ID",
        help="a model that decides in its shadow, on paper fills of its own; never an order",
    )
    parser.add_argument(
        "--pace",
        type=float,
        metavar="SECONDS",
        help="seconds per candle (default: the settings' for paper, 0 for a replay: no waiting)",
    )
    parser.add_argument("--json", action="store_true", help="at the end, write the last snapshot")
    parser.add_argument("--verbose", action="store_true", help="copy the log to standard error")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Run a core until it is told to stop, or until the replayed candles end."""
    replay = arguments.mode == "replay"
    if replay and arguments.dataset is None:
        raise UsageError("a replay without --dataset", "a name of `adan-core data list`")
    if not replay and arguments.dataset is not None:
        raise UsageError("--dataset without --mode replay", "both, or neither")
    if arguments.pace is not None and not 0.0 <= arguments.pace <= 3600.0:
        raise UsageError(f"--pace {arguments.pace}", "0 to 3600 seconds per candle")
    signals = _listen()
    from adan_core.runtime.launch import LaunchOptions, launch

    running = launch(
        LaunchOptions(
            mode=Mode.REPLAY if replay else Mode.PAPER,
            dataset=arguments.dataset,
            model=arguments.model,
            challenger=arguments.challenger,
            pace=0.0 if replay and arguments.pace is None else arguments.pace,
            home=arguments.home,
            overrides=context.overrides,
        ),
        context.home,
        context.environment,
        context.clock,
        echo=context.stderr if arguments.verbose else None,
    )
    if not arguments.json:
        context.say(f"{arguments.mode} core started; ctrl-c ends it, `adan-core status` looks in")
    said = context.clock.monotonic()
    try:
        while not _told_to_stop(signals, running.core) and not running.core.wait(0.0):
            now = context.clock.monotonic()
            if not arguments.json and now - said >= _SAY_SECONDS:
                said = now
                context.say(_line(running.core.snapshot()))
    finally:
        running.stop()
    last = running.core.snapshot()
    if arguments.json:
        context.emit(last)
    else:
        context.say(_line(last))
    if running.core.failure:
        context.warn(f"adan-core: trading has stopped: {running.core.failure}")
        return 1
    return 0


def _listen() -> "SimpleQueue[int]":
    """Queue the signals from now on; a handler may do no more, for it interrupts whatever runs.

    They are listened to before anything starts, so that none is lost and none is deadly.
    """
    signals: SimpleQueue[int] = SimpleQueue()

    def queue(number: int, _frame: FrameType | None) -> None:
        signals.put(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, queue)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost terminal is no reason to stop trading
    return signals


def _told_to_stop(signals: "SimpleQueue[int]", core: "TradingCore") -> bool:
    """Wait a little for a signal; carry out a kill at once, and say whether the core is to end."""
    try:
        number = signals.get(timeout=_LOOK_SECONDS)
    except Empty:
        return False
    if number == signal.SIGUSR1:
        core.submit(Command(CommandKind.HALT, reason="SIGUSR1"))
        return False
    return True


def _when(instant: Milliseconds | None) -> str:
    return "no candle yet" if instant is None else iso(instant)


def _line(snapshot: CoreSnapshot) -> str:
    account = snapshot.portfolio
    market = snapshot.market
    when = market.market_time
    parts = [
        " ".join(part for part in (market.source, market.venue, _when(when)) if part),
        str(snapshot.state),
    ]
    age = None if market.received_at is None else snapshot.taken_at - market.received_at
    if age is not None and age > market.stale_after and not market.finished:
        parts.append(f"candles STALE {age / SECOND:.0f} s")
    if market.stream is not None:
        silence = market.stream.silence(snapshot.taken_at)
        if silence is not None:
            parts.append(f"stream STALE {silence / SECOND:.0f} s")
        if market.stream.paused:
            parts.append(f"paused: {market.stream.paused}")
    if account is not None:
        parts.append(
            f"equity {account.equity:,.2f} {account.quote} ({account.equity - account.deposits:+,.2f})"
        )
        held = len(account.positions)
        parts.append(f"{held} position{'' if held == 1 else 's'}, drawdown {account.drawdown:.2%}")
    return ", ".join(parts)
