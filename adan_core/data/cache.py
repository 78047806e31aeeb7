"""What was computed once is not computed again: entries in memory and on disk, both bounded.

An entry is found by everything it was made of (``CacheKey``), so nothing stale can be served; what
is damaged is dropped and built again. Memory holds read-only arrays; the disk's files are mapped
read-only, never changed in place, and replaced or removed only whole, so several processes may use
one folder at once. A cache that fails costs time and nothing else: the work goes on without it.
"""

import contextlib
import fcntl
import mmap
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adan_core.data.cache_entry import Arrays, CacheKey, decode, encode, file_name, is_entry
from adan_core.domain.errors import DataError, SystemFailure
from adan_core.domain.health import CacheHealth
from adan_core.resilience.files import make_folder, write_atomically

_LOCK = ".lock"
# Somebody who writes is done within a second; a process that was stopped while it wrote never is.
_LOOKS = 500
_LOOK_SECONDS = 0.01


class _Remembered(NamedTuple):
    arrays: Arrays
    size: int


class _File(NamedTuple):
    used_at: int
    size: int
    path: Path


class DataCache:
    """Arrays under keys: the least recently used go first, from memory and from disk alike.

    ``memory_bytes`` and ``disk_bytes`` bound the two (0: that one is off); ``warn`` is told the
    first time the disk refuses. Safe to use from several threads.
    """

    def __init__(
        self, folder: Path, memory_bytes: int, disk_bytes: int, warn: Callable[[str], object]
    ) -> None:
        self._folder = folder
        self._memory_limit = memory_bytes
        self._disk_limit = disk_bytes
        self._warn = warn
        self._guard = threading.Lock()
        self._remembered: OrderedDict[CacheKey, _Remembered] = OrderedDict()
        self._memory_bytes = 0
        self._hits = self._misses = self._evictions = self._damaged = self._failures = 0

    def fetch(self, key: CacheKey, build: Callable[[], Arrays]) -> Arrays:
        """Return the arrays kept under ``key``, else what ``build`` makes, which is then kept.

        They are read-only, and equal to the bit either way: what ``build`` returns becomes the
        cache's own. What it raises is raised, and nothing is kept.
        """
        arrays = self._recall(key)
        if arrays is None:
            arrays = self._read(key)
            if arrays is not None:
                self._remember(key, arrays)
        with self._guard:
            if arrays is not None:
                self._hits += 1
                return arrays
            self._misses += 1
        built = MappingProxyType({name: _owned(array) for name, array in build().items()})
        self._remember(key, built)
        self._write(key, built)
        return built

    def limit(self, memory_bytes: int, disk_bytes: int) -> None:
        """Set other bounds; what no longer fits is dropped now."""
        with self._guard:
            self._memory_limit, self._disk_limit = memory_bytes, disk_bytes
            self._forget_down_to(memory_bytes)
        try:
            self._remove_down_to(disk_bytes)
        except (OSError, SystemFailure) as error:
            self._fail(error)

    def clear(self) -> int:
        """Forget and remove every entry; return how many bytes that freed on disk.

        SystemFailure if one cannot be removed.
        """
        with self._guard:
            self._forget_down_to(0)
        before = sum(file.size for file in self._files())
        try:
            self._remove_down_to(0)
        except OSError as error:
            raise SystemFailure(
                f"{error.filename} cannot be removed: {error.strerror}", "a file of this user"
            ) from error
        return before

    @property
    def statistics(self) -> CacheHealth:
        """How this process has fared, and how full memory and disk are now."""
        files = self._files()
        with self._guard:
            return CacheHealth(
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                damaged=self._damaged,
                failures=self._failures,
                memory_entries=len(self._remembered),
                memory_bytes=self._memory_bytes,
                memory_limit=self._memory_limit,
                disk_entries=len(files),
                disk_bytes=sum(file.size for file in files),
                disk_limit=self._disk_limit,
            )

    # -- memory -------------------------------------------------------------------------------

    def _recall(self, key: CacheKey) -> Arrays | None:
        with self._guard:
            found = self._remembered.get(key)
            if found is None:
                return None
            self._remembered.move_to_end(key)
            return found.arrays

    def _remember(self, key: CacheKey, arrays: Arrays) -> None:
        size = _measured(key, arrays)
        with self._guard:
            if size > self._memory_limit:
                return
            former = self._remembered.pop(key, None)  # another thread built it meanwhile
            if former is not None:
                self._memory_bytes -= former.size
            self._forget_down_to(self._memory_limit - size)
            self._remembered[key] = _Remembered(arrays, size)
            self._memory_bytes += size

    def _forget_down_to(self, size: int) -> None:
        """Drop the entries longest unused until the rest fits; the guard is held."""
        while self._memory_bytes > size:
            _, forgotten = self._remembered.popitem(last=False)
            self._memory_bytes -= forgotten.size
            self._evictions += 1

    # -- disk ---------------------------------------------------------------------------------

    def _read(self, key: CacheKey) -> Arrays | None:
        path = self._folder / file_name(key)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                whole = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
            arrays = decode(key, memoryview(whole))
        except FileNotFoundError:
            return None
        except DataError:
            with self._guard:
                self._damaged += 1
            self._remove(path)
            return None
        except OSError as error:
            self._fail(error)
            return None
        # Its time is that of its last use. Where that cannot be set, it only goes a little sooner.
        with contextlib.suppress(OSError):
            os.utime(path)
        return MappingProxyType(arrays)

    def _write(self, key: CacheKey, arrays: Arrays) -> None:
        pieces = encode(key, arrays)
        size = sum(len(piece) for piece in pieces)
        try:
            if size > self._disk_limit:
                self._remove_down_to(self._disk_limit)
                return
            with self._alone():
                self._evict_down_to(self._disk_limit - size)
                # A torn file is found by its checksum and built again: the disk need not be awaited.
                write_atomically(self._folder / file_name(key), pieces, durable=False)
        except (OSError, SystemFailure) as error:
            self._fail(error)

    def _files(self) -> list[_File]:
        """Return the entries on disk, also half-written ones, the longest unused first."""
        found = []
        # What cannot be listed counts as absent; reading and writing say what is wrong with it.
        with contextlib.suppress(OSError):
            for file in os.scandir(self._folder):
                if is_entry(file.name):
                    with contextlib.suppress(FileNotFoundError):
                        status = file.stat(follow_symlinks=False)
                        found.append(_File(status.st_mtime_ns, status.st_size, Path(file.path)))
        return sorted(found, key=lambda file: file.used_at)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other writer out, of whatever process or thread: the bound holds for all.

        What is half written then was left by a process that died.
        """
        make_folder(self._folder)
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _remove_down_to(self, size: int) -> None:
        if sum(file.size for file in self._files()) > size:
            with self._alone():
                self._evict_down_to(size)

    def _evict_down_to(self, size: int) -> None:
        """Remove the files longest unused until the rest fits; OSError if one cannot be removed.

        A process that has mapped one keeps what it has: only the name goes. No other writer is at
        work.
        """
        files = self._files()
        total = sum(file.size for file in files)
        for file in files:
            if total <= size:
                return
            file.path.unlink(missing_ok=True)
            total -= file.size
            with self._guard:
                self._evictions += 1

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError | SystemFailure) -> None:
        with self._guard:
            self._failures += 1
            first = self._failures == 1
        if first:
            why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            self._warn(f"the cache cannot be used, so the work takes longer: {why}")


def _lock(descriptor: int) -> None:
    """Lock the open file; SystemFailure if another process does not let go of it."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        else:
            return
    raise SystemFailure(
        f"another process has been writing to it for {_LOOKS * _LOOK_SECONDS:g} s",
        "one that is soon done",
        "look for one that was stopped",
    )


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array`` read-only and in C order, with memory of its own.

    A view would keep a larger array alive that nobody counts.
    """
    plain = np.asarray(array, order="C")
    mine = plain if plain.flags.owndata else plain.copy()
    mine.flags.writeable = False
    return mine


def _measured(key: CacheKey, arrays: Arrays) -> int:
    """Return the bytes an entry takes: its numbers, and Python's own around them."""
    around = sys.getsizeof(key) + sys.getsizeof(dict(arrays))
    around += sum(map(sys.getsizeof, (key.kind, key.data, key.schema, key.code)))
    return around + sum(
        sys.getsizeof(array) + (0 if array.flags.owndata else array.nbytes)
        for array in arrays.values()
    )
