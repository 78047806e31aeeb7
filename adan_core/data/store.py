"""The candle store: Parquet by UTC month, a manifest per data set, whole or absent, hash verified.

A manifest names its partitions, and a partition's file name carries the hash of its bytes, so that
no file is ever changed: a writer puts new partitions beside the old ones, then the new manifest in
the old one's place, then removes what no manifest names. Whoever reads meanwhile, or after a crash
at any instant, sees the old data set or the new one.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from adan_core.data.findings import Finding
from adan_core.data.manifest import (
    SCHEMA_VERSION,
    DatasetInfo,
    check_name,
    dataset_name,
    joined_findings,
    joined_sources,
    parse_manifest,
    schema_version,
)
from adan_core.data.merging import merge
from adan_core.data.months import months
from adan_core.data.partitions import Partition
from adan_core.data.series import CandleSeries, concatenate
from adan_core.data.snapshot import Snapshot
from adan_core.data.store_layout import StoreLayout
from adan_core.data.store_version_1 import read_version_1
from adan_core.data.store_writer import StoreWriter
from adan_core.domain.errors import AlreadyRunning, DataError
from adan_core.domain.time import Milliseconds
from adan_core.resilience.files import ExclusiveLock, exclusive_lock, open_regular

__all__ = ["CandleStore", "DatasetInfo", "check_name", "dataset_name"]

_PATIENCE = 5.0
_PAUSE = 0.01
_Seen = TypeVar("_Seen")


class CandleStore:
    """The data sets in one folder; many may read, one at a time may write.

    A writer waits ``patience`` seconds for another: appending takes milliseconds, so that a
    download and a core that trades can share a store.
    """

    def __init__(self, root: Path, patience: float = _PATIENCE) -> None:
        self.root = root
        self._layout = StoreLayout(root)
        self._writer = StoreWriter(self._layout)
        self._patience = patience

    def names(self) -> tuple[str, ...]:
        """Return the names of the data sets there are, in alphabetical order.

        SystemFailure if their folder cannot be looked into.
        """
        return self._layout.names()

    def info(self, name: str) -> DatasetInfo:
        """Return what data set ``name`` holds, without reading its candles.

        DataError if there is none, if its manifest is damaged or if a newer ADAN wrote it.
        """
        return self._look(name, lambda info, _: info)

    def size_on_disk(self, name: str) -> int:
        """Return the bytes of its files; DataError if one is missing or is not as long as it was."""

        def look(info: DatasetInfo, whole: CandleSeries | None) -> int:
            if whole is not None:
                return sum(path.stat().st_size for path in self._layout.version_1_files(name))
            for partition in info.partitions:
                try:
                    size = (self._layout.folder(name) / partition.file).stat().st_size
                except OSError as error:
                    raise DataError(f"{partition.file} is unreadable ({error.strerror})") from error
                if size != partition.size:
                    raise DataError(f"{partition.file} has {size} bytes, not {partition.size}")
            return sum(partition.size for partition in info.partitions)

        return self._look(name, look)

    def read(
        self, name: str, start: Milliseconds | None = None, end: Milliseconds | None = None
    ) -> CandleSeries:
        """Return the candles of ``name`` that open at or after ``start`` and before ``end``.

        Only the months that hold such candles are opened, and each is checked against its hash
        before it is parsed: DataError if one is damaged, with what to do about it.
        """

        def look(info: DatasetInfo, whole: CandleSeries | None) -> CandleSeries:
            if whole is not None:
                return whole
            with Snapshot(info, self._layout.folder(name), start, end) as snapshot:
                return snapshot.candles()

        return self._look(name, look).between(start, end)

    def chunks(
        self,
        name: str,
        candles: int,
        start: Milliseconds | None = None,
        end: Milliseconds | None = None,
    ) -> Iterator[CandleSeries]:
        """Yield what `read` returns, ``candles`` at a time, the last ones as they come.

        Chunk i is candles i * ``candles`` to (i + 1) * ``candles``, as the data set stood when the
        first was asked for. Memory is needed for two chunks and a month. DataError as `read`;
        ValueError if ``candles`` is not above 0.
        """
        if candles < 1:
            raise ValueError(f"chunks of {candles} candles")
        waiting: list[CandleSeries] = []
        for month in self._months(name, start, end):
            waiting.append(month.between(start, end))
            if sum(map(len, waiting)) < candles:
                continue
            joined = concatenate(waiting)
            rest = len(joined) - len(joined) % candles
            for row in range(0, rest, candles):
                yield joined.slice(row, row + candles)
            waiting = [joined.slice(rest, len(joined))] if rest < len(joined) else []
        if any(map(len, waiting)):
            yield concatenate(waiting)

    def write(
        self,
        name: str,
        series: CandleSeries,
        source: str,
        findings: Sequence[Finding] = (),
        replace: bool = False,
    ) -> DatasetInfo:
        """Store ``series`` under ``name``, whole or not at all, and return its manifest.

        DataError if the series is empty, if there is another data set of that name and ``replace``
        is false, or if another process keeps writing; SystemFailure if the disk refuses. Writing
        what is there already changes nothing but the manifest.
        """
        _check_candles(name, series)
        with self._writing():
            if not replace and self._layout.has_manifest(name):
                old = self.info(name)
                if old.content_hash != series.content_hash:
                    raise DataError(
                        f"there is a data set {name!r} already ({old.rows} candles)",
                        "a new name",
                        "add --name OTHER, or --replace to put this one in its place",
                    )
                _check_alike(old, series)
            return self._writer.put(name, series, source, tuple(findings), _by_month(series))

    def append(
        self, name: str, series: CandleSeries, source: str, findings: Sequence[Finding] = ()
    ) -> DatasetInfo:
        """Add the candles of ``series`` that ``name`` does not have, and return its manifest.

        As `extend`.
        """
        return self.extend(name, series, source, findings)[0]

    def extend(
        self, name: str, series: CandleSeries, source: str, findings: Sequence[Finding] = ()
    ) -> tuple[DatasetInfo, int]:
        """Add the candles of ``series`` that ``name`` lacks; return its manifest and how many those were.

        They may lie before, between or after those that are there; there may be no data set of
        that name yet. Adding what is there already changes no byte of any file, and only the
        months that gain candles are read and written. DataError, and nothing is changed, if a
        candle is there with other values, if symbol, timeframe or origin differ, if the series is
        empty, or if another process keeps writing; SystemFailure if the disk refuses.
        """
        _check_candles(name, series)
        with self._writing():
            if not self._layout.has_manifest(name):
                info = self._writer.put(name, series, source, tuple(findings), _by_month(series))
                return info, info.rows
            info, whole = self._look(name, lambda info, whole: (info, whole))
            _check_alike(info, series)
            pieces: Mapping[str, Partition | CandleSeries]
            if whole is not None:
                pieces = _by_month(merge(whole, series))
            else:
                pieces = self._merged(info, series)
                if all(isinstance(each, Partition) for each in pieces.values()):
                    return info, 0
            extended = self._writer.put(
                name,
                series,
                joined_sources(info.source, source),
                joined_findings(info.findings, tuple(findings)),
                pieces,
            )
            return extended, extended.rows - info.rows

    def remove(self, name: str) -> DatasetInfo | None:
        """Remove data set ``name`` and return what it was, None if its manifest was damaged.

        DataError if there is none, if a newer ADAN wrote it, or if another process keeps writing;
        SystemFailure if the disk refuses.
        """
        self._removable(check_name(name))
        with self._writing():
            info = self._removable(name)
            self._writer.remove(name)
        return info

    def _removable(self, name: str) -> DatasetInfo | None:
        """Return what data set ``name`` is, None if it is damaged; DataError as `remove`."""
        try:
            content = self._content(name)
        except OSError:
            return None
        self._check_age(name, content)
        try:
            return self._described(name, content)[0]
        except DataError:
            return None

    def _look(self, name: str, look: Callable[[DatasetInfo, CandleSeries | None], _Seen]) -> _Seen:
        """Return what ``look`` makes of a data set, asked again if it was replaced meanwhile.

        It is given the manifest, and the candles if they are of schema version 1. DataError from it
        means damage.
        """
        content = self._manifest(check_name(name))
        while True:
            try:
                return look(*self._described(name, content))
            except DataError as error:
                newest = self._manifest(name)
                if newest == content:
                    raise self._damaged(name, error.found) from error
                content = newest

    def _manifest(self, name: str) -> bytes:
        """Return the bytes of a manifest; DataError if there is none or a newer ADAN wrote it."""
        try:
            content = self._content(name)
        except OSError as error:
            raise DataError(
                f"data set {name!r} cannot be used: its manifest is unreadable ({error.strerror})",
                f"a file this user may read: {self._layout.manifest(name)}",
                f"make it readable, or remove it (`adan-core data remove {name}`)",
            ) from error
        self._check_age(name, content)
        return content

    def _content(self, name: str) -> bytes:
        """Return the bytes of a manifest; DataError if there is none, OSError if it is unreadable."""
        if not self._layout.has_manifest(name):
            known = ", ".join(self.names()) or "none yet"
            raise DataError(
                f"no data set {name!r}",
                f"one of: {known}",
                "import a file with `adan-core data import`, or make one with `adan-core data sample`",
            )
        with open_regular(self._layout.manifest(name)) as file:
            return file.read()

    def _check_age(self, name: str, content: bytes) -> None:
        """Refuse (DataError) what a newer ADAN wrote."""
        version = schema_version(content)
        if version is not None and version > SCHEMA_VERSION:
            raise DataError(
                f"data set {name!r} has schema version {version}",
                f"at most {SCHEMA_VERSION}: a newer ADAN wrote it",
                "use that ADAN, or import the data set under another name",
            )

    def _described(self, name: str, content: bytes) -> tuple[DatasetInfo, CandleSeries | None]:
        """Return what a manifest says, and the candles if it is of version 1; DataError if damaged."""
        if schema_version(content) == 1:
            info, whole = read_version_1(self.root, content)
        else:
            info, whole = parse_manifest(content), None
        if info.name != name:
            raise DataError("its manifest belongs to another data set")
        return info, whole

    def _months(
        self, name: str, start: Milliseconds | None, end: Milliseconds | None
    ) -> Iterator[CandleSeries]:
        """Yield the months that hold candles between two instants, each whole."""

        def look(info: DatasetInfo, whole: CandleSeries | None) -> Snapshot | CandleSeries:
            if whole is not None:
                return whole
            return Snapshot(info, self._layout.folder(name), start, end)

        seen = self._look(name, look)
        if isinstance(seen, CandleSeries):
            yield seen
            return
        with seen:
            try:
                yield from seen.months()
            except DataError as error:
                raise self._damaged(name, error.found) from error

    def _merged(
        self, info: DatasetInfo, series: CandleSeries
    ) -> dict[str, Partition | CandleSeries]:
        """Return every month there will be: as it is, or with the candles that are new to it."""
        pieces: dict[str, Partition | CandleSeries] = {each.month: each for each in info.partitions}
        for month, added in _by_month(series).items():
            partition = pieces.get(month, added)
            if isinstance(partition, CandleSeries):
                pieces[month] = added
            elif (partition.content_hash,) != added.month_hashes:
                stored = self.read(info.name, partition.start, partition.end)
                merged = merge(stored, added)
                pieces[month] = partition if merged is stored else merged
        return dict(sorted(pieces.items()))

    def _writing(self) -> ExclusiveLock:
        until = time.monotonic() + self._patience
        while True:
            try:
                return exclusive_lock(self.root / ".lock")
            except AlreadyRunning as error:
                if time.monotonic() >= until:
                    raise DataError(
                        f"another process is writing to {self.root}",
                        "one writer at a time",
                        "try again when it has finished",
                    ) from error
                time.sleep(_PAUSE)

    def _damaged(self, name: str, why: str) -> DataError:
        return DataError(
            f"data set {name!r} cannot be used: {why}",
            "files as the store wrote them",
            f"remove it (`adan-core data remove {name}`) and import it again",
        )


def _by_month(series: CandleSeries) -> dict[str, CandleSeries]:
    return {month: series.slice(start, stop) for month, start, stop in months(series.open_time)}


def _check_candles(name: str, series: CandleSeries) -> None:
    check_name(name)
    if not len(series):
        raise DataError("a data set without candles", "at least one candle")


def _check_alike(info: DatasetInfo, series: CandleSeries) -> None:
    """Refuse (DataError) candles of another market, timeframe or origin than the data set's."""
    stored = _kind(info.symbol, info.timeframe, info.synthetic)
    added = _kind(series.symbol, str(series.timeframe), series.synthetic)
    if stored != added:
        raise DataError(
            f"{added} candles for data set {info.name!r}",
            f"{stored} candles, as it holds",
            "give them a data set of their own",
        )


def _kind(symbol: str, timeframe: str, synthetic: bool) -> str:
    return f"{'SIMULATED ' if synthetic else ''}{symbol} {timeframe}"
