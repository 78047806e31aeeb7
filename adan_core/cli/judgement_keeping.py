"""Keeping what a walk-forward found for a sealed model, signed, so that `models promote` can read it."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from adan_core.cli.context import Context

if TYPE_CHECKING:
    from adan_core.data.series import CandleSeries
    from adan_core.learning.fold_run import FoldResult
    from adan_core.learning.walk_forward import WalkForward

Keep = Callable[["WalkForward", "Sequence[FoldResult]"], None]


def add_keeping_options(parser: argparse.ArgumentParser) -> None:
    """Give a command its ``--for``."""
    from adan_core.cli.unlock import add_passphrase_option

    parser.add_argument(
        "--for",
        dest="model",
        metavar="MODEL",
        help="keep the judgement, signed, for this sealed model: it must have been learnt just so",
    )
    add_passphrase_option(parser)


def keeper(
    arguments: argparse.Namespace,
    context: Context,
    recipe: str,
    steps: int,
    series: "CandleSeries",
) -> Keep | None:
    """Return what keeps a judgement for the model of ``--for``, None without one.

    Before the work, not after it: ModelError if the model was learnt otherwise, SecurityError if the
    signing key cannot be reached.
    """
    if arguments.model is None:
        return None
    from adan_core.cli.unlock import unlock
    from adan_core.learning.judgements import keep_judgement
    from adan_core.learning.recipe_judgement import judgement_of, require_recipe
    from adan_core.runtime.models import open_registry
    from adan_core.security.operator_key import operator_key

    registry = open_registry(context.home)
    model = registry.load(arguments.model)
    require_recipe(model, recipe, steps, series)
    unlocked = unlock(context, passphrase_stdin=arguments.passphrase_stdin)
    key = operator_key(unlocked.vault, context.home.operator_public_key, unlocked.audit)

    def keep(report: "WalkForward", results: "Sequence[FoldResult]") -> None:
        digest = registry.digest(model.model_id)
        made = judgement_of(model, digest, report, results, context.clock.now())
        path = keep_judgement(context.home.evaluations, made, key)
        unlocked.audit.record("model.judged", "done", {"model": model.model_id, "file": path.name})
        context.warn(
            f"kept for {model.model_id}; the gates look at it in `adan-core models promote`"
        )

    return keep
