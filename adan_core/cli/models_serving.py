"""``adan-core models promote | rollback``: into service through the gates, and out of it again."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from adan_core.cli.confirmation import typed_word
from adan_core.cli.context import Context
from adan_core.domain.errors import ModelError, NotRunning, UsageError

if TYPE_CHECKING:
    from adan_core.learning.bundle import ServiceModel
    from adan_core.learning.gates import GateFigures
    from adan_core.learning.lifecycle import ModelState
    from adan_core.learning.service import ServiceBook

PROMOTE_WORD: Final = "PROMOTE"
ROLLBACK_WORD: Final = "ROLLBACK"
_REFUSED: Final = 1

_PROMOTE = """\
examples:
  adan-core models promote BTC-USDT-1h-s1              (candidate -> paper, paper -> live)
  adan-core models promote BTC-USDT-1h-s1 --to paper --confirm PROMOTE --json

Every gate of the settings (gates:) is held against the newest judgement kept of this very model
(`adan-core walk-forward --for MODEL`); a figure that is N/A passes none. Exit code 1: a gate said
no, and nothing was changed. It asks for the word PROMOTE and for your signing key. A core that runs
goes on with the model it has; the next start trades the one in service. There is no live trading in
this version: a live model decides on paper, before any model on paper.
"""
_ROLLBACK = """\
examples:
  adan-core models rollback                            (the one model in service)
  adan-core models rollback BTC-USDT-1h-s1 --confirm ROLLBACK

