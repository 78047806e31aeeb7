"""A log file that is cut at a size, compressed, and kept within a budget."""

import fcntl
import gzip
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Clock, iso
from adan_core.resilience.files import make_folder

PART_BYTES = 16 * 1024 * 1024
"""A log file larger than this is put away."""
TOTAL_BYTES = 1_000_000_000
"""What the log and its archives may take together (requirement 7 of the design)."""


class LogFile:
    """Appends lines to one file, several processes at once, and puts full files away.

    A full file is renamed to ``<stem>-<UTC time>-<n>.jsonl`` and compressed by a thread of its
    own; the oldest archives are deleted beyond the budget. A line the disk does not take is
    counted in ``lost``, never raised: logging must not stop what it tells of.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        part_bytes: int = PART_BYTES,
        total_bytes: int = TOTAL_BYTES,
    ) -> None:
        self.lost = 0
        self.last_error = ""
        self._path = path
        self._clock = clock
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._guard = threading.Lock()
        self._descriptor: int | None = None
        self._inode = -1
        self._tidying: list[threading.Thread] = []

    def append(self, line: bytes) -> bool:
        """Write ``line`` and a newline in one call of the operating system; False if it was lost."""
        with self._guard:
            try:
                descriptor = self._locked()
                try:
                    _write_whole(descriptor, line + b"\n")
                    full = os.fstat(descriptor).st_size > self._part_bytes
                finally:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                if full:
                    self._put_away()
            except (OSError, SystemFailure) as error:
                self.lost += 1
                self.last_error = str(error)
                return False
            return True

    def tidy(self) -> None:
        """Compress what a crash left uncompressed and delete what is beyond the budget."""
        with self._alone():
            for part in self._parts():
                if part.suffix != ".gz":
                    _compress(part)
            self._keep_budget()

    def close(self) -> None:
        """Close the file and wait until its archives are compressed."""
        with self._guard:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
                self._inode = -1
            tidying, self._tidying = self._tidying, []
        for thread in tidying:
            thread.join()

    def _locked(self) -> int:
        """Return the open file, locked against being compressed while a line goes into it."""
        while True:
            descriptor = self._reopened_if_moved()
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if self._is_current():
                return descriptor
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # another process put it away just now

    def _is_current(self) -> bool:
        """Return whether the open file is still the one at the path."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _reopened_if_moved(self) -> int:
        """Return the open file, opened anew if another process has put the old one away."""
        if self._descriptor is not None:
            if self._is_current():
                return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        make_folder(self._path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        self._inode = os.fstat(self._descriptor).st_ino
        return self._descriptor

    def _put_away(self) -> None:
        """Rename the full file, unless another process just did, and have it compressed."""
        with self._alone():
            if self._is_current():
                self._path.rename(self._free_name())
        # One at work may have listed its files already, so each file put away starts its own.
        thread = threading.Thread(target=self._tidy_in_thread, name="log archive")
        thread.start()
        self._tidying = [*(one for one in self._tidying if one.is_alive()), thread]

    def _tidy_in_thread(self) -> None:
        try:
            self.tidy()
        except (OSError, SystemFailure) as error:
            self.last_error = str(error)

    def _free_name(self) -> Path:
        time = iso(self._clock.now()).replace(":", "")
        number = 1
        while True:
            name = f"{self._path.stem}-{time}-{number:03d}{self._path.suffix}"
            candidate = self._path.with_name(name)
            if not candidate.exists() and not candidate.with_name(name + ".gz").exists():
                return candidate
            number += 1

    def _parts(self) -> list[Path]:
        """Return the files put away, oldest first."""
        pattern = f"{self._path.stem}-*{self._path.suffix}"
        found = [*self._path.parent.glob(pattern), *self._path.parent.glob(pattern + ".gz")]
        return sorted(found, key=lambda part: part.name.removesuffix(".gz"))

    def _keep_budget(self) -> None:
        parts = self._parts()
        sizes = [part.stat().st_size for part in parts]
        total = sum(sizes) + self._part_bytes
        for part, size in zip(parts, sizes, strict=True):
            if total <= self._total_bytes:
                return
            part.unlink()
            total -= size

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from putting files away meanwhile."""
        make_folder(self._path.parent)
        lock = self._path.with_name(f".{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError("the disk took only part of a line")


def _compress(part: Path) -> None:
    """Replace ``part`` by its gzip file; a crash in between leaves ``part`` as it was."""
    target = part.with_name(part.name + ".gz")
    temporary = part.with_name(f".{target.name}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as sink, part.open("rb") as source:
        fcntl.flock(source, fcntl.LOCK_EX)  # waits for writers that are inside a line
        with gzip.GzipFile(filename=part.name, mode="wb", fileobj=sink, compresslevel=6) as packed:
            shutil.copyfileobj(source, packed, 1 << 20)
        sink.flush()
        os.fsync(sink.fileno())
    temporary.rename(target)
    part.unlink()
