"""Sealed models on their way between machines: one plain tar file, believed in nothing until verified."""

import fcntl
import io
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from adan_core.domain.errors import ModelError
from adan_core.learning.bundle import ServiceModel, load_bundle
from adan_core.resilience.files import open_regular, private_folder, write_atomically
from adan_core.security.sealing import ALLOWED_SUFFIXES, MANIFEST, SIGNATURE, verify

LARGEST_ARCHIVE: Final = 512 * 1024 * 1024
"""Bytes; a model of this program's networks takes less than a hundredth of it."""
MOST_FILES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_REMEDY: Final = "have it exported again with `adan-core models export`"


def export_bundle(folder: Path, target: Path, trusted: Mapping[str, bytes]) -> None:
    """Write the verified bundle in ``folder`` to the file ``target``; ModelError if it does not load.

    The same bundle gives the same bytes: no times, no owners.
    """
    load_bundle(folder, trusted)
    names = (MANIFEST, SIGNATURE, *(file.path for file in verify(folder, trusted).files))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(names):
            data = (folder / name).read_bytes()
            entry = tarfile.TarInfo(f"{folder.name}/{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    write_atomically(target, buffer.getvalue())


def import_bundle(
    source: Path, models: Path, trusted: Mapping[str, bytes], taken: Collection[str] = ()
) -> ServiceModel:
    """Take the model in the file ``source`` in among ``models`` and return it.

    ``taken`` are the names of models that lie elsewhere: two of one name could not be told apart.

    ModelError, and nothing is kept, for anything but one whole sealed bundle of plain files that
    loads: a path out of its folder, a link, a file too large or too many, a format that can run
    code, an altered byte, a signer nobody here trusts, or a name that is taken.
    """
    contents = _read(source)
    folders = {path.parts[0] for path in contents}
    if len(folders) != 1:
        raise ModelError(f"{source} holds {len(folders)} folders", "one sealed model", _REMEDY)
    (name,) = folders
    if not _NAME.fullmatch(name):
        raise ModelError(f"{source} holds a model called {name!r}", "a plain name", _REMEDY)
    target = models / name
    with _alone(private_folder(models)):
        if target.exists() or name in taken:
            raise ModelError(f"a model called {name} is here already", "an id of its own")
        workshop = models / f".{name}.import"
        shutil.rmtree(workshop, ignore_errors=True)  # what a crash may have left
        try:
            for path, data in contents.items():
                write_atomically(workshop / path, data)
            model = load_bundle(workshop / name, trusted)
            (workshop / name).rename(target)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return model


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else takes a model in here: two would clear each other's workshop away."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(source: Path) -> dict[PurePosixPath, bytes]:
    """Return the archive's files; ModelError at the first thing that may not be in one."""
    try:
        with open_regular(source) as stream:
            if os.fstat(stream.fileno()).st_size > LARGEST_ARCHIVE:
                raise ModelError(f"{source} is larger than {LARGEST_ARCHIVE:,} bytes", "a model")
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                return _unpacked(source, archive)
    except OSError as error:
        raise ModelError(
            f"{source}: {error.strerror or error}", "a file of `models export`"
        ) from error
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise ModelError(f"{source} is no tar file ({error})", "a plain one", _REMEDY) from error


def _unpacked(source: Path, archive: tarfile.TarFile) -> dict[PurePosixPath, bytes]:
    contents: dict[PurePosixPath, bytes] = {}
    total = 0
    for entry in archive:
        path = PurePosixPath(entry.name)
        if not entry.isreg():
            raise ModelError(
                f"{source}: {entry.name!r} is a link, a folder or a device", "plain files", _REMEDY
            )
        plain = str(path) == entry.name and _NAME.fullmatch(path.name)
        if path.is_absolute() or ".." in path.parts or len(path.parts) != 2 or not plain:
            raise ModelError(
                f"{source}: {entry.name!r} leads out of the model's folder, or is no plain name",
                "plain names within it",
                _REMEDY,
            )
        if path.name not in {MANIFEST, SIGNATURE} and path.suffix not in ALLOWED_SUFFIXES:
            raise ModelError(
                f"{source}: {entry.name!r} may not be in a sealed model",
                "files ending in " + ", ".join(sorted(ALLOWED_SUFFIXES)),
                _REMEDY,
            )
        total += entry.size
        if total > LARGEST_ARCHIVE or len(contents) >= MOST_FILES or path in contents:
            raise ModelError(
                f"{source} holds more than {MOST_FILES} files, {LARGEST_ARCHIVE:,} bytes or a file twice",
                "one sealed model",
                _REMEDY,
            )
        stream = archive.extractfile(entry)
        data = b"" if stream is None else stream.read(entry.size)
        if len(data) != entry.size:
            raise ModelError(f"{source} is cut off", "a whole file", _REMEDY)
        contents[path] = data
    if not contents:
        raise ModelError(f"{source} is empty", "one sealed model", _REMEDY)
    return contents
