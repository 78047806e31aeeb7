"""The kill latch: a small file that keeps ADAN halted until a person re-arms it.

Imports next to nothing, so that ``adan-core halt`` and ``status`` are instant without a core.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from adan_core.domain.errors import SystemFailure
from adan_core.domain.state import KillKind
from adan_core.domain.time import Milliseconds
from adan_core.resilience.files import fsync_folder, write_atomically

LATCH_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class LatchRecord:
    """Who stopped ADAN, when and why; ``kind`` FLATTEN also asks for every position to be closed."""

    schema_version: int
    kind: KillKind
    reason: str
    origin: str
    requested_at: Milliseconds
    latched_at: Milliseconds


class KillLatch:
    """The latch on disk; its presence is the latch, its content only says why."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> LatchRecord | None:
        """Return what latched ADAN, None only if the file does not exist.

        A file that cannot be read, is torn or was written by a newer ADAN counts as latched (HALT).
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._unreadable(str(error.strerror))
        try:
            record = msgspec.json.decode(data, type=LatchRecord)
        except msgspec.DecodeError as error:
            return self._unreadable(str(error))
        if record.schema_version != LATCH_SCHEMA_VERSION:
            return self._unreadable(f"its schema version is {record.schema_version}")
        return record

    def _unreadable(self, why: str) -> LatchRecord:
        reason = f"{self.path} cannot be read as a latch ({why}); taken as latched"
        return LatchRecord(LATCH_SCHEMA_VERSION, KillKind.HALT, reason, "latch file", 0, 0)

    def latch(
        self,
        kind: KillKind,
        reason: str,
        origin: str,
        requested_at: Milliseconds,
        latched_at: Milliseconds,
    ) -> LatchRecord:
        """Put the latch on disk (fsynced) and return the record in force.

        An earlier latch keeps its reason and time; it is only ever strengthened from HALT to
        FLATTEN. Raises SystemFailure if the disk refuses.
        """
        earlier = self.read()
        record = LatchRecord(LATCH_SCHEMA_VERSION, kind, reason, origin, requested_at, latched_at)
        if earlier is not None:
            if earlier.kind is KillKind.FLATTEN or kind is KillKind.HALT:
                return earlier
            record = replace(
                record, reason=f"{reason} (after HALT by {earlier.origin}: {earlier.reason})"
            )
        write_atomically(self.path, msgspec.json.encode(record))
        return record

    def remove(self) -> None:
        """Take the latch off the disk, durably; harmless when there is none."""
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir():
                fsync_folder(self.path.parent)
        except OSError as error:
            raise SystemFailure(
                f"the latch {self.path} cannot be removed: {error.strerror}",
                "a folder this user may change",
            ) from error
