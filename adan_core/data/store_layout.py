"""Where the store keeps what: a manifest beside a folder of partitions; and what crashes left there."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adan_core.data.manifest import is_name
from adan_core.domain.errors import SystemFailure

_ENDING = ".candles"
_PARTITION = r"\d{4}-\d{2}\.[0-9a-f]{16}\.parquet"
_UNFINISHED = r"\.[0-9]+\.[0-9a-f]{8}"
_IN_FOLDER = re.compile(rf"{_PARTITION}|\.{_PARTITION}{_UNFINISHED}")


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The files under ``root``: ``NAME.json``, and ``NAME.candles/MONTH.HASH.parquet``.

    No name makes the two kinds meet: the one ends in ``.json``, the other in ``.candles``.
    """

    root: Path

    def manifest(self, name: str) -> Path:
        """Return the manifest of data set ``name``."""
        return self.root / f"{name}.json"

    def has_manifest(self, name: str) -> bool:
        """Return whether something has its name; a link to nothing has, it may be unplugged."""
        return os.path.lexists(self.manifest(name))

    def folder(self, name: str) -> Path:
        """Return the folder of its partitions."""
        return self.root / f"{name}{_ENDING}"

    def names(self) -> tuple[str, ...]:
        """Return the names of the data sets there are, in alphabetical order.

        SystemFailure if the folder is there and cannot be looked into: that is not an empty one.
        """
        try:
            paths = tuple(self.root.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise SystemFailure(
                f"{self.root}: {error.strerror}", "a folder this user may read"
            ) from error
        manifests = (path.stem for path in paths if path.suffix == ".json")
        return tuple(sorted(name for name in manifests if is_name(name)))

    def remove_leftovers(self, name: str, kept: frozenset[str]) -> None:
        """Remove what no manifest names: replaced by ``name``'s, or left by a writer that died.

        ``kept`` are the partitions of ``name``. Only a writer that holds the store may ask for it.
        """
        # What cannot be removed now is in nobody's way, and the next writer tries again.
        with suppress(OSError):
            _unlink_each(self._leftovers(name, kept))
        for other in self._abandoned():
            with suppress(OSError):
                _unlink_each(self._partitions(other))
                self.folder(other).rmdir()

    def version_1_files(self, name: str) -> tuple[Path, ...]:
        """Return the files of candles that ``name`` has in the form of schema version 1."""
        own = re.compile(rf"{re.escape(name)}\.[0-9a-f]{{16}}\.parquet")
        return tuple(path for path in self.root.iterdir() if own.fullmatch(path.name))

    def _leftovers(self, name: str, kept: frozenset[str]) -> Iterator[Path]:
        yield from (path for path in self._partitions(name) if path.name not in kept)
        yield from self.version_1_files(name)
        unfinished = re.compile(
            rf"\.{re.escape(name)}\.([0-9a-f]{{16}}\.parquet|json){_UNFINISHED}"
        )
        yield from (path for path in self.root.iterdir() if unfinished.fullmatch(path.name))

    def _abandoned(self) -> tuple[str, ...]:
        """Return the names of folders without a manifest: never finished, or half removed."""
        names = [path.name.removesuffix(_ENDING) for path in self.root.glob(f"*{_ENDING}")]
        return tuple(name for name in names if not self.has_manifest(name))

    def _partitions(self, name: str) -> Iterator[Path]:
        folder = self.folder(name)
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if _IN_FOLDER.fullmatch(path.name))


def _unlink_each(paths: Iterable[Path]) -> None:
    for path in tuple(paths):
        with suppress(OSError):
            path.unlink(missing_ok=True)
