"""The doctor finds what is wrong, says how to mend it, and ends with 1 only if it must be mended."""

import argparse
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from adan_core.cli import doctor
from adan_core.cli.context import Context
from adan_core.cli.environment import EnvironmentValidator, Finding, Verdict
from adan_core.config.locations import locate
from adan_core.domain.time import ManualClock, SystemClock

NOW = SystemClock().now()


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


def look(
    home: Path,
    environment: dict[str, str] | None = None,
    now: int = NOW,
    terminal: TextIO | None = None,
) -> dict[str, Finding]:
    validator = EnvironmentValidator(
        locate(home, {}), environment or {}, (), ManualClock(now), terminal or io.StringIO()
    )
    return {finding.check: finding for finding in validator.findings()}


def test_a_sound_machine_has_nothing_in_the_way(tmp_path: Path) -> None:
    findings = look(tmp_path)
    failed = [finding for finding in findings.values() if finding.verdict is Verdict.FAILED]
    assert failed == []
    assert not any(tmp_path.iterdir())
    assert findings["packages"].verdict is Verdict.OK


def test_each_finding_that_is_not_fine_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "adan.yaml").write_text("markt: {}\n")
    (tmp_path / "config" / "exchange.yaml").write_text("api_key: Zk39fjQm2LpX8vT1aWc4\n")
    findings = look(tmp_path, {"CONDA_PREFIX": "/elsewhere", "CONDA_DEFAULT_ENV": "other"})
    for finding in findings.values():
        assert bool(finding.remedy) == (finding.verdict is not Verdict.OK), finding
    assert findings["settings"].verdict is Verdict.FAILED
    assert findings["conda"].verdict is Verdict.WARNING
    assert findings["keyring"].verdict is Verdict.WARNING
    secrets = findings["secrets in the open"]
    assert secrets.verdict is Verdict.FAILED
    assert "exchange.yaml line 1" in secrets.found
    assert "Zk39fjQm" not in secrets.found


def test_a_missing_package_is_in_the_way_and_another_version_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.distributions

    class Older:
        def __init__(self, name: str) -> None:
            self.name = name
            self.version = "0.0.1"

    def without_torch() -> Iterator[object]:
        return (item for item in real() if item.name.lower() != "torch")

    monkeypatch.setattr(importlib.metadata, "distributions", without_torch)
    packages = look(tmp_path)["packages"]
    assert packages.verdict is Verdict.FAILED
    assert "torch" in packages.found

    def older_numba() -> Iterator[object]:
        return (Older("numba") if item.name.lower() == "numba" else item for item in real())

    monkeypatch.setattr(importlib.metadata, "distributions", older_numba)
    packages = look(tmp_path)["packages"]
    assert packages.verdict is Verdict.WARNING
    assert "numba 0.0.1 (tried with " in packages.found


def test_folders_others_can_write_or_we_cannot_are_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config").chmod(0o777)
    assert look(tmp_path)["folder config"].verdict is Verdict.FAILED
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "config" not in str(path) and real(path, mode)
    )
    finding = look(tmp_path)["folder config"]
    assert finding.verdict is Verdict.FAILED
    assert "read-only" in finding.found


def test_a_clock_behind_adans_own_files_is_in_the_way(tmp_path: Path) -> None:
    assert look(tmp_path, now=0)["clock"].verdict is Verdict.FAILED


def test_a_full_disk_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert look(tmp_path)["disk"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("kind", "columns", "lines", "verdict"),
    [
        ("xterm-256color", 80, 24, Verdict.OK),
        ("xterm-256color", 79, 24, Verdict.WARNING),
        ("dumb", 80, 24, Verdict.FAILED),
        ("", 80, 24, Verdict.FAILED),
    ],
)
def test_the_terminal_is_measured(
    tmp_path: Path, kind: str, columns: int, lines: int, verdict: Verdict
) -> None:
    import fcntl
    import struct
    import termios

    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as terminal:
        finding = look(tmp_path, {"TERM": kind}, terminal=terminal)["terminal"]
    os.close(leader)
    assert finding.verdict is verdict
    assert f"{columns}x{lines}" in finding.found
    assert verdict is not Verdict.OK or "256 colours" in finding.found


@pytest.mark.parametrize("text", ["", "markt: {}\n"])
def test_the_command_ends_with_its_verdict(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "adan.yaml").write_text(text)
    parser = argparse.ArgumentParser()
    doctor.configure(parser)
    for words in ([], ["--json"]):
        out = io.StringIO()
        context = Context(
            home=locate(tmp_path, {}),
            clock=SystemClock(),
            stdin=io.StringIO(),
            stdout=out,
            stderr=io.StringIO(),
            environment={},
            overrides=(),
        )
        code = doctor.run(parser.parse_args(words), context)
        assert code == (1 if text else 0)
        if words:
            assert json.loads(out.getvalue())["healthy"] == (not text)
        else:
            assert ("mend it" in out.getvalue()) or not text


def test_versions_are_compared_without_importing_torch(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom adan_core.cli.main import main\n"
        "try:\n main(['doctor'])\nexcept SystemExit:\n pass\n"
        "print('heavy:', sorted({'torch', 'textual', 'ccxt', 'stable_baselines3'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"ADAN_HOME": str(tmp_path)},
    )
    assert "heavy: []" in answer.stdout
