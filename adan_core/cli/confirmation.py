"""The typed word that a guarded command asks for."""

from adan_core.cli.context import Context
from adan_core.domain.errors import UsageError


def typed_word(given: str | None, word: str, context: Context) -> str:
    """Return the typed confirmation: from ``--confirm``, a prompt, or a line of standard input."""
    if given is not None:
        return given
    if context.interactive:
        context.warn(f"type {word} to confirm:")
    line = context.stdin.readline()
    if not line:
        raise UsageError(
            "no typed confirmation", f"the word {word}", f"type it, or give --confirm {word}"
        )
    return line.strip()
