"""What the engine keeps for the next start, in the journal: how far it came, symbol by symbol."""

from dataclasses import dataclass, field
from typing import Final

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Milliseconds
from adan_core.trading.journal import Journal

SCHEMA_VERSION: Final = 2
_KEY = "engine"


@dataclass(frozen=True, slots=True)
class EngineCheckpoint:
    """What a restart needs beyond the ledger: the last close seen, and candles held per symbol.

    ``closes`` holds each symbol's own last close, for one may be behind; version 1 had none.
    """

    schema_version: int
    close_time: Milliseconds
    held: dict[str, int]
    closes: dict[str, Milliseconds] = field(default_factory=dict)


def load_checkpoint(journal: Journal) -> EngineCheckpoint | None:
    """Return what the last core kept; None for a new account, SystemFailure if a newer ADAN wrote it."""
    saved = journal.history.load(_KEY, EngineCheckpoint)
    if saved is not None and saved.schema_version > SCHEMA_VERSION:
        raise SystemFailure(
            f"the engine's checkpoint has schema version {saved.schema_version}",
            f"at most {SCHEMA_VERSION}",
            "run the version of ADAN that wrote it",
        )
    return saved


def save_checkpoint(
    journal: Journal,
    close_time: Milliseconds,
    held: dict[str, int],
    closes: dict[str, Milliseconds],
) -> None:
    """Keep how far the engine came; joins the transaction that is going on, if any."""
    journal.history.save(_KEY, EngineCheckpoint(SCHEMA_VERSION, close_time, held, closes))
