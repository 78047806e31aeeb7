"""The ladder of places for secrets: OS keyring, systemd credential, sealed file."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from adan_core.domain.errors import SecurityError
from adan_core.security.audit import AuditTrail
from adan_core.security.keyrings import WHAT_TO_INSTALL, KeyringUnavailable, open_keyring
from adan_core.security.sealed_file import SealedFileStore
from adan_core.security.secret import Secret

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL_PREFIX = "adan-"
PASSPHRASE_CREDENTIAL = "passphrase"  # noqa: S105 - the name of a credential, not one
_LONGEST_CREDENTIAL = 1 << 20  # systemd's own limit is 1 MiB

Result = TypeVar("Result")


class SecretStore(Protocol):
    """One rung of the ladder."""

    rung: str
    """What people call it."""
    writable: bool

    def get(self, name: str) -> Secret | None:
        """Return the secret called ``name``, None if it holds none; SecurityError on failure."""
        ...

    def put(self, name: str, secret: Secret) -> None:
        """Keep ``secret`` under ``name``; SecurityError on failure."""
        ...

    def delete(self, name: str) -> bool:
        """Forget ``name``; False if it was not there."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of what it holds."""
        ...


class SystemdCredentials:
    """Secrets that systemd hands to a service (LoadCredentialEncrypted=), readable by it alone."""

    rung = "systemd credential"
    writable = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Secret | None:
        """Return the text of the credential ``adan-<name>``, None if systemd gave none."""
        path = self._folder / (CREDENTIAL_PREFIX + name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SecurityError(f"the credential {path} cannot be read: {error}") from error
        if len(data) > _LONGEST_CREDENTIAL:
            raise SecurityError(f"the credential {path} is longer than a mebibyte", "a key")
        try:
            return Secret(data.decode().rstrip("\n"))
        except UnicodeDecodeError as error:
            raise SecurityError(f"the credential {path} is not text", "a key in UTF-8") from error

    def put(self, name: str, secret: Secret) -> None:  # noqa: ARG002 - the rung's protocol
        """Refuse: only systemd puts credentials there."""
        raise _read_only(name)

    def delete(self, name: str) -> bool:
        """Refuse if there is such a credential; only systemd takes it away."""
        if self.get(name) is None:
            return False
        raise _read_only(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of ADAN's credentials, without their prefix, sorted."""
        try:
            found = sorted(path.name for path in self._folder.iterdir())
        except OSError as error:
            raise SecurityError(f"{self._folder} cannot be listed: {error}") from error
        names = (name[len(CREDENTIAL_PREFIX) :] for name in found if name.startswith("adan-"))
        return tuple(name for name in names if name != PASSPHRASE_CREDENTIAL)


def _read_only(name: str) -> SecurityError:
    return SecurityError(
        f"{CREDENTIAL_PREFIX}{name} is a systemd credential, which only systemd changes",
        "a keyring or a sealed file",
        "change LoadCredentialEncrypted= in the service's unit and restart it",
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A secret and the rung it was on."""

    secret: Secret
    rung: str


class Vault:
    """The rungs that can be used here, from the top; every access goes into the audit trail.

    ``unavailable`` says why the keyring cannot be used; empty if it can.
    """

    def __init__(
        self, rungs: tuple[SecretStore, ...], audit: AuditTrail, unavailable: str = ""
    ) -> None:
        self._rungs = rungs
        self._audit = audit
        self.unavailable = unavailable

    @property
    def rungs(self) -> tuple[str, ...]:
        """The names of the rungs, from the top."""
        return tuple(store.rung for store in self._rungs)

    def get(self, name: str) -> Found | None:
        """Return the secret called ``name`` from the highest rung that holds it, or None.

        A rung below the one that holds it is not opened. SecurityError if a rung fails.
        """
        for store in self._rungs:
            secret = self._audited("secret.read", name, store, store.get)
            if secret is not None:
                return Found(secret, store.rung)
        return None

    def put(self, name: str, secret: Secret, rung: str | None = None) -> str:
        """Keep ``secret`` on the highest writable rung, or on ``rung``, and return its name.

        An older value on a higher writable rung is deleted, or it would go on being used.
        SecurityError if no rung can take it or a read-only rung above would shadow it.
        """
        target = next(
            (store for store in self._rungs if store.writable and rung in {None, store.rung}), None
        )
        if target is None:
            raise SecurityError(
                self.unavailable or f"there is no {rung or 'writable place for secrets'} here",
                "a keyring, or a sealed file",
                WHAT_TO_INSTALL,
            )
        above = self._rungs[: self._rungs.index(target)]
        for store in above:
            if not store.writable and store.get(name) is not None:
                raise _read_only(name)
        self._audited("secret.set", name, target, lambda one: target.put(one, secret))
        for store in above:
            if store.writable:
                self._audited("secret.delete", name, store, store.delete)
        return target.rung

    def delete(self, name: str) -> tuple[str, ...]:
        """Forget ``name`` on every rung and return the rungs that held it.

        SecurityError if a rung fails or may not be written; the rungs above it are done by then.
        """
        return tuple(
            store.rung
            for store in self._rungs
            if self._audited("secret.delete", name, store, store.delete)
        )

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return (name, rung) of each secret; where several rungs hold it, the one in use."""
        found: dict[str, str] = {}
        for store in self._rungs:
            for name in self._audited("secret.list", "", store, _names_of(store)):
                found.setdefault(name, store.rung)
        return tuple(sorted(found.items()))

    def _audited(
        self, action: str, name: str, store: SecretStore, act: Callable[[str], Result]
    ) -> Result:
        """Do ``act`` and write down that it was done, or how it failed."""
        details = {"entry": name, "rung": store.rung}
        try:
            result = act(name)
        except SecurityError as error:
            self._audit.record(action, f"refused: {error.found}", details)
            raise
        absent = result is None and action == "secret.read"
        self._audit.record(action, "absent" if absent or result is False else "done", details)
        return result


def _names_of(store: SecretStore) -> Callable[[str], tuple[str, ...]]:
    return lambda _: store.names()


def open_vault(
    config_folder: Path,
    sealed_file: Path,
    environment: Mapping[str, str],
    passphrase: Callable[[bool], Secret],
    audit: AuditTrail,
) -> Vault:
    """Return the ladder of this machine and home; opening it reads no secret.

    ``passphrase`` is called once, when the sealed file is first opened; its argument says whether
    the file is new. Each home has its own entries in the keyring, told apart by its config folder.
    """
    rungs: list[SecretStore] = []
    unavailable = ""
    try:
        rungs.append(open_keyring(keyring_service(config_folder), environment))
    except KeyringUnavailable as error:
        unavailable = error.found
    credentials = environment.get(CREDENTIALS_VARIABLE)
    if credentials:
        rungs.append(SystemdCredentials(Path(credentials)))
    rungs.append(SealedFileStore(sealed_file, passphrase))
    return Vault(tuple(rungs), audit, unavailable)


def keyring_service(config_folder: Path) -> str:
    """Return the service name of a home's entries in the keyring.

    The config folder goes in hashed: a keyring's window shows its entries to whoever looks on.
    """
    digest = hashlib.sha256(os.fsencode(config_folder.resolve())).hexdigest()[:16]
    return f"adan-{digest}"


def credential_passphrase(environment: Mapping[str, str]) -> Secret | None:
    """Return the systemd credential ``adan-passphrase``, None if this is no such service."""
    folder = environment.get(CREDENTIALS_VARIABLE)
    return SystemdCredentials(Path(folder)).get(PASSPHRASE_CREDENTIAL) if folder else None
