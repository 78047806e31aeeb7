"""Training checkpoints: whole or absent, verified on load, three kept, nothing in them executable.

A file is a magic line, the sha256 of all that follows, one line of JSON, and a safetensors body.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import AdanError, ModelError
from adan_core.resilience.files import fsync_folder, write_atomically

CHECKPOINT_SCHEMA_VERSION = 1
KEPT = 3

_MAGIC = b"ADAN checkpoint"
_NAME = re.compile(r"checkpoint-(\d{12})\.adan")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training run at a rollout boundary: arrays by name, and the counters that go with them."""

    steps: int
    arrays: Mapping[str, NDArray[Any]]
    state: Mapping[str, Any]


def encode(checkpoint: Checkpoint) -> bytes:
    """Return the file's bytes."""
    from safetensors.numpy import save

    head = msgspec.json.encode(
        {
            "schema_version": CHECKPOINT_SCHEMA_VERSION,
            "steps": checkpoint.steps,
            "state": checkpoint.state,
        }
    )
    body = save({name: np.ascontiguousarray(array) for name, array in checkpoint.arrays.items()})
    payload = head + b"\n" + body
    return _MAGIC + b"\n" + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def decode(data: bytes) -> Checkpoint:
    """Return the checkpoint in ``data``; ModelError says what is wrong with it otherwise."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    magic, _, rest = data.partition(b"\n")
    digest, _, payload = rest.partition(b"\n")
    if magic != _MAGIC:
        raise ModelError("a file that does not begin as a checkpoint does", "an ADAN checkpoint")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise ModelError("a checkpoint that does not match its own sha256", "an unharmed file")
    head, _, body = payload.partition(b"\n")
    try:
        content = msgspec.json.decode(head, type=dict[str, Any])
        version = content["schema_version"]
        if version != CHECKPOINT_SCHEMA_VERSION:
            raise ModelError(
                f"a checkpoint of schema version {version}",
                f"version {CHECKPOINT_SCHEMA_VERSION}",
                "resume it with the ADAN that wrote it",
            )
        return Checkpoint(content["steps"], load(body), content["state"])
    except (msgspec.DecodeError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"a checkpoint that cannot be read: {error}", "an ADAN checkpoint"
        ) from error


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoint`` atomically, drop all but the newest ``KEPT``, and return its path."""
    path = folder / f"checkpoint-{checkpoint.steps:012d}.adan"
    write_atomically(path, encode(checkpoint))
    outdated = checkpoints(folder)[:-KEPT]
    for old in outdated:
        old.unlink(missing_ok=True)
    if outdated:
        fsync_folder(folder)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint files of ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def newest_valid(folder: Path, say: Callable[[str], None]) -> Checkpoint:
    """Return the newest checkpoint that can be read, telling ``say`` of each one that cannot.

    ModelError if there is none.
    """
    for path in reversed(checkpoints(folder)):
        try:
            return decode(path.read_bytes())
        except (AdanError, OSError) as error:
            say(f"{path.name} is not usable ({error}); trying the one before it")
    raise ModelError(
        f"no valid checkpoint in {folder}", "at least one", "start the run again without --resume"
    )
