"""What became of each model: candidate, paper, live, retired, and who said so, when and why.

The bundles never change; their states are lines of one file beside them, each naming the hash of
the line before. A line that raises a model is signed with the operator's key. One that lowers it
need not be, so that a core can take a model out of service by itself; nor need one that puts a
model back where a signed line had put it before.
"""

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from adan_core.domain.errors import ModelError, SecurityError, SystemFailure
from adan_core.domain.time import Clock, Milliseconds
from adan_core.learning.gates import Gate
from adan_core.resilience.files import private_folder, write_atomically
from adan_core.security.authorization import current_user
from adan_core.security.signed_record import read_record, sign_record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIFECYCLE_SCHEMA_VERSION: Final = 1
_KIND: Final = "step of a model's life"
_FIRST_PREVIOUS: Final = "0" * 64
_REMEDY: Final = "compare it with the audit trail; a copy from before can be put back"


class ModelState(StrEnum):
    """How far a model is trusted."""

    CANDIDATE = "candidate"
    PAPER = "paper"
    LIVE = "live"
    RETIRED = "retired"


class Cause(StrEnum):
    """What a change of state came from."""

    PROMOTED = "promoted"
    SUCCEEDED = "succeeded by another"
    DEMOTED = "demoted"
    ROLLED_BACK = "rolled back"
    RESTORED = "restored"


