"""What `adan-core train --resume RUN` may not be told: a run goes on as it began, to the same bits."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError

if TYPE_CHECKING:
    from adan_core.learning.runs import RunRecord

# Settings of the machine and of whoever looks on: they move no bit of what is learnt.
_FREE_SECTIONS: Final = frozenset(
    {"cache", "exchange", "gates", "judgement", "monitoring", "screen", "service", "staleness"}
    | {"tuning", "validation"}
)
_FREE_KEYS: Final = frozenset({"compute.memory_budget_gigabytes", "compute.optimise"})


def resumed_run(arguments: argparse.Namespace, context: Context) -> "RunRecord":
    """Return the record of the run that ``--resume`` names.

    UsageError if there is none, if another process is at it, or if an option says otherwise than it
    began. A core's child is handed the core's own settings, whatever its job is: those say nothing.
    """
    from adan_core.learning.runs import RunFolder

    folder = RunFolder.open(context.home.runs, arguments.resume)
    record = folder.record()
    for name, own in (("steps", record.steps), ("seed", record.seed)):
        asked = getattr(arguments, name)
        if asked not in {None, own}:
            raise _contradiction(record, f"--{name} {asked}", f"--{name} {own}")
    if not arguments.progress_json:
        _check_settings(record, context)
        folder.require_free()
    return record


def _check_settings(record: "RunRecord", context: Context) -> None:
    asked = context.settings().model_dump(mode="json")
    for override in context.overrides:
        key = override.partition("=")[0].strip()
        if key.partition(".")[0] in _FREE_SECTIONS or key in _FREE_KEYS:
            continue
        wanted, own = _at(asked, key), _at(record.settings, key)
        if wanted != own:
            raise _contradiction(record, f"--set {key}={wanted}", f"{key}={own}")


def _at(settings: Mapping[str, Any], key: str) -> object:
    found: Any = settings
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _contradiction(record: "RunRecord", asked: str, own: str) -> UsageError:
    return UsageError(
        f"{asked} with --resume: run {record.run_id} began with {own}",
        "a run goes on as it began",
        "leave it out, or start a new run without --resume",
    )
