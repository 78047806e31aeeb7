"""The log: redacted JSON lines in a bounded set of files, never on the terminal unasked."""

import gzip
import io
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from adan_core.domain.alerts import LogLine, Severity
from adan_core.domain.time import ManualClock
from adan_core.monitoring.alerts import AlertManager
from adan_core.monitoring.log_file import LogFile
from adan_core.monitoring.logging import LogSystem, configure_logging, correlated
from adan_core.security.secret import Secret

NOON = 1_767_268_800_000
CANARY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "adan.jsonl"


@pytest.fixture
def system(path: Path) -> Iterator[LogSystem]:
    clock = ManualClock(NOON)
    system = configure_logging(LogFile(path, clock), clock)
    yield system
    system.close()


def _refuse(key: str) -> None:
    raise ValueError(f"bad signature with {key}")


def _rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_json_with_its_schema_time_level_and_fields(
    system: LogSystem, path: Path
) -> None:
    structlog.get_logger().info("order filled", symbol="BTC/SIM", quantity=0.25)
    assert _rows(path) == [
        {
            "schema_version": 1,
            "time": "2026-01-01T12:00:00Z",
            "level": "info",
            "pid": os.getpid(),
            "event": "order filled",
            "symbol": "BTC/SIM",
            "quantity": 0.25,
        }
    ]
    assert system.recent() == (LogLine(NOON, "info", "order filled"),)
    assert path.stat().st_mode & 0o777 == 0o600


def test_correlation_ids_stand_on_every_line_inside(system: LogSystem, path: Path) -> None:
    with correlated(decision_id="d-1"):
        structlog.get_logger().info("decided")
        logging.getLogger("ccxt").warning("slow")
    structlog.get_logger().info("after")
    assert [row.get("decision_id") for row in _rows(path)] == ["d-1", "d-1", None]


def test_secrets_reach_neither_the_file_nor_the_screen(system: LogSystem, path: Path) -> None:
    live = Secret("canary live value")
    log = structlog.get_logger()
    log.info(f"key is {live.reveal()}", apiKey=CANARY, nested={"headers": [f"Bearer {CANARY}"]})
    log.info("wrapped", secret=live, plain=live)
    try:
        _refuse(CANARY)
    except ValueError:
        log.exception("request failed")
        logging.getLogger("ccxt").exception("failed with %s", CANARY)
    text = path.read_text() + repr(system.recent())
    assert CANARY not in text
    assert "canary live value" not in text
    rows = _rows(path)
    assert "ValueError: bad signature with [redacted]" in str(rows[2]["exception"])
    assert "ValueError: bad signature with [redacted]" in str(rows[3]["exception"])


def test_a_traceback_shows_no_local_variable(system: LogSystem, path: Path) -> None:
    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail("short-local")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "short-local" not in json.dumps(_rows(path)[0]["event"])
    assert "password = " not in path.read_text()


def test_libraries_are_heard_from_warning_up_whatever_their_level(
    system: LogSystem, path: Path
) -> None:
    library = logging.getLogger("ccxt.base.exchange")
    library.setLevel(logging.DEBUG)
    try:
        library.debug("fetch %s", {"X-MBX-APIKEY": CANARY})
        library.info("fetch")
        library.warning("limit reached: %s", "429")
    finally:
        library.setLevel(logging.NOTSET)
    rows = _rows(path)
    assert [(row["level"], row["logger"]) for row in rows] == [("warning", "ccxt.base.exchange")]
    assert rows[0]["event"] == "limit reached: 429"


def test_a_library_s_own_mistake_in_a_message_does_not_lose_it(
    system: LogSystem, path: Path
) -> None:
    ours = [one for one in logging.getLogger().handlers if type(one).__name__ == "_LibraryHandler"]
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "wrong arguments %d", ("text",), None)
    ours[0].handle(record)
    assert str(_rows(path)[0]["event"]).startswith("wrong arguments %d (its arguments do not fit")