_TRUST: Final = {
    ModelState.RETIRED: 0,
    ModelState.CANDIDATE: 0,
    ModelState.PAPER: 1,
    ModelState.LIVE: 2,
}
IN_SERVICE: Final = frozenset({ModelState.PAPER, ModelState.LIVE})


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one model's state.

    ``model_digest`` names the bundle's content, ``market`` the state and kind of candles it reads;
    ``gates`` are the figures it was let through with (none where it was lowered).
    """

    schema_version: int
    number: int
    previous: str
    time: Milliseconds
    user: str
    model_id: str
    model_digest: str
    market: str
    before: ModelState
    after: ModelState
    cause: Cause
    why: str
    gates: tuple[Gate, ...]


class Lifecycle:
    """The states of all models of one home; ``trusted`` are the keys that may have signed a step.

    ``shipped`` maps ids of shipped models to their digests: those begin on paper.
    """

    def __init__(
        self, path: Path, trusted: Mapping[str, bytes], shipped: Mapping[str, str], clock: Clock
    ) -> None:
        self._path = path
        self._trusted = trusted
        self._shipped = shipped
        self._clock = clock
        self._thread = threading.RLock()
        self._nested = False

    def steps(self) -> tuple[Step, ...]:
        """Return every step, the oldest first; SecurityError where the chain or a signature breaks."""
        return tuple(step for step, _ in self._read())

    def state(self, model_id: str, digest: str) -> ModelState:
        """Return the state of the model of that very content."""
        return self._states(self.steps()).get((model_id, digest), self._initial(model_id, digest))

    def last_known(self, model_id: str) -> ModelState:
        """Return the state last recorded under a name, whatever the content; candidate if none was."""
        states = [step.after for step in self.steps() if step.model_id == model_id]
        return states[-1] if states else ModelState.CANDIDATE

    def history(self, model_id: str, digest: str) -> tuple[Step, ...]:
        """Return the steps of one model, the oldest first."""
        return tuple(
            step
            for step in self.steps()
            if (step.model_id, step.model_digest) == (model_id, digest)
        )

    def earned(self, model_id: str, digest: str) -> bool:
        """Whether a signed step, or being shipped, has put the model into service before."""
        return self._earned(self._read()).get((model_id, digest), 0) > 0

    def record(
        self,
        model_id: str,
        digest: str,
        market: str,
        after: ModelState,
        cause: Cause,
        why: str,
        gates: tuple[Gate, ...] = (),
        key: "Ed25519PrivateKey | None" = None,
    ) -> Step:
        """Put a model into another state, on disk before this returns.

        SecurityError for a rise without a key to a state that no signed step ever gave it;
        ModelError if it is in that state already.
        """
        with self.alone():
            read = self._read()
            last = read[-1][1] if read else b""
            before = self._states(step for step, _ in read).get(
                (model_id, digest), self._initial(model_id, digest)
            )
            if before is after:
                raise ModelError(f"model {model_id} is {before} already", "another state")
            step = Step(
                schema_version=LIFECYCLE_SCHEMA_VERSION,
                number=len(read) + 1,
                previous=hashlib.sha256(last).hexdigest() if last else _FIRST_PREVIOUS,
                time=self._clock.now(),
                user=current_user(),
                model_id=model_id,
                model_digest=digest,
                market=market,
                before=before,
                after=after,
                cause=cause,
                why=why,
                gates=gates,
            )
            line = _line(step, key)
            self._check(step, signed=key is not None, earned=self._earned(read))
            write_atomically(self._path, [*(data for _, data in read), line])
            # After the line: a crash between the two leaves a head that lags, which is no break.
            head = {"number": step.number, "sha256": hashlib.sha256(line).hexdigest()}
            write_atomically(self._head, json.dumps(head).encode() + b"\n")
        return step

    @property
    def _head(self) -> Path:
        """Where the newest line's number and hash are kept: lines cut off at the end are missed."""
        return self._path.with_name(self._path.name + ".head")

    def _read(self) -> list[tuple[Step, bytes]]:
        # The head first: what is written meanwhile makes the lines more, never fewer than it says.
        head, data = _bytes_of(self._head), _bytes_of(self._path)
        read: list[tuple[Step, bytes]] = []
        earned: dict[tuple[str, str], int] = self._earned([])
        previous = _FIRST_PREVIOUS
        for number, line in enumerate(data.splitlines(keepends=True), start=1):
            step, signed = self._parse(line, number)
            if (step.number, step.previous) != (number, previous):
                raise SecurityError(
                    f"{self._path}, line {number}: a line before it was altered, added or removed",
                    "an unbroken chain",
                    _REMEDY,
                )
            self._check(step, signed=signed, earned=earned)
            if signed:
                _note(earned, step)
            read.append((step, line))
            previous = hashlib.sha256(line).hexdigest()
        self._require(head, [hashlib.sha256(line).hexdigest() for _, line in read])
        return read

    def _require(self, head: bytes, hashes: list[str]) -> None:
        """Raise SecurityError unless the newest line that is on record is there."""
        if not head and len(hashes) < 2:
            return  # a crash may have kept it from being written after the first line
        head = head or _bytes_of(self._head)  # there since before the second line was
        if not head:
            raise SecurityError(
                f"{self._path} with {len(hashes)} lines, and no {self._head.name}",
                "the file that says which line is the newest",
                _REMEDY,
            )
        try:
            fields = json.loads(head)
            number, newest = int(fields["number"]), str(fields["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise SecurityError(
                f"{self._head} is no head of a chain: {error}", "", _REMEDY
            ) from error
        if hashes[number - 1 : number] != [newest]:
            raise SecurityError(
                f"{self._path} with {len(hashes)} lines",
                f"line {number}, the newest on record: lines at the end were cut off or replaced",
                _REMEDY,
            )

    def _parse(self, line: bytes, number: int) -> tuple[Step, bool]:
        name = f"{self._path}, line {number}"
        try:
            fields = json.loads(line)
            signed = bool(fields.get("signature"))
            record = fields["record"]
            if signed:
                record, _ = read_record(line, _KIND, self._trusted, name)
            step = msgspec.convert(record, Step)
        except (ValueError, KeyError, AttributeError, msgspec.ValidationError) as error:
            raise SecurityError(f"{name} is no {_KIND}: {error}", "", _REMEDY) from error
        if step.schema_version != LIFECYCLE_SCHEMA_VERSION:
            raise SecurityError(
                f"{name} has schema version {step.schema_version}",
                str(LIFECYCLE_SCHEMA_VERSION),
                "use the ADAN that wrote it",
            )
        return step, signed

    def _check(self, step: Step, *, signed: bool, earned: Mapping[tuple[str, str], int]) -> None:
        """Refuse a rise that nobody signed."""
        raised = _TRUST[step.after]
        if not signed and raised > earned.get((step.model_id, step.model_digest), 0):
            raise SecurityError(
                f"model {step.model_id} raised to {step.after} without a signature",
                "the operator's",
                "promote it with `adan-core models promote`",
            )

    def _earned(self, read: list[tuple[Step, bytes]]) -> dict[tuple[str, str], int]:
        """Return the highest trust that a signed step, or being shipped, gave each model."""
        earned = dict.fromkeys(self._shipped.items(), _TRUST[ModelState.PAPER])
        for step, line in read:
            if json.loads(line).get("signature"):
                _note(earned, step)
        return earned

    def _initial(self, model_id: str, digest: str) -> ModelState:
        shipped = self._shipped.get(model_id) == digest
        return ModelState.PAPER if shipped else ModelState.CANDIDATE

    @staticmethod
    def _states(
        steps: "tuple[Step, ...] | Iterator[Step]",
    ) -> dict[tuple[str, str], ModelState]:
        return {(step.model_id, step.model_digest): step.after for step in steps}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from changing a state between a read and the writes that follow from it.

        It may be entered again by who is inside.
        """
        with self._thread:
            if self._nested:
                yield
                return
            folder = private_folder(self._path.parent)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._nested = True
                yield
            finally:
                self._nested = False
                os.close(descriptor)


def _bytes_of(path: Path) -> bytes:
    """Return what is in a file, nothing where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise SystemFailure(f"{path} cannot be read: {error.strerror}") from error


def _note(earned: dict[tuple[str, str], int], step: Step) -> None:
    pair = (step.model_id, step.model_digest)
    earned[pair] = max(earned.get(pair, 0), _TRUST[step.after])


def _line(step: Step, key: "Ed25519PrivateKey | None") -> bytes:
    record = msgspec.to_builtins(step)
    if key is not None:
        return sign_record(_KIND, record, key)
    return json.dumps({"kind": _KIND, "record": record}, sort_keys=True).encode() + b"\n"
