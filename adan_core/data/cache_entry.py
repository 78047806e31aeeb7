"""The form of one cache entry on disk: a header, then arrays exactly as they lie in memory.

    magic (8) | header's length (4) | header's checksum (4) | header | body: arrays, each aligned

The header is JSON and says its version, its key, the arrays' names, types and shapes, and the
body's checksum. Nothing is unpickled, and an array of anything but plain numbers is refused.
"""

import hashlib
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# CRC-32 finds every flip within 32 bits for certain, and zlib-ng's is as fast as memory is read:
# 15 ms for 192 MB, where xxh3 takes 13 and zlib's own 85. It guards against accidents; whoever can
# write this user's folders needs no forged cache.
from zlib_ng.zlib_ng import crc32

from adan_core.domain.errors import DataError

ENTRY_SCHEMA_VERSION = 1
Arrays = Mapping[str, NDArray[Any]]

_SUFFIX = ".entry"
_MAGIC = b"ADANdata"
_PREFIX = struct.Struct("<8sII")
_ALIGNMENT = 64  # a cache line, and what vector instructions like
_PLAIN = re.compile(r"[<>|](?:f[248]|[iu][1248]|b1)")


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Everything a value was made of.

    ``kind`` says what it is, ``data`` is the hash of its candles (and of any other input),
    ``schema`` that of its declaration, ``code`` the version of the code that computes it.
    """

    kind: str
    data: str
    schema: str
    code: str


def file_name(key: CacheKey) -> str:
    """Return the name of the file that holds the entry of ``key``."""
    digest = hashlib.blake2b(msgspec.json.encode(key), digest_size=16)
    return f"{key.kind}-{digest.hexdigest()}{_SUFFIX}"


def is_entry(name: str) -> bool:
    """Whether a file's name is that of an entry, or of one being written."""
    return name.endswith(_SUFFIX) or (name.startswith(".") and f"{_SUFFIX}." in name)


class _Array(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    form: str
    shape: tuple[int, ...]
    offset: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    key: CacheKey
    arrays: tuple[_Array, ...]
    body_bytes: int
    body_checksum: int


def encode(key: CacheKey, arrays: Arrays) -> list[bytes | memoryview]:
    """Return the pieces of an entry's file; the arrays are not copied.

    ``arrays`` hold plain numbers and are contiguous in C order.
    """
    body: list[bytes | memoryview] = []
    described: list[_Array] = []
    offset = checksum = 0
    for name, array in arrays.items():
        described.append(_Array(name, array.dtype.str, array.shape, offset))
        content = array.data.cast("B") if array.size else b""
        for piece in (content, bytes(-len(content) % _ALIGNMENT)):
            body.append(piece)
            checksum = crc32(piece, checksum)
            offset += len(piece)
    header = msgspec.json.encode(
        _Header(ENTRY_SCHEMA_VERSION, key, tuple(described), offset, checksum)
    )
    # Blanks behind it, so that the body is aligned; the checksum covers them: no byte goes unseen.
    header += b" " * (-(len(header) + _PREFIX.size) % _ALIGNMENT)
    return [_PREFIX.pack(_MAGIC, len(header), crc32(header)), header, *body]


def decode(key: CacheKey, content: bytes | memoryview) -> Arrays:
    """Return the arrays of an entry as read-only views of ``content``, a read-only buffer.

    DataError unless it is an entry of ``key``, of this version, and every byte is as it was written.
    """
    view = memoryview(content)
    header, start = _header(view)
    if header.schema_version != ENTRY_SCHEMA_VERSION:
        raise DataError(
            f"an entry of version {header.schema_version}", f"version {ENTRY_SCHEMA_VERSION}"
        )
    if header.key != key:
        raise DataError(f"an entry of {header.key}", f"one of {key}")
    if len(view) - start != header.body_bytes or crc32(view[start:]) != header.body_checksum:
        raise DataError("an entry whose content is damaged", "the bytes that were written")
    return {array.name: _view(view, array, start, len(view)) for array in header.arrays}


def _header(view: memoryview) -> tuple[_Header, int]:
    """Return the header and where the body begins; DataError if it is not whole."""
    if len(view) < _PREFIX.size:
        raise DataError(f"a file of {len(view)} bytes", "a cache entry")
    magic, length, checksum = _PREFIX.unpack_from(view)
    start = _PREFIX.size + length
    text = bytes(view[_PREFIX.size : start])
    if magic != _MAGIC or crc32(text) != checksum:
        raise DataError("a foreign or damaged file", "a cache entry")
    try:
        return msgspec.json.decode(text, type=_Header), start
    except msgspec.DecodeError as error:
        raise DataError(f"an entry with another header: {error}", "one of this version") from error


def _view(content: memoryview, array: _Array, start: int, stop: int) -> NDArray[Any]:
    if _PLAIN.fullmatch(array.form) is None or min(array.shape, default=0) < 0:
        raise DataError(f"array {array.name} of {array.form} {array.shape}", "plain numbers")
    form = np.dtype(array.form)
    count = math.prod(array.shape)
    first = start + array.offset
    if array.offset < 0 or first + count * form.itemsize > stop:
        raise DataError(f"array {array.name} reaches beyond its entry", "a whole entry")
    if not count:
        empty = np.empty(array.shape, form)
        empty.flags.writeable = False
        return empty
    return np.frombuffer(content, form, count, first).reshape(array.shape)
