"""Public keys in files, readable without unlocking anything."""

import hashlib
import json
import re
from pathlib import Path

from adan_core.domain.errors import SecurityError
from adan_core.resilience.files import write_atomically

SCHEMA_VERSION = 1
ALGORITHM = "Ed25519"
_RAW = re.compile(r"[0-9a-f]{64}")


def write_public_key(path: Path, key: bytes) -> None:
    """Write the 32 raw bytes of an Ed25519 public key to ``path``, atomically."""
    fields = {"schema_version": SCHEMA_VERSION, "algorithm": ALGORITHM, "public_key": key.hex()}
    write_atomically(path, json.dumps(fields, sort_keys=True).encode() + b"\n", 0o644)


def read_public_key(path: Path) -> bytes | None:
    """Return the 32 raw bytes of the public key in ``path``, None if there is no such file.

    SecurityError if it is not one.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SecurityError(f"the public key {path} cannot be read: {error}") from error
    return parse_public_key(text, str(path))


def parse_public_key(text: str, name: str) -> bytes:
    """Return the raw public key written in ``text``; SecurityError if there is none."""
    try:
        fields = json.loads(text)
        version, algorithm, value = (
            fields["schema_version"],
            fields["algorithm"],
            fields["public_key"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SecurityError(f"{name} is not a public key", f"an {ALGORITHM} key") from error
    if (version, algorithm) != (SCHEMA_VERSION, ALGORITHM) or not _RAW.fullmatch(str(value)):
        raise SecurityError(
            f"{name} holds a {algorithm} key of schema version {version}",
            f"an {ALGORITHM} key of schema version {SCHEMA_VERSION}",
            "use the ADAN that wrote it",
        )
    return bytes.fromhex(value)


def fingerprint(key: bytes) -> str:
    """Return the short name of a public key: the first 16 digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]
