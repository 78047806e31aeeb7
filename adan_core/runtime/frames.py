"""What travels over the control socket: frames of bounded length, typed and versioned.

A frame is four bytes of length, most significant first, and that many bytes of JSON.
"""

import struct
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from adan_core.domain.commands import Command, CommandResult
from adan_core.domain.errors import UsageError
from adan_core.domain.snapshot import CoreSnapshot

FRAMES_SCHEMA_VERSION: Final = 1
LONGEST_REQUEST: Final = 64 * 1024
LONGEST_REPLY: Final = 8 * 1024 * 1024
LENGTH: Final = struct.Struct(">I")

Message = TypeVar("Message", "Request", "Reply")


@dataclass(frozen=True, slots=True)
class Request:
    """A command to carry out or, without one, a wish for the newest snapshot."""

    schema_version: int
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer; ``error`` is empty unless the request could not be understood."""

    schema_version: int
    error: str = ""
    result: CommandResult | None = None
    snapshot: CoreSnapshot | None = None


def pack(message: Request | Reply, longest: int) -> bytes:
    """Return ``message`` as one frame; UsageError if it is longer than ``longest`` bytes."""
    body = msgspec.json.encode(message)
    if len(body) > longest:
        raise UsageError(f"a message of {len(body)} bytes", f"at most {longest}")
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes, kind: type[Message]) -> Message:
    """Return the message in a frame's body; UsageError if it is none or of another version."""
    try:
        message = msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        # A newer peer's frame may not fit our types: then its version is what matters.
        raise UsageError(
            f"a frame that is no {kind.__name__.lower()}: {error}",
            f"one of schema version {FRAMES_SCHEMA_VERSION}",
            "run the same ADAN at both ends",
        ) from error
    if message.schema_version != FRAMES_SCHEMA_VERSION:
        raise UsageError(
            f"a frame of schema version {message.schema_version}",
            f"version {FRAMES_SCHEMA_VERSION}",
            "run the same ADAN at both ends",
        )
    return message
