"""Secrets in a file sealed with a passphrase: Argon2id derives the key, AES-256-GCM seals.

The file is one line of JSON, which says how to open it, and the ciphertext after it. The line
goes into the seal as associated data, so changing any byte of the file breaks the seal.

The key derivation makes 64 bytes: 32 are the AES key, the other 32 go through SHA-256 into the
line as ``check``. So a wrong passphrase (check differs) and an altered file (check agrees, seal
broken) are told apart; guessing costs one Argon2id either way. What no one can tell: a salt or
check that was altered reads as a wrong passphrase, and the message says so.
"""

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from adan_core.domain.errors import SecurityError
from adan_core.resilience.files import make_folder, write_atomically
from adan_core.security.secret import Secret

SCHEMA_VERSION = 1
FORMAT = "adan sealed file"
SHORTEST_PASSPHRASE = 8
_LONGEST_HEADER = 4096
_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class KeyDerivation:
    """Argon2id's cost: passes, lanes and memory in KiB.

    The defaults are RFC 9106's second recommended option, 64 MiB.
    """

    iterations: int = 3
    lanes: int = 4
    memory_cost: int = 64 * 1024

    def __post_init__(self) -> None:
        within = (
            1 <= self.iterations <= 32
            and 1 <= self.lanes <= 16
            and 8 * self.lanes <= self.memory_cost <= 1024 * 1024
        )
        if not within:
            raise SecurityError(
                f"Argon2id cost {self.iterations}, {self.lanes}, {self.memory_cost} KiB",
                "1-32 passes, 1-16 lanes, 8 KiB per lane to 1 GiB",
                "the sealed file was altered; restore it from a backup",
            )


def seal_bytes(plain: bytes, passphrase: Secret, cost: KeyDerivation | None = None) -> bytes:
    """Return ``plain`` sealed with ``passphrase`` under a fresh salt and nonce."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cost = cost or KeyDerivation()
    salt = os.urandom(_SALT_BYTES)
    nonce = os.urandom(_NONCE_BYTES)
    key, check = _derive(passphrase, salt, cost)
    header = _canonical(
        {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "derivation": {"name": "argon2id", **asdict(cost), "salt": salt.hex()},
            "cipher": {"name": "AES-256-GCM", "nonce": nonce.hex()},
            "check": check,
        }
    )
    return header + AESGCM(key).encrypt(nonce, plain, header)


def open_bytes(sealed: bytes, passphrase: Secret, name: str = "the sealed file") -> bytes:
    """Return what ``seal_bytes`` was given; SecurityError says which of its parts does not fit."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    end = sealed.find(b"\n", 0, _LONGEST_HEADER) + 1
    header = sealed[:end]
    salt, nonce, cost, expected = _read_header(header, name)
    key, check = _derive(passphrase, salt, cost)
    if not hmac.compare_digest(check.encode(), expected.encode()):
        raise SecurityError(
            f"the passphrase does not open {name}",
            "the passphrase it was sealed with",
            "type it again; if you are sure of it, the file's first line was altered: restore it "
            "from a backup",
        )
    try:
        return AESGCM(key).decrypt(nonce, sealed[end:], header)
    except InvalidTag as error:
        raise SecurityError(
            f"the passphrase is right, but {name} was altered or cut short",
            "the bytes that were sealed",
            "restore it from a backup, or delete it and set the keys again",
        ) from error


def _derive(passphrase: Secret, salt: bytes, cost: KeyDerivation) -> tuple[bytes, str]:
    """Return the AES key and the check value in hexadecimal."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    derivation = Argon2id(
        salt=salt,
        length=2 * _KEY_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_cost,
    )
    derived = derivation.derive(passphrase.reveal().encode())
    return derived[:_KEY_BYTES], hashlib.sha256(derived[_KEY_BYTES:]).hexdigest()


def _read_header(header: bytes, name: str) -> tuple[bytes, bytes, KeyDerivation, str]:
    """Return salt, nonce, cost and check value of a sealed file's first line."""
    damaged = SecurityError(
        f"{name} is damaged: its first line does not say how it was sealed",
        FORMAT,
        "restore it from a backup, or delete it and set the keys again",
    )
    try:
        fields = json.loads(header)
        form, version = fields["format"], fields["schema_version"]
        derivation, cipher = fields["derivation"], fields["cipher"]
        names = (form, derivation["name"], cipher["name"])
        cost = tuple(int(derivation[part]) for part in ("iterations", "lanes", "memory_cost"))
        salt, nonce = bytes.fromhex(derivation["salt"]), bytes.fromhex(cipher["nonce"])
        check = str(fields["check"])
    except (ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if version != SCHEMA_VERSION:
        raise SecurityError(
            f"{name} has schema version {version}",
            f"{SCHEMA_VERSION}",
            "use the ADAN that wrote it",
        )
    lengths = (len(salt), len(nonce))
    if names != (FORMAT, "argon2id", "AES-256-GCM") or lengths != (_SALT_BYTES, _NONCE_BYTES):
        raise damaged
    return salt, nonce, KeyDerivation(*cost), check


class SealedFileStore:
    """Secrets in one sealed file, opened on first use and read again at each change.

    ``passphrase`` is asked once; its argument says whether the file is new, so that the passphrase
    is asked for twice.
    """

    rung = "sealed file"
    writable = True

    def __init__(
        self,
        path: Path,
        passphrase: Callable[[bool], Secret],
        cost: KeyDerivation | None = None,
    ) -> None:
        self._path = path
        self._ask = passphrase
        self._cost = cost
        self._passphrase: Secret | None = None

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.exists()

    def get(self, name: str) -> Secret | None:
        """Return the secret called ``name``, None if there is none or no file."""
        value = self._read().get(name)
        return None if value is None else Secret(value)

    def put(self, name: str, secret: Secret) -> None:
        """Seal the file anew with ``secret`` under ``name``."""
        with self._alone():
            secrets = self._read()
            secrets[name] = secret.reveal()
            self._write(secrets)

    def delete(self, name: str) -> bool:
        """Seal the file anew without ``name``; False if it was not there."""
        if not self.exists():
            return False
        with self._alone():
            secrets = self._read()
            if secrets.pop(name, None) is None:
                return False
            self._write(secrets)
            return True

    def names(self) -> tuple[str, ...]:
        """Return the names of what is kept, sorted."""
        return tuple(sorted(self._read()))

    def _read(self) -> dict[str, str]:
        try:
            sealed = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecurityError(f"{self._path} cannot be read: {error}") from error
        passphrase = self._passphrase or self._ask(False)  # noqa: FBT003
        payload = json.loads(open_bytes(sealed, passphrase, str(self._path)))
        self._passphrase = passphrase
        return dict(payload["secrets"])

    def _write(self, secrets: dict[str, str]) -> None:
        if self._passphrase is None:
            passphrase = self._ask(True)  # noqa: FBT003
            if len(passphrase) < SHORTEST_PASSPHRASE:
                raise SecurityError(
                    f"a passphrase of {len(passphrase)} characters",
                    f"at least {SHORTEST_PASSPHRASE}; several random words are good",
                    "choose a longer one",
                )
            self._passphrase = passphrase
        payload = _canonical({"schema_version": SCHEMA_VERSION, "secrets": secrets})
        write_atomically(self._path, seal_bytes(payload, self._passphrase, self._cost), 0o600)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the file between our reading and our writing."""
        make_folder(self._path.parent)
        lock = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _canonical(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
