"""Exchange keys in a real Secret Service: gnome-keyring, unlocked, on a session bus of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adan_core.security.audit import verify_chain
from tests.support import need_tool

API_KEY = "canaryAPIkey7hXw2PqLr9TzBn4VcKd8"
SECRET = "canarySECRET5mYt3QsJf6WxGp1ZaHe0"  # noqa: S105 - a canary
PASSPHRASE = "canaryPHRASE"  # noqa: S105 - a canary
SESSION = """
printf %s "a password for this test" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
echo "$DBUS_SESSION_BUS_ADDRESS"
exec cat >/dev/null
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def session(tmp_path: Path, home: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a login session with an unlocked keyring; its files in tmp_path."""
    need_tool("gnome-keyring-daemon")
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = os.environ | {
        "HOME": str(tmp_path / "user"),
        "XDG_DATA_HOME": str(tmp_path / "user" / "share"),
        "XDG_CONFIG_HOME": str(tmp_path / "user" / "config"),
        "XDG_RUNTIME_DIR": str(runtime),
        "ADAN_HOME": str(home),
    }
    for name in ("PYTHON_KEYRING_BACKEND", "DBUS_SESSION_BUS_ADDRESS", "CREDENTIALS_DIRECTORY"):
        environment.pop(name, None)
    with subprocess.Popen(
        [need_tool("dbus-run-session"), "--", "sh", "-c", SESSION],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as bus:
        assert bus.stdout is not None
        address = bus.stdout.readline().strip()
        assert address, "no session bus with a keyring came up"
        yield environment | {"DBUS_SESSION_BUS_ADDRESS": address}
        bus.communicate("")


def _keys(
    environment: dict[str, str], *words: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adan_core", "keys", *words],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _files_holding(folder: Path, text: str) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    ]


def test_set_list_and_remove_through_the_real_keyring(
    session: dict[str, str], home: Path, tmp_path: Path
) -> None:
    lines = f"{API_KEY}\n{SECRET}\n{PASSPHRASE}\n"
    done = _keys(session, "set", "okx", "--stdin", given=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"The key for okx (...{API_KEY[-4:]}) is in the Secret Service.\n"
    assert _keys(session, "set", "kraken", given=f"{API_KEY[::-1]}\n{SECRET}\n").returncode == 0

    listed = _keys(session, "list", "--json")
    assert listed.returncode == 0
    report = json.loads(listed.stdout)
    assert report["schema_version"] == 1
    assert report["places"] == ["Secret Service", "sealed file"]
    assert report["keyring_unavailable"] is None
    assert report["keys"] == [
        {"exchange": "kraken", "hint": "..." + API_KEY[::-1][-4:], "rung": "Secret Service"},
        {"exchange": "okx", "hint": "..." + API_KEY[-4:], "rung": "Secret Service"},
    ]
    for shown in (done.stdout, listed.stdout, _keys(session, "list").stdout):
        assert API_KEY[:20] not in shown
        assert SECRET[-6:] not in shown

    for canary in (API_KEY, SECRET, PASSPHRASE):
        assert _files_holding(tmp_path, canary) == []
    assert not (home / "config" / "keys.sealed").exists()

    assert _keys(session, "remove", "okx").returncode == 0
    assert [
        key["exchange"] for key in json.loads(_keys(session, "list", "--json").stdout)["keys"]
    ] == ["kraken"]
    missing = _keys(session, "remove", "okx")
    assert missing.returncode == 6
    assert "no key for okx" in missing.stderr

    audit = home / "state" / "audit.jsonl"
    assert verify_chain(audit).intact
    rows = [json.loads(line) for line in audit.read_text().splitlines()]
    assert {row["action"] for row in rows} == {
        "secret.set",
        "secret.read",
        "secret.list",
        "secret.delete",
    }
    assert any(
        row["action"] == "secret.set" and row["details"]["entry"] == "exchange-okx" for row in rows
    )
    assert "canary" not in audit.read_text()


def test_another_home_does_not_see_this_one_s_keys(session: dict[str, str], tmp_path: Path) -> None:
    assert _keys(session, "set", "okx", given=f"{API_KEY}\n{SECRET}\n").returncode == 0
    other = session | {"ADAN_HOME": str(tmp_path / "other home")}
    assert json.loads(_keys(other, "list", "--json").stdout)["keys"] == []
    assert len(json.loads(_keys(session, "list", "--json").stdout)["keys"]) == 1


def test_choosing_the_sealed_file_takes_the_key_out_of_the_keyring(
    session: dict[str, str], home: Path, tmp_path: Path
) -> None:
    assert _keys(session, "set", "okx", given=f"{API_KEY}\n{SECRET}\n").returncode == 0
    moved = _keys(
        session,
        "set",
        "okx",
        "--sealed-file",
        "--passphrase-stdin",
        given=f"some words of mine\n{API_KEY}\n{SECRET}\n",
    )
    assert (moved.returncode, moved.stderr) == (0, "")
    assert (home / "config" / "keys.sealed").exists()
    listed = _keys(session, "list", "--json", "--passphrase-stdin", given="some words of mine\n")
    assert [key["rung"] for key in json.loads(listed.stdout)["keys"]] == ["sealed file"]
    assert _files_holding(tmp_path, SECRET) == []


def test_the_operator_s_key_lives_in_the_keyring_too(
    session: dict[str, str], home: Path, tmp_path: Path
) -> None:
    script = """
import os, sys
from pathlib import Path
from adan_core.domain.time import SystemClock
from adan_core.security.audit import AuditLog
from adan_core.security.operator_key import operator_key
from adan_core.security.vault import open_vault
home = Path(os.environ["ADAN_HOME"])
audit = AuditLog(home / "state" / "audit.jsonl", SystemClock())
def never(new): raise AssertionError("asked for a passphrase")
vault = open_vault(home / "config", home / "config" / "keys.sealed", os.environ, never, audit)
print(operator_key(vault, home / "config" / "operator_public_key.json", audit).private_bytes_raw().hex())
"""
    made, again = (
        subprocess.run(
            [sys.executable, "-c", script],
            env=session,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    )
    assert made == again
    assert len(made) == 64
    assert _files_holding(tmp_path, made) == []
    listed = json.loads(_keys(session, "list", "--json").stdout)
    assert listed["operator_key"] is not None
    assert listed["keys"] == []