Its parent follows if it was in service before and still loads, else the model that served before
it; if there is none, nothing is traded. A core that runs notices at its next candle, closes what
the model holds the usual way, and lets the follower decide. Asks for the word ROLLBACK.
"""


def declare(name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``promote`` or ``rollback``."""
    from adan_core.cli.unlock import add_passphrase_option

    action.add_argument(
        "--confirm", metavar="WORD", help="the typed word, for scripts that mean it"
    )
    if name == "promote":
        action.epilog = _PROMOTE
        action.add_argument("model", metavar="MODEL", help="as `models list` shows it")
        action.add_argument(
            "--to", choices=("paper", "live"), help="how far (default: one state further)"
        )
        add_passphrase_option(action)
    else:
        action.epilog = _ROLLBACK
        action.add_argument("model", metavar="MODEL", nargs="?", help="the model to take back")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Promote a model, or take one back."""
    return (
        _promote(arguments, context) if arguments.action == "promote" else _back(arguments, context)
    )


def _promote(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.cli.models_looking import gate_lines
    from adan_core.cli.unlock import unlock
    from adan_core.learning.gates import judge_gates
    from adan_core.learning.lifecycle import ModelState
    from adan_core.runtime.models import open_service
    from adan_core.security.audit import AuditLog
    from adan_core.security.authorization import require_owner, require_word
    from adan_core.security.operator_key import operator_key

    require_owner(context.home.config)
    book = open_service(context.home, context.clock)
    model = book.registry.load(arguments.model)
    after = _target(arguments.to, book.state(model.model_id), model)
    verdict = judge_gates(
        _figures(book, model, context),
        context.settings().gates,
        for_live=after is ModelState.LIVE,
    )
    told = {"schema_version": 1, "model_id": model.model_id, "to": after, "gates": verdict.gates}
    if not arguments.json:
        for line in gate_lines(verdict):
            context.say(line)
    if not verdict.passed:
        said_no = ", ".join(gate.name for gate in verdict.failed)
        AuditLog(context.home.audit_file, context.clock).record(
            "model.promoted",
            f"refused: {said_no}",
            {"model": model.model_id, "to": str(after)},
        )
        if arguments.json:
            context.emit({**told, "passed": False, "promoted": False})
        context.warn(f"not promoted: {len(verdict.failed)} of {len(verdict.gates)} gates say no")
        return _REFUSED
    unlocked = unlock(context, passphrase_stdin=arguments.passphrase_stdin)
    require_word(typed_word(arguments.confirm, PROMOTE_WORD, context), PROMOTE_WORD)
    key = operator_key(unlocked.vault, context.home.operator_public_key, unlocked.audit)
    # The key may have been made just now: a chain that is read again must trust it.
    steps = open_service(context.home, context.clock).promote(model, after, verdict.gates, key)
    for step in steps:
        unlocked.audit.record(
            "model.promoted" if step.after is after else "model.retired",
            "done",
            {"model": step.model_id, "to": str(step.after), "why": step.why, "step": step.number},
        )
    if arguments.json:
        context.emit({**told, "passed": True, "promoted": True})
    else:
        for step in steps:
            context.say(f"{step.model_id}: {step.before} -> {step.after} ({step.why})")
    return 0


def _target(wanted: str | None, state: "ModelState", model: "ServiceModel") -> "ModelState":
    from adan_core.learning.lifecycle import ModelState

    if wanted is None:
        after = ModelState.LIVE if state is ModelState.PAPER else ModelState.PAPER
    else:
        after = ModelState(wanted)
    if state is ModelState.LIVE or after is state:
        raise ModelError(f"model {model.model_id} is {state} already", "one that can rise")
    if after is ModelState.LIVE and state is not ModelState.PAPER:
        raise ModelError(
            f"model {model.model_id} is {state}", "one on paper", "promote it to paper first"
        )
    return after


def _figures(book: "ServiceBook", model: "ServiceModel", context: Context) -> "GateFigures":
    from adan_core.cli.models_looking import newest_judgement
    from adan_core.domain.time import DAY
    from adan_core.learning.gates import GateFigures
    from adan_core.runtime.tenure import market_time_decided

    judgement = newest_judgement(book, model.model_id, context)
    if judgement is None:
        why = "no judgement of this model is kept: `adan-core walk-forward --for` keeps one"
        names = [name for name in GateFigures.__dataclass_fields__ if name != "unavailable"]
        figures = GateFigures(unavailable=dict.fromkeys(names, why))
    else:
        figures = judgement.figures
    decided = market_time_decided(context.home, book.registry.digest(model.model_id))
    return replace(figures, paper_days=decided / DAY)


def _back(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.learning.lifecycle import Cause
    from adan_core.runtime.models import open_service
    from adan_core.security.audit import AuditLog
    from adan_core.security.authorization import current_user, require_owner, require_word

    require_owner(context.home.config)
    book = open_service(context.home, context.clock)
    model = _serving(arguments.model, book)
    follower = book.successor(model)
    name = "nothing (flat)" if follower is None else follower.model_id
    if not arguments.json:
        context.say(f"{model.model_id} goes out of service; {name} follows")
    require_word(typed_word(arguments.confirm, ROLLBACK_WORD, context), ROLLBACK_WORD)
    fall = book.step_down(model, Cause.ROLLED_BACK, f"taken back by {current_user()}")
    followed = None if fall.successor is None else fall.successor.model_id
    AuditLog(context.home.audit_file, context.clock).record(
        "model.rolled_back",
        "done",
        {"model": model.model_id, "successor": followed, "step": fall.step.number},
    )
    running = _running(context)
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "model_id": model.model_id,
                "successor": followed,
                "core_runs": running,
            }
        )
    else:
        context.say("done" + ("; the core notices at its next candle" if running else ""))
    return 0


def _serving(wanted: str | None, book: "ServiceBook") -> "ServiceModel":
    from adan_core.learning.lifecycle import IN_SERVICE

    if wanted is not None:
        return book.registry.load(wanted)
    serving = [
        listed.model_id
        for listed in book.registry.listing()
        if not listed.refused and book.state(listed.model_id) in IN_SERVICE
    ]
    if len(serving) != 1:
        raise UsageError(
            f"{len(serving)} models are in service: {', '.join(serving) or 'none'}",
            "the name of the one to take back",
        )
    return book.registry.load(serving[0])


def _running(context: Context) -> bool:
    from adan_core.runtime.remote import ask

    try:
        return ask(context.home.socket).snapshot is not None
    except NotRunning:
        return False
