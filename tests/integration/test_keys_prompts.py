"""Hidden prompts and the sealed file, on a real pseudo-terminal without any keyring."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from adan_core.security.audit import verify_chain

API_KEY = "canaryAPIkey7hXw2PqLr9TzBn4VcKd8"
SECRET = "canarySECRET5mYt3QsJf6WxGp1ZaHe0"  # noqa: S105 - a canary
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - only for this test

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """Give a machine without a keyring."""
    found = os.environ | {"ADAN_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "nowhere")}
    for name in ("DBUS_SESSION_BUS_ADDRESS", "CREDENTIALS_DIRECTORY", "PYTHON_KEYRING_BACKEND"):
        found.pop(name, None)
    return found


def _spawn(environment: dict[str, str], *words: str) -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "adan_core", "keys", *words],
        env=environment,
        encoding="utf-8",
        timeout=120,
        dimensions=(24, 400),
    )


def _answer(terminal: pexpect.spawn, prompt: str, answer: str) -> None:
    terminal.expect(prompt)
    terminal.waitnoecho()
    terminal.sendline(answer)


def _end(terminal: pexpect.spawn) -> tuple[str, int]:
    terminal.expect(pexpect.EOF)
    text = str(terminal.before)
    terminal.close()
    return text, int(terminal.exitstatus)


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


def test_without_a_keyring_the_sealed_file_is_offered_and_nothing_typed_is_shown(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    log = (tmp_path / "terminal.txt").open("w")
    terminal = _spawn(environment, "set", "okx")
    terminal.logfile_read = log
    terminal.expect("no keyring answers on this machine")
    terminal.expect("apt install gnome-keyring")
    terminal.expect(r"instead\? \[y/N\] ")
    terminal.sendline("y")
    _answer(terminal, r"API key for okx \(not shown\): ", API_KEY)
    _answer(terminal, r"Its secret \(not shown\): ", SECRET)
    _answer(terminal, "The exchange's passphrase, if it gave one", "")
    _answer(terminal, "New passphrase for .*keys.sealed", PASSPHRASE)
    _answer(terminal, "The same passphrase again: ", PASSPHRASE)
    terminal.expect(r"The key for okx \(\.\.\.cKd8\) is in the sealed file")
    assert _end(terminal)[1] == 0
    log.close()

    seen = (tmp_path / "terminal.txt").read_text()
    for canary in (API_KEY, SECRET, PASSPHRASE):
        assert canary not in seen
        for path in home.rglob("*"):
            assert not path.is_file() or canary.encode() not in path.read_bytes()
    (tmp_path / "terminal.txt").unlink()

    terminal = _spawn(environment, "list", "--json")
    _answer(terminal, "Passphrase of .*keys.sealed: ", PASSPHRASE)
    text, code = _end(terminal)
    assert code == 0
    report = json.loads(text.strip())
    assert report["keys"] == [
        {"exchange": "okx", "hint": "..." + API_KEY[-4:], "rung": "sealed file"}
    ]

    terminal = _spawn(environment, "remove", "okx")
    _answer(terminal, "Passphrase of .*keys.sealed: ", "not the passphrase")
    text, code = _end(terminal)
    assert code == 6
    assert "the passphrase does not open" in text

    removed = _keys(environment, "remove", "okx", "--passphrase-stdin", given=PASSPHRASE + "\n")
    assert removed.returncode == 0
    assert verify_chain(home / "state" / "audit.jsonl").intact


def test_declining_stores_nothing(environment: dict[str, str], home: Path) -> None:
    terminal = _spawn(environment, "set", "okx")
    terminal.expect(r"instead\? \[y/N\] ")
    terminal.sendline("")
    text, code = _end(terminal)
    assert code == 6
    assert "nothing was stored" in text
    assert not (home / "config" / "keys.sealed").exists()


def test_two_different_new_passphrases_store_nothing(
    environment: dict[str, str], home: Path
) -> None:
    terminal = _spawn(environment, "set", "okx", "--sealed-file")
    _answer(terminal, "API key for okx", API_KEY)
    _answer(terminal, "Its secret", SECRET)
    _answer(terminal, "The exchange's passphrase", "")
    _answer(terminal, "New passphrase", PASSPHRASE)
    _answer(terminal, "again: ", PASSPHRASE + "r")
    text, code = _end(terminal)
    assert code == 2
    assert "the two passphrases differ" in text
    assert not (home / "config" / "keys.sealed").exists()


def test_headless_it_says_what_to_install_and_how_to_choose_the_file(
    environment: dict[str, str], home: Path
) -> None:
    lines = f"{API_KEY}\n{SECRET}\n"
    refused = _keys(environment, "set", "okx", given=lines)
    assert refused.returncode == 6
    assert "gnome-keyring" in refused.stderr
    assert "--sealed-file" in refused.stderr
    no_passphrase = _keys(environment, "set", "okx", "--sealed-file", given=lines)
    assert no_passphrase.returncode == 6
    assert "--passphrase-stdin" in no_passphrase.stderr
    assert not (home / "config" / "keys.sealed").exists()
    for done in (refused, no_passphrase):
        assert "canary" not in done.stdout + done.stderr


def test_the_passphrase_may_be_a_systemd_credential(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "adan-passphrase").write_text(PASSPHRASE + "\n")
    service = environment | {"CREDENTIALS_DIRECTORY": str(folder)}
    done = _keys(service, "set", "okx", "--sealed-file", given=f"{API_KEY}\n{SECRET}\n")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(_keys(service, "list", "--json").stdout)
    assert [key["exchange"] for key in report["keys"]] == ["okx"]
    assert report["places"] == ["systemd credential", "sealed file"]


def test_a_misspelt_exchange_is_refused_with_the_near_ones(environment: dict[str, str]) -> None:
    done = _keys(environment, "set", "krakne", given=f"{API_KEY}\n{SECRET}\n")
    assert done.returncode == 2
    assert "kraken" in done.stderr


def test_a_key_is_never_an_argument(environment: dict[str, str]) -> None:
    done = _keys(environment, "set", "okx", API_KEY)
    assert done.returncode == 2
