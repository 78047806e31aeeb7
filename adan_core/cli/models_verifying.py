"""``adan-core models verify``: is every model what was sealed, and every verdict of it what was signed?"""

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import AdanError, ModelError

if TYPE_CHECKING:
    from adan_core.learning.service import ServiceBook

_EPILOG = """\
examples:
  adan-core models verify                      (all of them, and the record of their states)
  adan-core models verify BTC-USDT-1h-s1 --json
exit codes: 0 all is well, 4 something is not what it must be, said what and why
"""


@dataclass(frozen=True, slots=True)
class _Checked:
    what: str
    reason: str
    sound: bool = True


def declare(_name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``verify``."""
    action.epilog = _EPILOG
    action.add_argument("model", metavar="MODEL", nargs="?", help="one of them (default: all)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Check bundles, judgements and states; say each, and end with 4 if one is not sound."""
    from adan_core.runtime.models import open_service

    book = open_service(context.home, context.clock)
    checked = _checks(arguments.model, book, context)
    if arguments.json:
        context.emit({"schema_version": 1, "checks": checked})
    else:
        for one in checked:
            context.say(f"{'sound' if one.sound else 'REFUSED'}  {one.what}: {one.reason}")
    return 0 if all(one.sound for one in checked) else ModelError.exit_code


def _checks(wanted: str | None, book: "ServiceBook", context: Context) -> list[_Checked]:
    from adan_core.cli.models_looking import newest_judgement

    if wanted is not None:
        book.registry.folder(wanted)  # one that is not there is not refused, but said
    names = [
        listed.model_id for listed in book.registry.listing() if wanted in {None, listed.model_id}
    ]
    checked = []
    for name in names:
        try:
            model = book.registry.load(name)
            model.open_policy()
            text = f"sealed by {model.signer}, every hash fits, it loads"
            checked.append(_Checked(f"model {name}", text))
            judgement = newest_judgement(book, name, context)
            if judgement is not None:
                checked.append(_Checked(f"judgements of {name}", "signed, and of this model"))
        except AdanError as error:
            checked.append(_Checked(f"model {name}", str(error), sound=False))
    try:
        steps = book.lifecycle.steps()
        checked.append(_Checked("states", f"{len(steps)} steps, an unbroken chain"))
    except AdanError as error:
        checked.append(_Checked("states", str(error), sound=False))
    return checked
