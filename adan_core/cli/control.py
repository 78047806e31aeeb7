"""``adan-core status | halt | kill | rearm``: by the socket when a core runs, else by the latch."""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict

from adan_core.cli.confirmation import typed_word
from adan_core.cli.context import Context
from adan_core.domain.commands import (
    FLATTEN_WORD,
    REARM_WORD,
    Command,
    CommandKind,
    CommandResult,
)
from adan_core.domain.errors import (
    AdanError,
    NotRunning,
    SecurityError,
    TradingError,
    UsageError,
)
from adan_core.domain.snapshot import CoreSnapshot
from adan_core.domain.state import KillKind, KillPhase, KillReport
from adan_core.domain.time import SECOND, Milliseconds, iso
from adan_core.resilience.files import lock_holder
from adan_core.runtime.remote import ask
from adan_core.security.audit import AuditLog
from adan_core.security.authorization import current_user, require_word
from adan_core.trading.latch import KillLatch, LatchRecord

_WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_LONGEST_REASON = 500
_SCHEMA_VERSION = 1
# The settings' staleness.heartbeat as shipped: this command must not pay for reading settings.
_HEARTBEAT_STALE = 3 * SECOND

_EPILOGS = {
    "status": "example:\n  adan-core status --json | jq .portfolio.equity",
    "halt": "example:\n  adan-core halt --reason 'news at 14:00'",
    "kill": "example:\n  adan-core kill --flatten",
    "rearm": "example:\n  adan-core rearm        (then type REARM)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command the parser is for."""
    name: str = parser.get_default("command")
    parser.epilog = _EPILOGS[name]
    parser.add_argument("--json", action="store_true", help="write one JSON document")
    if name in {"halt", "kill"}:
        parser.add_argument("--reason", default="", help="kept in the latch and the audit trail")
        parser.add_argument(
            "--wait",
            type=float,
            default=_WAIT_SECONDS,
            metavar="SECONDS",
            help="how long to wait for the confirmation (default: %(default)g)",
        )
    if name == "kill":
        parser.add_argument(
            "--flatten",
            action="store_true",
            help="close every position, too; asks for the typed word FLATTEN",
        )
    if name in {"kill", "rearm"}:
        parser.add_argument(
            "--confirm", metavar="WORD", help="the typed word, for scripts that mean it"
        )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out the command the parser was for."""
    commands: dict[str, Callable[[argparse.Namespace, Context], int]] = {
        "status": _status,
        "halt": _kill,
        "kill": _kill,
        "rearm": _rearm,
    }
    return commands[arguments.command](arguments, context)


def _status(arguments: argparse.Namespace, context: Context) -> int:
    try:
        snapshot = ask(context.home.socket).snapshot
    except NotRunning:
        return _status_at_rest(arguments, context)
    if snapshot is None:
        raise NotRunning("the core has just started and knows nothing yet", "", "ask again")
    if arguments.json:
        context.emit(snapshot)
    else:
        context.say(_describe(snapshot))
    return 0


def _status_at_rest(arguments: argparse.Namespace, context: Context) -> int:
    """Say what the files say when no core answers; exit 9, or 0 with --json."""
    from adan_core.trading.journal_status import read_status

    latch = KillLatch(context.home.kill_latch).read()
    rest = read_status(context.home.journal)
    live = {
        account: read_status(context.home.account_journal(account))
        for account in context.home.accounts()
    }
    holder = lock_holder(context.home.core_lock)
    if arguments.json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
                "running": False,
                "unresponsive_process": holder,
                "latch": latch,
                "account": rest,
                "exchange_accounts": live,
            }
        )
        return 0
    if holder:
        context.warn(
            f"process {holder} holds this home but does not answer; `adan-core halt` puts the "
            "latch on disk, which a core that lives obeys within a second"
        )
    context.say("no core is running here")
    context.say(f"kill latch: {_describe_latch(latch)}")
    for name, account in {"account": rest, **{f"account {one}": live[one] for one in live}}.items():
        if account is None:
            context.say(f"{name}: no journal yet")
            continue
        context.say(
            f"{name} at rest: equity {account.equity:,.2f}, cash {account.cash:,.2f}, "
            f"{len(account.positions)} positions, {account.open_orders} open orders"
        )
        for held in account.positions:
            context.say(f"  {held.symbol} {held.quantity:g} at {held.average_price:g}")
    return NotRunning.exit_code


def _describe(snapshot: CoreSnapshot) -> str:
    portfolio = snapshot.portfolio
    lines = [
        f"{snapshot.mode} {snapshot.state}"
        + (f" ({snapshot.state_reason})" if snapshot.state_reason else ""),
        f"market: {snapshot.market.source}, {snapshot.market.description}",
        f"newest candle: {_age(snapshot, snapshot.market.received_at, snapshot.market.stale_after)}",
        *_describe_stream(snapshot),
        f"heartbeat: {_age(snapshot, snapshot.heartbeat_at, _HEARTBEAT_STALE)}",
        f"kill switch: {describe_kill(snapshot.kill)}",
    ]
    if portfolio is not None:
        lines.append(
            f"equity {portfolio.equity:,.2f} {portfolio.quote}, cash {portfolio.cash:,.2f}, "
            f"realised {portfolio.realised:+,.2f}, unrealised {portfolio.unrealised:+,.2f}, "
            f"fees {portfolio.fees:,.2f}, drawdown {portfolio.drawdown:.2%}"
        )
        lines += [
            f"  {held.symbol} {held.quantity:g} at {held.average_price:g}, mark {held.mark:g}, "
            f"unrealised {held.unrealised:+,.2f}"
            for held in portfolio.positions
        ]
    lines += _describe_service(snapshot)
    if snapshot.training is not None:
        training = snapshot.training
        lines.append(f"training: {training.state}, {training.steps:,} of {training.total_steps:,}")
    waiting = [alert for alert in snapshot.alerts if not alert.acknowledged]
    lines += [f"alert: {alert.severity} {alert.message}" for alert in waiting[-5:]]
    return "\n".join(lines)


def _describe_service(snapshot: CoreSnapshot) -> tuple[str, ...]:
    status = snapshot.service
    if status is None or status.champion is None:
        return ()
    champion, rival = status.champion, status.challenger
    floor = "N/A" if status.floor is None else f"{status.floor:+.4f}"
    told = [
        f"model {champion.model_id}: log-return {champion.log_return:+.4f} on paper fills in "
        f"{champion.candles:,} candles (floor {floor}), drawdown {champion.drawdown:.2%}"
        + (f"; {status.band_note}" if status.band_note else "")
    ]
    if status.aside:
        told.append(f"nothing is traded: {status.aside}")
    if rival is not None and status.difference is not None:
        told.append(
            f"challenger {rival.model_id}: log-return {rival.log_return:+.4f} in "
            f"{rival.candles:,} candles, {status.difference:+.4f} beside the champion"
        )
    if status.challenger_note:
        told.append(f"challenger {status.challenger_note}")
    drift = status.drift
    if drift is not None and drift.outside is not None:
        apart = "N/A" if drift.mix_distance is None else f"{drift.mix_distance:.2f}"
        told.append(
            f"drift: {drift.outside:.0%} outside the training range (limit "
            f"{drift.outside_limit:.0%}), actions {apart} apart from the judgement's"
        )
    return tuple(told)


def _describe_stream(snapshot: CoreSnapshot) -> tuple[str, ...]:
    stream = snapshot.market.stream
    if stream is None:
        return ()
    told = f"stream: {_age(snapshot, stream.heard_at, stream.silent_after)}"
    return (told + (f"; paused, nothing is decided: {stream.paused}" if stream.paused else ""),)


def _age(snapshot: CoreSnapshot, instant: Milliseconds | None, stale_after: Milliseconds) -> str:
    """Return how old a sign of life is, and say so if it is stale."""
    if instant is None:
        return "none yet"
    age = max(snapshot.taken_at - instant, 0)
    return f"{age / SECOND:.1f} s ago" + (" (STALE)" if age > stale_after else "")


def describe_kill(kill: KillReport) -> str:
    """Return the kill switch's state as one sentence part."""
    if kill.phase is KillPhase.ARMED:
        return "armed, trading is allowed"
    text = f"{kill.kind} {kill.phase} (by {kill.origin or 'unknown'}: {kill.reason or 'no reason'})"
    if kill.entries_left is not None:
        text += f", {kill.entries_left} entry orders left"
    if kill.protection_standing is not None:
        text += f", {kill.protection_standing} protective orders standing"
    if kill.kind is KillKind.FLATTEN and kill.positions_left is not None:
        text += f", {kill.positions_left} positions left"
    if kill.confirmed_at is not None and kill.requested_at is not None:
        text += f", confirmed after {kill.confirmed_at - kill.requested_at} ms"
    return text + (f"; {kill.detail}" if kill.detail else "")


def _describe_latch(latch: LatchRecord | None) -> str:
    if latch is None:
        return "off"
    return f"{latch.kind} since {iso(latch.latched_at)} by {latch.origin}: {latch.reason}"


def _kill(arguments: argparse.Namespace, context: Context) -> int:
    flatten = arguments.command == "kill" and arguments.flatten
    word = ""
    if flatten:
        word = typed_word(arguments.confirm, FLATTEN_WORD, context)
        require_word(word, FLATTEN_WORD)
    origin = f"adan-core {arguments.command} by {current_user()}"
    reason = arguments.reason or origin
    kind = CommandKind.FLATTEN if flatten else CommandKind.HALT
    began = context.clock.now()
    try:
        result = ask(context.home.socket, Command(kind, reason[:_LONGEST_REASON], word)).result
        _accept(result)
        report = _await_confirmation(context, arguments.wait)
    except AdanError as error:
        # Whatever keeps the core from answering, the latch can be put on disk, and a core that
        # lives looks at it several times a second.
        why = "" if isinstance(error, NotRunning) else str(error)
        chosen = KillKind.FLATTEN if flatten else KillKind.HALT
        return _latch_on_disk(chosen, reason, origin, why, arguments, context)
    if arguments.json:
        context.emit({"schema_version": _SCHEMA_VERSION, **asdict(report)})
    else:
        context.say(describe_kill(report))
    if report.phase is KillPhase.CONFIRMED:
        return 0
    waited = (context.clock.now() - began) / SECOND
    context.warn(f"not confirmed after {waited:.1f} s; the core keeps trying: `adan-core status`")
    return TradingError.exit_code


def _await_confirmation(context: Context, seconds: float) -> KillReport:
    deadline = context.clock.monotonic() + seconds
    while True:
        snapshot = ask(context.home.socket).snapshot
        if snapshot is not None and snapshot.kill.phase is KillPhase.CONFIRMED:
            return snapshot.kill
        if context.clock.monotonic() >= deadline:
            if snapshot is None:
                raise NotRunning("the core took the kill on and then said nothing")
            return snapshot.kill
        time.sleep(_LOOK_SECONDS)


def _latch_on_disk(
    kind: KillKind,
    reason: str,
    origin: str,
    why: str,
    arguments: argparse.Namespace,
    context: Context,
) -> int:
    """Latch without the core's help; a success only where no core runs that would have to confirm."""
    now = context.clock.now()
    latch = KillLatch(context.home.kill_latch)
    record = latch.latch(kind, reason, origin, now, context.clock.now())
    holder = lock_holder(context.home.core_lock)
    AuditLog(context.home.audit_file, context.clock).record(
        "kill", "latched on disk; no core answers", {"kind": kind, "reason": reason}
    )
    if arguments.json:
        context.emit(
            {
                "schema_version": _SCHEMA_VERSION,
                "running": holder is not None,
                "unresponsive_process": holder,
                "latch": record,
            }
        )
    elif holder is None:
        context.say(f"no core answers; latched on disk: {_describe_latch(record)}")
        context.say("a core that starts now stays HALTED until `adan-core rearm`")
    if holder is None:
        return 0
    context.warn(
        f"NOT CONFIRMED: process {holder} holds this home and does not answer"
        + (f" ({why})" if why else "")
        + ". The latch is on disk, and a core that lives obeys it within a second; "
        "look with `adan-core status`, and end the process if it stays silent"
    )
    return TradingError.exit_code


def _rearm(arguments: argparse.Namespace, context: Context) -> int:
    word = typed_word(arguments.confirm, REARM_WORD, context)
    require_word(word, REARM_WORD)
    try:
        result = ask(context.home.socket, Command(CommandKind.REARM, word=word)).result
    except NotRunning:
        holder = lock_holder(context.home.core_lock)
        if holder is not None:
            raise SecurityError(
                f"process {holder} holds this home but does not answer",
                "a core that answers, or none",
                "end that process first, then re-arm",
            ) from None
        KillLatch(context.home.kill_latch).remove()
        AuditLog(context.home.audit_file, context.clock).record("rearm", "latch removed at rest")
        result = CommandResult(accepted=True, message="latch removed; no core is running")
    result = _accept(result)
    if arguments.json:
        context.emit({"schema_version": _SCHEMA_VERSION, **asdict(result)})
    else:
        context.say(result.message)
    return 0


def _accept(result: CommandResult | None) -> CommandResult:
    if result is None:
        raise UsageError("the core gave no result", "an answer to the command")
    if not result.accepted:
        raise UsageError(f"the core refused: {result.message}")
    return result
