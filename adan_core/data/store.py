"""The candle store: one Parquet file and one sidecar per data set, whole or absent, hash verified.

The sidecar names the Parquet file it belongs to, and that file's name carries the content's hash:
replacing a data set writes the new file, then the new sidecar, then removes the old file. Whoever
reads meanwhile, or after a crash at any instant, sees the old data set or the new one.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adan_core.data.export import to_frame
from adan_core.data.findings import Finding
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import AlreadyRunning, DataError
from adan_core.domain.time import Milliseconds
from adan_core.resilience.files import ExclusiveLock, exclusive_lock, write_atomically

SCHEMA_VERSION = 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A data set's sidecar: what it holds, where it came from, what was found on the way in.

    ``start`` is the first opening and ``end`` the last closing in milliseconds; ``missing`` counts
    the candles absent between them; ``file`` is the Parquet file beside the sidecar and
    ``file_hash`` the BLAKE2b-128 of its bytes.
    """

    schema_version: int
    name: str
    symbol: str
    timeframe: str
    rows: int
    missing: int
    start: Milliseconds
    end: Milliseconds
    synthetic: bool
    source: str
    content_hash: str
    file: str
    file_hash: str
    findings: tuple[Finding, ...]


def dataset_name(symbol: str, timeframe: Timeframe) -> str:
    """Return the name a data set has unless another is given, e.g. ``BTC-USDT-1h``."""
    return f"{symbol.replace('/', '-')}-{timeframe}"


def check_name(name: str) -> str:
    """Return ``name`` if a data set may bear it; DataError otherwise (no path can be smuggled in)."""
    if _NAME.fullmatch(name) is None:
        raise DataError(
            f"data set name {name!r}",
            "1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first",
            "choose a name such as BTC-USDT-1h",
        )
    return name


