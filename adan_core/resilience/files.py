"""Files that are whole or absent, folders nobody else reads, and locks that die with their process."""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from adan_core.domain.errors import AlreadyRunning, SecurityError, SystemFailure

_LOCK_SCHEMA_VERSION = 1
# A process that looks may lose the processor while it holds the lock: outlast it for a second.
_LOOKERS_OUTLASTED = 500
_LOOKER_SECONDS = 0.002


def make_folder(path: Path) -> Path:
    """Make ``path`` and its missing parents, readable by this user alone (0700), and return it.

    Folders that exist are left as they are. Raises SystemFailure if one cannot be made.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SystemFailure(
            f"folder {path}: {error.strerror}",
            "a folder ADAN may create and write",
            "free the path, or point ADAN_HOME at a folder of your own",
        ) from error
    return path


def private_folder(path: Path) -> Path:
    """Make ``path`` as ``make_folder`` does and return it, if nobody else can put things there.

    Raises SecurityError if it or a folder above belongs to another user (but root), or can be
    written by others (a sticky folder above, such as the one for temporary files, is fine).
    """
    make_folder(path)
    user = os.getuid()
    for folder in (path, *path.parents):
        status = folder.stat()
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        excused = folder != path and (status.st_mode & stat.S_ISVTX or not shared & stat.S_IWOTH)
        if status.st_uid not in {0, user} or (shared and not excused):
            raise SecurityError(
                f"folder {folder} has owner {status.st_uid} and mode {stat.filemode(status.st_mode)}",
                "a folder of this user that nobody else can write",
                f"`chmod 700 {folder}`, or choose another home with --home",
            )
    return path


def write_atomically(
    path: Path,
    data: bytes | Sequence[bytes | memoryview],
    mode: int = 0o600,
    *,
    durable: bool = True,
) -> None:
    """Put ``data`` at ``path`` so that a reader or a crash sees the old file or the new one, whole.

    Writes a temporary file beside it, fsyncs, renames, fsyncs the folder; missing folders are made
    0700. ``data`` may come in pieces. Not ``durable``, nothing is fsynced: after a power cut the
    file may be torn, which only a reader that checks for it can live with. Raises SystemFailure if
    the disk refuses (the old file then still stands).
    """
    with whole_or_absent(path, mode, durable=durable) as file:
        file.writelines((data,) if isinstance(data, bytes) else data)


@contextmanager
def whole_or_absent(path: Path, mode: int = 0o600, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give a file to write that takes ``path``'s place when the context ends without an error.

    For what is written piece by piece; otherwise as `write_atomically`.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    placed = False
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            os.fchmod(descriptor, mode)
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                yield file
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
        placed = True
        if durable:
            fsync_folder(path.parent)
    except OSError as error:
        raise SystemFailure(
            f"{path} could not be written: {error.strerror or error}", *_what_helps(error.errno)
        ) from error
    finally:
        if not placed:
            with suppress(OSError):  # a disk that refused before may refuse this, too
                temporary.unlink(missing_ok=True)


def _what_helps(number: int | None) -> tuple[str, str]:
    """Return what is expected and what to do where the system refused to write with that errno."""
    if number in {errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT}:
        return "a path where a file can be", "name another file"
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "a place this user may write", "name another place, or let this user write there"
    return (
        "a disk with room that keeps what it is given",
        "free space or check the disk, then try again",
    )


def open_regular(path: Path) -> BinaryIO:
    """Return the file at ``path``, opened to be read; OSError if it is anything but a plain file.

    Something else may never answer: a pipe into which nobody writes is not waited for.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return path.open("rb")


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` survive a power cut; OSError if the disk refuses."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ExclusiveLock:
    """A held lock file; released by ``release``, by leaving the context, or by the process's death."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let the next process in; releasing twice is harmless."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def exclusive_lock(path: Path) -> ExclusiveLock:
    """Take the lock file at ``path`` for this process, without waiting.

    Raises AlreadyRunning, naming the process that holds it, and SystemFailure if the file cannot
    be opened. The lock file itself stays: deleting it would let two processes hold "the" lock.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SystemFailure(
            f"lock file {path}: {error.strerror}", "a file this user owns"
        ) from error
    for _ in range(_LOOKERS_OUTLASTED):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = lock_holder(path)
            if pid is not None:
                break
            time.sleep(_LOOKER_SECONDS)  # a process that only looks has it for an instant
            continue
        record = {"schema_version": _LOCK_SCHEMA_VERSION, "pid": os.getpid()}
        with suppress(
            OSError
        ):  # a full disk has no room for who, but the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(record).encode(), 0)
        return ExclusiveLock(path, descriptor)
    os.close(descriptor)
    raise AlreadyRunning(
        f"{path} is held by " + (f"process {pid}" if pid else "another process"),
        "one running core per home folder",
        "stop that core, or give this one a home of its own with --home",
    )


def lock_holder(path: Path) -> int | None:
    """Return the process id that holds the lock file at ``path``; None if nobody does.

    0 stands for a holder that has not written its id yet.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(descriptor, 256)
        else:
            return None
    finally:
        os.close(descriptor)
    return int(json.loads(text)["pid"]) if text else 0
