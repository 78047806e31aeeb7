"""The audit trail keeps every row, in order, and notices each change."""

import fcntl
import hashlib
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import ManualClock
from adan_core.security.audit import AuditLog, verify_chain
from adan_core.security.authorization import current_user

NOON = 1_767_268_800_000


def _written(path: Path, rows: int) -> AuditLog:
    log = AuditLog(path, ManualClock(NOON), config_hash="c0ffee")
    for number in range(rows):
        log.record("secret.read", "done", {"entry": f"exchange-{number}"})
    return log


def test_a_row_says_who_did_what_when_under_which_settings(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.jsonl"
    _written(path, 1)
    row = json.loads(path.read_text())
    assert row["schema_version"] == 1
    assert row["number"] == 1
    assert row["time"] == "2026-01-01T12:00:00Z"
    assert row["user"] == current_user()
    assert (row["action"], row["outcome"]) == ("secret.read", "done")
    assert row["details"] == {"entry": "exchange-0"}
    assert row["config_hash"] == "c0ffee"
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_chain(path).intact


def test_details_and_outcome_are_redacted(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _written(path, 0).record("a", "refused: token=abcdef123456", {"password": "hunter2"})
    assert "abcdef123456" not in path.read_text()
    assert "hunter2" not in path.read_text()


@given(data=st.data())
def test_changing_any_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    _written(path, 4)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    whole[place] ^= change
    path.write_bytes(whole)
    assert not verify_chain(path).intact


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_missing_row_is_noticed_also_the_last(tmp_path: Path, gone: int) -> None:
    path = tmp_path / "audit.jsonl"
    _written(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:gone] + lines[gone + 1 :]))
    report = verify_chain(path)
    assert not report.intact
    assert report.line == gone + 1


def test_rows_in_another_order_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _written(path, 3)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + third + second)
    assert verify_chain(path).line == 2


def test_a_row_rewritten_with_a_hash_that_fits_it_breaks_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _written(path, 3)
    lines = path.read_bytes().splitlines()
    row = json.loads(lines[1])
    del row["hash"]
    row["user"] = "nobody"
    bare = json.dumps(row, sort_keys=True, separators=(",", ":"))
    row["hash"] = hashlib.sha256(bare.encode()).hexdigest()
    lines[1] = json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    report = verify_chain(path)
    assert report.line == 3
    assert "before it" in report.reason


def test_a_row_written_differently_is_not_the_row_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    _written(path, 1)
    path.write_text(json.dumps(json.loads(path.read_text())) + "\n")
    assert verify_chain(path).line == 1


def test_a_writer_waits_while_another_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = _written(path, 1)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=log.record, args=("late", "done"))
        writer.start()
        writer.join(0.1)
        assert writer.is_alive()
        assert len(path.read_bytes().splitlines()) == 1
    writer.join()
    assert verify_chain(path).rows == 2


def test_a_deleted_trail_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert verify_chain(path).intact
    _written(path, 2)
    path.unlink()
    assert not verify_chain(path).intact


def test_a_line_torn_by_a_crash_is_kept_in_a_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = _written(path, 2)
    with path.open("ab") as stream:
        stream.write(b'{"action":"order.in')
    report = verify_chain(path)
    assert (report.intact, report.torn, report.rows) == (True, True, 2)
    log.record("secret.read", "done")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["action"] for row in rows[2:]] == ["audit.torn_line", "secret.read"]
    assert rows[2]["details"]["text"] == '{"action":"order.in'
    assert verify_chain(path).intact


def test_recording_goes_on_after_tampering_which_stays_visible(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = _written(path, 2)
    with path.open("ab") as stream:
        stream.write(b"not a row\n")
    log.record("kill", "done")
    assert json.loads(path.read_bytes().splitlines()[-1])["action"] == "kill"
    assert verify_chain(path).line == 3


def test_threads_and_other_writers_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    def write() -> None:
        _written(path, 5)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    report = verify_chain(path)
    assert (report.rows, report.intact) == (20, True)


def test_a_disk_that_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(SystemFailure, match="audit trail"):
        _written(tmp_path / "audit.jsonl", 1)
    with pytest.raises(SystemFailure, match="audit trail"):
        verify_chain(tmp_path / "audit.jsonl")


def test_a_long_row_is_found_again_as_the_last(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = _written(path, 1)
    log.record("long", "done", {"text": "no secret " * 20_000})
    log.record("after", "done")
    assert verify_chain(path).rows == 3
    assert verify_chain(path).intact
