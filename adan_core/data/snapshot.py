"""A data set as it stood at one instant, for as long as a reader needs."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from adan_core.data.manifest import DatasetInfo
from adan_core.data.partitions import Partition, decode
from adan_core.data.series import CandleSeries
from adan_core.domain.candles import Timeframe
from adan_core.domain.errors import DataError
from adan_core.domain.time import Milliseconds
from adan_core.resilience.files import open_regular


class Snapshot:
    """The months of a data set that hold candles between two instants, their files held open.

    A writer may replace and remove files meanwhile: those held open stay what they were. Nothing
    is read before it is asked for. DataError, here and when reading, says what is damaged.
    """

    def __init__(
        self,
        info: DatasetInfo,
        folder: Path,
        start: Milliseconds | None = None,
        end: Milliseconds | None = None,
    ) -> None:
        self.info = info
        self._timeframe = Timeframe.parse(info.timeframe)
        self._files: list[tuple[Partition, BinaryIO]] = []
        with ExitStack() as opening:
            for partition in self._between(start, end):
                try:
                    file = opening.enter_context(open_regular(folder / partition.file))
                except OSError as error:
                    raise DataError(f"{partition.file} is unreadable ({error.strerror})") from error
                self._files.append((partition, file))
            self._open = opening.pop_all()

    def candles(self) -> CandleSeries:
        """Return all candles of these months as one series."""
        return self._decode(self._files)

    def months(self) -> Iterator[CandleSeries]:
        """Yield the candles month by month; no more than one is in memory on this account."""
        for each in self._files:
            yield self._decode([each])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def _between(self, start: Milliseconds | None, end: Milliseconds | None) -> Iterator[Partition]:
        for partition in self.info.partitions:
            last = partition.end - self._timeframe.duration
            if (start is None or last >= start) and (end is None or partition.start < end):
                yield partition

    def _decode(self, files: Sequence[tuple[Partition, BinaryIO]]) -> CandleSeries:
        return decode(self.info.symbol, self._timeframe, self.info.synthetic, files)
