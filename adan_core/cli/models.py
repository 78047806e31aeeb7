"""``adan-core models``: the sealed models there are, how far each is trusted, and who is in service."""

import argparse
from collections.abc import Callable
from types import ModuleType
from typing import Final

from adan_core.cli import (
    models_combine,
    models_comparing,
    models_looking,
    models_moving,
    models_serving,
    models_verifying,
)
from adan_core.cli.context import Context

# action: (what it is for, the module that carries it out)
ACTIONS: Final[dict[str, tuple[str, ModuleType]]] = {
    "list": (
        "say which models there are, their states and verdicts, refused ones too",
        models_looking,
    ),
    "show": ("verify one model and say all that is known of it", models_looking),
    "compare": (
        "run two models over the same candles out of sample, side by side",
        models_comparing,
    ),
    "verify": ("check every hash, signature and schema, and load each model", models_verifying),
    "promote": ("hold a model to the gates and put it on paper, or live", models_serving),
    "rollback": (
        "take the model in service back; its parent or the one before follows",
        models_serving,
    ),
    "combine": ("make one model of members that were trained one by one", models_combine),
    "export": ("write a model into one file", models_moving),
    "import": ("take a model in from such a file, if its signer is trusted", models_moving),
    "remove": ("delete a model that is not in service", models_moving),
}

_EXAMPLES = """\
examples:
  adan-core models list
  adan-core models show simulated-s0-20260101-120000
  adan-core models compare OLD NEW --dataset BTC-USDT-1h
  adan-core models verify                        (exit code 4 if any is not what it must be)
  adan-core models promote BTC-USDT-1h-s1        (shows every gate; 1 if one says no)
  adan-core models rollback
  adan-core models combine A B C D --name four   (they vote; needs your signing key)
  adan-core models export BTC-USDT-1h-s1 model.tar

A model is candidate -> paper -> live -> retired. Only a promotion, signed by you, raises it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of ``models``."""
    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(ACTIONS))
    for name, (summary, module) in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("--json", action="store_true", help="print JSON")
        module.declare(name, action)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out one action on the models."""
    act: Callable[[argparse.Namespace, Context], int] = ACTIONS[arguments.action][1].run
    return act(arguments, context)
