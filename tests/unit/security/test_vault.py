"""The ladder reads from the top, writes where it may, and takes everything down."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adan_core.domain.errors import SecurityError, SystemFailure
from adan_core.security.audit import AuditTrail
from adan_core.security.operator_key import ENTRY, operator_key
from adan_core.security.public_keys import read_public_key, write_public_key
from adan_core.security.sealed_file import KeyDerivation, SealedFileStore
from adan_core.security.secret import Secret
from adan_core.security.vault import (
    SecretStore,
    SystemdCredentials,
    Vault,
    credential_passphrase,
    keyring_service,
    open_vault,
)

PASSPHRASE = Secret("correct horse battery")


class Rows:
    """An audit trail in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, Mapping[str, object]]] = []

    def record(
        self, action: str, outcome: str, details: Mapping[str, object] | None = None
    ) -> None:
        self.rows.append((action, outcome, details or {}))


class Box:
    """A keyring in memory, which can be made to fail."""

    rung = "keyring"
    writable = True

    def __init__(self) -> None:
        self.held: dict[str, Secret] = {}
        self.broken = False

    def get(self, name: str) -> Secret | None:
        self._work()
        return self.held.get(name)

    def put(self, name: str, secret: Secret) -> None:
        self._work()
        self.held[name] = secret

    def delete(self, name: str) -> bool:
        self._work()
        return self.held.pop(name, None) is not None

    def names(self) -> tuple[str, ...]:
        self._work()
        return tuple(self.held)

    def _work(self) -> None:
        if self.broken:
            raise SecurityError("the keyring is locked")


def _sealed(tmp_path: Path) -> SealedFileStore:
    cost = KeyDerivation(iterations=1, lanes=1, memory_cost=8)
    return SealedFileStore(tmp_path / "keys.sealed", lambda _: PASSPHRASE, cost)


def _credentials(tmp_path: Path, **texts: str) -> SystemdCredentials:
    folder = tmp_path / "credentials"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("_", "-")).write_text(text)
    return SystemdCredentials(folder)


def _vault(*rungs: SecretStore, audit: AuditTrail | None = None) -> Vault:
    return Vault(rungs, audit or Rows())


def test_the_highest_rung_that_holds_a_secret_gives_it_and_is_named(tmp_path: Path) -> None:
    box, sealed = Box(), _sealed(tmp_path)
    sealed.put("a", Secret("canary-low"))
    vault = _vault(box, sealed)
    found = vault.get("a")
    assert found is not None
    assert (found.secret, found.rung) == (Secret("canary-low"), "sealed file")
    box.put("a", Secret("canary-high"))
    found = vault.get("a")
    assert found is not None
    assert (found.secret, found.rung) == (Secret("canary-high"), "keyring")
    assert vault.get("b") is None


def test_a_rung_below_the_one_that_answers_is_not_opened(tmp_path: Path) -> None:
    def never(_: bool) -> Secret:
        raise AssertionError("asked for a passphrase")

    _sealed(tmp_path).put("b", Secret("canary-b"))
    box = Box()
    box.put("a", Secret("canary-a"))
    assert _vault(box, SealedFileStore(tmp_path / "keys.sealed", never)).get("a") is not None


def test_writing_takes_the_highest_writable_rung(tmp_path: Path) -> None:
    assert _vault(Box(), _sealed(tmp_path)).put("a", Secret("canary-a")) == "keyring"
    vault = _vault(_credentials(tmp_path), _sealed(tmp_path))
    assert vault.put("a", Secret("canary-a")) == "sealed file"
    with pytest.raises(SecurityError, match="no writable place"):
        _vault(_credentials(tmp_path)).put("a", Secret("canary-a"))


def test_choosing_a_lower_rung_leaves_no_older_value_above_it(tmp_path: Path) -> None:
    box, sealed = Box(), _sealed(tmp_path)
    vault = _vault(box, sealed)
    vault.put("a", Secret("canary-old"))
    assert vault.put("a", Secret("canary-new"), "sealed file") == "sealed file"
    assert box.held == {}
    found = vault.get("a")
    assert found is not None
    assert found.secret == Secret("canary-new")


def test_the_older_value_stays_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    box = Box()
    box.put("a", Secret("canary-old"))
    short = SealedFileStore(tmp_path / "keys.sealed", lambda _: Secret("short"))
    with pytest.raises(SecurityError):
        _vault(box, short).put("a", Secret("canary-new"), "sealed file")
    assert box.held == {"a": Secret("canary-old")}


def test_a_read_only_rung_above_would_shadow_and_is_said(tmp_path: Path) -> None:
    vault = _vault(_credentials(tmp_path, adan_a="canary-s"), _sealed(tmp_path))
    with pytest.raises(SecurityError, match="only systemd changes"):
        vault.put("a", Secret("canary-new"))
    with pytest.raises(SecurityError, match="only systemd changes"):
        vault.delete("a")
    assert not (tmp_path / "keys.sealed").exists()


