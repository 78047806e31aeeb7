"""One record in one file, signed (Ed25519): a statement that can be believed wherever it lies."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from adan_core.domain.errors import SecurityError
from adan_core.security.public_keys import ALGORITHM, fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA_VERSION: Final = 1


def sign_record(kind: str, record: Mapping[str, object], key: "Ed25519PrivateKey") -> bytes:
    """Return ``record`` (any JSON) signed as a statement of ``kind``, ready to be written."""
    return _canonical(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": kind,
            "record": dict(record),
            "algorithm": ALGORITHM,
            "public_key": key.public_key().public_bytes_raw().hex(),
            "signature": key.sign(_signed_bytes(kind, record)).hex(),
        }
    )


def read_record(
    data: bytes, kind: str, trusted: Mapping[str, bytes], name: str
) -> tuple[dict[str, object], str]:
    """Return the record in ``data`` and whose trusted key signed it; ``name`` is said in errors.

    SecurityError if it is no signed record of ``kind``, was altered, or a stranger signed it.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    fields = _fields(data, kind, name)
    record, claimed = fields["record"], str(fields.get("public_key"))
    owner = next((one for one, public in trusted.items() if public.hex() == claimed), None)
    if owner is None or not isinstance(record, dict):
        raise SecurityError(
            f"{name} is signed with a key nobody here trusts",
            " or ".join(
                f"{one} ({fingerprint(public)})" for one, public in sorted(trusted.items())
            ),
        )
    try:
        Ed25519PublicKey.from_public_bytes(trusted[owner]).verify(
            bytes.fromhex(str(fields.get("signature"))), _signed_bytes(kind, record)
        )
    except (InvalidSignature, ValueError) as error:
        raise SecurityError(
            f"{name} was altered: its signature does not fit", f"what {owner} signed"
        ) from error
    return record, owner


def _fields(data: bytes, kind: str, name: str) -> dict[str, object]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SecurityError(f"{name} is not JSON", "a signed record") from error
    if not isinstance(fields, dict) or fields.get("kind") != kind or "record" not in fields:
        raise SecurityError(f"{name} is no {kind}", "a signed record of that kind")
    if fields.get("schema_version") != SCHEMA_VERSION:
        raise SecurityError(
            f"{name} has schema version {fields.get('schema_version')}",
            str(SCHEMA_VERSION),
            "use the ADAN that wrote it",
        )
    return fields


def _signed_bytes(kind: str, record: Mapping[str, object]) -> bytes:
    # The kind keeps a signature made for one purpose from being valid for another.
    return f"adan signed record, {kind}\n".encode() + _canonical(record)


def _canonical(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
