"""Keys for exchanges: kept in the vault, shown by their last four characters at most."""

import json
import re
from dataclasses import dataclass

from adan_core.domain.errors import SecurityError, UsageError
from adan_core.security.secret import Secret
from adan_core.security.vault import Vault

SCHEMA_VERSION = 1
PREFIX = "exchange-"
_EXCHANGE_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_HINT = 4
_SHORTEST_HINTED = 16
_SHORTEST_KEY = 8


@dataclass(frozen=True, slots=True)
class ExchangeKey:
    """What an exchange gave: key, secret and, on some, a passphrase of its own."""

    api_key: Secret
    secret: Secret
    passphrase: Secret | None = None

    @property
    def hint(self) -> str:
        """The key's last four characters, nothing of a key too short to spare them."""
        key = self.api_key.reveal()
        return f"...{key[-_HINT:]}" if len(key) >= _SHORTEST_HINTED else "..."


@dataclass(frozen=True, slots=True)
class KeyListing:
    """One exchange's key as it may be shown."""

    exchange: str
    hint: str
    rung: str


class KeyManager:
    """Sets, reads, lists and removes exchange keys."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def put(self, exchange: str, key: ExchangeKey, rung: str | None = None) -> str:
        """Keep ``key`` (on ``rung`` if given) and return the rung that took it."""
        fields = {
            "schema_version": SCHEMA_VERSION,
            "api_key": key.api_key.reveal(),
            "secret": key.secret.reveal(),
            "passphrase": key.passphrase.reveal() if key.passphrase else None,
        }
        return self._vault.put(_entry(exchange), Secret(json.dumps(fields)), rung)

    def get(self, exchange: str) -> ExchangeKey:
        """Return the exchange's key; SecurityError if there is none or it is damaged."""
        found = self._vault.get(_entry(exchange))
        if found is None:
            raise SecurityError(
                f"there is no key for {exchange}",
                "one in " + " or ".join(self._vault.rungs),
                f"`adan-core keys set {exchange}`",
            )
        return _decode(exchange, found.secret)

    def listing(self) -> tuple[KeyListing, ...]:
        """Return every exchange with a key, sorted by name."""
        names = [
            (name.removeprefix(PREFIX), rung)
            for name, rung in self._vault.names()
            if name.startswith(PREFIX)
        ]
        return tuple(KeyListing(name, self.get(name).hint, rung) for name, rung in names)

    def remove(self, exchange: str) -> tuple[str, ...]:
        """Forget the exchange's key everywhere and return the rungs that held it.

        SecurityError if none did.
        """
        rungs = self._vault.delete(_entry(exchange))
        if not rungs:
            raise SecurityError(
                f"there is no key for {exchange}",
                "one that `adan-core keys list` shows",
                "nothing has to be removed",
            )
        return rungs


def parse_key(lines: str) -> ExchangeKey:
    """Return the key in ``lines``: key, secret and, where the exchange has one, its passphrase.

    UsageError if a line is missing, too short to be a key, or there are too many.
    """
    parts = [line.strip() for line in lines.strip().splitlines()]
    if not 2 <= len(parts) <= 3 or any(len(part) < _SHORTEST_KEY for part in parts[:2]):
        raise UsageError(
            f"{len(parts)} line(s) that do not make a key",
            "the key on the first line, its secret on the second, each of at least "
            f"{_SHORTEST_KEY} characters, and on the third the exchange's passphrase if it has one",
        )
    passphrase = Secret(parts[2]) if len(parts) == 3 and parts[2] else None
    return ExchangeKey(Secret(parts[0]), Secret(parts[1]), passphrase)


def require_exchange_name(exchange: str) -> None:
    """Raise UsageError unless ``exchange`` is spelt as ccxt spells exchanges."""
    if not _EXCHANGE_NAME.fullmatch(exchange):
        raise UsageError(
            f"{exchange!r} is no exchange's name",
            "lower-case letters, digits and underscores, as in binance or kraken",
        )


def _entry(exchange: str) -> str:
    require_exchange_name(exchange)
    return PREFIX + exchange


def _decode(exchange: str, secret: Secret) -> ExchangeKey:
    text = secret.reveal()
    if not text.startswith("{"):  # a systemd credential, written by hand
        return parse_key(text)
    damaged = SecurityError(
        f"the entry for {exchange} is damaged", "a key", f"`adan-core keys set {exchange}`"
    )
    try:
        fields = json.loads(text)
    except ValueError:
        raise damaged from None  # the cause would quote the secret
    version = fields.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SecurityError(
            f"the entry for {exchange} has schema version {version}",
            f"{SCHEMA_VERSION}",
            "use the ADAN that wrote it",
        )
    if not all(isinstance(fields.get(name), str) for name in ("api_key", "secret")):
        raise damaged
    passphrase = fields.get("passphrase")
    return ExchangeKey(
        Secret(fields["api_key"]),
        Secret(fields["secret"]),
        Secret(passphrase) if isinstance(passphrase, str) else None,
    )
