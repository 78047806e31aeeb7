"""What the watch over the model in service keeps for the next start, in the account's journal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Milliseconds
from adan_core.trading.checkpoint import StoredArray
from adan_core.trading.journal import Journal

WATCH_SCHEMA_VERSION: Final = 1
_KEY: Final = "watch"


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    """One model's accounts: whose, since when, the log-return both sides are compared from."""

    digest: str
    since: Milliseconds
    base: float
    arrays: dict[str, StoredArray]


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """Both sides, the drift, and how far they came.

    ``below`` counts the candles in a row under the floor. While ``closing``, what a model that left
    service holds is being closed, and nobody else decides.
    """

    schema_version: int
    champion: ShadowRecord | None
    challenger: ShadowRecord | None
    drift: dict[str, StoredArray]
    last_close: Milliseconds
    below: int
    closing: bool


def load_record(journal: Journal) -> WatchRecord | None:
    """Return what was kept; None for a new account, SystemFailure if a newer ADAN wrote it."""
    kept = journal.history.load(_KEY, WatchRecord)
    if kept is not None and kept.schema_version > WATCH_SCHEMA_VERSION:
        raise SystemFailure(
            f"the watch's record has schema version {kept.schema_version}",
            f"at most {WATCH_SCHEMA_VERSION}",
            "run the version of ADAN that wrote it",
        )
    return kept


def save_record(journal: Journal, record: WatchRecord) -> None:
    """Keep ``record``; joins the transaction that is going on, if any."""
    journal.history.save(_KEY, record)


def stored(arrays: Mapping[str, NDArray[Any]]) -> dict[str, StoredArray]:
    """Return arrays as they are kept."""
    return {name: StoredArray.of(array) for name, array in arrays.items()}


def arrays_of(kept: Mapping[str, StoredArray]) -> dict[str, NDArray[Any]]:
    """Return kept arrays as they were."""
    return {name: array.array() for name, array in kept.items()}
