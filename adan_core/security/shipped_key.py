"""The public key that the models shipped with ADAN are signed against; part of the package."""

from importlib import resources

from adan_core.domain.errors import SecurityError
from adan_core.security.public_keys import parse_public_key

PACKAGE = "adan_core"
FOLDER = "shipped_models"
FILE = "public_key.json"


def shipped_public_key() -> bytes:
    """Return the 32 raw bytes of the key; SecurityError if the installation lacks it."""
    source = resources.files(PACKAGE) / FOLDER / FILE
    try:
        text = source.read_text("utf-8")
    except OSError as error:
        raise SecurityError(
            f"the package's public key {FOLDER}/{FILE} cannot be read: {error}",
            "an undamaged installation",
            "install ADAN again",
        ) from error
    return parse_public_key(text, f"{FOLDER}/{FILE}")
