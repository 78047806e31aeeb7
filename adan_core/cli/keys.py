"""``adan-core keys``: exchange keys into the keyring or a sealed file, listed, and out again."""

import argparse
from typing import TYPE_CHECKING

from adan_core.cli.context import Context
from adan_core.domain.errors import SecurityError, UsageError

if TYPE_CHECKING:
    from adan_core.cli.unlock import Unlocked
    from adan_core.security.exchange_keys import ExchangeKey

_EXAMPLES = """\
examples:
  adan-core keys set kraken                          (asks for key and secret, hidden)
  adan-core keys set kraken --stdin < key-and-secret (first line key, second secret,
                                                      third the exchange's passphrase, if any)
  adan-core keys set kraken --sealed-file            (no keyring: a file sealed with a passphrase)
  adan-core keys list --json
  adan-core keys remove kraken

A key is never taken from an argument or an environment variable. With --passphrase-stdin the
sealed file's passphrase is the first line of standard input, before the key's lines.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``keys``."""
    from adan_core.cli.unlock import add_passphrase_option

    parser.epilog = _EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|list|remove")
    adding = actions.add_parser(
        "set", help="store an exchange's key", epilog="example: adan-core keys set kraken"
    )
    adding.add_argument("exchange", metavar="EXCHANGE", help="its name in ccxt, e.g. kraken")
    adding.add_argument(
        "--stdin", action="store_true", help="read key and secret from standard input, not hidden"
    )
    adding.add_argument(
        "--sealed-file", action="store_true", help="use the passphrase-sealed file, not the keyring"
    )
    listing = actions.add_parser(
        "list", help="say which exchanges have a key", epilog="example: adan-core keys list"
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    removing = actions.add_parser(
        "remove", help="forget an exchange's key", epilog="example: adan-core keys remove kraken"
    )
    removing.add_argument("exchange", metavar="EXCHANGE", help="as `keys list` shows it")
    for action in (adding, listing, removing):
        add_passphrase_option(action)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Carry out one action on the keys; its errors say which place for secrets failed and why."""
    from adan_core.cli.unlock import unlock
    from adan_core.security.exchange_keys import require_exchange_name

    if arguments.action == "set":
        _require_known(arguments.exchange)
    elif arguments.action == "remove":
        require_exchange_name(arguments.exchange)
    unlocked = unlock(context, passphrase_stdin=arguments.passphrase_stdin)
    if arguments.action == "set":
        return _set(arguments, context, unlocked)
    if arguments.action == "list":
        return _list(arguments, context, unlocked)
    return _remove(arguments, context, unlocked)


def _set(arguments: argparse.Namespace, context: Context, unlocked: "Unlocked") -> int:
    from adan_core.security.exchange_keys import KeyManager
    from adan_core.security.sealed_file import SealedFileStore

    asking = context.stdin.isatty() and not arguments.stdin
    wanted = SealedFileStore.rung if arguments.sealed_file else None
    if unlocked.vault.unavailable and wanted is None:
        _agree_to_sealed_file(context, unlocked, asking=asking)
    key = _ask_key(arguments.exchange) if asking else _read_key(context)
    rung = KeyManager(unlocked.vault).put(arguments.exchange, key, wanted)
    context.say(f"The key for {arguments.exchange} ({key.hint}) is in the {rung}.")
    return 0


def _list(arguments: argparse.Namespace, context: Context, unlocked: "Unlocked") -> int:
    from adan_core.security.exchange_keys import KeyManager
    from adan_core.security.public_keys import fingerprint, read_public_key

    listing = KeyManager(unlocked.vault).listing()
    public = read_public_key(context.home.operator_public_key)
    if arguments.json:
        context.emit(
            {
                "schema_version": 1,
                "keys": listing,
                "places": unlocked.vault.rungs,
                "keyring_unavailable": unlocked.vault.unavailable or None,
                "operator_key": fingerprint(public) if public else None,
            }
        )
        return 0
    for key in listing:
        context.say(f"{key.exchange:<16}{key.hint:<10}{key.rung}")
    if not listing:
        context.say("No exchange has a key; `adan-core keys set EXCHANGE` stores one.")
    if unlocked.vault.unavailable:
        context.warn(f"Without a keyring: {unlocked.vault.unavailable}.")
    return 0


def _remove(arguments: argparse.Namespace, context: Context, unlocked: "Unlocked") -> int:
    from adan_core.security.exchange_keys import KeyManager

    rungs = KeyManager(unlocked.vault).remove(arguments.exchange)
    context.say(f"The key for {arguments.exchange} is gone from the {' and the '.join(rungs)}.")
    context.say("Revoke it at the exchange too, if it is no longer to be used.")
    return 0


def _agree_to_sealed_file(context: Context, unlocked: "Unlocked", *, asking: bool) -> None:
    """Have the operator choose the sealed file where no keyring is; SecurityError otherwise."""
    from adan_core.security.keyrings import WHAT_TO_INSTALL

    path = context.home.sealed_keys
    if path.exists():
        return
    if asking:
        context.say(f"There is no keyring to use: {unlocked.vault.unavailable}.")
        context.say(f"To have one, {WHAT_TO_INSTALL}.")
        context.stdout.write(f"Keep keys in {path}, sealed with a passphrase, instead? [y/N] ")
        context.stdout.flush()
        if context.stdin.readline().strip().lower() in {"y", "yes"}:
            return
    unlocked.audit.record("secret.set", "refused: no keyring and no sealed file chosen")
    raise SecurityError(
        f"nothing was stored: {unlocked.vault.unavailable}",
        "a keyring, or your choice of the sealed file",
        WHAT_TO_INSTALL,
    )


def _ask_key(exchange: str) -> "ExchangeKey":
    from adan_core.cli.unlock import hidden
    from adan_core.security.exchange_keys import parse_key

    key = hidden(f"API key for {exchange} (not shown): ")
    secret = hidden("Its secret (not shown): ")
    passphrase = hidden("The exchange's passphrase, if it gave one (else just enter): ")
    return parse_key("\n".join(part.reveal() for part in (key, secret, passphrase)))


def _read_key(context: Context) -> "ExchangeKey":
    from adan_core.security.exchange_keys import parse_key

    return parse_key(context.stdin.read(1 << 16))


def _require_known(exchange: str) -> None:
    """Raise UsageError unless ccxt has a driver of that name."""
    import ccxt

    if exchange not in ccxt.exchanges:
        import difflib

        near = difflib.get_close_matches(exchange, ccxt.exchanges)
        raise UsageError(
            f"ccxt knows no exchange called {exchange!r}",
            "a name from ccxt's list",
            f"did you mean {' or '.join(near)}?" if near else "see the list in ccxt's manual",
        )
