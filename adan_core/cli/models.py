"""``adan-core models``: the sealed models there are, and what each was made from."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.learning.bundle import ServiceModel

_EXAMPLES = """\
examples:
  adan-core models list
  adan-core models show simulated-s0-20260101-120000
  adan-core models show simulated-s0-20260101-120000 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``models``."""
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show")
    listing = actions.add_parser(
        "list",
        help="say which models there are, refused ones too",
        epilog="example: adan-core models list",
    )
    showing = actions.add_parser(
        "show",
        help="verify one model and say where it comes from",
        epilog="example: adan-core models show simulated-s0-20260101-120000",
    )
    showing.add_argument("model", metavar="MODEL", help="as `models list` shows it")
    for action in (listing, showing):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List the models, or show one; a model that is refused is shown with its reason."""
    from adan_core.runtime.models import open_registry

    if arguments.action == "list":
        return _list(arguments, context)
    model = open_registry(context.home).load(arguments.model)
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "card": model.card,
                "signer": model.signer,
                "evaluation": model.evaluation,
            }
        )
    else:
        for line in _lines(model):
            context.say(line)
    return 0


def _list(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.cli.figures import table
    from adan_core.domain.time import iso
    from adan_core.runtime.models import open_registry

    listing = open_registry(context.home).listing()
    if arguments.json:
        context.emit({"schema_version": 1, "models": listing})
        return 0
    rows = [
        [
            model.model_id,
            "" if model.created_at is None else iso(model.created_at),
            model.signer,
            f"REFUSED: {model.refused}" if model.refused else model.trained_on,
        ]
        for model in listing
    ]
    for line in table(["model", "made", "signed by", "trained on"], rows):
        context.say(line)
    return 0


def _lines(model: "ServiceModel") -> list[str]:
    from adan_core.domain.time import iso

    card = model.card
    lines = [
        f"{card.model_id}: {card.algorithm}, signed by {model.signer}, made {iso(card.created_at)}",
        (
            f"trained on {card.trained_on}; seed {card.seed}; {card.steps:,} steps, "
            f"weights of step {card.selected_at:,}"
        ),
        (
            f"timeframes {', '.join(card.ladder)}; state {card.feature_schema_hash}; "
            f"exposures {', '.join(f'{exposure:g}' for exposure in card.exposures)}"
        ),
        f"validation: {card.validation_score:+.4f} net log-return per 1000 candles",
    ]
    lines += [
        f"{data.symbol}: training to {iso(data.training.stop_time)}, validation to "
        f"{iso(data.validation.stop_time)}, data {data.series_hash}"
        for data in card.data
    ]
    if model.evaluation is not None:
        lines.append(f"evaluation in the bundle: {model.evaluation.get('verdict', 'N/A')}")
    return lines