def test_python_s_warnings_are_logged_not_printed(
    system: LogSystem, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("something is deprecated", stacklevel=1)
    assert "something is deprecated" in str(_rows(path)[0]["event"])
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_nothing_reaches_the_terminal_unless_asked(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock(NOON)
    system = configure_logging(LogFile(path, clock), clock)
    structlog.get_logger().error("quiet")
    logging.getLogger("x").error("quiet too")
    system.close()
    echo = io.StringIO()
    system = configure_logging(LogFile(path, clock), clock, echo=echo)
    structlog.get_logger().error("said", token=CANARY)
    system.close()
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert json.loads(echo.getvalue())["event"] == "said"
    assert CANARY not in echo.getvalue()


def test_lines_below_the_level_are_dropped(path: Path) -> None:
    clock = ManualClock(NOON)
    system = configure_logging(LogFile(path, clock), clock, level="warning")
    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")
    system.close()
    assert [row["event"] for row in _rows(path)] == ["yes"]


def test_the_newest_lines_are_kept_for_the_screen(path: Path) -> None:
    clock = ManualClock(NOON)
    system = LogSystem(LogFile(path, clock), clock, kept_lines=3)
    for number in range(5):
        system.write("info", f"line {number}", {})
    system.close()
    assert [line.event for line in system.recent()] == ["line 2", "line 3", "line 4"]


def test_fields_cannot_forge_the_line_s_own(system: LogSystem, path: Path) -> None:
    system.write("info", "real\n{}", {"time": "never", "schema_version": 9, "level": "x"})
    row = _rows(path)[0]
    assert (row["event"], row["schema_version"], row["level"]) == ("real\n{}", 1, "info")


def test_enormous_texts_are_cut(system: LogSystem, path: Path) -> None:
    structlog.get_logger().info("x" * 1_000_000, body="y" * 1_000_000)
    assert path.stat().st_size < 50_000


def test_full_files_are_compressed_and_nothing_is_lost(path: Path) -> None:
    clock = ManualClock(NOON)
    file = LogFile(path, clock, part_bytes=2_000)
    for number in range(300):
        file.append(b'{"number":%d}' % number)
    file.close()
    archives = sorted(path.parent.glob("adan-*.jsonl.gz"))
    assert len(archives) > 1
    assert not list(path.parent.glob("adan-*.jsonl"))
    lines = [line for one in archives for line in gzip.decompress(one.read_bytes()).splitlines()]
    lines += path.read_bytes().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(300))
    assert file.lost == 0
    assert archives[0].name == "adan-2026-01-01T120000Z-001.jsonl.gz"


def test_all_files_together_keep_to_the_budget_the_oldest_going_first(path: Path) -> None:
    clock = ManualClock(NOON)
    file = LogFile(path, clock, part_bytes=4_000, total_bytes=6_000)
    for number in range(3_000):
        file.append(b'{"number":%d}' % number)
    file.close()
    file.tidy()
    held = [one for one in path.parent.iterdir() if one.name.startswith("adan")]
    assert sum(one.stat().st_size for one in held) <= 6_000
    assert not path.parent.joinpath("adan-2026-01-01T120000Z-001.jsonl.gz").exists()


def test_what_a_crash_left_uncompressed_is_compressed_later(path: Path) -> None:
    path.parent.mkdir()
    left = path.with_name("adan-2025-12-31T235959Z-001.jsonl")
    left.write_text('{"event":"old"}\n')
    LogFile(path, ManualClock(NOON)).tidy()
    assert not left.exists()
    assert left.with_name(left.name + ".gz").exists()


def test_several_writers_share_one_file_whole_lines_each(path: Path) -> None:
    clock = ManualClock(NOON)
    files = [LogFile(path, clock, part_bytes=3_000) for _ in range(3)]

    def write(file: LogFile, name: int) -> None:
        for number in range(100):
            file.append(b'{"writer":%d,"number":%d}' % (name, number))

    writers = [threading.Thread(target=write, args=(file, name)) for name, file in enumerate(files)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    for file in files:
        file.close()
    texts = [gzip.decompress(one.read_bytes()) for one in path.parent.glob("adan-*.gz")]
    texts += [path.read_bytes()] if path.exists() else []
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    assert sum(file.lost for file in files) == 0
    assert len(rows) == 300


def test_lines_the_disk_refused_are_counted_and_said_once_it_takes_lines_again(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOON)
    (tmp_path / "logs").write_text("a file where the folder should be")
    system = LogSystem(LogFile(tmp_path / "logs" / "adan.jsonl", clock), clock)
    system.write("info", "one", {})
    system.write("info", "two", {})
    (tmp_path / "logs").unlink()
    system.write("info", "three", {})
    system.write("info", "four", {})
    system.close()
    events = [str(row["event"]) for row in _rows(tmp_path / "logs" / "adan.jsonl")]
    assert [events[0], events[2]] == ["three", "four"]
    assert events[1].startswith("2 log lines were lost: ")
    assert [line.event for line in system.recent()][:2] == ["one", "two"]


def test_a_disk_that_refuses_is_counted_not_raised(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    file = LogFile(tmp_path / "logs" / "adan.jsonl", ManualClock(NOON))
    file.append(b"{}")
    assert file.lost == 1
    assert file.last_error


def test_an_alert_carries_no_secret_off_the_machine() -> None:
    manager = AlertManager(ManualClock(NOON), 300.0, 10, lambda _alert: None)
    alert = manager.raise_alert(
        f"settings: found {CANARY}", Severity.WARNING, f'market.seed: found "{CANARY}"'
    )
    assert CANARY not in repr(alert)
    assert CANARY not in repr(manager.alerts())
