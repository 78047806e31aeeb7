"""A changed audit trail is noticed by the doctor and by a starting core."""

import json
import subprocess
import sys
from pathlib import Path

from adan_core.config.locations import locate
from adan_core.domain.time import ManualClock
from adan_core.runtime.launch import check_audit
from adan_core.security.audit import AuditLog


def _doctor(home: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "adan_core", "--home", str(home), "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    findings = json.loads(done.stdout)["findings"]
    return next(finding for finding in findings if finding["check"] == "audit trail")


def _tamper(audit_file: Path) -> None:
    text = audit_file.read_text()
    audit_file.write_text(text.replace("kraken", "binance", 1))


def test_the_doctor_and_a_starting_core_say_where_the_trail_breaks(home: Path) -> None:
    audit_file = locate(home, {}).audit_file
    log = AuditLog(audit_file, ManualClock(0))
    log.record("secret.read", "done", {"entry": "exchange-okx"})
    log.record("secret.read", "done", {"entry": "exchange-kraken"})
    warned: list[str] = []
    check_audit(audit_file, warned.append)
    assert warned == []
    assert _doctor(home)["verdict"] == "ok"

    _tamper(audit_file)
    check_audit(audit_file, warned.append)
    assert "breaks at line 2" in warned[0]
    finding = _doctor(home)
    assert finding["verdict"] == "failed"
    assert "breaks at line 2" in finding["found"]


def test_a_trail_that_cannot_be_read_is_said_too(home: Path) -> None:
    audit_file = locate(home, {}).audit_file
    audit_file.mkdir(parents=True)
    warned: list[str] = []
    check_audit(audit_file, warned.append)
    assert "cannot be read" in warned[0]
