"""What the engine keeps for the next start, in the journal: how far it came, symbol by symbol."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Milliseconds
from adan_core.trading.journal import Journal

SCHEMA_VERSION: Final = 3
_KEY = "engine"


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array as text and bytes: ``dtype`` as numpy names it, ``data`` in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> "StoredArray":
        """Store ``array``."""
        return cls(array.dtype.str, array.shape, array.tobytes())

    def array(self) -> NDArray[Any]:
        """Return what was stored, writable; SystemFailure if it is damaged."""
        try:
            return np.frombuffer(self.data, dtype=self.dtype).reshape(self.shape).copy()
        except (TypeError, ValueError) as error:
            raise SystemFailure(
                f"a damaged array in the engine's checkpoint: {error}", "bytes of its shape"
            ) from error


@dataclass(frozen=True, slots=True)
class EngineCheckpoint:
    """What a restart needs beyond the ledger: the last close seen, and candles held per symbol.

    ``closes`` holds each symbol's own last close, for one may be behind; version 1 had none.
    ``policy`` is what the policy of the model ``policy_of`` remembers, ``behaviour`` what the
    behaviour engine gave in each symbol; versions 1 and 2 had neither.
    """

    schema_version: int
    close_time: Milliseconds
    held: dict[str, int]
    closes: dict[str, Milliseconds] = field(default_factory=dict)
    policy_of: str = ""
    policy: dict[str, StoredArray] = field(default_factory=dict)
    behaviour: dict[str, StoredArray] = field(default_factory=dict)

    def policy_memory(self) -> dict[str, NDArray[Any]]:
        """Return what the policy left, as the arrays that it left."""
        return {name: stored.array() for name, stored in self.policy.items()}

    def behaviour_memory(self) -> dict[str, NDArray[Any]]:
        """Return what the behaviour engine left, as the arrays that it left."""
        return {symbol: stored.array() for symbol, stored in self.behaviour.items()}


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
    policy_of: str,
    policy: dict[str, NDArray[Any]],
    behaviour: dict[str, NDArray[Any]],
) -> None:
    """Keep how far the engine came; joins the transaction that is going on, if any."""
    checkpoint = EngineCheckpoint(
        SCHEMA_VERSION,
        close_time,
        held,
        closes,
        policy_of,
        {name: StoredArray.of(array) for name, array in policy.items()},
        {symbol: StoredArray.of(array) for symbol, array in behaviour.items()},
    )
    journal.history.save(_KEY, checkpoint)
