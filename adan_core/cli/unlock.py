"""How commands open the vault: who may, and where its passphrase comes from."""

import argparse
import getpass
import warnings
from dataclasses import dataclass

from adan_core.cli.context import Context
from adan_core.domain.errors import ConfigurationError, SecurityError, UsageError
from adan_core.security.audit import AuditLog
from adan_core.security.authorization import require_owner
from adan_core.security.hardening import harden_process
from adan_core.security.sealed_file import SHORTEST_PASSPHRASE
from adan_core.security.secret import Secret
from adan_core.security.vault import Vault, credential_passphrase, open_vault

_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The vault of a home, and the audit trail that every access to it goes into."""

    vault: Vault
    audit: AuditLog


def add_passphrase_option(parser: argparse.ArgumentParser) -> None:
    """Give a command that opens the vault its ``--passphrase-stdin``."""
    parser.add_argument(
        "--passphrase-stdin",
        action="store_true",
        help="read the sealed file's passphrase from the first line of standard input",
    )


def unlock(context: Context, *, passphrase_stdin: bool) -> Unlocked:
    """Open the vault of this home for the operator, in a process made fit to hold secrets.

    With ``passphrase_stdin`` the first line of standard input is taken now; otherwise the sealed
    file's passphrase, if it comes to that, is systemd's credential or asked for.
    """
    harden_process()
    require_owner(context.home.config)
    audit = AuditLog(context.home.audit_file, context.clock, _config_hash(context))
    given = Secret(read_line(context, "the passphrase")) if passphrase_stdin else None

    def passphrase(new: bool) -> Secret:
        found = given or credential_passphrase(context.environment)
        return found or _ask(context, new=new)

    home = context.home
    return Unlocked(
        open_vault(home.config, home.sealed_keys, context.environment, passphrase, audit), audit
    )


def read_line(context: Context, what: str) -> str:
    """Return one line of standard input without its end; UsageError if there is none."""
    line = context.stdin.readline(_LONGEST_LINE)
    if not line.strip():
        raise UsageError(f"standard input does not hold {what}", "one line of text")
    return line.rstrip("\r\n")


def hidden(prompt: str) -> Secret:
    """Ask for a secret on the terminal without showing it; SecurityError if it would be shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return Secret(getpass.getpass(prompt))
        except getpass.GetPassWarning as error:
            raise SecurityError(
                "this terminal would show what is typed",
                "a terminal that can hide it",
                "give it on standard input",
            ) from error
        except EOFError as error:
            raise UsageError("nothing was typed") from error


def _ask(context: Context, *, new: bool) -> Secret:
    if not context.stdin.isatty():
        raise SecurityError(
            "the sealed file needs its passphrase, and there is no terminal to ask on",
            "a passphrase",
            "give it as the first line of standard input with --passphrase-stdin, or as the "
            "systemd credential adan-passphrase",
        )
    if not new:
        return hidden(f"Passphrase of {context.home.sealed_keys}: ")
    first = hidden(
        f"New passphrase for {context.home.sealed_keys} "
        f"(at least {SHORTEST_PASSPHRASE} characters; it cannot be recovered): "
    )
    if first != hidden("The same passphrase again: "):
        raise UsageError("the two passphrases differ", "the same one twice", "start again")
    return first


def _config_hash(context: Context) -> str:
    try:
        return context.loaded().config_hash
    except ConfigurationError:
        return "settings invalid"  # a wrong setting must not keep keys from being removed
