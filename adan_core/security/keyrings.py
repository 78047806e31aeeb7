"""The operating system's keyring, through allow-listed backends only, and never for ever."""

import configparser
import importlib
import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from adan_core.domain.errors import SecurityError
from adan_core.security.secret import Secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ALLOWED_BACKENDS: Mapping[str, tuple[str, str]] = {
    "keyring.backends.SecretService": ("Keyring", "Secret Service"),
    "keyring.backends.kwallet": ("DBusKeyring", "KWallet"),
    "keyring.backends.macOS": ("Keyring", "macOS Keychain"),
    "keyring.backends.Windows": ("WinVaultKeyring", "Windows Credential Locker"),
}
"""Module of a backend -> (its class, what people call it). All of them encrypt what they keep."""
_OF_THE_PLATFORM: Mapping[str, tuple[str, ...]] = {
    "darwin": ("keyring.backends.macOS",),
    "win32": ("keyring.backends.Windows",),
}
_ELSEWHERE = ("keyring.backends.SecretService", "keyring.backends.kwallet")
CHAINER = "keyring.backends.chainer.ChainerBackend"
"""keyring's own "first backend that works", which ADAN narrows to the allowed ones."""
TIMEOUT = 60.0
"""Seconds a keyring may take to answer; a person may have to type its password meanwhile."""
WHAT_TO_INSTALL = (
    "install and unlock a keyring (Debian and Ubuntu: `apt install gnome-keyring`, then "
    "`gnome-keyring-daemon --unlock --components=secrets` within a D-Bus session; KDE: kwallet), "
    "or keep the keys in a sealed file (`--sealed-file`)"
)
_INDEX = "index"

Result = TypeVar("Result")


class KeyringUnavailable(SecurityError):
    """No allowed keyring can be used here; the ladder's next rung may."""


