"""The states of the engine and of the kill switch."""

from dataclasses import dataclass
from enum import StrEnum

from adan_core.domain.time import Milliseconds


class Mode(StrEnum):
    """Whose money and whose market."""

    PAPER = "PAPER"
    REPLAY = "REPLAY"
    LIVE = "LIVE"


class EngineState(StrEnum):
    """What the engine is doing; the kill latch is a fact apart from it."""

    IDLE = "IDLE"
    WARMING = "WARMING"
    RECONCILING = "RECONCILING"
    RUNNING = "RUNNING"
    REDUCING = "REDUCING"
    HALTED = "HALTED"
    SAFE_MODE = "SAFE_MODE"


class KillKind(StrEnum):
    """HALT stops entries and leaves protection; FLATTEN closes everything, too."""

    HALT = "HALT"
    FLATTEN = "FLATTEN"


class KillPhase(StrEnum):
    """How far a kill has come; CONFIRMED only after the exchange was read back."""

    ARMED = "armed"
    REQUESTED = "requested"
    LATCHED = "latched"
    CANCELLING = "cancelling"
    RETRYING = "retrying"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class KillReport:
    """What the kill switch has done and what the exchange, read back, said.

    Instants are wall-clock milliseconds, None where not reached. ``phase`` ARMED means no kill is
    in force and trading is allowed.
    """

    phase: KillPhase
    kind: KillKind | None = None
    reason: str = ""
    origin: str = ""
    requested_at: Milliseconds | None = None
    latched_at: Milliseconds | None = None
    confirmed_at: Milliseconds | None = None
    attempts: int = 0
    entries_left: int | None = None
    protection_standing: int | None = None
    positions_left: int | None = None
    detail: str = ""
