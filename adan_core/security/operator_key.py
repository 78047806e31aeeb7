"""The operator's own signing key: its secret half in the vault, its public half in a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from adan_core.domain.errors import SecurityError
from adan_core.security.audit import AuditTrail
from adan_core.security.public_keys import fingerprint, read_public_key, write_public_key
from adan_core.security.secret import Secret
from adan_core.security.shipped_key import shipped_public_key
from adan_core.security.vault import Vault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ENTRY = "operator-signing-key"
SHIPPED = "shipped"
OPERATOR = "operator"


def operator_key(vault: Vault, public_key_file: Path, audit: AuditTrail) -> "Ed25519PrivateKey":
    """Return the operator's Ed25519 signing key, made on first need.

    SecurityError if the public key's file does not belong to it (somebody swapped one of them), or
    if that file is there and the vault holds no key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    found = vault.get(ENTRY)
    public = read_public_key(public_key_file)
    if found is None:
        if public is not None:
            audit.record("operator_key.read", "refused: signing key missing")
            raise SecurityError(
                f"{public_key_file} is there, but the signing key it belongs to is not in "
                + " or ".join(vault.rungs),
                "both halves of the operator's key",
                "unlock the place that holds it; if it is lost, delete that file: ADAN then makes "
                "a new key, and models signed with the old one have to be trained again",
            )
        return _make(vault, public_key_file, audit)
    key = Ed25519PrivateKey.from_private_bytes(_raw(found.secret))
    own = key.public_key().public_bytes_raw()
    if public is None:
        write_public_key(public_key_file, own)
        audit.record("operator_key.published", "done", {"fingerprint": fingerprint(own)})
    elif public != own:
        audit.record("operator_key.read", "refused: public key swapped")
        raise SecurityError(
            f"{public_key_file} holds key {fingerprint(public)}, which is not the operator's",
            f"{fingerprint(own)}, the public half of the signing key in the {found.rung}",
            "find out who changed it; then delete that file, and ADAN writes the right one",
        )
    return key


def trusted_keys(public_key_file: Path, others: Path | None = None) -> dict[str, bytes]:
    """Return the public keys a sealed bundle may be signed with, by their owner; unlocks nothing.

    ``others`` is a folder of public keys the operator chose to trust, each file named after its
    owner. SecurityError at a file that is none, or is named like ADAN's own keys.
    """
    keys = {SHIPPED: shipped_public_key()}
    own = read_public_key(public_key_file)
    if own is not None:
        keys[OPERATOR] = own
    if others is not None and others.is_dir():
        for path in sorted(others.glob("*.json")):
            key = read_public_key(path)
            if path.stem in {SHIPPED, OPERATOR}:
                raise SecurityError(f"{path} is named like a key of ADAN's own", "its owner's name")
            if key is not None:
                keys[path.stem] = key
    return keys


def _make(vault: Vault, public_key_file: Path, audit: AuditTrail) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    rung = vault.put(ENTRY, Secret(key.private_bytes_raw().hex()))
    public = key.public_key().public_bytes_raw()
    write_public_key(public_key_file, public)
    audit.record("operator_key.made", "done", {"fingerprint": fingerprint(public), "rung": rung})
    return key


def _raw(secret: Secret) -> bytes:
    try:
        raw = bytes.fromhex(secret.reveal())
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise SecurityError(
            "the operator's signing key is damaged",
            "32 bytes in hexadecimal",
            f"delete the entry {ENTRY} and the public key's file; ADAN then makes a new key",
        )
    return raw
