"""``adan-core models combine``: members that were trained one by one, sealed as one model."""

import argparse
from dataclasses import replace

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError

_EXAMPLES = """\
example:
  adan-core train --profile scalper --dataset BTC-USDT-1h
  adan-core train --profile swing --dataset BTC-USDT-1h
  adan-core models combine BTC-USDT-1h-scalper-s0-... BTC-USDT-1h-swing-s0-... --name patient

The members must have learnt from the same candles, with the same features and statistics, under the
same costs, limits, behaviour and rules of the venue. Each keeps what it learnt and how far it can be
believed; they vote by the settings of voting: in force now. Which models it was made of is on its card.
The new model was never judged as a whole: `adan-core evaluate` does that.
"""


def declare(_name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``combine``."""
    from adan_core.cli.unlock import add_passphrase_option

    action.epilog = _EXAMPLES
    action.add_argument("models", nargs="+", metavar="MODEL", help="two to four, as listed")
    action.add_argument("--name", required=True, metavar="NAME", help="of the new model")
    add_passphrase_option(action)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Compose, sign and keep the new model."""
    from adan_core.cli.unlock import unlock
    from adan_core.learning.bundle import Origin, seal_model
    from adan_core.learning.combining import combined_card
    from adan_core.runtime.models import open_registry, parent_of
    from adan_core.security.operator_key import operator_key

    if len(arguments.models) < 2:
        raise UsageError("one model", "two to four, each with a profile of its own")
    name: str = arguments.name
    if not name.isidentifier() and not name.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"--name {name}", "letters, digits, - and _")
    registry = open_registry(context.home)
    models = [registry.load(model_id) for model_id in arguments.models]
    origins = [Origin(one.model_id, registry.digest(one.model_id)) for one in models]
    made = combined_card(models, origins, name, context.settings(), context.clock.now())
    card = replace(made, parent=parent_of(context.home, context.clock, made))
    unlocked = unlock(context, passphrase_stdin=arguments.passphrase_stdin)
    key = operator_key(unlocked.vault, context.home.operator_public_key, unlocked.audit)
    parts = [registry.parts(model_id) for model_id in arguments.models]
    weights = [own for members, _ in parts for own in members]
    _, features = parts[0]
    seal_model(context.home.models, card, weights, models[0].normaliser, features, key)
    unlocked.audit.record("model.sealed", "done", {"model": card.model_id})
    names = [member.name for member in card.members]
    if arguments.json:
        context.emit({"schema_version": 1, "model_id": card.model_id, "members": names})
    else:
        context.say(
            f"Model {card.model_id} is sealed: {', '.join(names)}. "
            f"Judge it out of sample with: adan-core evaluate {card.model_id}"
        )
    return 0
