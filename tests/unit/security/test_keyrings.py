"""Only keyrings known to encrypt are used, and none may keep ADAN waiting for ever."""

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import SecretService, chainer, fail, null

from adan_core.domain.errors import SecurityError
from adan_core.security.keyrings import (
    ALLOWED_BACKENDS,
    KeyringStore,
    KeyringUnavailable,
    open_keyring,
    require_allowed,
)
from adan_core.security.secret import Secret


class Memory(KeyringBackend):
    """A backend that is on no list."""

    priority = 1.0

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.gate: threading.Event | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.gate is not None:
            self.gate.wait()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


def secret_service() -> KeyringBackend:
    """Return the backend for the Secret Service; keyring leaves its constructor untyped."""
    make = cast("Callable[[], KeyringBackend]", SecretService.Keyring)
    return make()


REFUSED = [
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.file.EncryptedKeyring",
    "keyring.backends.null.Keyring",
    "keyring.backends.fail.Keyring",
    "keyring.backends.SecretService.Other",
    "evil.SecretService.Keyring",
    "Keyring",
]


@pytest.mark.parametrize("name", REFUSED)
def test_other_backends_are_refused_by_name_before_they_are_imported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(module: str) -> None:
        raise AssertionError(f"imported {module}")

    monkeypatch.setattr(importlib, "import_module", never)
    with pytest.raises(KeyringUnavailable, match=f"backend {name} is refused"):
        open_keyring("adan-test", {"PYTHON_KEYRING_BACKEND": name})


def test_a_backend_named_in_keyring_s_own_file_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "python_keyring"
    folder.mkdir()
    trap = tmp_path / "trap"
    (folder / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring=plain.Keyring\nkeyring-path={trap}\n"
    )
    monkeypatch.setattr("keyring.util.platform_.config_root", lambda: folder)
    with pytest.raises(KeyringUnavailable, match=r"plain\.Keyring is refused"):
        open_keyring("adan-test", {})
    assert str(trap) not in sys.path


def test_the_class_counts_not_what_it_says_of_itself() -> None:
    unsafe = [cast("Callable[[], KeyringBackend]", kind)() for kind in (null.Keyring, fail.Keyring)]
    for backend in (Memory(), *unsafe):
        with pytest.raises(KeyringUnavailable, match="refused"):
            require_allowed(backend)
    require_allowed(secret_service())
    kind = type("Keyring", (SecretService.Keyring,), {"__module__": "elsewhere"})
    disguised = cast("Callable[[], KeyringBackend]", kind)
    with pytest.raises(KeyringUnavailable, match=r"elsewhere\.Keyring is refused"):
        require_allowed(disguised())


def test_a_chainer_passes_only_over_allowed_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = cast("Callable[[], KeyringBackend]", chainer.ChainerBackend)()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [secret_service()])
    require_allowed(chain)
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [secret_service(), Memory()])
    with pytest.raises(KeyringUnavailable, match="refused"):
        require_allowed(chain)


def test_the_allow_list_names_classes_that_keyring_has() -> None:
    for module, (class_name, _) in ALLOWED_BACKENDS.items():
        kind = getattr(importlib.import_module(module), class_name)
        assert issubclass(kind, KeyringBackend)


def test_without_a_keyring_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    with pytest.raises(KeyringUnavailable, match="gnome-keyring"):
        open_keyring("adan-test", {})


def test_a_keyring_that_does_not_answer_is_given_up() -> None:
    backend = Memory()
    backend.gate = threading.Event()
    try:
        with pytest.raises(KeyringUnavailable, match=r"no answer within 0\.05 s"):
            KeyringStore(backend, "adan-test", timeout=0.05).get("a")
    finally:
        backend.gate.set()


def test_a_backend_s_own_error_becomes_ours() -> None:
    class Broken(Memory):
        def get_password(self, service: str, username: str) -> str | None:
            raise ConnectionError(f"the bus is gone for {service} {username}")

    with pytest.raises(KeyringUnavailable, match="ConnectionError: the bus is gone"):
        KeyringStore(Broken(), "adan-test").get("a")


def test_a_backend_that_forgets_is_caught_at_once() -> None:
    class Forgetful(Memory):
        def set_password(self, service: str, username: str, password: str) -> None:
            pass

    with pytest.raises(SecurityError, match="did not give back"):
        KeyringStore(Forgetful(), "adan-test").put("a", Secret("canary-a"))


def test_names_are_those_that_are_really_kept() -> None:
    backend = Memory()
    store = KeyringStore(backend, "adan-test")
    assert store.names() == ()
    store.put("b", Secret("canary-b"))
    store.put("a", Secret("canary-a"))
    assert store.names() == ("a", "b")
    del backend.kept["adan-test", "a"]  # somebody deleted it with another program
    assert store.names() == ("b",)
    assert store.delete("b")
    assert not store.delete("b")
    assert store.names() == ()
    assert KeyringStore(backend, "adan-other").names() == ()


def test_a_damaged_index_is_said() -> None:
    backend = Memory()
    backend.kept["adan-test", "index"] = "{"
    with pytest.raises(SecurityError, match="damaged"):
        KeyringStore(backend, "adan-test").names()
    backend.kept["adan-test", "index"] = '{"schema_version": 2, "names": []}'
    with pytest.raises(SecurityError, match="schema version 2"):
        KeyringStore(backend, "adan-test").names()
