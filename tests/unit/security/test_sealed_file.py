"""A sealed file opens with its passphrase, unaltered, and not otherwise."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import SecurityError
from adan_core.security.sealed_file import (
    KeyDerivation,
    SealedFileStore,
    open_bytes,
    seal_bytes,
)
from adan_core.security.secret import Secret

CHEAP = KeyDerivation(iterations=1, lanes=1, memory_cost=8)
PASSPHRASE = Secret("correct horse battery")
WRONG = Secret("correct horse batterx")
PLAIN = b'{"entry":"canary-5150"}'


@given(st.binary(max_size=300), st.text(max_size=20).filter(str.isprintable))
def test_what_was_sealed_comes_back(plain: bytes, passphrase: str) -> None:
    secret = Secret(f"canary {passphrase}")
    assert open_bytes(seal_bytes(plain, secret, CHEAP), secret) == plain


@given(data=st.data())
def test_changing_any_byte_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(seal_bytes(PLAIN, PASSPHRASE, CHEAP))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecurityError):
        open_bytes(bytes(sealed), PASSPHRASE)


@given(st.integers(0, 400))
def test_a_file_cut_short_is_refused(length: int) -> None:
    sealed = seal_bytes(PLAIN, PASSPHRASE, CHEAP)
    with pytest.raises(SecurityError):
        open_bytes(sealed[: min(length, len(sealed) - 1)], PASSPHRASE)


def test_bytes_added_are_refused() -> None:
    with pytest.raises(SecurityError, match="altered"):
        open_bytes(seal_bytes(PLAIN, PASSPHRASE, CHEAP) + b"x", PASSPHRASE)


def test_a_wrong_passphrase_and_an_altered_file_are_told_apart() -> None:
    sealed = seal_bytes(PLAIN, PASSPHRASE, CHEAP)
    with pytest.raises(SecurityError, match="passphrase does not open"):
        open_bytes(sealed, WRONG)
    with pytest.raises(SecurityError, match="passphrase is right"):
        open_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]), PASSPHRASE)
    with pytest.raises(SecurityError, match="damaged"):
        open_bytes(b"api_key: x\n" + sealed, PASSPHRASE)


def test_salt_and_nonce_are_fresh_each_time() -> None:
    headers = [json.loads(seal_bytes(PLAIN, PASSPHRASE, CHEAP).split(b"\n")[0]) for _ in range(8)]
    assert len({header["derivation"]["salt"] for header in headers}) == 8
    assert len({header["cipher"]["nonce"] for header in headers}) == 8


def test_the_default_cost_is_the_one_rfc_9106_recommends_second() -> None:
    assert KeyDerivation() == KeyDerivation(iterations=3, lanes=4, memory_cost=65536)
    header = json.loads(seal_bytes(PLAIN, PASSPHRASE).split(b"\n")[0])
    assert header["derivation"]["memory_cost"] == 65536


def test_an_independent_reading_of_the_format_opens_it() -> None:
    """The format as the module describes it, followed step by step with the primitives alone."""
    first, _, body = seal_bytes(PLAIN, PASSPHRASE, CHEAP).partition(b"\n")
    header = json.loads(first)
    derived = Argon2id(
        salt=bytes.fromhex(header["derivation"]["salt"]),
        length=64,
        iterations=1,
        lanes=1,
        memory_cost=8,
    ).derive(PASSPHRASE.reveal().encode())
    assert hashlib.sha256(derived[32:]).hexdigest() == header["check"]
    nonce = bytes.fromhex(header["cipher"]["nonce"])
    assert AESGCM(derived[:32]).decrypt(nonce, body, first + b"\n") == PLAIN


@pytest.mark.parametrize(
    ("field", "value"), [("memory_cost", 1 << 32), ("iterations", 10**9), ("lanes", 0)]
)
def test_a_cost_that_would_exhaust_the_machine_is_refused(field: str, value: int) -> None:
    first, _, rest = seal_bytes(PLAIN, PASSPHRASE, CHEAP).partition(b"\n")
    header = json.loads(first)
    header["derivation"][field] = value
    with pytest.raises(SecurityError, match="Argon2id cost"):
        open_bytes(json.dumps(header).encode() + b"\n" + rest, PASSPHRASE)


def test_a_newer_schema_is_refused() -> None:
    first, _, rest = seal_bytes(PLAIN, PASSPHRASE, CHEAP).partition(b"\n")
    header = json.loads(first) | {"schema_version": 2}
    with pytest.raises(SecurityError, match="schema version 2"):
        open_bytes(json.dumps(header).encode() + b"\n" + rest, PASSPHRASE)


def _store(path: Path, passphrase: Secret = PASSPHRASE) -> SealedFileStore:
    return SealedFileStore(path, lambda _: passphrase, CHEAP)


def test_the_store_keeps_replaces_lists_and_forgets(tmp_path: Path) -> None:
    path = tmp_path / "config" / "keys.sealed"
    _store(path).put("exchange-kraken", Secret("canary-5150"))
    _store(path).put("exchange-binance", Secret("canary-5151"))
    _store(path).put("exchange-kraken", Secret("canary-5152"))
    store = _store(path)
    assert store.names() == ("exchange-binance", "exchange-kraken")
    assert store.get("exchange-kraken") == Secret("canary-5152")
    assert store.get("exchange-okx") is None
    assert store.delete("exchange-kraken")
    assert not store.delete("exchange-kraken")
    assert _store(path).names() == ("exchange-binance",)
    assert b"canary" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_passphrase_is_asked_for_once_and_twice_for_a_new_file(tmp_path: Path) -> None:
    asked: list[bool] = []

    def ask(new: bool) -> Secret:
        asked.append(new)
        return PASSPHRASE

    store = SealedFileStore(tmp_path / "keys.sealed", ask, CHEAP)
    assert store.get("a") is None
    assert asked == []
    store.put("a", Secret("canary-1"))
    store.put("b", Secret("canary-2"))
    assert asked == [True]
    SealedFileStore(tmp_path / "keys.sealed", ask, CHEAP).get("a")
    assert asked == [True, False]


def test_a_wrong_passphrase_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    _store(path).put("a", Secret("canary-1"))
    before = path.read_bytes()
    with pytest.raises(SecurityError, match="does not open"):
        _store(path, WRONG).put("a", Secret("canary-2"))
    with pytest.raises(SecurityError, match="does not open"):
        _store(path, WRONG).delete("a")
    assert path.read_bytes() == before


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="passphrase of 7 characters"):
        _store(tmp_path / "keys.sealed", Secret("sevench")).put("a", Secret("canary-1"))
    assert not (tmp_path / "keys.sealed").exists()
