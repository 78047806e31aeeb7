"""Judgements of sealed models: signed files beside the bundles, each tied to one bundle's content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from adan_core.domain.errors import ModelError, SecurityError
from adan_core.domain.time import Milliseconds
from adan_core.learning.expectation import Expectation
from adan_core.learning.gates import GateFigures
from adan_core.resilience.files import private_folder, write_atomically
from adan_core.security.sealing import MANIFEST
from adan_core.security.signed_record import read_record, sign_record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

JUDGEMENT_SCHEMA_VERSION: Final = 1
_KIND: Final = "judgement of a model"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of one model out of sample.

    ``model_digest`` names the bundle's very content, so that a verdict cannot be moved to another
    model. ``method`` says how it was judged, ``data`` on what; ``report`` is whatever the judge
    wants to keep beside it.
    """

    schema_version: int
    model_id: str
    model_digest: str
    judged_at: Milliseconds
    method: str
    data: str
    figures: GateFigures
    expectation: Expectation | None
    report: dict[str, Any]


def bundle_digest(folder: Path) -> str:
    """Return the SHA-256 of a bundle's manifest, which names every byte of it."""
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error


def keep_judgement(folder: Path, judgement: Judgement, key: "Ed25519PrivateKey") -> Path:
    """Sign ``judgement`` and write it under ``folder``; return its path."""
    own = private_folder(folder / judgement.model_id)
    data = sign_record(_KIND, msgspec.to_builtins(judgement), key)
    name = f"{judgement.judged_at}-{hashlib.sha256(data).hexdigest()[:8]}.json"
    write_atomically(own / name, data)
    return own / name


def judgements_of(
    folder: Path, model_id: str, digest: str, trusted: Mapping[str, bytes]
) -> tuple[Judgement, ...]:
    """Return what is kept of a model under ``folder``, the newest first.

    SecurityError at one that was altered or signed by a stranger, ModelError at one made for other
    content than ``digest``: a verdict nobody can vouch for is worse than none.
    """
    own = folder / model_id
    found = [_read(path, model_id, digest, trusted) for path in sorted(own.glob("*.json"))]
    return tuple(sorted(found, key=lambda one: -one.judged_at))


def _read(path: Path, model_id: str, digest: str, trusted: Mapping[str, bytes]) -> Judgement:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SecurityError(f"{path} cannot be read: {error.strerror}") from error
    record, _ = read_record(data, _KIND, trusted, str(path))
    try:
        judgement = msgspec.convert(record, Judgement)
    except msgspec.ValidationError as error:
        raise ModelError(f"{path}: {error}", "a judgement of this version") from error
    if judgement.schema_version != JUDGEMENT_SCHEMA_VERSION:
        raise ModelError(
            f"{path} of schema version {judgement.schema_version}",
            str(JUDGEMENT_SCHEMA_VERSION),
            "use the ADAN that wrote it",
        )
    if (judgement.model_id, judgement.model_digest) != (model_id, digest):
        raise ModelError(
            f"{path} judges {judgement.model_id} of content {judgement.model_digest[:16]}",
            f"{model_id} of content {digest[:16]}: a verdict belongs to one model",
            "remove it, and judge this model",
        )
    return judgement