def test_deleting_empties_every_rung(tmp_path: Path) -> None:
    box, sealed = Box(), _sealed(tmp_path)
    box.put("a", Secret("canary-1"))
    sealed.put("a", Secret("canary-2"))
    vault = _vault(box, sealed)
    assert vault.names() == (("a", "keyring"),)
    assert vault.delete("a") == ("keyring", "sealed file")
    assert vault.delete("a") == ()
    assert vault.names() == ()


def test_every_access_is_audited_with_entry_and_rung_never_the_value(tmp_path: Path) -> None:
    rows, box = Rows(), Box()
    vault = _vault(box, audit=rows)
    vault.put("a", Secret("canary-value"))
    vault.get("a")
    vault.get("b")
    vault.names()
    vault.delete("a")
    box.broken = True
    with pytest.raises(SecurityError):
        vault.get("a")
    seen = [(action, outcome, details["entry"]) for action, outcome, details in rows.rows]
    assert seen == [
        ("secret.set", "done", "a"),
        ("secret.read", "done", "a"),
        ("secret.read", "absent", "b"),
        ("secret.list", "done", ""),
        ("secret.delete", "done", "a"),
        ("secret.read", "refused: the keyring is locked", "a"),
    ]
    assert "canary-value" not in str(rows.rows)
    assert {details["rung"] for _, _, details in rows.rows} == {"keyring"}


def test_a_secret_is_not_given_out_when_the_access_cannot_be_written_down() -> None:
    class Full:
        def record(
            self, action: str, outcome: str, details: Mapping[str, object] | None = None
        ) -> None:
            raise SystemFailure(f"the disk is full: {action} {outcome} {details}")

    box = Box()
    box.put("a", Secret("canary-a"))
    with pytest.raises(SystemFailure):
        Vault((box,), Full()).get("a")


def test_systemd_credentials_are_read_by_their_prefix(tmp_path: Path) -> None:
    store = _credentials(
        tmp_path,
        **{
            "adan-exchange-kraken": "k\ns\n",
            "adan-passphrase": "hidden words\n",
            "other": "x",
        },
    )
    assert store.names() == ("exchange-kraken",)
    kept = store.get("exchange-kraken")
    assert kept is not None
    assert kept.reveal() == "k\ns"
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert credential_passphrase(environment) == Secret("hidden words")
    assert credential_passphrase({}) is None
    (tmp_path / "credentials" / "adan-binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SecurityError, match="not text"):
        store.get("binary")


def test_the_ladder_of_this_machine_says_why_a_keyring_is_missing(tmp_path: Path) -> None:
    environment = {
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    vault = open_vault(
        tmp_path, tmp_path / "keys.sealed", environment, lambda _: PASSPHRASE, Rows()
    )
    assert vault.rungs == ("systemd credential", "sealed file")
    assert "keyring.backends.fail.Keyring is refused" in vault.unavailable


def test_each_home_has_its_own_entries_in_the_keyring(tmp_path: Path) -> None:
    assert keyring_service(tmp_path / "a") != keyring_service(tmp_path / "b")
    assert keyring_service(tmp_path / "a") == keyring_service(tmp_path / "x" / ".." / "a")
    assert str(tmp_path) not in keyring_service(tmp_path)


def test_the_operator_s_key_is_made_once_and_its_public_half_published(tmp_path: Path) -> None:
    rows, vault, file = Rows(), _vault(Box()), tmp_path / "config" / "operator_public_key.json"
    first = operator_key(vault, file, rows)
    again = operator_key(vault, file, rows)
    assert first.private_bytes_raw() == again.private_bytes_raw()
    assert read_public_key(file) == first.public_key().public_bytes_raw()
    assert [row[0] for row in rows.rows] == ["operator_key.made"]
    file.unlink()
    operator_key(vault, file, rows)
    assert read_public_key(file) == first.public_key().public_bytes_raw()


def test_a_swapped_public_key_is_noticed_and_left_for_a_person(tmp_path: Path) -> None:
    rows, vault, file = Rows(), _vault(Box()), tmp_path / "operator_public_key.json"
    operator_key(vault, file, rows)
    foreign = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    write_public_key(file, foreign)
    with pytest.raises(SecurityError, match="which is not the operator's"):
        operator_key(vault, file, rows)
    assert read_public_key(file) == foreign
    assert rows.rows[-1][:2] == ("operator_key.read", "refused: public key swapped")


def test_a_lost_signing_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    file = tmp_path / "operator_public_key.json"
    operator_key(_vault(Box()), file, Rows())
    with pytest.raises(SecurityError, match="is not in keyring"):
        operator_key(_vault(Box()), file, Rows())


def test_a_damaged_signing_key_is_an_error(tmp_path: Path) -> None:
    box = Box()
    box.put(ENTRY, Secret("not hexadecimal"))
    with pytest.raises(SecurityError, match="damaged"):
        operator_key(_vault(box), tmp_path / "p.json", Rows())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema_version":2,"algorithm":"Ed25519","public_key":"' + "0" * 64 + '"}',
        '{"schema_version":1,"algorithm":"RSA","public_key":"' + "0" * 64 + '"}',
        '{"schema_version":1,"algorithm":"Ed25519","public_key":"00"}',
    ],
)
def test_a_file_that_is_no_public_key_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(SecurityError):
        read_public_key(tmp_path / "key.json")