class KeyringStore:
    """Secrets in one allow-listed keyring under one service name.

    Keyrings cannot list what they hold, so the names stand in an entry of their own, ``index``.
    It names an entry before the entry is written, and until after it is deleted.
    """

    writable = True

    def __init__(self, backend: "KeyringBackend", service: str, timeout: float = TIMEOUT) -> None:
        self.rung = _title(backend)
        self._backend = backend
        self._service = service
        self._timeout = timeout

    def unlock(self) -> None:
        """Read from the keyring once, so that it asks for its password now; SecurityError if not."""
        self._index()

    def get(self, name: str) -> Secret | None:
        """Return the secret called ``name``, None if there is none; SecurityError on failure."""
        value = self._call("read", lambda: self._backend.get_password(self._service, name))
        return None if value is None else Secret(value)

    def put(self, name: str, secret: Secret) -> None:
        """Keep ``secret`` under ``name`` and read it back; SecurityError on failure."""
        self._write_index(set(self._index()) | {name})
        self._write(name, secret.reveal())

    def delete(self, name: str) -> bool:
        """Forget ``name``; False if it was not there. SecurityError on failure."""
        found = self.get(name) is not None
        if found:
            self._call("delete", lambda: self._backend.delete_password(self._service, name))
        names = self._index()
        if name in names:
            self._write_index(set(names) - {name})
        return found

    def names(self) -> tuple[str, ...]:
        """Return the names of what is kept, sorted."""
        return tuple(name for name in self._index() if self.get(name) is not None)

    def _write(self, name: str, value: str) -> None:
        self._call("write", lambda: self._backend.set_password(self._service, name, value))
        kept = self._call("read", lambda: self._backend.get_password(self._service, name))
        if kept != value:
            raise SecurityError(
                f"the {self.rung} did not give back what was stored in it",
                "a keyring that keeps what it is given",
                WHAT_TO_INSTALL,
            )

    def _index(self) -> tuple[str, ...]:
        text = self._call("read", lambda: self._backend.get_password(self._service, _INDEX))
        if text is None:
            return ()
        try:
            index = json.loads(text)
            if index["schema_version"] != 1:
                raise SecurityError(
                    f"the {self.rung}'s index has schema version {index['schema_version']}",
                    "1",
                    "use the ADAN that wrote it",
                )
            return tuple(sorted(str(name) for name in index["names"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SecurityError(
                f"the entry {_INDEX!r} of {self._service!r} in the {self.rung} is damaged",
                "ADAN's list of names",
                "delete that entry and set the keys again",
            ) from error

    def _write_index(self, names: set[str]) -> None:
        self._write(_INDEX, json.dumps({"schema_version": 1, "names": sorted(names)}))

    def _call(self, what: str, function: Callable[[], Result]) -> Result:
        return _bounded(f"{what} the {self.rung}", function, self._timeout)


def open_keyring(
    service: str, environment: Mapping[str, str], timeout: float = TIMEOUT
) -> KeyringStore:
    """Return the store in this machine's keyring.

    A backend named by PYTHON_KEYRING_BACKEND or keyring's own configuration file is used if it is
    on the allow-list and refused by name otherwise, before any of its code is imported; with none
    named the best allowed one that works is. KeyringUnavailable says why there is none.
    """
    named = environment.get("PYTHON_KEYRING_BACKEND") or _configured_backend()
    candidates = _OF_THE_PLATFORM.get(sys.platform, _ELSEWHERE)
    if named and named != CHAINER:
        candidates = (_allowed_module(named),)
    backend = _bounded("open the keyring", lambda: _best(candidates), timeout)
    store = KeyringStore(backend, service, timeout)
    store.unlock()
    return store


def require_allowed(backend: "KeyringBackend") -> None:
    """Raise KeyringUnavailable unless the backend's class is one of the allow-list's own.

    A chainer passes only while everything it chains does.
    """
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if name == CHAINER:
        for chained in backend.backends:  # type: ignore[attr-defined]
            require_allowed(chained)
        return
    _allowed_module(name)


def _allowed_module(name: str) -> str:
    """Return the module of an allowed backend's full name; KeyringUnavailable for another's."""
    module, _, class_name = name.rpartition(".")
    if ALLOWED_BACKENDS.get(module, ("", ""))[0] != class_name:
        raise KeyringUnavailable(
            f"the keyring backend {name} is refused: it is not known to encrypt what it keeps",
            "one of " + ", ".join(title for _, title in ALLOWED_BACKENDS.values()),
            f"take it out of PYTHON_KEYRING_BACKEND and keyringrc.cfg; {WHAT_TO_INSTALL}",
        )
    return module


def _configured_backend() -> str | None:
    """Return the backend that keyring's configuration file names, without running any of it."""
    from keyring.util import platform_

    parser = configparser.RawConfigParser()
    path = platform_.config_root() / "keyringrc.cfg"
    try:
        parser.read(path, encoding="utf-8")
    except configparser.Error as error:
        raise KeyringUnavailable(f"{path} cannot be read: {error}") from error
    return parser.get("backend", "default-keyring", fallback="").strip() or None


def _best(modules: tuple[str, ...]) -> "KeyringBackend":
    """Return the allowed backend of highest priority that works; KeyringUnavailable if none."""
    working: list[tuple[float, KeyringBackend]] = []
    reasons: list[str] = []
    for module in modules:
        class_name, title = ALLOWED_BACKENDS[module]
        try:
            kind = getattr(importlib.import_module(module), class_name)
            working.append((float(kind.priority), kind()))
        except (RuntimeError, ImportError, AttributeError, OSError) as error:
            reasons.append(f"{title}: {str(error) or type(error).__name__}")
    if not working:
        raise KeyringUnavailable(
            "no keyring answers on this machine (" + "; ".join(reasons) + ")",
            " or ".join(ALLOWED_BACKENDS[module][1] for module in modules),
            WHAT_TO_INSTALL,
        )
    backend = max(working, key=lambda pair: pair[0])[1]
    require_allowed(backend)
    return backend


def _bounded(what: str, function: Callable[[], Result], timeout: float) -> Result:
    """Run ``function`` in a thread and return its result; SecurityError when it takes too long.

    A keyring that waits for somebody at another screen never returns. Its thread is left behind,
    as a daemon: nothing can interrupt a D-Bus call from outside.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame
            errors.append(error)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(timeout)
    if results:
        return results[0]
    if not errors:
        raise KeyringUnavailable(
            f"could not {what}: no answer within {timeout:g} s, it may be waiting for its password",
            "an unlocked keyring",
            f"unlock it and try again; or {WHAT_TO_INSTALL}",
        )
    if isinstance(errors[0], SecurityError):
        raise errors[0]
    raise KeyringUnavailable(
        f"could not {what}: {type(errors[0]).__name__}: {errors[0]}",
        "an unlocked keyring",
        WHAT_TO_INSTALL,
    ) from errors[0]


def _title(backend: "KeyringBackend") -> str:
    return ALLOWED_BACKENDS.get(type(backend).__module__, ("", type(backend).__name__))[1]
