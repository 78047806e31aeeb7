"""``adan-core models export | import | remove``: models between machines, and off this one."""

import argparse
from pathlib import Path
from typing import Final

from adan_core.cli.confirmation import typed_word
from adan_core.cli.context import Context
from adan_core.domain.errors import ModelError, NotRunning, UsageError

REMOVE_WORD: Final = "REMOVE"

_EXPORT = """\
example:
  adan-core models export BTC-USDT-1h-s1 model.tar

The file is a plain tar of the sealed bundle: weights, normaliser, features, card and signature.
Whoever takes it in needs your public key, `operator_public_key.json` among your settings files
(`adan-core config locations`); it is no secret.
"""
_IMPORT = """\
example:
  adan-core models import model.tar

Nothing is kept unless every byte is what its signer sealed, it loads, and the signer is trusted.
To trust somebody: put their operator_public_key.json, under their name, into the folder
trusted_keys beside your settings (e.g. trusted_keys/alice.json), and compare its fingerprint with
them by another way first (`adan-core keys list` shows each one's own). An imported model is a candidate.
"""
_REMOVE = """\
example:
  adan-core models remove BTC-USDT-1h-s1 --confirm REMOVE

Refused for a model in service, for one a running core decides with, and for shipped ones.
What became of it stays on record.
"""


def declare(name: str, action: argparse.ArgumentParser) -> None:
    """Declare the options of ``export``, ``import`` or ``remove``."""
    action.epilog = {"export": _EXPORT, "import": _IMPORT, "remove": _REMOVE}[name]
    if name == "import":
        action.add_argument("file", metavar="FILE", type=Path, help="what `models export` wrote")
        return
    action.add_argument("model", metavar="MODEL", help="as `models list` shows it")
    if name == "export":
        action.add_argument("file", metavar="FILE", type=Path, help="where to write it")
        action.add_argument("--replace", action="store_true", help="overwrite FILE")
    else:
        action.add_argument(
            "--confirm", metavar="WORD", help="the typed word, for scripts that mean it"
        )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out one of the three."""
    return {"export": _export, "import": _import, "remove": _remove}[arguments.action](
        arguments, context
    )


def _export(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.runtime.models import open_registry

    if arguments.file.exists() and not arguments.replace:
        raise UsageError(f"{arguments.file} exists", "a new file", "or say --replace")
    registry = open_registry(context.home)
    registry.export(arguments.model, arguments.file)
    size = arguments.file.stat().st_size
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "model_id": arguments.model,
                "file": str(arguments.file),
                "bytes": size,
            }
        )
    else:
        context.say(f"{arguments.model} is in {arguments.file} ({size:,} bytes)")
    return 0


def _import(arguments: argparse.Namespace, context: Context) -> int:
    from adan_core.runtime.models import open_registry
    from adan_core.security.audit import AuditLog

    model = open_registry(context.home).take_in(arguments.file)
    AuditLog(context.home.audit_file, context.clock).record(
        "model.imported", "done", {"model": model.model_id, "signer": model.signer}
    )
    if arguments.json:
        context.emit({"schema_version": 1, "model_id": model.model_id, "signer": model.signer})
    else:
        context.say(f"{model.model_id}, signed by {model.signer}, is a candidate now")
    return 0


def _remove(arguments: argparse.Namespace, context: Context) -> int:
    import shutil

    from adan_core.learning.lifecycle import IN_SERVICE
    from adan_core.runtime.models import open_service
    from adan_core.runtime.remote import ask
    from adan_core.security.audit import AuditLog
    from adan_core.security.authorization import require_owner, require_word

    require_owner(context.home.config)
    book = open_service(context.home, context.clock)
    model_id: str = arguments.model
    folder = book.registry.folder(model_id)
    if book.registry.is_shipped(model_id):
        raise ModelError(f"model {model_id} came with ADAN", "one of your own")
    # One that does not load has a state, too: whoever damages a bundle must not free it for removal.
    state = book.lifecycle.last_known(model_id)
    if state in IN_SERVICE:
        raise ModelError(
            f"model {model_id} is in service ({state})",
            "one that is not",
            "take it back first with `adan-core models rollback`",
        )
    try:
        snapshot = ask(context.home.socket).snapshot
    except NotRunning:
        snapshot = None
    if snapshot is not None and snapshot.model and snapshot.model.model_id == model_id:
        raise ModelError(f"the core that runs decides with {model_id}", "one that does not decide")
    require_word(typed_word(arguments.confirm, REMOVE_WORD, context), REMOVE_WORD)
    shutil.rmtree(folder)
    shutil.rmtree(context.home.evaluations / model_id, ignore_errors=True)
    AuditLog(context.home.audit_file, context.clock).record(
        "model.removed", "done", {"model": model_id}
    )
    if arguments.json:
        context.emit({"schema_version": 1, "model_id": model_id, "removed": True})
    else:
        context.say(f"{model_id} is gone")
    return 0
