"""Many seeds on many markets: each proved once per state of the code and settings."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adan_core.domain.errors import ModelError
from adan_core.domain.time import SystemClock
from adan_core.learning.executor import Executor
from adan_core.learning.learning_version import learning_version
from adan_core.learning.proof import PROOF_SCHEMA_VERSION, ProofTask, SeedProof, prove_seed
from adan_core.resilience.files import private_folder, write_atomically


@dataclass(frozen=True, slots=True)
class ProofShelf:
    """Where proofs lie: one folder per state of the code and question, one file per market and seed."""

    folder: Path

    def path(self, task: ProofTask) -> Path:
        """Return where the proof of ``task`` lies, or would."""
        question = msgspec.json.encode(
            [
                PROOF_SCHEMA_VERSION,
                learning_version(),
                task.settings.model_dump(mode="json"),
                task.features,
                [task.size.accounts, task.size.candles],
                task.rehearsal,
                task.steps,
            ]
        )
        digest = hashlib.blake2b(question, digest_size=8).hexdigest()
        return self.folder / digest / f"{task.market}-s{task.seed}.json"

    def find(self, task: ProofTask) -> SeedProof | None:
        """Return the proof of ``task`` if it is there; a damaged one is none."""
        try:
            return msgspec.json.decode(self.path(task).read_bytes(), type=SeedProof)
        except (OSError, msgspec.DecodeError):
            return None

    def keep(self, task: ProofTask, proof: SeedProof) -> None:
        """Write ``proof`` in its place."""
        path = self.path(task)
        private_folder(path.parent)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(proof)))


@dataclass(frozen=True, slots=True)
class ProofJob:
    """A task, and the shelf its proof belongs on."""

    task: ProofTask
    shelf: ProofShelf


def prove_all(
    tasks: Sequence[ProofTask], shelf: ProofShelf, executor: Executor
) -> Iterator[tuple[ProofTask, SeedProof]]:
    """Yield each task with its proof: first what lies on the shelf, then the rest as it is worked out.

    ModelError if one cannot be worked out.
    """
    missing: list[ProofJob] = []
    for task in tasks:
        known = shelf.find(task)
        if known is None:
            missing.append(ProofJob(task, shelf))
        else:
            yield task, known
    for finished in executor.run(work_out, missing):
        task = finished.task.task
        if finished.result is None:
            raise ModelError(f"{task.market}, seed {task.seed}: {finished.failure}", "a proof")
        yield task, finished.result


def work_out(job: ProofJob) -> SeedProof:
    """Work a proof out and put it on its shelf; the run's checkpoints, of use to nobody, are removed."""
    workshop = job.shelf.path(job.task).with_suffix(".run")
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        proof = prove_seed(job.task, workshop, SystemClock())
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    job.shelf.keep(job.task, proof)
    return proof
