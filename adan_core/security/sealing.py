"""Sealed bundles: a folder whose every file is named, hashed and signed (Ed25519).

``manifest.json`` lists each file with its SHA-256 and size; ``manifest.sig`` signs the manifest's
bytes. Nothing in a bundle can execute code: only data formats are let in, by name and by content.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from adan_core.domain.errors import ModelError
from adan_core.resilience.files import write_atomically
from adan_core.security.public_keys import ALGORITHM, fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
ALLOWED_SUFFIXES = frozenset({".safetensors", ".json", ".yaml", ".md", ".txt"})
"""Formats that are data and nothing else."""
_SIGNED_PREFIX = b"adan sealed bundle, schema version 1\n"
"""Keeps a signature made for a bundle from being valid for anything else."""
_LARGEST_MANIFEST = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAGIC = {
    b"PK\x03\x04": "a zip archive, which may hold pickles",
    b"PK\x05\x06": "a zip archive, which may hold pickles",
    b"\x1f\x8b": "a gzip stream",
    b"\x7fELF": "a program",
    **{bytes((0x80, protocol)): "a pickle, which can run code" for protocol in range(2, 6)},
}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a bundle: its path within it (with ``/``), SHA-256 and size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds, and whose key signed it (``shipped`` or ``operator``)."""

    files: tuple[ListedFile, ...]
    metadata: Mapping[str, object]
    signer: str

    def listed(self, path: str) -> ListedFile:
        """Return the entry of ``path``; ModelError if the bundle has no such file."""
        for file in self.files:
            if file.path == path:
                return file
        raise ModelError(f"the bundle holds no {path}", ", ".join(file.path for file in self.files))


def seal(folder: Path, key: "Ed25519PrivateKey", metadata: Mapping[str, object]) -> Manifest:
    """Write the manifest of everything in ``folder``, sign it, and return it.

    ``metadata`` is any JSON. A seal that is there is replaced. ModelError if something in the
    folder may not be in a bundle.
    """
    public = key.public_key().public_bytes_raw()
    files = tuple(_hashed(folder, path) for path in sorted(_walk(folder)))
    if not files:
        raise ModelError(f"{folder} is empty", "files to seal")
    data = _canonical(
        {
            "schema_version": SCHEMA_VERSION,
            "files": [asdict(file) for file in files],
            "metadata": dict(metadata),
        }
    )
    signature = {
        "schema_version": SCHEMA_VERSION,
        "algorithm": ALGORITHM,
        "public_key": public.hex(),
        "signature": key.sign(_SIGNED_PREFIX + data).hex(),
    }
    (folder / SIGNATURE).unlink(missing_ok=True)
    write_atomically(folder / MANIFEST, data, 0o600)
    write_atomically(folder / SIGNATURE, _canonical(signature), 0o600)
    return Manifest(files, dict(metadata), "")


def verify(folder: Path, trusted: Mapping[str, bytes]) -> Manifest:
    """Return the manifest of a bundle that is whole and signed with a trusted key.

    ``trusted`` maps an owner's name to the 32 raw bytes of a public key. ModelError names what is
    wrong: unsigned, signed by a stranger, altered, a file too many or missing, a link, a path out
    of the folder, a newer schema, or a format that can run code.
    """
    if not folder.is_dir():
        raise ModelError(f"there is no bundle at {folder}", "a folder sealed by ADAN")
    data = _read_small(folder, MANIFEST)
    owner = _verified_owner(folder, data, _read_small(folder, SIGNATURE), trusted)
    files, metadata = _parse_manifest(folder, data)
    present = set(_walk(folder))
    listed = {file.path for file in files}
    if present != listed:
        extra, missing = sorted(present - listed), sorted(listed - present)
        raise ModelError(
            f"{folder} is not what was sealed"
            + (f"; not listed: {', '.join(extra)}" if extra else "")
            + (f"; missing: {', '.join(missing)}" if missing else ""),
            "exactly the files in its manifest",
            _RESTORE,
        )
    for file in files:
        if _hashed(folder, file.path) != file:
            raise _altered(folder, file.path)
    return Manifest(files, metadata, owner)


def read_sealed(folder: Path, manifest: Manifest, path: str) -> bytes:
    """Return a file's bytes, hashed again as they are read.

    Loading from these bytes, not from the path, leaves no instant between check and use.
    ModelError if they are not the sealed ones.
    """
    entry = manifest.listed(path)
    try:
        data = (folder / path).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / path} cannot be read: {error.strerror}") from error
    if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _altered(folder, path)
    return data


_RESTORE = "restore it from where it came, or train it again"


def _altered(folder: Path, path: str) -> ModelError:
    return ModelError(
        f"{folder / path} was altered after it was sealed", "the sealed bytes", _RESTORE
    )


