"""``adan-core models list | show``: what there is, how far it is trusted, and what was found of it."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import AdanError

if TYPE_CHECKING:
    from adan_core.learning.bundle import ServiceModel
    from adan_core.learning.gates import GateVerdict
    from adan_core.learning.judgements import Judgement
    from adan_core.learning.lifecycle import Step
    from adan_core.learning.service import ServiceBook


def declare(name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``list`` or ``show``."""
    action.epilog = f"example: adan-core models {name}"
    if name == "show":
        action.epilog += " simulated-s0-20260101-120000 --json"
        action.add_argument("model", metavar="MODEL", help="as `models list` shows it")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List the models, or show one; a model that is refused is shown with its reason."""
    return _list(arguments, context) if arguments.action == "list" else _show(arguments, context)


def _list(arguments: argparse.Namespace, context: Context) -> int:
    from dataclasses import asdict

    from adan_core.cli.figures import table
    from adan_core.domain.time import iso
    from adan_core.runtime.models import open_service

    book = open_service(context.home, context.clock)
    found = []
    for listed in book.registry.listing():
        state = "" if listed.refused else str(book.state(listed.model_id))
        judged = "" if listed.refused else _verdict_in_short(book, listed.model_id, context)
        found.append((listed, state, judged))
    if arguments.json:
        models = [
            {**asdict(listed), "state": state or None, "verdict": judged or None}
            for listed, state, judged in found
        ]
        context.emit({"schema_version": 1, "models": models})
        return 0
    rows = [
        [
            listed.model_id,
            state or "-",
            "" if listed.created_at is None else iso(listed.created_at),
            listed.signer,
            judged,
            f"REFUSED: {listed.refused}" if listed.refused else listed.trained_on,
        ]
        for listed, state, judged in found
    ]
    for line in table(["model", "state", "made", "signed by", "gates", "trained on"], rows):
        context.say(line)
    return 0


def _verdict_in_short(book: "ServiceBook", model_id: str, context: Context) -> str:
    try:
        judgement = newest_judgement(book, model_id, context)
    except AdanError as error:
        return f"REFUSED: {error.found}"
    if judgement is None:
        return "not judged"
    from adan_core.learning.gates import judge_gates

    verdict = judge_gates(judgement.figures, context.settings().gates)
    return "passed" if verdict.passed else f"{len(verdict.failed)} say no"


def newest_judgement(book: "ServiceBook", model_id: str, context: Context) -> "Judgement | None":
    """Return the newest judgement kept of a model; an error if one is not what it must be."""
    from adan_core.learning.judgements import judgements_of
    from adan_core.security.operator_key import trusted_keys

    found = judgements_of(
        context.home.evaluations,
        model_id,
        book.registry.digest(model_id),
        trusted_keys(context.home.operator_public_key),
    )
    return found[0] if found else None


def _show(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.learning.gates import judge_gates
    from adan_core.runtime.models import open_service

    book = open_service(context.home, context.clock)
    model = book.registry.load(arguments.model)
    digest = book.registry.digest(arguments.model)
    judgement = newest_judgement(book, model.model_id, context)
    verdict = (
        None if judgement is None else judge_gates(judgement.figures, context.settings().gates)
    )
    state, history = book.state(model.model_id), book.lifecycle.history(model.model_id, digest)
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "card": model.card,
                "signer": model.signer,
                "digest": digest,
                "state": state,
                "history": history,
                "evaluation": model.evaluation,
                "judgement": judgement,
                "gates": verdict,
            }
        )
        return 0
    for line in _lines(model, str(state), history):
        context.say(line)
    for line in _judged(judgement, verdict):
        context.say(line)
    return 0


def _lines(model: "ServiceModel", state: str, history: "tuple[Step, ...]") -> list[str]:
    from adan_core.domain.time import iso

    card = model.card
    lines = [
        f"{card.model_id}: {state}, signed by {model.signer}, made {iso(card.created_at)}",
        f"trained on {card.trained_on}",
        f"timeframes {', '.join(card.ladder)}; state {card.feature_schema_hash}",
        f"parent: {card.parent or 'none'}",
    ]
    lines += [f"combined of {one.model_id} (content {one.digest})" for one in card.parents]
    lines += [
        f"member {member.name}: {member.algorithm}, horizon {member.horizon} candles, exposures "
        f"{', '.join(f'{one:g}' for one in member.exposures)}, seed {member.seed}, "
        f"{member.steps:,} steps (weights of step {member.selected_at:,}), validation "
        f"{member.validation_score:+.4f} net log-return per 1000 candles"
        for member in card.members
    ]
    lines += [
        f"{data.symbol}: training to {iso(data.training.stop_time)}, validation to "
        f"{iso(data.validation.stop_time)}, data {data.series_hash}"
        for data in card.data
    ]
    if model.evaluation is not None:
        lines.append(f"evaluation in the bundle: {model.evaluation.get('verdict', 'N/A')}")
    lines += [
        f"{iso(step.time)}  {step.before} -> {step.after} ({step.cause}) by {step.user}: {step.why}"
        for step in history
    ]
    return lines


def _judged(judgement: "Judgement | None", verdict: "GateVerdict | None") -> list[str]:
    from adan_core.domain.time import iso

    if judgement is None or verdict is None:
        return ["no judgement is kept of it"]
    return [
        f"judged {iso(judgement.judged_at)} by {judgement.method} on {judgement.data}",
        *gate_lines(verdict),
    ]


def gate_lines(verdict: "GateVerdict") -> list[str]:
    """Return every gate with its figure, its limit and its verdict as aligned lines."""
    from adan_core.cli.figures import table

    rows = [
        [gate.name, gate.figure, gate.limit, "passed" if gate.passed else f"NO: {gate.reason}"]
        for gate in verdict.gates
    ]
    return table(["gate", "figure", "limit", "verdict"], rows)