class CandleStore:
    """The data sets in one folder; many may read, one at a time may write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> tuple[str, ...]:
        """Return the names of the data sets there are, in alphabetical order."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(path.stem for path in self.root.glob("*.json")))

    def info(self, name: str) -> DatasetInfo:
        """Return what data set ``name`` holds, without reading its candles.

        DataError if there is none, if its sidecar is damaged or if a newer ADAN wrote it.
        """
        path = self._sidecar(check_name(name))
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            known = ", ".join(self.names()) or "none yet"
            raise DataError(
                f"no data set {name!r}",
                f"one of: {known}",
                "import a file with `adan-core data import`, or make one with `adan-core data sample`",
            ) from error
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}", "a readable file") from error
        try:
            version = msgspec.json.decode(content, type=_Version).schema_version
            if version <= SCHEMA_VERSION:
                info = msgspec.json.decode(content, type=DatasetInfo)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._damaged(name, f"its sidecar is damaged ({error})") from error
        if version > SCHEMA_VERSION:
            raise DataError(
                f"data set {name!r} has schema version {version}",
                f"at most {SCHEMA_VERSION}: a newer ADAN wrote it",
                "use that ADAN, or import the data set again",
            )
        if info.name != name or Path(info.file).name != info.file:
            raise self._damaged(name, "its sidecar belongs to another data set")
        return info

    def write(
        self,
        name: str,
        series: CandleSeries,
        source: str,
        findings: Sequence[Finding] = (),
        replace: bool = False,
    ) -> DatasetInfo:
        """Store ``series`` under ``name``, whole or not at all, and return its sidecar.

        DataError if the series is empty, if there is another data set of that name and ``replace``
        is false, or if another process is writing; SystemFailure if the disk refuses. Writing what
        is there already changes nothing but the sidecar.
        """
        check_name(name)
        if not len(series):
            raise DataError("a data set without candles", "at least one candle")
        with self._writing():
            old = self.info(name) if self._sidecar(name).exists() and not replace else None
            if old is not None and old.content_hash != series.content_hash:
                raise DataError(
                    f"there is a data set {name!r} already ({old.rows} candles)",
                    "a new name",
                    "add --name OTHER, or --replace to put this one in its place",
                )
            content = _parquet(series)
            duration = series.timeframe.duration
            start = int(series.open_time[0])
            end = int(series.open_time[-1]) + duration
            info = DatasetInfo(
                schema_version=SCHEMA_VERSION,
                name=name,
                symbol=series.symbol,
                timeframe=str(series.timeframe),
                rows=len(series),
                missing=(end - start) // duration - len(series),
                start=start,
                end=end,
                synthetic=series.synthetic,
                source=source,
                content_hash=series.content_hash,
                file=f"{name}.{series.content_hash[:16]}.parquet",
                file_hash=_digest(content),
                findings=tuple(findings),
            )
            write_atomically(self.root / info.file, content)
            write_atomically(self._sidecar(name), msgspec.json.encode(info))
            self._remove_leftovers(name, info.file)
        return info

    def read(
        self, name: str, start: Milliseconds | None = None, end: Milliseconds | None = None
    ) -> CandleSeries:
        """Return the candles of ``name`` that open at or after ``start`` and before ``end``.

        The whole data set is checked against its hash first: DataError if it is damaged, with what
        to do about it.
        """
        info = self.info(name)
        series = self._load(info)
        if start is None and end is None:
            return series
        first = 0 if start is None else series.index_at(start)
        last = len(series) if end is None else series.index_at(end)
        return series.slice(first, max(first, last))

    def _load(self, info: DatasetInfo) -> CandleSeries:
        import polars as pl

        try:
            content = (self.root / info.file).read_bytes()
        except OSError as error:
            raise self._damaged(
                info.name, f"its candles are unreadable ({error.strerror})"
            ) from error
        # Checked before it is parsed: a parser may do worse than complain about damaged bytes.
        if _digest(content) != info.file_hash:
            raise self._damaged(info.name, "its file does not have the hash it was stored with")
        try:
            frame = pl.read_parquet(io.BytesIO(content)).select(
                pl.col("timestamp").dt.timestamp("ms"),
                pl.col("open", "high", "low", "close", "volume").cast(pl.Float64),
            )
            series = CandleSeries(
                info.symbol,
                Timeframe.parse(info.timeframe),
                frame["timestamp"].to_numpy(),
                frame["open"].to_numpy(),
                frame["high"].to_numpy(),
                frame["low"].to_numpy(),
                frame["close"].to_numpy(),
                frame["volume"].to_numpy(),
                info.synthetic,
            )
        except pl.exceptions.PolarsError as error:
            raise self._damaged(info.name, "its file holds no candles") from error
        except DataError as error:
            raise self._damaged(info.name, error.found) from error
        if series.content_hash != info.content_hash or len(series) != info.rows:
            raise self._damaged(info.name, "its candles do not have the hash they were stored with")
        return series

    def _writing(self) -> ExclusiveLock:
        try:
            return exclusive_lock(self.root / ".lock")
        except AlreadyRunning as error:
            raise DataError(
                f"another process is writing to {self.root}",
                "one writer at a time",
                "try again when it has finished",
            ) from error

    def _remove_leftovers(self, name: str, kept: str) -> None:
        """Remove Parquet files of ``name`` that no sidecar names: replaced, or left by a crash."""
        leftover = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.parquet")
        for path in self.root.glob("*.parquet"):
            if leftover.fullmatch(path.name) and path.name != kept:
                path.unlink(missing_ok=True)

    def _sidecar(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def _damaged(self, name: str, why: str) -> DataError:
        return DataError(
            f"data set {name!r} cannot be used: {why}",
            "files as the store wrote them",
            f"remove {self._sidecar(name)} and import the data set again",
        )


@dataclass(frozen=True, slots=True)
class _Version:
    schema_version: int


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _parquet(series: CandleSeries) -> bytes:
    content = io.BytesIO()
    to_frame(series).write_parquet(
        content, compression="zstd", metadata={"schema_version": str(SCHEMA_VERSION)}
    )
    return content.getvalue()