def _verified_owner(
    folder: Path, manifest: bytes, signature: bytes, trusted: Mapping[str, bytes]
) -> str:
    """Return the name of the trusted signer; ModelError if there is none."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    fields = _parse(folder / SIGNATURE, signature)
    if _canonical(fields) != signature or fields.get("algorithm") != ALGORITHM:
        raise ModelError(f"{folder / SIGNATURE} is not as ADAN writes it", "", _RESTORE)
    claimed, value = str(fields.get("public_key")), str(fields.get("signature"))
    owners = [(name, key) for name, key in trusted.items() if key.hex() == claimed]
    if not owners:
        shown = fingerprint(bytes.fromhex(claimed)) if _DIGEST.fullmatch(claimed) else "unreadable"
        raise ModelError(
            f"{folder} is signed with a key nobody here trusts ({shown})",
            " or ".join(f"{name} ({fingerprint(key)})" for name, key in sorted(trusted.items())),
            "use a model shipped with ADAN or trained by you, or trust its signer: `adan-core models "
            "import --help` says how",
        )
    owner, public = owners[0]
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(value), _SIGNED_PREFIX + manifest
        )
    except (InvalidSignature, ValueError) as error:
        raise ModelError(
            f"{folder / MANIFEST} was altered: its signature does not fit",
            f"a manifest signed by {owner}",
            _RESTORE,
        ) from error
    return owner


def _parse_manifest(
    folder: Path, data: bytes
) -> tuple[tuple[ListedFile, ...], Mapping[str, object]]:
    fields = _parse(folder / MANIFEST, data)
    entries, metadata = fields.get("files"), fields.get("metadata")
    if not isinstance(entries, list) or not isinstance(metadata, dict):
        raise ModelError(f"{folder / MANIFEST} lists no files", "a manifest", _RESTORE)
    try:
        files = tuple(ListedFile(**entry) for entry in entries)
    except TypeError as error:
        raise ModelError(f"{folder / MANIFEST} lists files wrongly: {error}") from error
    if not all(isinstance(file.path, str) for file in files):
        raise ModelError(f"{folder / MANIFEST} lists a file without a name", "paths", _RESTORE)
    for file in files:
        _require_inside(folder, file.path)
    if len({file.path for file in files}) != len(files):
        raise ModelError(f"{folder / MANIFEST} lists a file twice", "each file once", _RESTORE)
    return files, metadata


def _parse(path: Path, data: bytes) -> dict[str, object]:
    """Return the JSON object in ``data``; ModelError if it is none or of a newer schema."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:  # the second: lists in lists without end
        raise ModelError(f"{path} is not JSON", "what ADAN wrote", _RESTORE) from error
    if not isinstance(fields, dict):
        raise ModelError(f"{path} is not a JSON object", "what ADAN wrote", _RESTORE)
    if fields.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            f"{path} has schema version {fields.get('schema_version')}",
            f"{SCHEMA_VERSION}",
            "use the ADAN that wrote it",
        )
    return fields


def _require_inside(folder: Path, path: str) -> None:
    """Raise ModelError unless ``path`` is a plain relative path that stays within the folder."""
    plain = PurePosixPath(path)
    escapes = plain.is_absolute() or ".." in plain.parts or "\\" in path or "\0" in path
    if escapes or str(plain) != path or path in {".", MANIFEST, SIGNATURE}:
        raise ModelError(f"{folder / MANIFEST} lists {path!r}", "a file within the folder")


def _walk(folder: Path, within: str = "") -> Iterator[str]:
    """Yield the path of each file of a bundle; ModelError at anything that may not be in one."""
    with os.scandir(folder / within) as entries:
        for entry in entries:
            path = within + entry.name
            if path in {MANIFEST, SIGNATURE}:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder, path + "/")
            elif not entry.is_file(follow_symlinks=False):
                raise ModelError(f"{folder / path} is a link or a device", "plain files only")
            else:
                if Path(entry.name).suffix not in ALLOWED_SUFFIXES:
                    raise ModelError(
                        f"{folder / path} may not be in a sealed bundle",
                        "files ending in " + ", ".join(sorted(ALLOWED_SUFFIXES)),
                        "weights go into safetensors, all else into JSON",
                    )
                yield path


def _open_plain(path: Path) -> int:
    """Open a file for reading, refusing a link or a device even if it was swapped in just now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ModelError(f"{path} cannot be opened: {error.strerror}", "a plain file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(f"{path} is a link or a device", "plain files only")
    return descriptor


def _hashed(folder: Path, path: str) -> ListedFile:
    """Return a file's entry; ModelError if its content is one that can run code."""
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(_open_plain(folder / path), "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            if size == 0:
                _refuse_code(folder / path, chunk)
            digest.update(chunk)
            size += len(chunk)
    return ListedFile(path, digest.hexdigest(), size)


def _refuse_code(path: Path, start: bytes) -> None:
    # A safetensors file begins with its header's length (8 bytes, little-endian), which may look
    # like a pickle's first two; a zero byte after them is no pickle instruction.
    if path.suffix == ".safetensors" and start[2:9] == b"\0\0\0\0\0\0{":
        return
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise ModelError(f"{path} is {kind}", "data only", "export its weights to safetensors")


def _read_small(folder: Path, name: str) -> bytes:
    if not (folder / name).exists():
        raise ModelError(
            f"{folder} is not sealed: it has no {name}",
            "a bundle signed by ADAN or by you",
            "SB3 archives and loose weights are never loaded; train with `adan-core train`",
        )
    with os.fdopen(_open_plain(folder / name), "rb") as stream:
        data = stream.read(_LARGEST_MANIFEST + 1)
    if len(data) > _LARGEST_MANIFEST:
        raise ModelError(f"{folder / name} is longer than a mebibyte", "a manifest")
    return data


def _canonical(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
