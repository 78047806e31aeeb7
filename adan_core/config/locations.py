"""Every path ADAN reads or writes, in one place."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# A Unix socket's path must fit struct sockaddr_un: 104 bytes on macOS, 108 on Linux.
_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Locations:
    """The folders of one ADAN home; nothing is created until something is written."""

    config: Path
    data: Path
    state: Path
    cache: Path
    logs: Path
    runtime: Path

    @property
    def settings_file(self) -> Path:
        """The operator's settings, laid over the shipped ones."""
        return self.config / "adan.yaml"

    @property
    def themes_folder(self) -> Path:
        """The operator's themes, beside and over the shipped ones."""
        return self.config / "themes"

    @property
    def sealed_keys(self) -> Path:
        """Secrets sealed with a passphrase, for machines without a keyring."""
        return self.config / "keys.sealed"

    @property
    def operator_public_key(self) -> Path:
        """The public half of the operator's signing key, readable without unlocking anything."""
        return self.config / "operator_public_key.json"

    @property
    def trusted_keys(self) -> Path:
        """Public keys of others whose models may be imported, each file named after its owner."""
        return self.config / "trusted_keys"

    @property
    def datasets(self) -> Path:
        """Imported candles."""
        return self.data / "candles"

    @property
    def models(self) -> Path:
        """Sealed models trained here."""
        return self.data / "models"

    @property
    def evaluations(self) -> Path:
        """Signed judgements of the models, a folder for each."""
        return self.data / "evaluations"

    @property
    def lifecycle(self) -> Path:
        """Which model is candidate, on paper, live or retired, and since when."""
        return self.models / "lifecycle.jsonl"

    @property
    def runs(self) -> Path:
        """Training runs: checkpoints, resolved settings, progress."""
        return self.data / "runs"

    @property
    def proofs(self) -> Path:
        """What `adan-core prove` has found, one file per market and seed."""
        return self.data / "proofs"

    @property
    def walk_forwards(self) -> Path:
        """Folds and seeds that were worked out, a folder per question asked."""
        return self.data / "walk_forwards"

    @property
    def studies(self) -> Path:
        """Searches for better settings, one file each."""
        return self.data / "studies"

    @property
    def test_looks(self) -> Path:
        """Which test periods were looked at: chained rows."""
        return self.data / "test_looks.jsonl"

    @property
    def journal(self) -> Path:
        """Intents, orders, fills and decisions (SQLite)."""
        return self.state / "journal.sqlite"

    @property
    def paper_exchange(self) -> Path:
        """The paper venue's own books (SQLite)."""
        return self.state / "paper.sqlite"

    def account_journal(self, account: str) -> Path:
        """The journal of a paper account on an exchange's candles, e.g. ``binance-USDT``."""
        return self.state / f"journal-{account}.sqlite"

    def account_exchange(self, account: str) -> Path:
        """The paper venue's books of such an account."""
        return self.state / f"paper-{account}.sqlite"

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts on exchanges' candles that there are, in alphabetical order."""
        found = self.state.glob("journal-*.sqlite")
        return tuple(sorted(path.stem.removeprefix("journal-") for path in found))

    @property
    def training_queue(self) -> Path:
        """Trainings that wait for their turn in a core."""
        return self.state / "training_queue.json"

    @property
    def kill_latch(self) -> Path:
        """The kill switch's latch."""
        return self.state / "kill.json"

    @property
    def core_lock(self) -> Path:
        """Held by the one core of this home."""
        return self.state / "core.lock"

    @property
    def audit_file(self) -> Path:
        """Who did what, and when."""
        return self.state / "audit.jsonl"

    @property
    def log_file(self) -> Path:
        """The structured log."""
        return self.logs / "adan.jsonl"

    @property
    def numba_cache(self) -> Path:
        """Compiled kernels."""
        return self.cache / "numba"

    @property
    def data_cache(self) -> Path:
        """States computed from candles; everything in it can be computed again."""
        return self.cache / "data"

    @property
    def socket(self) -> Path:
        """The control socket; under a short folder of this user where the home's path is too long."""
        socket = self.runtime / "core.sock"
        if len(os.fsencode(socket)) < _LONGEST_SOCKET_PATH:
            return socket
        digest = hashlib.blake2b(os.fsencode(self.runtime), digest_size=8).hexdigest()
        # Not tempfile's folder: core and clients must agree whatever their TMPDIR. The folder is
        # made, and its owner and mode are checked, by resilience.files.private_folder.
        return Path("/tmp") / f"adan-{os.getuid()}" / digest / "core.sock"  # noqa: S108


def locate(home: Path | None, environment: Mapping[str, str]) -> Locations:
    """Return where ADAN's files are: ``--home``, else ``ADAN_HOME``, else the platform's folders."""
    if home is None and environment.get("ADAN_HOME"):
        home = Path(environment["ADAN_HOME"])
    if home is not None:
        home = home.expanduser().absolute()
        return Locations(
            config=home / "config",
            data=home / "data",
            state=home / "state",
            cache=home / "cache",
            logs=home / "logs",
            runtime=home / "run",
        )
    from platformdirs import PlatformDirs

    folders = PlatformDirs("adan", appauthor=False)
    return Locations(
        config=folders.user_config_path,
        data=folders.user_data_path,
        state=folders.user_state_path,
        cache=folders.user_cache_path,
        logs=folders.user_log_path,
        # Not the session's runtime folder: a core started in one login must be found from another.
        runtime=folders.user_state_path / "run",
    )


def shipped() -> Path:
    """Return the folder that holds the shipped ``configs/`` and ``themes/``.

    In a wheel they lie inside the package, in a checkout at its top.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent
