"""The order in which the store's files change: at every instant there is one data set or the other."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from adan_core.data.findings import Finding
from adan_core.data.manifest import DatasetInfo, describe_partitions, encode_manifest
from adan_core.data.partitions import Partition, encode
from adan_core.data.series import CandleSeries
from adan_core.data.store_layout import StoreLayout
from adan_core.domain.errors import SystemFailure
from adan_core.resilience.files import fsync_folder, make_folder, open_regular, write_atomically


class StoreWriter:
    """Puts data sets into a store, and takes them out; for whoever holds the store's lock."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def put(
        self,
        name: str,
        series: CandleSeries,
        source: str,
        findings: tuple[Finding, ...],
        pieces: Mapping[str, Partition | CandleSeries],
    ) -> DatasetInfo:
        """Make ``pieces``, by month, the data set ``name``; ``series`` says of what market.

        New partitions first, then the manifest, which is the instant it happens, then what nobody
        names any more is removed. SystemFailure if the disk refuses.
        """
        manifest = self._layout.manifest(name)
        before = _bytes_of(manifest)
        written: list[Path] = []
        done = False
        try:
            partitions = tuple(
                self._put_month(name, month, piece, written)
                if isinstance(piece, CandleSeries)
                else piece
                for month, piece in pieces.items()
            )
            info = describe_partitions(
                name,
                series.symbol,
                series.timeframe,
                series.synthetic,
                source,
                findings,
                partitions,
            )
            write_atomically(manifest, encode_manifest(info))
            done = True
        finally:
            # A manifest that is in place, but not sure to outlive a power cut, keeps both.
            if not done and _bytes_of(manifest) == before:
                with suppress(OSError):
                    for path in written:
                        path.unlink(missing_ok=True)
        self._layout.remove_leftovers(name, frozenset(each.file for each in partitions))
        return info

    def remove(self, name: str) -> None:
        """Remove a data set: its manifest, then its partitions. SystemFailure if the disk refuses.

        What stands in the manifest's place goes, too, but no folder with something in it.
        """
        manifest = self._layout.manifest(name)
        try:
            if manifest.is_dir() and not manifest.is_symlink():
                manifest.rmdir()
            else:
                manifest.unlink()
        except OSError as error:
            raise SystemFailure(
                f"{manifest} could not be removed: {error.strerror}",
                "a folder this user may write",
            ) from error
        self._sync()
        self._layout.remove_leftovers(name, frozenset())

    def _put_month(
        self, name: str, month: str, series: CandleSeries, written: list[Path]
    ) -> Partition:
        """Write a partition's file, unless it is there; what is new is added to ``written``."""
        partition, data = encode(month, series)
        folder = self._layout.folder(name)
        if not folder.exists():
            make_folder(folder)
            self._sync()
        path = folder / partition.file
        there = _bytes_of(path)
        if there != data:
            write_atomically(path, data)
        if there is None:
            written.append(path)
        return partition

    def _sync(self) -> None:
        try:
            fsync_folder(self._layout.root)
        except OSError as error:
            raise SystemFailure(
                f"{self._layout.root} could not be synced: {error.strerror}",
                "a disk that keeps what it is given",
            ) from error


def _bytes_of(path: Path) -> bytes | None:
    """Return what a file holds, None if there is none that can be read."""
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError:
        return None
