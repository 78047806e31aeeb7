"""The version of everything that a learnt result depends on: our code, and the libraries that learn."""

import hashlib
from functools import cache
from importlib import metadata
from typing import Final

from adan_core.accounting.compiled import CODE_VERSION

LEARNING_LIBRARIES: Final = (
    "torch",
    "stable-baselines3",
    "sb3-contrib",
    "gymnasium",
    "numpy",
    "numba",
)


@cache
def learning_version() -> str:
    """Return a digest of our code and of the installed versions of the learning libraries.

    Another version of one of them learns other bits from the same seed: a result kept under the one
    is none of the other's. A library that is not installed counts as such.
    """
    digest = hashlib.blake2b(CODE_VERSION.encode(), digest_size=16)
    for library in LEARNING_LIBRARIES:
        digest.update(f"{library} {_version(library)}\n".encode())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"
